//! `msb image disk`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::CommandFactory as _;
use clap::error::ErrorKind;
use msb_host::{DiskReport, DiskType};

use super::DataFormat;
use crate::commands;
use crate::error::CommandError;
use crate::interrupt::Interrupt;
use crate::progress::{self, Work};
use crate::size;
use crate::ui::Ui;

/// Write an image as one disk for a microVM.
///
/// A `vmdk` and a `dm` table refer to the files of the store and copy nothing: record the use of the
/// image, or keep it from being removed in another way, as long as the disk is used. A `raw` disk has the
/// merged filesystem and all layers in one file, an `erofs` disk is one filesystem with all contents. A
/// kernel mounts each of them as EROFS, without options.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb image disk python --output python.vmdk
  msb image disk python --type raw --verity --output python.img
  msb image disk python --type erofs --without-xattrs --output rootfs.erofs
  msb image disk python --type dm")]
pub(crate) struct Args {
    /// The image: a reference, a digest, or the first digits of one.
    #[arg(value_name = "REF")]
    reference: String,
    /// Write the disk to this file [default for `dm`: standard output].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Type of the disk: `vmdk`, `raw`, `erofs` or `dm`.
    #[arg(long = "type", value_name = "TYPE", default_value = "vmdk")]
    disk_type: DiskType,
    /// Leave out all extended attributes, which gVisor does not read; only with `--type erofs`.
    #[arg(long)]
    without_xattrs: bool,
    /// Append a dm-verity hash tree and print its root hash; with `--type raw` or `erofs`.
    #[arg(long)]
    verity: bool,
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
    /// Suppress progress output.
    #[arg(short, long)]
    quiet: bool,
}

impl Args {
    /// Refuses a disk without a file: only a table has few enough lines to be printed.
    pub(crate) fn checked(&self) -> Result<(), clap::Error> {
        if self.output.is_some() || self.disk_type == DiskType::Dm {
            return Ok(());
        }
        let message = format!("--type {} needs a file: --output <FILE>", self.disk_type);
        Err(crate::args::Args::command().error(ErrorKind::MissingRequiredArgument, message))
    }
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let ui = ui.quiet(args.quiet);
    let msb = commands::open()?;
    let started = Instant::now();
    let interrupt = Interrupt::watch();
    let report = progress::during(ui, Work::Disk, |progress| {
        let mut disk = msb.disk(&args.reference, args.disk_type);
        if let Some(path) = &args.output {
            disk = disk.to(path);
        }
        disk.without_xattrs(args.without_xattrs)
            .verity(args.verity)
            .progress(Arc::clone(progress))
            .cancel(interrupt.cancel())
            .run()
    });
    let report = interrupt.settle(report)?;
    match args.format {
        Some(DataFormat::Json) => ui.json(&report),
        None => show(ui, &args.reference, &report, started.elapsed()),
    }
}

fn show(ui: Ui, reference: &str, report: &DiskReport, took: Duration) -> Result<(), CommandError> {
    if let Some(table) = &report.table {
        return ui.data(table);
    }
    for (name, count) in &report.dropped_xattrs {
        let files = if *count == 1 { "file" } else { "files" };
        ui.note(&format!("left out `{name}` of {count} {files}"));
    }
    if let Some(verity) = &report.verity {
        ui.data(&format!(
            "root hash:   {}\nhash offset: {}\n",
            verity.root_hash, verity.hash_offset
        ))?;
    }
    let size = size::bytes(report.size_bytes);
    let aside = format!("{} of {size}", report.disk_type);
    ui.success("Wrote disk", reference, &aside, took);
    Ok(())
}
