//! An image as text, one line per name.
//!
//! Owns a form that people can read and tests can compare: everything that the image says of a name,
//! and a checksum of the contents.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::ErofsError;
use super::device::blocks_of;
use super::format::{BLOCK_SIZE, FileType, Nid};
use super::inode::InodeInfo;
use super::reader::Image;
use super::source::ReadAt;

/// Returns a line for every name of an image, in the order of a walk: nid, mode, owner, group,
/// time, count of names, path, and what is particular to the type. Bytes that are not printable
/// ASCII are escaped.
pub fn dump<R: ReadAt>(image: &Image<R>) -> Result<String, ErofsError> {
    let mut text = String::new();
    let mut entered = HashSet::new();
    let mut pending = vec![(image.root(), Vec::new())];
    while let Some((nid, path)) = pending.pop() {
        let info = image.inode(nid)?;
        line(image, &info, &path, &mut text)?;
        if info.file_type == FileType::Directory {
            if !entered.insert(nid) {
                return Err(info.damaged("it is a directory with two names"));
            }
            for entry in image.entries(&info)?.into_iter().rev() {
                pending.push((entry.nid, [&path, &b"/"[..], &entry.name].concat()));
            }
        }
    }
    Ok(text)
}

fn line<R: ReadAt>(
    image: &Image<R>,
    info: &InodeInfo,
    path: &[u8],
    text: &mut String,
) -> Result<(), ErofsError> {
    let Nid(nid) = info.nid;
    let path = if path.is_empty() { b"/" } else { path }.escape_ascii();
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "{nid} {:06o} {}:{} {}.{:09} {} {path}",
        info.file_type.mode() | info.permissions,
        info.uid,
        info.gid,
        info.mtime.seconds,
        info.mtime.nanoseconds,
        info.nlink,
    );
    let (first, last) = info.blocks();
    if first < last {
        let blocks = (last - first).div_ceil(BLOCK_SIZE);
        let _ = write!(text, " blocks={}+{blocks}", first / BLOCK_SIZE);
    }
    if let Some(extent) = image.extent(info)?.filter(|extent| extent.device > 0) {
        let blocks = blocks_of(extent.size);
        let _ = write!(
            text,
            " device={} blocks={}+{blocks}",
            extent.device, extent.block
        );
    }
    if let Some((first, last)) = image.compressed_blocks(info)? {
        let _ = write!(text, " compressed={first}+{}", last - first);
    }
    if info.tail() > 0 {
        let _ = write!(text, " inline={}", info.tail());
    }
    if info.file_type == FileType::Regular {
        let _ = write!(text, " size={}", info.size);
        match checksum(image, info) {
            Ok(checksum) => {
                let _ = write!(text, " crc={checksum:08x}");
            }
            Err(ErofsError::NoDevice { .. }) => text.push_str(" crc=?"),
            Err(error) => return Err(error),
        }
    }
    if info.file_type == FileType::Symlink {
        let _ = write!(text, " -> {}", image.read_link(info)?.escape_ascii());
    }
    if let Some(device) = info.device() {
        let _ = write!(text, " device={}:{}", device.major, device.minor);
    }
    for (name, value) in &image.xattrs(info)? {
        let _ = write!(text, " {}={}", name.escape_ascii(), value.escape_ascii());
    }
    text.push('\n');
    Ok(())
}

fn checksum<R: ReadAt>(image: &Image<R>, info: &InodeInfo) -> Result<u32, ErofsError> {
    let mut buffer = vec![0; 1 << 16];
    let mut offset = 0;
    let mut checksum = 0;
    loop {
        let count = image.read_file(info, offset, &mut buffer)?;
        let bytes = buffer.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(checksum);
        }
        checksum = crc32c::crc32c_append(checksum, bytes);
        offset += bytes.len() as u64;
    }
}
