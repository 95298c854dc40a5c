//! `msb image inspect`

use std::borrow::Cow;

use msb_host::image::ImageConfig;
use msb_host::{ImageDetails, LayerDetails};

use super::{DataFormat, short_digest};
use crate::commands;
use crate::complete::images;
use crate::error::CommandError;
use crate::page::Page;
use crate::ui::Ui;
use crate::{size, time};

/// Show detailed metadata for cached images (manifest, layers, config).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb image inspect python
  msb image inspect python --format json
  msb image inspect alpine python --format json   # An array")]
pub(crate) struct Args {
    /// The images: references, digests, or the first digits of one.
    #[arg(required = true, value_name = "REF", add = images())]
    references: Vec<String>,
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let msb = commands::open()?;
    let mut images = Vec::new();
    let result = commands::each(
        ui,
        "images could not be inspected",
        &args.references,
        |reference| {
            images.push(msb.inspect(reference).run()?);
            Ok(())
        },
    );
    match (args.format, images.as_slice(), args.references.len()) {
        // One image is an object, several are a list of them, even if only one could be inspected.
        (Some(DataFormat::Json), [], 1) => {}
        (Some(DataFormat::Json), [image], 1) => ui.json(image)?,
        (Some(DataFormat::Json), images, _) => ui.json(&images)?,
        (None, images, _) => {
            let pages: Vec<String> = images.iter().map(text).collect();
            ui.data(&pages.join("\n"))?;
        }
    }
    result
}

fn text(image: &ImageDetails) -> String {
    let others: Vec<&str> = image
        .references
        .iter()
        .map(String::as_str)
        .filter(|reference| *reference != image.reference)
        .collect();
    let mut page = Page::new(17);
    page.pair("Reference", &image.reference);
    page.pair("Also known as", &others.join(", "));
    page.pair("Digest", &image.digest);
    page.pair("Index digest", &image.index_digests.join(", "));
    page.pair("Repo digests", &image.repo_digests.join(", "));
    page.pair("ID", &image.id);
    page.pair("Architecture", &image.architecture);
    page.pair("Variant", image.variant.as_deref().unwrap_or_default());
    page.pair("OS", &image.os);
    page.pair("Size", &size::bytes(image.size_bytes));
    page.pair("Created", &time::local(&image.created_at));
    page.pair("Used by", &image.used_by.join(", "));
    page.section("Config");
    config(&mut page, &image.config);
    page.section(&format!("Layers ({})", image.layer_count));
    for item in &image.layers {
        layer(&mut page, item);
    }
    if let Some(merged) = &image.merged {
        page.section("Merged root filesystem");
        page.pair("Path", &merged.path.display().to_string());
        page.pair("Size", &size::bytes(merged.size_bytes));
    }
    page.into_text()
}

fn config(page: &mut Page, config: &ImageConfig) {
    let command = |words: &Option<Vec<String>>| command_line(words.as_deref().unwrap_or_default());
    page.pair("Entrypoint", &command(&config.entrypoint));
    page.pair("Cmd", &command(&config.cmd));
    page.pair(
        "WorkingDir",
        config.working_dir.as_deref().unwrap_or_default(),
    );
    page.pair("User", config.user.as_deref().unwrap_or_default());
    page.pair(
        "StopSignal",
        config.stop_signal.as_deref().unwrap_or_default(),
    );
    page.pair("Ports", &config.exposed_ports.join(", "));
    page.pair("Volumes", &config.volumes.join(", "));
    page.list("Env", config.env.iter().map(Cow::from));
    let labels = config.labels.iter();
    page.list(
        "Labels",
        labels.map(|(key, value)| format!("{key}={value}").into()),
    );
}

fn layer(page: &mut Page, layer: &LayerDetails) {
    page.line(&format!(
        "{:>3}  {}  {:>10}  {}",
        layer.position + 1,
        short_digest(&layer.blob_digest),
        size::bytes(layer.compressed_size_bytes),
        layer.media_type,
    ));
    let (size, path) = match (layer.erofs_size_bytes, &layer.erofs_path) {
        (Some(bytes), Some(path)) => (size::bytes(bytes), path.display().to_string()),
        _ => (
            "missing".to_owned(),
            "load the image again to restore it".to_owned(),
        ),
    };
    page.line(&format!("     {:<19}  {size:>10}  {path}", "EROFS"));
}

/// Returns words as one would type them: a word is quoted where its bounds would not be seen.
fn command_line(words: &[String]) -> String {
    let is_plain = |word: &String| {
        !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || "'\"\\$`".contains(c))
    };
    let quoted = |word: &String| {
        if is_plain(word) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn details() -> ImageDetails {
        ImageDetails {
            reference: "app:latest".to_owned(),
            references: vec!["app:latest".to_owned(), "app:v1".to_owned()],
            digest: DIGEST.to_owned(),
            index_digests: vec![DIGEST.to_owned()],
            repo_digests: vec![format!("app@{DIGEST}")],
            id: DIGEST.to_owned(),
            media_type: "m".to_owned(),
            size_bytes: 2048,
            architecture: "amd64".to_owned(),
            os: "linux".to_owned(),
            variant: None,
            layer_count: 1,
            created_at: "not a time".to_owned(),
            config: ImageConfig {
                env: vec!["A=1".to_owned(), "B=\u{1b}[31m\nC=forged".to_owned()],
                cmd: Some(vec!["sh".to_owned(), "-c".to_owned(), "it's".to_owned()]),
                labels: [("k".to_owned(), "v".to_owned())].into(),
                ..ImageConfig::default()
            },
            layers: vec![LayerDetails {
                chain_id: None,
                diff_id: DIGEST.parse().unwrap(),
                blob_digest: DIGEST.parse().unwrap(),
                media_type: "application/x".to_owned(),
                compressed_size_bytes: 2048,
                erofs_size_bytes: Some(8192),
                erofs_path: Some("/store/a.erofs".into()),
                position: 0,
            }],
            merged: None,
            runtime: None,
            used_by: Vec::new(),
        }
    }

    #[test]
    fn a_page_shows_what_there_is_and_nothing_else() {
        let expected = format!(
            "Reference:       app:latest\n\
             Also known as:   app:v1\n\
             Digest:          {DIGEST}\n\
             Index digest:    {DIGEST}\n\
             Repo digests:    app@{DIGEST}\n\
             ID:              {DIGEST}\n\
             Architecture:    amd64\n\
             OS:              linux\n\
             Size:            2.0 KiB\n\
             Created:         not a time\n\
             \n\
             Config\n\
             \u{20} Cmd:           sh -c 'it'\\''s'\n\
             \u{20} Env:\n\
             \u{20}   A=1\n\
             \u{20}   B=\\u{{1b}}[31m\\nC=forged\n\
             \u{20} Labels:\n\
             \u{20}   k=v\n\
             \n\
             Layers (1)\n\
             \u{20}   1  sha256:e3b0c44298fc     2.0 KiB  application/x\n\
             \u{20}      EROFS                   8.0 KiB  /store/a.erofs\n"
        );
        assert_eq!(text(&details()), expected);
    }

    #[test]
    fn a_layer_without_its_file_is_told() {
        let mut details = details();
        details.layers[0].erofs_size_bytes = None;
        details.layers[0].erofs_path = None;
        assert!(text(&details).contains("missing"));
    }

    #[test]
    fn words_keep_their_bounds() {
        let words = |words: &[&str]| -> Vec<String> {
            words.iter().map(|word| (*word).to_owned()).collect()
        };
        for (argv, line) in [
            (words(&["python3"]), "python3"),
            (words(&["sh", "-c", "a b"]), "sh -c 'a b'"),
            (words(&["a", "", "$HOME"]), "a '' '$HOME'"),
            (words(&[]), ""),
        ] {
            assert_eq!(command_line(&argv), line);
        }
    }
}
