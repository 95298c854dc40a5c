//! The way through the filesystem that layers show together: inode by inode, by path, and into files.
//!
//! Which layer shows what is decided in [`merge`](super::merge).

use std::collections::{HashMap, btree_map};
use std::io::{self, Read};
use std::sync::Arc;

use msb_erofs::{Device, Extent, InodeId, Kind, Metadata};

use super::LayerError;
use super::merge::MergedTree;
use super::path::components;
use crate::cancel::Cancel;
use crate::limits::{Budget, Purpose};

/// Symbolic links that are followed on the way to one path, as in Linux.
const MAX_LINKS: usize = 40;
/// Bytes of memory that a file with several names takes besides its path.
const LINK: u64 = 96;

/// Something in the filesystem that layers show together.
#[derive(Debug)]
pub struct MergedNode<'a> {
    /// Its path, without a slash at its beginning; empty for the root.
    pub path: &'a [u8],
    /// Its inode.
    pub id: InodeId,
    /// Its metadata, as the layers had them.
    pub metadata: &'a Metadata,
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
    Symlink(&'a [u8]),
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
#[derive(Clone, Debug)]
pub struct MergedFile<'a> {
    tree: &'a MergedTree,
    extent: Extent,
    offset: u64,
}

impl MergedFile<'_> {
    /// Returns the number of bytes.
    pub fn size(&self) -> u64 {
        self.extent.size
    }

    /// Returns another reader of the same file.
    #[must_use]
    pub fn again(&self) -> Self {
        Self {
            offset: 0,
            ..self.clone()
        }
    }

    /// Goes on reading at that place.
    pub fn seek(&mut self, offset: u64) {
        self.offset = offset;
    }
}

impl Read for MergedFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.tree.read(self.extent, self.offset, buffer);
        let count = read.map_err(io::Error::other)?;
        self.offset += count as u64;
        Ok(count)
    }
}

/// What is left of a directory.
struct Level<'a> {
    /// Bytes of its path, with a slash unless it is the root.
    length: usize,
    names: btree_map::Iter<'a, Box<[u8]>, InodeId>,
}

impl MergedTree {
    /// Shows everything: directories before what is in them, names in the order of their bytes. What is
    /// kept on the way is taken from the budget.
    pub fn each<E: From<LayerError>>(
        &self,
        budget: &Budget,
        cancel: &Cancel,
        visit: &mut dyn FnMut(MergedNode<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut account = budget.account();
        let mut firsts: HashMap<InodeId, Arc<[u8]>> = HashMap::new();
        let mut path = Vec::new();
        let mut way = Vec::new();
        self.visit(InodeId::ROOT, b"", None, visit)?;
        way.extend(self.level(InodeId::ROOT, &path));
        while let Some(level) = way.last_mut() {
            cancel.check().map_err(LayerError::from)?;
            let Some((name, id)) = level.names.next() else {
                way.pop();
                continue;
            };
            path.truncate(level.length);
            path.extend_from_slice(name);
            let first = firsts.get(id).cloned();
            self.visit(*id, &path, first.as_deref(), visit)?;
            if let Kind::Directory(_) = self.tree.get(*id).kind {
                path.push(b'/');
                way.extend(self.level(*id, &path));
            } else if first.is_none() && self.nlink(*id) > 1 {
                let size = LINK + path.len() as u64;
                account
                    .take(Purpose::Links, size)
                    .map_err(LayerError::from)?;
                firsts.insert(*id, path.as_slice().into());
            }
        }
        Ok(())
    }

    /// Returns what a path leads to, through symbolic links on the way, and with `follow` also at its
    /// end. Nothing leads out of the filesystem.
    ///
    /// # Errors
    /// [`LayerError::Entry`] for a path that leads through more than 40 symbolic links.
    pub fn find(&self, path: &[u8], follow: bool) -> Result<Option<InodeId>, LayerError> {
        let mut way = vec![InodeId::ROOT];
        let mut ahead: Vec<&[u8]> = components(path).rev().collect();
        let mut links = 0;
        // A path that ends in a slash is that of a directory.
        let follow = follow || path.ends_with(b"/");
        let mut last = InodeId::ROOT;
        while let Some(name) = ahead.pop() {
            let here = *way.last().unwrap_or(&InodeId::ROOT);
            if name == b".." {
                if way.len() > 1 {
                    way.pop();
                }
                last = *way.last().unwrap_or(&InodeId::ROOT);
                continue;
            }
            let Some(id) = self.child(here, name) else {
                return Ok(None);
            };
            last = id;
            match &self.tree.get(id).kind {
                Kind::Directory(_) => way.push(id),
                Kind::Symlink(target) if follow || !ahead.is_empty() => {
                    links += 1;
                    if links > MAX_LINKS {
                        let reason = "it leads through too many symbolic links";
                        return Err(LayerError::entry(path, reason));
                    }
                    if target.starts_with(b"/") {
                        way.truncate(1);
                    }
                    last = *way.last().unwrap_or(&InodeId::ROOT);
                    ahead.extend(components(target).rev());
                }
                _ if ahead.is_empty() => {}
                _ => return Ok(None),
            }
        }
        let is_directory = matches!(self.tree.get(last).kind, Kind::Directory(_));
        Ok((is_directory || !path.ends_with(b"/")).then_some(last))
    }

    /// Returns what a name in a directory leads to.
    pub fn child(&self, directory: InodeId, name: &[u8]) -> Option<InodeId> {
        match &self.tree.get(directory).kind {
            Kind::Directory(names) => names.get(name).copied(),
            _ => None,
        }
    }

    /// Returns the contents of a regular file, `None` for anything else.
    pub fn open(&self, id: InodeId) -> Option<MergedFile<'_>> {
        match self.tree.get(id).kind {
            Kind::File(extent) => Some(MergedFile {
                tree: self,
                extent,
                offset: 0,
            }),
            _ => None,
        }
    }

    /// Reads the data of a file of the tree. Returns how many bytes of `buffer` are filled: all, unless
    /// the file ends before.
    pub(super) fn read(
        &self,
        extent: Extent,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<usize, LayerError> {
        let Some(layer) = extent.device.checked_sub(1) else {
            return Ok(0);
        };
        // In the image of its layer, the data lies in the image itself.
        let extent = Extent {
            device: 0,
            ..extent
        };
        let image = self.images.image(layer.into())?;
        Ok(image.read_extent(extent, offset, buffer)?)
    }

    fn level(&self, directory: InodeId, path: &[u8]) -> Option<Level<'_>> {
        match &self.tree.get(directory).kind {
            Kind::Directory(names) => Some(Level {
                length: path.len(),
                names: names.iter(),
            }),
            _ => None,
        }
    }

    fn visit<E>(
        &self,
        id: InodeId,
        path: &[u8],
        first: Option<&[u8]>,
        visit: &mut dyn FnMut(MergedNode<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let inode = self.tree.get(id);
        let kind = match (&inode.kind, first) {
            (_, Some(first)) => MergedKind::Hardlink(first),
            (Kind::Directory(_), None) => MergedKind::Directory,
            (Kind::File(extent), None) => MergedKind::File(MergedFile {
                tree: self,
                extent: *extent,
                offset: 0,
            }),
            (Kind::Symlink(target), None) => MergedKind::Symlink(target),
            (Kind::CharDevice(device), None) => MergedKind::CharDevice(*device),
            (Kind::BlockDevice(device), None) => MergedKind::BlockDevice(*device),
            (Kind::Fifo, None) => MergedKind::Fifo,
            (Kind::Socket, None) => MergedKind::Socket,
        };
        visit(MergedNode {
            path,
            id,
            metadata: &inode.metadata,
            kind,
        })
    }
}
