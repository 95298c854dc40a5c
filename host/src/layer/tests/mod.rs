//! Tests of the room as a whole. Every layer that is converted here is verified, listed, and
//! rebuilt from its recipe.

mod attributes;
mod blobs;
mod compression;
mod corpus;
mod duplicates;
mod equal;
mod flat;
mod hostile;
mod links;
mod lower;
mod merge;
mod mixed;
mod outside;
mod overlay;
mod paths;
mod recipes;
mod sparse;
mod whiteouts;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek as _};

use msb_erofs::{self as erofs, Device, FileType, Image, InodeInfo};

use super::*;
use crate::cancel::Cancel;
use crate::digest::{Algorithm, Digest};
use crate::limits::{Budget, Limits};
use crate::tar::fixture::{fill, tar, unended};

/// A layer that was converted.
struct Layer {
    converted: Converted,
    image: Image<File>,
}

/// The options of a conversion, owned as far as tests change them.
struct Request<'a> {
    limits: Limits,
    cancel: Cancel,
    advanced: &'a (dyn Fn(u64) + Sync),
    expected_blob: Option<(Digest, Option<u64>)>,
    expected_diff_id: Option<Digest>,
    chain: Option<ChainPosition>,
}

fn convert_with<'a>(
    input: impl Read + Send,
    change: impl FnOnce(&mut Request<'a>),
) -> Result<Converted, LayerError> {
    let empty = || tempfile::tempfile().unwrap();
    convert_into(input, empty(), empty(), change)
}

fn convert_into<'a>(
    input: impl Read + Send,
    erofs: File,
    recipe: File,
    change: impl FnOnce(&mut Request<'a>),
) -> Result<Converted, LayerError> {
    let mut request = Request {
        limits: Limits::default(),
        cancel: Cancel::default(),
        advanced: &|_| {},
        expected_blob: None,
        expected_diff_id: None,
        chain: None,
    };
    change(&mut request);
    let chain = request.chain.take();
    let options = ConvertOptions {
        limits: &request.limits,
        budget: &Budget::new(&request.limits),
        cancel: &request.cancel,
        advanced: request.advanced,
        expected_blob: request.expected_blob,
        expected_diff_id: request.expected_diff_id,
        chain: &|| Ok(chain.clone()),
    };
    convert(input, erofs, recipe, &options)
}

/// Converts a blob that is the given tar, or the tar itself.
fn convert_blob(blob: &[u8], archive: &[u8]) -> Result<Layer, LayerError> {
    Ok(checked(convert_with(blob, |_| {})?, blob, archive))
}

/// Converts the tar of a layer over others.
fn convert_over(archive: &[u8], chain: ChainPosition) -> Result<Layer, LayerError> {
    let converted = convert_with(archive, |request| request.chain = Some(chain))?;
    Ok(checked(converted, archive, archive))
}

/// Checks what a blob, which is the given tar or holds it, was converted to.
fn checked(converted: Converted, blob: &[u8], archive: &[u8]) -> Layer {
    assert_eq!(converted.blob_digest, Digest::of(blob));
    assert_eq!(converted.blob_size, blob.len() as u64);
    assert_eq!(converted.diff_id, Digest::of(archive));
    assert_eq!(converted.tar_size, archive.len() as u64);
    let size = |file: &File| file.metadata().unwrap().len();
    assert_eq!(converted.erofs_size, size(&converted.erofs));
    assert_eq!(converted.recipe_size, size(&converted.recipe));
    assert!(rebuilt(&converted) == archive, "the rebuilt tar is another");
    let report = erofs::verify(converted.erofs.try_clone().unwrap()).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
    Layer {
        image: Image::open(converted.erofs.try_clone().unwrap()).unwrap(),
        converted,
    }
}

fn convert_tar(archive: &[u8]) -> Result<Layer, LayerError> {
    convert_blob(archive, archive)
}

fn rebuilt(converted: &Converted) -> Vec<u8> {
    let mut archive = Vec::new();
    let rebuilt = rebuild(
        &converted.erofs,
        &converted.recipe,
        converted.diff_id.algorithm(),
        &mut archive,
        &Cancel::default(),
    )
    .unwrap();
    assert_eq!(rebuilt.bytes, archive.len() as u64);
    assert_eq!(rebuilt.digest, converted.diff_id);
    archive
}

fn bytes_of(mut file: &File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

impl Layer {
    /// Returns a line for every name but the root, in the order of their paths: type, path, and
    /// everything that is not as usual.
    fn list(&self) -> Vec<String> {
        let mut lines = BTreeMap::new();
        let mut open = vec![(self.image.root(), Vec::new())];
        while let Some((nid, path)) = open.pop() {
            let inode = self.image.inode(nid).unwrap();
            if inode.file_type == FileType::Directory {
                for entry in self.image.entries(&inode).unwrap() {
                    let path = if path.is_empty() {
                        entry.name.to_vec()
                    } else {
                        [&path[..], b"/", &entry.name].concat()
                    };
                    open.push((entry.nid, path));
                }
            }
            let line = self.line(&inode, &path);
            if !path.is_empty() || line != "dir /" {
                lines.insert(path, line);
            }
        }
        lines.into_values().collect()
    }

    fn line(&self, inode: &InodeInfo, path: &[u8]) -> String {
        let (name, usual_mode) = match inode.file_type {
            FileType::Directory => ("dir", 0o755),
            FileType::Regular => ("file", 0o644),
            FileType::Symlink => ("symlink", 0o777),
            FileType::CharDevice => ("char", 0o644),
            FileType::BlockDevice => ("block", 0o644),
            FileType::Fifo => ("fifo", 0o644),
            FileType::Socket => ("socket", 0o644),
        };
        let path = if path.is_empty() { b"/" } else { path };
        let mut line = format!("{name} {}", path.escape_ascii());
        let mut add = |word: String| line = format!("{line} {word}");
        if let Some(device) = inode.device() {
            add(format!("{}:{}", device.major, device.minor));
        }
        match inode.file_type {
            FileType::Regular if inode.size > 0 => add(format!("= {}", self.data(inode))),
            FileType::Symlink => {
                let target = self.image.read_link(inode).unwrap();
                add(format!("-> {}", target.escape_ascii()));
            }
            _ => {}
        }
        // Whiteouts are usual without any permission.
        let is_whiteout = inode
            .device()
            .is_some_and(|device| device == Device::default());
        if inode.permissions != usual_mode && !(is_whiteout && inode.permissions == 0) {
            add(format!("mode={:o}", inode.permissions));
        }
        if (inode.uid, inode.gid) != (0, 0) {
            add(format!("{}:{}", inode.uid, inode.gid));
        }
        match (inode.mtime.seconds, inode.mtime.nanoseconds) {
            (0, 0) => {}
            (seconds, 0) => add(format!("mtime={seconds}")),
            (seconds, nanoseconds) => add(format!("mtime={seconds}+{nanoseconds}ns")),
        }
        if inode.file_type != FileType::Directory && inode.nlink > 1 {
            add(format!("links={}", inode.nlink));
        }
        for (name, value) in &self.image.xattrs(inode).unwrap() {
            add(format!("{}={}", name.escape_ascii(), value.escape_ascii()));
        }
        line
    }

    fn data(&self, inode: &InodeInfo) -> String {
        let mut bytes = vec![0; usize::try_from(inode.size).unwrap()];
        let count = self.image.read_file(inode, 0, &mut bytes).unwrap();
        assert_eq!(count, bytes.len());
        if bytes.len() > 100 {
            return format!("{} bytes {}", bytes.len(), Digest::of(&bytes).short());
        }
        bytes.escape_ascii().to_string()
    }
}

/// Returns how [`Layer::list`] shows data that is too long to be shown.
fn shown(data: &[u8]) -> String {
    format!("{} bytes {}", data.len(), Digest::of(data).short())
}

#[track_caller]
fn assert_layer(text: &str, expected: &[&str]) {
    let layer = convert_tar(&tar(text)).unwrap();
    assert_eq!(layer.list(), expected);
}

#[track_caller]
fn assert_refused(text: &str, message: &str) {
    let bottom = ChainPosition {
        id: Digest::of(b"bottom"),
        lower: LowerLayers::default(),
    };
    let error = convert_over(&tar(text), bottom).err().unwrap();
    let mut text = error.to_string();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        text = format!("{text}: {source}");
        cause = source;
    }
    assert!(text.contains(message), "{text}");
}

#[expect(clippy::print_stderr, reason = "a test that was not run must be seen")]
fn skip(reason: &str) {
    eprintln!("SKIPPED, NOT TESTED: {reason}");
}
