//! `msb image inspect`

use msb_host::image::{self, ImageConfig, ImageDetails};

use super::images::{local_time, short_digest};
use super::{DataFormat, open_store};
use crate::error::CommandError;
use crate::escape::escaped;
use crate::size;
use crate::ui::Ui;

/// Show detailed metadata for a cached image (manifest, layers, config).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb image inspect python
  msb image inspect python --format json")]
pub(crate) struct Args {
    /// Image to show: a reference, a digest or an ID.
    #[arg(value_name = "REF")]
    reference: String,
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
}

pub(crate) fn run(args: &Args, ui: Ui) -> Result<(), CommandError> {
    let (_, store) = open_store()?;
    let details = image::inspect(&store, &args.reference)?;
    if args.format == Some(DataFormat::Json) {
        return ui.json(&details);
    }
    ui.data(text(&details).iter().map(String::as_str))
}

fn text(image: &ImageDetails) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = |key: &str, value: &str| {
        if !value.is_empty() {
            lines.push(format!("{:<16} {}", format!("{key}:"), escaped(value)));
        }
    };
    line("Reference", &image.reference);
    let others: Vec<&str> = image
        .references
        .iter()
        .map(String::as_str)
        .filter(|reference| *reference != image.reference)
        .collect();
    line("Also known as", &others.join(", "));
    line("Digest", &image.digest);
    line("ID", &image.id);
    line("Architecture", &image.architecture);
    line("Variant", image.variant.as_deref().unwrap_or_default());
    line("OS", &image.os);
    line("Size", &size::bytes(image.size_bytes));
    line("Created", &local_time(&image.created_at));
    line("Used by", &image.used_by.join(", "));
    lines.push(String::new());
    lines.push("Config".to_owned());
    lines.extend(config(&image.config));
    lines.push(String::new());
    lines.push(format!("Layers ({})", image.layer_count));
    for layer in &image.layers {
        lines.push(format!(
            "  {:>3}  {}  {:>10}  {}",
            layer.position + 1,
            short_digest(&layer.blob_digest.to_string()),
            size::bytes(layer.compressed_size_bytes),
            escaped(&layer.media_type),
        ));
        lines.push(format!(
            "       {:<19}  {:>10}  {}",
            "EROFS",
            layer
                .erofs_size_bytes
                .map_or_else(|| "missing".to_owned(), size::bytes),
            layer
                .erofs_path
                .as_ref()
                .map_or_else(String::new, |path| escaped(&path.display().to_string())),
        ));
    }
    lines
}

fn config(config: &ImageConfig) -> Vec<String> {
    let joined = |words: &Option<Vec<String>>| words.as_deref().unwrap_or_default().join(" ");
    let labels: Vec<String> = config
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let single = [
        ("Entrypoint", joined(&config.entrypoint)),
        ("Cmd", joined(&config.cmd)),
        ("WorkingDir", config.working_dir.clone().unwrap_or_default()),
        ("User", config.user.clone().unwrap_or_default()),
        ("StopSignal", config.stop_signal.clone().unwrap_or_default()),
        ("Ports", config.exposed_ports.join(", ")),
        ("Volumes", config.volumes.join(", ")),
    ];
    let several = [("Env", &config.env), ("Labels", &labels)];
    let single = single
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| format!("  {:<14} {}", format!("{key}:"), escaped(&value)));
    let several = several
        .into_iter()
        .filter(|(_, values)| !values.is_empty())
        .flat_map(|(key, values)| {
            let heading = format!("  {key}:");
            let values = values.iter().map(|value| format!("    {}", escaped(value)));
            std::iter::once(heading).chain(values).collect::<Vec<_>>()
        });
    single.chain(several).collect()
}
