//! `msb image mount` and `msb image umount`

use std::path::PathBuf;
use std::time::Instant;

use super::DataFormat;
use crate::commands;
use crate::error::CommandError;
use crate::interrupt::Interrupt;
use crate::ui::Ui;

/// Mount the root filesystem of an image, read-only.
///
/// Only root can do this. Devices and set-user-ID programs of the image have no effect there. The image
/// is in use until it is unmounted: `rmi` and `image prune` leave it alone.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mkdir /mnt/alpine && msb image mount alpine /mnt/alpine
  msb image umount /mnt/alpine")]
pub(crate) struct MountArgs {
    /// The image: a reference, a digest, or the first digits of one.
    #[arg(value_name = "REF")]
    reference: String,
    /// An empty directory.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Suppress output.
    #[arg(short, long)]
    quiet: bool,
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
}

/// Unmount an image.
///
/// All that the mount has put up goes, also if the machine has been restarted since.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb image umount /mnt/alpine")]
pub(crate) struct UmountArgs {
    /// Where the image is mounted.
    #[arg(value_name = "DIR", required = true)]
    directories: Vec<PathBuf>,
    /// Suppress output.
    #[arg(short, long)]
    quiet: bool,
}

/// Runs `mount`.
pub(crate) fn mount(ui: Ui, args: MountArgs) -> Result<(), CommandError> {
    let ui = ui.quiet(args.quiet);
    let started = Instant::now();
    let interrupt = Interrupt::watch();
    let mounted = commands::open()?
        .mount(&args.reference, args.directory)
        .cancel(interrupt.cancel())
        .run();
    let mounted = interrupt.settle(mounted)?;
    if let Some(DataFormat::Json) = args.format {
        return ui.json(&mounted);
    }
    let aside = format!("at {}", mounted.directory.display());
    ui.success("Mounted", &args.reference, &aside, started.elapsed());
    Ok(())
}

/// Runs `umount`.
pub(crate) fn umount(ui: Ui, args: UmountArgs) -> Result<(), CommandError> {
    let ui = ui.quiet(args.quiet);
    let msb = commands::open()?;
    let mut failed = Ok(());
    for directory in args.directories {
        let started = Instant::now();
        match msb.unmount(directory).run() {
            Ok(directory) => {
                let directory = directory.display().to_string();
                ui.success("Unmounted", &directory, "", started.elapsed());
            }
            Err(error) => {
                if let Err(error) = std::mem::replace(&mut failed, Err(error.into())) {
                    ui.error(&error);
                }
            }
        }
    }
    failed
}
