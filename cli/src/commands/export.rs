//! `msb image export`

use std::path::PathBuf;
use std::time::Instant;

use msb_host::progress::LogLevel;

use super::save;
use crate::commands;
use crate::error::CommandError;
use crate::progress::Work;
use crate::size;
use crate::ui::Ui;

/// Write the root filesystem of an image as a tar archive.
///
/// The archive has what a container of the image would see, with owners, modes, times, devices, hard
/// links and extended attributes. Nothing is mounted, and no rights are needed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb image export alpine -o rootfs.tar
  msb image export alpine | tar -x --xattrs --xattrs-include='*' -C /srv/rootfs")]
pub(crate) struct Args {
    /// The image: a reference, a digest, or the first digits of one.
    #[arg(value_name = "REF")]
    reference: String,
    /// Write the archive to a file instead of stdout. The file is there when it is complete.
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
    let target = save::target(args.output, "msb image export IMAGE > rootfs.tar")?;
    let started = Instant::now();
    let report = commands::perform(ui, Work::Export, msb.export(&args.reference, target))?;
    ui.success("Exported", &args.reference, "", started.elapsed());
    let size = size::bytes(report.bytes);
    ui.log(LogLevel::Info, &format!("the archive has {size}"));
    Ok(())
}
