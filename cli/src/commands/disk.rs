//! `msb image disk`

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::error::ErrorKind;
use msb_host::{CompressionError, DiskReport, DiskType, FileCompression};

use super::DataFormat;
use crate::commands;
use crate::error::CommandError;
use crate::progress::Work;
use crate::size;
use crate::ui::Ui;

/// Write an image as one disk for a microVM.
///
/// A `vmdk` and a `dm` table refer to the files of the store and copy nothing: record the use of the
/// image, or keep it from being removed in another way, as long as the disk is used. A `raw` disk has the
/// merged filesystem and all layers in one file, an `erofs` disk is one filesystem with all contents. A
/// kernel mounts each of them as EROFS, without options.
///
/// With `--compress`, an `erofs` disk has its files compressed, those that get smaller by it. Linux mounts it
/// since 5.13 with lz4 (if built with `CONFIG_EROFS_FS_ZIP`), and since 6.10 with zstd
/// (`CONFIG_EROFS_FS_ZIP_ZSTD`); without compression, every Linux since 5.4 does. gVisor reads no compressed
/// files.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msb image disk python --output python.vmdk
  msb image disk python --type raw --verity --output python.img
  msb image disk python --type erofs --without-xattrs --output rootfs.erofs
  msb image disk python --type erofs --compress zstd:19 --cluster-size 128K --output rootfs.erofs
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
    /// Compress files: `lz4` or `zstd`, with a level from `lz4:1` to `lz4:12` [default: 1; from 2 on it is
    /// LZ4 HC] or from `zstd:1` to `zstd:22` [default: 3]; only with `--type erofs`.
    #[arg(short = 'z', long, value_name = "ALGORITHM[:LEVEL]")]
    compress: Option<FileCompression>,
    /// How many bytes of a file are compressed together: a power of two from 8K to 1M [default: 64K].
    #[arg(short = 'C', long, value_name = "SIZE", value_parser = size::parse_bytes, requires = "compress")]
    cluster_size: Option<u64>,
    /// Output format.
    #[arg(long, value_enum)]
    format: Option<DataFormat>,
    /// Suppress progress output.
    #[arg(short, long)]
    quiet: bool,
}

impl Args {
    /// Refuses a disk without a file: only a table has few enough lines to be printed. Refuses a size of
    /// clusters that there is not.
    pub(crate) fn checked(&self) -> Result<(), clap::Error> {
        let refused = |kind, message: String| Err(clap::Error::raw(kind, message + "\n"));
        if let Err(error) = self.compression() {
            return refused(ErrorKind::ValueValidation, error.to_string());
        }
        if self.output.is_some() || self.disk_type == DiskType::Dm {
            return Ok(());
        }
        let message = format!("--type {} needs a file: --output <FILE>", self.disk_type);
        refused(ErrorKind::MissingRequiredArgument, message)
    }

    /// Returns how files are to be compressed.
    fn compression(&self) -> Result<Option<FileCompression>, CompressionError> {
        match (self.compress, self.cluster_size) {
            (Some(compression), Some(size)) => compression.with_cluster_size(size).map(Some),
            (compression, _) => Ok(compression),
        }
    }
}

/// Runs the command.
pub(crate) fn run(ui: Ui, args: &Args) -> Result<(), CommandError> {
    let ui = ui.quiet(args.quiet);
    let msb = commands::open()?;
    let started = Instant::now();
    let mut disk = msb
        .disk(&args.reference, args.disk_type)
        .without_xattrs(args.without_xattrs)
        .verity(args.verity)
        .compression(args.compression().ok().flatten());
    if let Some(path) = &args.output {
        disk = disk.to(path);
    }
    let report = commands::perform(ui, Work::Disk, disk)?;
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
    let aside = match &report.compression {
        Some(compression) => format!(
            "{} of {size}, {}:{}, for Linux {} or later",
            report.disk_type, compression.algorithm, compression.level, compression.first_kernel
        ),
        None => format!("{} of {size}", report.disk_type),
    };
    ui.success("Wrote disk", reference, &aside, took);
    Ok(())
}
