//! `msb save`, `msb image save`

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use msb_host::progress::LogLevel;
use msb_host::{SaveReport, SaveTarget};

use super::names;
use crate::commands;
use crate::complete::images;
use crate::error::CommandError;
use crate::progress::Work;
use crate::size;
use crate::stdout;
use crate::ui::Ui;

/// Save one or more cached images as a Docker-compatible archive or OCI Image Layout archive.
///
/// Layers, configuration and image ID are the same, bit for bit, as when the image was loaded.
/// Layers are saved uncompressed, so that the digest of a manifest that names compressed ones
/// changes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb save --output my-image.tar my-image:latest
  msb save --format oci --output my-image.oci.tar my-image:latest
  msb save my-image:latest > my-image.tar")]
pub(crate) struct Args {
    /// The images: references, digests, or the first digits of one.
    #[arg(required = true, value_name = "REF", add = images())]
    references: Vec<String>,
    /// Archive format (`docker`, `oci`, or one that a plugin writes) [default: `plugins.format` in
    /// config.json, else `docker`].
    #[arg(long)]
    format: Option<String>,
    /// Write archive to a tar file instead of stdout.
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Suppress output.
    #[arg(short, long)]
    quiet: bool,
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: Args) -> Result<(), CommandError> {
    let ui = ui.quiet(args.quiet);
    let msb = commands::open()?;
    let target = target(args.output, "msb save IMAGE > image.tar")?;
    let started = Instant::now();
    let mut save = msb.save(&args.references, target);
    if let Some(format) = &args.format {
        save = save.format(format);
    }
    let report = commands::perform(ui, Work::Save, save)?;
    show(ui, &report, started.elapsed());
    Ok(())
}

/// Returns where an archive goes: to a file, or to standard output unless that is a terminal.
pub(super) fn target(
    output: Option<PathBuf>,
    redirected: &str,
) -> Result<SaveTarget, CommandError> {
    match output {
        Some(path) if path != Path::new("-") => Ok(SaveTarget::File(path)),
        _ if io::stdout().is_terminal() => Err(CommandError::new(
            "standard output is a terminal, which an archive would garble",
        )
        .hint(format!(
            "name a file with --output, or redirect: `{redirected}`"
        ))),
        _ if stdout::was_closed() => Err(CommandError::closed_stdout()),
        _ => Ok(SaveTarget::Stream(Box::new(standard_output()?))),
    }
}

/// Returns standard output without the line buffer, which an archive has no use for.
fn standard_output() -> Result<File, CommandError> {
    match io::stdout().as_fd().try_clone_to_owned() {
        Ok(stdout) => Ok(stdout.into()),
        Err(error) => Err(CommandError::new("could not open standard output").because(&error)),
    }
}

fn show(ui: Ui, report: &SaveReport, took: Duration) {
    let saved = report
        .images
        .iter()
        .flat_map(|image| names(&image.references, &image.config_digest));
    for name in saved {
        ui.success("Saved", &name, "", took);
    }
    let size = size::bytes(report.bytes);
    ui.log(LogLevel::Info, &format!("the archive has {size}"));
}
