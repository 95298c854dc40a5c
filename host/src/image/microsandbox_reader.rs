//! What microsandbox takes of EROFS images that it has not written.
//!
//! Owns the rules of its reader, which is narrower than the format. Source: the crate
//! microsandbox-image 0.7.13, `erofs/reader.rs` and `is_valid_erofs_artifact` of `cache/store.rs`.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use msb_erofs::{BLOCK_SIZE, ErofsError, FileType, Image};

use crate::cancel::{Cancel, Cancelled};
use crate::digest::Digest;

/// `EROFS_SUPER_MAGIC_V1`, at byte 1024.
const MAGIC: u32 = 0xe0f5_e1e2;
const SUPERBLOCK: u64 = 1024;
/// Bytes of an inode slot.
const SLOT: u64 = 32;
/// The kinds of attributes that it knows. With another one, it reads nothing of the image.
const NAMESPACES: [&[u8]; 3] = [b"user.", b"trusted.", b"security."];
const DIRECTORY: u16 = 0o040_000;
const KIND: u16 = 0o170_000;

/// Returns whether a file is one that microsandbox takes for whole: whole blocks, the magic number, and
/// a root that is a directory.
pub(super) fn looks_whole(path: &Path) -> bool {
    let check = || -> std::io::Result<bool> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() == 0 || metadata.len() % BLOCK_SIZE != 0 {
            return Ok(false);
        }
        let mut magic = [0; 4];
        let mut root = [0; 2];
        let mut metadata_block = [0; 4];
        let mut mode = [0; 2];
        file.read_exact_at(&mut magic, SUPERBLOCK)?;
        file.read_exact_at(&mut root, SUPERBLOCK + 14)?;
        file.read_exact_at(&mut metadata_block, SUPERBLOCK + 40)?;
        let start = u64::from(u32::from_le_bytes(metadata_block)) * BLOCK_SIZE;
        let inode = start + u64::from(u16::from_le_bytes(root)) * SLOT;
        file.read_exact_at(&mut mode, inode + 4)?;
        Ok(u32::from_le_bytes(magic) == MAGIC && u16::from_le_bytes(mode) & KIND == DIRECTORY)
    };
    check().unwrap_or_default()
}

/// Returns whether a merged image is one of ours: ours name their devices.
pub(super) fn is_our_merged(path: &Path) -> bool {
    let image = File::open(path).ok().and_then(|it| Image::open(it).ok());
    image.is_some_and(|image| {
        let mut devices = image.devices().iter();
        devices.len() > 0 && devices.all(|device| device.tag.iter().any(|byte| *byte != 0))
    })
}

/// Returns the `diff_id`s of the layers of a merged image of ours, the bottom one first; none of any other
/// file.
pub(super) fn devices_of_our_merged(path: &Path) -> Vec<Digest> {
    let image = File::open(path).ok().and_then(|it| Image::open(it).ok());
    let devices = image.as_ref().map_or(&[][..], Image::devices).iter();
    let diff_ids = devices.map(|device| {
        let hex = std::str::from_utf8(&device.tag).ok()?;
        format!("sha256:{hex}").parse().ok()
    });
    diff_ids.collect::<Option<_>>().unwrap_or_default()
}

/// Returns whether microsandbox can read a layer image to its end: it merges layers by reading them.
pub(super) fn can_read_layer(path: &Path, cancel: &Cancel) -> Result<bool, Cancelled> {
    let Ok(image) = File::open(path).map(Image::open) else {
        return Ok(false);
    };
    let walk = || -> Result<Result<bool, Cancelled>, ErofsError> {
        let image = image?;
        if image.superblock().xattr_block != 0 {
            return Ok(Ok(false));
        }
        let root = image.inode(image.root())?;
        if !has_known_xattrs(&image, &root)? {
            return Ok(Ok(false));
        }
        let mut directories = vec![root];
        while let Some(directory) = directories.pop() {
            if let Err(cancelled) = cancel.check() {
                return Ok(Err(cancelled));
            }
            for entry in image.entries(&directory)? {
                let inode = image.inode(entry.nid)?;
                if u32::try_from(entry.nid.0).is_err() || !has_known_xattrs(&image, &inode)? {
                    return Ok(Ok(false));
                }
                if inode.file_type == FileType::Directory {
                    directories.push(inode);
                }
            }
        }
        Ok(Ok(true))
    };
    walk().unwrap_or(Ok(false))
}

/// Returns whether microsandbox takes a merged image: of that it reads the root alone.
pub(super) fn can_read_merged(path: &Path) -> bool {
    let Ok(file) = File::open(path) else {
        return false;
    };
    let check = || -> Result<bool, ErofsError> {
        let image = Image::open(file)?;
        let root = image.inode(image.root())?;
        let is_bare = image.xattrs(&root)?.iter().next().is_none();
        Ok(is_bare || (image.superblock().xattr_block == 0 && has_known_xattrs(&image, &root)?))
    };
    check().unwrap_or_default()
}

fn has_known_xattrs(image: &Image<File>, inode: &msb_erofs::InodeInfo) -> Result<bool, ErofsError> {
    let xattrs = image.xattrs(inode)?;
    let mut names = xattrs.keys();
    Ok(names.all(|name| NAMESPACES.iter().any(|known| name.starts_with(known))))
}
