//! `msb image mount` and `msb image umount`

use std::path::PathBuf;
use std::time::Instant;

use super::DataFormat;
use crate::commands;
use crate::error::CommandError;
use crate::progress::Work;
use crate::ui::Ui;

/// Mount the root filesystem of an image, read-only.
///
/// Only root can do this. Devices and set-user-ID programs of the image have no effect there. The image
/// is in use until it is unmounted: `rmi` and `image prune` leave it alone.
///
/// With --verity, the kernel checks each block that it reads (dm-verity), and a bit that has changed is an I/O
/// error. The image is read once before that, and the root hash is that of `image disk --type raw --verity`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mkdir /mnt/alpine && msb image mount alpine /mnt/alpine
  msb image mount --verity alpine /mnt/alpine
  msb image umount /mnt/alpine")]
pub(crate) struct MountArgs {
    /// The image: a reference, a digest, or the first digits of one.
    #[arg(value_name = "REF")]
    reference: String,
    /// An empty directory.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Mount through dm-verity and print the root hash.
    #[arg(long)]
    verity: bool,
    /// Mount only an image that has this root hash, in hexadecimal digits; implies --verity.
    #[arg(long, value_name = "HASH")]
    root_hash: Option<String>,
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
    let mount = commands::open()?
        .mount(&args.reference, args.directory)
        .verity(args.verity)
        .root_hash(args.root_hash);
    let mounted = commands::perform(ui, Work::Mount, mount)?;
    if let Some(DataFormat::Json) = args.format {
        return ui.json(&mounted);
    }
    if let Some(verity) = &mounted.verity {
        ui.data(&format!("root hash: {}\n", verity.root_hash))?;
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
