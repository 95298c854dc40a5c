//! `msb save`

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use msb_host::image::{self, SaveOptions, SaveTarget};
use msb_host::plugin::Formats;

use super::open_store;
use crate::error::CommandError;
use crate::interrupt::cancel_on_signal;
use crate::progress;
use crate::ui::Ui;

/// Save one or more cached images as a Docker-compatible archive or OCI Image Layout archive.
///
/// Layers, configuration and image ID come out as they went in. Layers that were compressed are
/// saved uncompressed, so the digest of a manifest that names compressed ones changes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb save --output my-image.tar my-image:latest
  msb save --format oci --output my-image.oci.tar my-image:latest
  msb save my-image:latest > my-image.tar")]
pub(crate) struct Args {
    /// Images to save: references, digests or IDs.
    #[arg(required = true, value_name = "REF")]
    references: Vec<String>,
    /// Archive format (`docker`, `oci`, or that of another installed plugin).
    #[arg(long, default_value = "docker")]
    format: String,
    /// Write archive to a tar file instead of stdout.
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Suppress output.
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(args: Args, ui: Ui) -> Result<(), CommandError> {
    let target = match args.output {
        Some(path) if path != Path::new("-") => SaveTarget::File(path),
        _ if io::stdout().is_terminal() => {
            return Err(CommandError::new("standard output is a terminal")
                .hint("name a file with --output, or redirect: msb save IMAGE > image.tar"));
        }
        _ => SaveTarget::Stream(Box::new(io::stdout())),
    };
    let started = Instant::now();
    let cancel = cancel_on_signal();
    let (home, store) = open_store()?;
    let formats = Formats::builtin(&home);
    let options = SaveOptions {
        format: args.format,
    };
    let shown = progress::start(ui, args.quiet);
    let report = image::save(
        &store,
        &formats,
        &args.references,
        &options,
        target,
        shown.progress(),
        &cancel,
    );
    shown.finish();
    let report = report?;
    if args.quiet {
        return Ok(());
    }
    for image in &report.images {
        let name = match image.references.as_slice() {
            [] => image.config_digest.short().to_owned(),
            references => references
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        };
        ui.success("Saved", &name, "", started.elapsed());
    }
    Ok(())
}
