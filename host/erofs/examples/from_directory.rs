//! Writes the files of a directory into an EROFS image: `from_directory DIRECTORY IMAGE`.
//!
//! Hard links become separate files, and extended attributes are left out.

#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use msb_erofs::{
    Device, ImageOptions, ImageWriter, Inode, InodeId, Kind, Metadata, Timestamp, Tree, verify,
};
use tokio_util::sync::CancellationToken;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [directory, image] = &arguments[..] else {
        return Err("usage: from_directory DIRECTORY IMAGE".into());
    };
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(image)?;
    let mut writer = ImageWriter::new(file)?;
    let directory = Path::new(directory);
    let mut tree = Tree::new(metadata(&fs::metadata(directory)?)?);
    add_names(&mut tree, InodeId::ROOT, &mut writer, directory)?;
    let written = writer.finish(&tree, &ImageOptions::default(), &CancellationToken::new())?;
    assert!(verify(&written.file)?.is_sound());
    println!("{} inodes, {} bytes", written.inodes, written.size);
    Ok(())
}

/// Adds what is in a directory of this machine to a directory of the tree.
fn add_names(
    tree: &mut Tree,
    parent: InodeId,
    writer: &mut ImageWriter,
    path: &Path,
) -> Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let found = entry.metadata()?;
        let inode = Inode {
            metadata: metadata(&found)?,
            kind: kind(writer, &entry.path(), &found)?,
        };
        let is_directory = matches!(inode.kind, Kind::Directory(_));
        let id = tree.insert(inode).ok_or("too many inodes")?;
        if let Kind::Directory(names) = &mut tree.get_mut(parent).kind {
            names.insert(entry.file_name().as_bytes().into(), id);
        }
        if is_directory {
            add_names(tree, id, writer, &entry.path())?;
        }
    }
    Ok(())
}

fn kind(writer: &mut ImageWriter, path: &Path, found: &fs::Metadata) -> Result<Kind> {
    let number = found.rdev();
    let device = Device {
        major: rustix::fs::major(number),
        minor: rustix::fs::minor(number),
    };
    let kind = found.file_type();
    Ok(if kind.is_dir() {
        Kind::Directory(BTreeMap::new())
    } else if kind.is_symlink() {
        Kind::Symlink(fs::read_link(path)?.into_os_string().into_vec().into())
    } else if kind.is_char_device() {
        Kind::CharDevice(device)
    } else if kind.is_block_device() {
        Kind::BlockDevice(device)
    } else if kind.is_fifo() {
        Kind::Fifo
    } else if kind.is_socket() {
        Kind::Socket
    } else {
        let mut file = File::open(path)?;
        let mut buffer = vec![0; 64 << 10];
        writer.begin_file()?;
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                break Kind::File(writer.end_file()?);
            }
            writer.write(buffer.get(..count).unwrap_or_default())?;
        }
    })
}

fn metadata(found: &fs::Metadata) -> Result<Metadata> {
    Ok(Metadata {
        permissions: u16::try_from(found.mode() & 0o7777)?,
        uid: found.uid(),
        gid: found.gid(),
        mtime: Timestamp {
            seconds: found.mtime(),
            nanoseconds: u32::try_from(found.mtime_nsec())?,
        },
        ..Metadata::default()
    })
}
