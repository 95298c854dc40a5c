//! `judges erofs IMAGE [DEVICE…]` prints, as JSON, what the `erofs-rs` crate finds in an EROFS image; `judges
//! vmdk FILE` prints the size and the digest of the disk that the `imago` crate reads, which libkrun uses.

use std::error::Error;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;

use erofs_rs::EroFS;
use erofs_rs::backend::SliceImage;
use erofs_rs::types::Inode;
use imago::file::File;
use imago::vmdk::Vmdk;
use imago::{FormatAccess, FormatDriverBuilder as _, PermissiveImplicitOpenGate};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let found = match arguments[..] {
        ["erofs", image, ref devices @ ..] => erofs(image, devices)?,
        ["vmdk", path] => vmdk(path)?,
        _ => return Err("usage: judges erofs IMAGE [DEVICE…] | judges vmdk FILE".into()),
    };
    println!("{found}");
    Ok(())
}

/// Returns all inodes of an image by their paths.
fn erofs(image: &str, devices: &[&str]) -> Result<Value> {
    let image = std::fs::read(image)?;
    let devices: Vec<Vec<u8>> = devices.iter().map(std::fs::read).collect::<std::io::Result<_>>()?;
    let devices = devices.iter().map(|bytes| SliceImage::new(bytes)).collect();
    let filesystem = EroFS::new_with_devices(SliceImage::new(&image), devices)?;
    let root = filesystem.get_inode(filesystem.super_block().root_inode_id())?;
    let mut found = Map::new();
    found.insert(String::new(), inode(&filesystem, root)?);
    for entry in filesystem.walk_dir("/")? {
        let entry = entry?;
        let path = entry.dir_entry.path();
        let path = path.as_bytes();
        let path = path.strip_prefix(b"/").unwrap_or(path);
        let shown = inode(&filesystem, entry.inode)?;
        found.insert(path.escape_ascii().to_string(), shown);
    }
    Ok(found.into())
}

fn inode(filesystem: &EroFS<SliceImage<'_>>, inode: Inode) -> Result<Value> {
    let kind = inode.file_type();
    let (kind, contents) = if inode.is_dir() {
        ("directory", String::new())
    } else if inode.is_file() {
        let mut file = filesystem.open_inode_file(inode)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                count => hash.update(&buffer[..count]),
            }
        }
        ("file", hex(&hash.finalize()))
    } else if inode.is_symlink() {
        let target = filesystem.read_link_inode(inode)?;
        ("symlink", target.as_bytes().escape_ascii().to_string())
    } else if kind.is_char_device() {
        ("char device", String::new())
    } else if kind.is_block_device() {
        ("block device", String::new())
    } else {
        ("pipe or socket", String::new())
    };
    let xattrs = filesystem.xattrs_inode(inode)?;
    let xattrs: Map<String, Value> = xattrs
        .iter()
        .map(|(name, value)| (name.escape_ascii().to_string(), hex(value).into()))
        .collect();
    let (seconds, nanoseconds) = inode.modified_unix();
    Ok(json!({
        "kind": kind,
        "contents": contents,
        "size": inode.data_size(),
        "mode": inode.permissions().mode() & 0o7777,
        "uid": inode.uid(),
        "gid": inode.gid(),
        "links": inode.nlink(),
        "seconds": seconds,
        "nanoseconds": nanoseconds,
        "device": inode.device().map(|(major, minor)| [major, minor]),
        "inode": inode.id(),
        "xattrs": xattrs,
    }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a virtual disk from its start to its end.
fn vmdk(path: &str) -> Result<Value> {
    let disk = Vmdk::<File>::builder_path(path).open(PermissiveImplicitOpenGate::default())?;
    let disk = FormatAccess::new(disk);
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut offset = 0;
    while offset < disk.size() {
        let count = buffer.len().min(usize::try_from(disk.size() - offset)?);
        let part = &mut buffer[..count];
        disk.read(&mut *part, offset)?;
        hash.update(&*part);
        offset += count as u64;
    }
    Ok(json!({"size": disk.size(), "sha256": hex(&hash.finalize())}))
}
