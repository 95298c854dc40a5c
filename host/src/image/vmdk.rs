//! The descriptor of a virtual disk that lies in several files.
//!
//! Owns the text and its limits, as QEMU and libkrun read it: `createType="twoGbMaxExtentFlat"`, whose
//! extents name files by paths relative to the descriptor. Source: `VMware` "Virtual Disk Format 5.0",
//! "The Text Descriptor"; `block/vmdk.c` of QEMU.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
#[cfg(feature = "registry")]
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use super::disk::SECTOR;
use super::merge_error::MergeError;
use super::merged::MergedImage;
use crate::fs;

/// Sectors of an extent: 2 GiB.
const EXTENT_MAX: u64 = 4_194_304;
/// Bytes of a name that QEMU reads.
const NAME_MAX: usize = 511;
/// Sectors of a cylinder of the geometry that programs for disks with one want to see.
const HEADS: u64 = 16;
const SECTORS: u64 = 63;

/// Returns the descriptor of a disk at `path`, with a content ID that is derived from the UUID.
pub(super) fn descriptor(
    merged: &MergedImage,
    path: &Path,
    uuid: [u8; 16],
) -> Result<Vec<u8>, MergeError> {
    let failed = |error: fs::FileError| MergeError::Read {
        path: error.path.clone(),
        source: error.source,
    };
    let directory = fs::canonicalize(fs::parent(path)).map_err(failed)?;
    let [a, b, c, d, ..] = uuid;
    // Two numbers have a meaning of their own: no parent, and none yet.
    let id = u32::from_be_bytes([a, b, c, d]).min(0xffff_fffd);
    let mut text = format!(
        "# Disk DescriptorFile\nversion=1\nCID={id:08x}\nparentCID=ffffffff\n\
         createType=\"twoGbMaxExtentFlat\"\n\n# Extent description\n"
    )
    .into_bytes();
    let mut sectors = 0;
    for (part, size) in merged.parts() {
        let target = fs::canonicalize(part).map_err(failed)?;
        let name = relative(&directory, &target);
        let name = checked(name.as_os_str(), part)?;
        let total = size / SECTOR;
        let mut start = 0;
        while start < total {
            let count = (total - start).min(EXTENT_MAX);
            text.extend_from_slice(format!("RW {count} FLAT \"").as_bytes());
            text.extend_from_slice(name);
            text.extend_from_slice(format!("\" {start}\n").as_bytes());
            start += count;
        }
        sectors += total;
    }
    let cylinders = sectors.div_ceil(HEADS * SECTORS);
    text.extend_from_slice(
        format!(
            "\n# The Disk Data Base\n#DDB\n\nddb.virtualHWVersion = \"4\"\n\
             ddb.geometry.cylinders = \"{cylinders}\"\nddb.geometry.heads = \"{HEADS}\"\n\
             ddb.geometry.sectors = \"{SECTORS}\"\nddb.adapterType = \"ide\"\n"
        )
        .as_bytes(),
    );
    Ok(text)
}

/// Returns whether a descriptor is of a disk of these files, in their order and length.
#[cfg(feature = "registry")]
pub(super) fn is_of(path: &Path, merged: &MergedImage) -> bool {
    let Ok(text) = fs::read_text(path) else {
        return false;
    };
    let identity = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    let mut expected = Vec::new();
    for (part, size) in merged.parts() {
        let mut start = 0;
        while start < size / SECTOR {
            let count = (size / SECTOR - start).min(EXTENT_MAX);
            expected.push((count, identity(part), start));
            start += count;
        }
    }
    let extents = text.lines().filter_map(|line| line.strip_prefix("RW "));
    let found = extents.map(|line| {
        let (count, rest) = line.split_once(" FLAT \"")?;
        let (name, start) = rest.rsplit_once("\" ")?;
        let file = fs::parent(path).join(name);
        Some((count.parse().ok()?, identity(&file), start.parse().ok()?))
    });
    found.collect::<Option<Vec<_>>>() == Some(expected)
}

/// Returns whether msb has written a descriptor: no other program makes its content ID of a UUID.
#[cfg(feature = "registry")]
pub(super) fn is_ours(path: &Path) -> bool {
    let text = fs::read_text(path).unwrap_or_default();
    let mut ids = text.lines().filter_map(|line| line.strip_prefix("CID="));
    // What microsandbox writes everywhere, and QEMU where it writes to a disk.
    ids.next()
        .is_some_and(|id| id != "fffffffe" && id != "ffffffff")
}

/// Returns the bytes of a name, which stands between quotes on a line.
fn checked<'a>(name: &'a OsStr, path: &Path) -> Result<&'a [u8], MergeError> {
    let bytes = name.as_bytes();
    let reason = if bytes
        .iter()
        .any(|byte| matches!(byte, b'"' | b'\n' | b'\r'))
    {
        "its path has a quotation mark or a line break"
    } else if bytes.len() > NAME_MAX {
        "its path is longer than 511 bytes"
    } else {
        return Ok(bytes);
    };
    Err(MergeError::Name {
        path: path.to_owned(),
        reason,
    })
}

/// Returns the path from a directory to a file. Both are absolute and have no links in them.
fn relative(directory: &Path, target: &Path) -> PathBuf {
    let mut from = directory.components().peekable();
    let mut to = target.components().peekable();
    while from.peek().is_some() && from.peek() == to.peek() {
        from.next();
        to.next();
    }
    from.map(|_| Component::ParentDir).chain(to).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_descriptor() {
        for (directory, target, expected) in [
            ("/a/b", "/a/b/c", "c"),
            ("/a/b", "/a/c/d", "../c/d"),
            ("/", "/a", "a"),
            ("/x/y/z", "/a/b", "../../../a/b"),
        ] {
            let found = relative(Path::new(directory), Path::new(target));
            assert_eq!(found, Path::new(expected), "{directory} {target}");
        }
    }

    #[test]
    fn names_that_would_be_read_as_others_are_refused() {
        let check = |name: &str| checked(OsStr::new(name), Path::new("/p")).is_ok();
        assert!(check("a b"));
        assert!(check(&"x".repeat(511)));
        for name in ["a\"b", "a\nb", "a\rb", &*"x".repeat(512)] {
            assert!(!check(name), "{name}");
        }
    }
}
