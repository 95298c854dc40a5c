//! The filesystem that layers show together, one inode after the other.
//!
//! Owns the way through it and which names are those of one file. The rules by which layers hide each
//! other are [`lower`](super::lower)'s.

use std::collections::HashMap;
use std::io::{self, Read};

use msb_erofs::{Device, FileType, Kind, Metadata};

use super::LayerError;
use super::lower::{LowerDirectory, LowerInode, LowerLayers, LowerNode};
use super::xattr;
use crate::cancel::Cancel;
use crate::limits::{Budget, Purpose};

/// Bytes of memory that a file with several names takes besides its path.
const LINK: u64 = 96;

/// Something in the filesystem that layers show together.
#[derive(Debug)]
pub struct MergedNode<'a> {
    /// Its path, without a slash at its beginning; empty for the root.
    pub path: &'a [u8],
    /// Its metadata, as the layers had them.
    pub metadata: Metadata,
    /// What it is.
    pub kind: MergedKind<'a>,
}

/// What something in a filesystem is.
#[derive(Debug)]
pub enum MergedKind<'a> {
    /// A directory. What is in it follows.
    Directory,
    /// A regular file.
    File(MergedFile<'a>),
    /// Another name of what was at this path.
    Hardlink(&'a [u8]),
    /// A symbolic link to this target.
    Symlink(Box<[u8]>),
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// The contents of a file.
#[derive(Debug)]
pub struct MergedFile<'a> {
    layers: &'a LowerLayers,
    inode: LowerInode,
    offset: u64,
}

impl MergedFile<'_> {
    /// Returns the number of bytes.
    pub fn size(&self) -> u64 {
        self.inode.info.size
    }

    /// Returns another reader of the same file.
    #[must_use]
    pub fn again(&self) -> Self {
        Self { offset: 0, ..*self }
    }

    /// Goes on reading at that place.
    pub fn seek(&mut self, offset: u64) {
        self.offset = offset;
    }
}

impl Read for MergedFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.layers.read_file(&self.inode, self.offset, buffer);
        let count = read.map_err(io::Error::other)?;
        self.offset += count as u64;
        Ok(count)
    }
}

/// What is left of a directory.
struct Level {
    directory: LowerDirectory,
    /// Bytes of its path, with a slash unless it is the root.
    length: usize,
    names: std::vec::IntoIter<Box<[u8]>>,
}

/// Shows everything in the filesystem of some layers: directories before what is in them, names in the
/// order of their bytes. What is kept of it is taken from the budget.
pub fn each_merged<E: From<LayerError>>(
    layers: &LowerLayers,
    budget: &Budget,
    cancel: &Cancel,
    visit: &mut dyn FnMut(MergedNode<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let Some(root) = layers.root()? else {
        return Ok(());
    };
    let mut account = budget.account();
    let mut firsts: HashMap<_, Box<[u8]>> = HashMap::new();
    let mut path = Vec::new();
    let mut way = Vec::new();
    let enter = |directory: LowerDirectory,
                 path: &mut Vec<u8>,
                 visit: &mut dyn FnMut(MergedNode<'_>) -> Result<(), E>|
     -> Result<Level, E> {
        let mut metadata = layers.metadata(&layers.directory_inode(&directory)?)?;
        metadata.xattrs = xattr::original(&metadata.xattrs);
        visit(MergedNode {
            path,
            metadata,
            kind: MergedKind::Directory,
        })?;
        if !path.is_empty() {
            path.push(b'/');
        }
        Ok(Level {
            directory,
            length: path.len(),
            names: layers.names_in(&directory)?.into_iter(),
        })
    };
    way.push(enter(root, &mut path, visit)?);
    while let Some(level) = way.last_mut() {
        cancel.check().map_err(LayerError::from)?;
        let Some(name) = level.names.next() else {
            way.pop();
            continue;
        };
        path.truncate(level.length);
        path.extend_from_slice(&name);
        let inode = match layers.child(&level.directory, &name)? {
            Some(LowerNode::Directory(directory)) => {
                let level = enter(directory, &mut path, visit)?;
                way.push(level);
                continue;
            }
            Some(LowerNode::Other(inode)) => inode,
            None => continue,
        };
        let mut metadata = layers.metadata(&inode)?;
        metadata.xattrs = xattr::original(&metadata.xattrs);
        let first = match inode.info.nlink {
            0 | 1 => None,
            _ => firsts.get(&inode.key()),
        };
        let kind = match first {
            Some(first) => MergedKind::Hardlink(first),
            None if inode.info.file_type == FileType::Regular => MergedKind::File(MergedFile {
                layers,
                inode,
                offset: 0,
            }),
            None => match layers.kind(&inode)? {
                Kind::Symlink(target) => MergedKind::Symlink(target),
                Kind::CharDevice(device) => MergedKind::CharDevice(device),
                Kind::BlockDevice(device) => MergedKind::BlockDevice(device),
                Kind::Fifo => MergedKind::Fifo,
                Kind::Socket => MergedKind::Socket,
                Kind::File(_) | Kind::Directory(_) => continue,
            },
        };
        let is_first = first.is_none() && inode.info.nlink > 1;
        visit(MergedNode {
            path: &path,
            metadata,
            kind,
        })?;
        if is_first {
            let size = LINK + path.len() as u64;
            account
                .take(Purpose::Links, size)
                .map_err(LayerError::from)?;
            firsts.insert(inode.key(), path.as_slice().into());
        }
    }
    Ok(())
}
