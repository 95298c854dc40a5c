//! `image disk`: an image as one disk, for a microVM.
//!
//! Owns the forms of a disk and how each is written: whole under its name, or not at all. The merged
//! filesystem is made in [`merged`](super::merged).

mod copy;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use msb_erofs::FileCompression;
use serde::Serialize;

pub(super) use self::copy::copy_data;
use super::inspect::lossy;
use super::merge_error::MergeError;
use super::merged::{Layered, MergedImage};
use super::output_file::OutputFile;
use super::verity::{self, Verity};
use super::vmdk;
use crate::cancel::Cancel;
use crate::context::Context;
use crate::layer::FlatOptions;
use crate::limits::{Budget, Limits};
use crate::progress::Event;
use crate::store::Store;

/// Bytes of a sector, which disks are counted in.
pub(super) const SECTOR: u64 = 512;

/// The form of a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DiskType {
    /// A descriptor that refers to the files of the store.
    #[default]
    Vmdk,
    /// The merged filesystem and all layers in one file.
    Raw,
    /// One filesystem with all contents, which needs nothing else.
    Erofs,
    /// A table of the device mapper that puts the files of the store together.
    Dm,
}

/// A text that names no form of a disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a type of disk: expected vmdk, raw, erofs or dm")]
pub struct ParseDiskTypeError(String);

/// How to write a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskOptions {
    /// The form.
    pub disk_type: DiskType,
    /// Leave extended attributes out.
    pub without_xattrs: bool,
    /// Append a hash tree that proves each block.
    pub verity: bool,
    /// Compress files.
    pub compression: Option<FileCompression>,
}

/// How the files of a disk are compressed. Its JSON form is part of the command line's contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiskCompression {
    /// The name of the algorithm.
    pub algorithm: &'static str,
    /// Its level.
    pub level: i32,
    /// How many bytes of a file are compressed together.
    pub cluster_size: u32,
    /// The first version of Linux that mounts the disk.
    pub first_kernel: &'static str,
}

/// A disk that was written. Its JSON form is part of the command line's contract.
#[derive(Clone, Debug, Serialize)]
pub struct DiskReport {
    /// Where it is; `None` for a table that was not written.
    #[serde(serialize_with = "lossy")]
    pub path: Option<PathBuf>,
    /// Its form.
    #[serde(rename = "type")]
    pub disk_type: DiskType,
    /// The bytes of the disk as a virtual machine sees it, a hash tree included.
    pub size_bytes: u64,
    /// The files of the store that it refers to, and that must stay while it is used.
    pub refers_to: Vec<String>,
    /// The table of the device mapper, if it was not written to a file.
    pub table: Option<String>,
    /// What proves the disk, with [`DiskOptions::verity`].
    pub verity: Option<Verity>,
    /// How files are compressed, with [`DiskOptions::compression`].
    pub compression: Option<DiskCompression>,
    /// The extended attributes that were left out, and on how many files and directories each was.
    pub dropped_xattrs: BTreeMap<String, u64>,
    /// What a kernel needs to mount it as its root filesystem, where it is the first virtio disk.
    pub kernel_command_line: String,
}

impl DiskType {
    /// Every form.
    pub const ALL: [Self; 4] = [Self::Vmdk, Self::Raw, Self::Erofs, Self::Dm];

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vmdk => "vmdk",
            Self::Raw => "raw",
            Self::Erofs => "erofs",
            Self::Dm => "dm",
        }
    }

    /// Returns whether the disk has all data itself.
    fn has_data(self) -> bool {
        matches!(self, Self::Raw | Self::Erofs)
    }
}

impl fmt::Display for DiskType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for DiskType {
    type Err = ParseDiskTypeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|disk| disk.name() == text);
        found.ok_or_else(|| ParseDiskTypeError(text.to_owned()))
    }
}

/// Writes the image that `selector` names as a disk at `path`. Without a path, the disk can only be a
/// table, which is returned.
pub fn disk(
    store: &Store,
    selector: &str,
    path: Option<&Path>,
    options: DiskOptions,
    limits: &Limits,
    context: &Context,
) -> Result<DiskReport, MergeError> {
    let DiskOptions {
        disk_type,
        without_xattrs,
        verity,
        compression,
    } = options;
    if verity && !disk_type.has_data() {
        return Err(MergeError::VerityOfReferences);
    }
    if without_xattrs && disk_type != DiskType::Erofs {
        return Err(MergeError::XattrsOfReferences);
    }
    if compression.is_some() && disk_type != DiskType::Erofs {
        return Err(MergeError::CompressionOfReferences);
    }
    let layered = Layered::find(store, selector, context)?;
    let Some(path) = path else {
        if disk_type != DiskType::Dm {
            return Err(MergeError::NoFile { disk_type });
        }
        let merged = layered.merged(store, limits, context)?;
        return Ok(DiskReport {
            size_bytes: merged.disk_size_bytes,
            refers_to: names(&merged),
            table: Some(String::from_utf8_lossy(&table(&merged)).into_owned()),
            ..DiskReport::new(None, disk_type)
        });
    };
    let output = OutputFile::open(path).map_err(failed("write", path))?;
    if disk_type.has_data() && !output.is_seekable() {
        return Err(MergeError::NotAFile {
            path: path.to_owned(),
        });
    }
    let writer = output.writer().map_err(failed("write", path))?;
    context.progress.report(Event::Phase("Writing disk"));
    let mut report = DiskReport::new(Some(path), disk_type);
    if disk_type == DiskType::Erofs {
        let budget = Budget::new(limits);
        let mut tree = layered.tree(&budget, &context.cancel)?;
        if without_xattrs {
            report.dropped_xattrs = tree.drop_xattrs();
        }
        let file = writer.try_clone().map_err(failed("write", path))?;
        let flat = FlatOptions {
            uuid: layered.uuid,
            compression,
            threads: None,
        };
        let written = tree.write_flat(file, &flat, &budget, &|_| (), &context.cancel);
        report.compression = compression.map(DiskCompression::from);
        report.size_bytes = written
            .map_err(|source| MergeError::of_disk(&layered.image.digest, path, source))?
            .size;
    } else {
        let merged = layered.merged(store, limits, context)?;
        report.size_bytes = merged.disk_size_bytes;
        match disk_type {
            DiskType::Raw => join(&merged, &writer, path, &context.cancel)?,
            DiskType::Dm => write(&writer, &table(&merged), path)?,
            _ => write(
                &writer,
                &vmdk::descriptor(&merged, path, layered.uuid)?,
                path,
            )?,
        }
        if !disk_type.has_data() {
            report.refers_to = names(&merged);
        }
    }
    if verity {
        let data = report.size_bytes;
        let appended = verity::append(&writer, data, layered.uuid, &context.cancel);
        context.cancel.check()?;
        report.verity = Some(appended.map_err(failed("write", path))?);
        let written = writer.metadata().map_err(failed("write", path))?;
        report.size_bytes = written.len();
    }
    context.cancel.check()?;
    output.put_in_place().map_err(failed("write", path))?;
    report.kernel_command_line = command_line(report.verity.as_ref());
    Ok(report)
}

impl From<FileCompression> for DiskCompression {
    fn from(compression: FileCompression) -> Self {
        Self {
            algorithm: compression.algorithm().name(),
            level: compression.level(),
            cluster_size: compression.cluster_size(),
            first_kernel: compression.algorithm().first_kernel(),
        }
    }
}

impl DiskReport {
    fn new(path: Option<&Path>, disk_type: DiskType) -> Self {
        Self {
            path: path.map(Path::to_owned),
            disk_type,
            size_bytes: 0,
            refers_to: Vec::new(),
            table: None,
            verity: None,
            compression: None,
            dropped_xattrs: BTreeMap::new(),
            kernel_command_line: command_line(None),
        }
    }
}

/// Returns the files that a disk refers to.
fn names(merged: &MergedImage) -> Vec<String> {
    let parts = merged.parts();
    parts.map(|(part, _)| part.display().to_string()).collect()
}

/// Returns what a kernel needs to mount a disk as its root filesystem.
fn command_line(verity: Option<&Verity>) -> String {
    let Some(verity) = verity else {
        return "root=/dev/vda rootfstype=erofs ro".to_owned();
    };
    let table = verity.table("/dev/vda", "/dev/vda", verity.hash_offset);
    format!("dm-mod.create=\"root,,,ro,{table}\" root=/dev/dm-0 rootfstype=erofs ro")
}

/// Returns the table of the device mapper for a device of all files, each of which has to be a block
/// device there.
fn table(merged: &MergedImage) -> Vec<u8> {
    linear_table(merged.parts())
}

/// Returns the table of the device mapper that puts devices of these lengths in bytes together.
pub(super) fn linear_table<'a>(parts: impl Iterator<Item = (&'a Path, u64)>) -> Vec<u8> {
    let mut table = Vec::new();
    let mut start = 0;
    for (path, size) in parts {
        let sectors = size / SECTOR;
        let path = path.as_os_str().as_encoded_bytes();
        table.extend_from_slice(format!("{start} {sectors} linear ").as_bytes());
        table.extend_from_slice(path);
        table.extend_from_slice(b" 0\n");
        start += sectors;
    }
    table
}

/// Writes all files one after the other. Where the filesystem can share blocks, it does.
fn join(
    merged: &MergedImage,
    output: &File,
    path: &Path,
    cancel: &Cancel,
) -> Result<(), MergeError> {
    output
        .set_len(merged.disk_size_bytes)
        .map_err(failed("write", path))?;
    let mut start = 0;
    for (part, size) in merged.parts() {
        let input = File::open(part).map_err(failed("read", part))?;
        copy_data(&input, size, output, start, cancel).map_err(|error| match cancel.check() {
            Err(cancelled) => cancelled.into(),
            Ok(()) => failed("write", path)(error),
        })?;
        start += size;
    }
    Ok(())
}

fn write(mut output: &File, bytes: &[u8], path: &Path) -> Result<(), MergeError> {
    output.write_all(bytes).map_err(failed("write", path))
}

/// Gives an I/O error its operation and path.
fn failed(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> MergeError {
    let path = path.to_owned();
    move |source| {
        let path = path.clone();
        match operation {
            "read" => MergeError::Read { path, source },
            _ => MergeError::Write { path, source },
        }
    }
}
