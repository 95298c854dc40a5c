//! `msb load`

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use msb_host::archive::Input;
use msb_host::image::{self, LoadOptions, LoadedImage};
use msb_host::platform::Platform;
use msb_host::plugin::Formats;
use msb_host::reference::Reference;

use super::open_store;
use crate::error::CommandError;
use crate::interrupt::cancel_on_signal;
use crate::progress;
use crate::ui::Ui;

/// Load a Docker image archive or OCI Image Layout into the local cache.
///
/// The archive may be compressed with gzip or zstd, and may be a directory. Without --input it is
/// read from standard input.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  docker save my-image:latest | msb load
  msb load --input my-image.tar
  msb load --input oci-layout.tar --tag my-image:latest")]
pub(crate) struct Args {
    /// Read archive from a tar file or a directory instead of stdin.
    #[arg(short, long, value_name = "PATH")]
    input: Option<PathBuf>,
    /// Add a local image reference to the first imported image.
    #[arg(short, long, value_name = "REF")]
    tag: Option<String>,
    /// Load the image for another platform than this machine's.
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<String>,
    /// Suppress output.
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(args: Args, ui: Ui) -> Result<(), CommandError> {
    let options = LoadOptions {
        tag: args
            .tag
            .as_deref()
            .map(str::parse::<Reference>)
            .transpose()?,
        platform: args
            .platform
            .as_deref()
            .map(str::parse::<Platform>)
            .transpose()?,
        ..LoadOptions::default()
    };
    let input = match args.input {
        Some(path) if path != Path::new("-") => Input::Path(path),
        _ if io::stdin().is_terminal() => {
            return Err(CommandError::new("standard input is a terminal").hint(
                "name an archive with --input, or pipe one in: docker save IMAGE | msb load",
            ));
        }
        _ => Input::stdin(),
    };
    let started = Instant::now();
    let cancel = cancel_on_signal();
    let (home, store) = open_store()?;
    let formats = Formats::builtin(&home);
    let shown = progress::start(ui, args.quiet);
    let report = image::load(&store, &formats, input, &options, shown.progress(), &cancel);
    shown.finish();
    let report = report?;
    if args.quiet {
        return Ok(());
    }
    for image in &report.images {
        for moved in &image.moved {
            ui.notice(&format!(
                "{} named image {} before, which is kept without that name",
                moved.reference,
                moved.previous.short()
            ));
        }
        let note = if image.already_present {
            " (already cached)"
        } else {
            ""
        };
        for name in names(image) {
            ui.success("Loaded", &name, note, started.elapsed());
        }
    }
    Ok(())
}

fn names(image: &LoadedImage) -> Vec<String> {
    if image.references.is_empty() {
        return vec![image.config_digest.short().to_owned()];
    }
    image.references.iter().map(Reference::familiar).collect()
}
