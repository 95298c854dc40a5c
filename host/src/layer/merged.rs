//! The way through the filesystem that layers show together: inode by inode, by path, and into files.
//!
//! Which layer shows what is decided in [`merge`](super::merge).

use std::io::{self, Read};

use msb_erofs::{Device, Extent, InodeId, Kind, Metadata};

use super::LayerError;
use super::lookup::LookedUp;
use super::merge::MergedTree;
use crate::cancel::Cancel;
use crate::limits::Budget;

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

impl MergedTree {
    /// Shows everything: directories before what is in them, names in the order of their bytes. What is
    /// kept on the way is taken from the budget.
    pub fn each<E: From<LayerError>>(
        &self,
        budget: &Budget,
        cancel: &Cancel,
        visit: &mut dyn FnMut(MergedNode<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut walk = self.walk(b"", InodeId::ROOT, budget);
        while let Some(node) = walk.advance().map_err(E::from)? {
            cancel.check().map_err(LayerError::from)?;
            self.visit(node.id, node.path, node.link_to.as_deref(), visit)?;
        }
        Ok(())
    }

    /// Returns what a path leads to, through symbolic links on the way, and with `follow` also at its
    /// end. Nothing leads out of the filesystem.
    ///
    /// # Errors
    /// [`LayerError::Entry`] for a path that leads through more than 40 symbolic links.
    pub fn find(&self, path: &[u8], follow: bool) -> Result<Option<InodeId>, LayerError> {
        match self.look_up(path, follow) {
            LookedUp::Found { id, .. } => Ok(Some(id)),
            LookedUp::Missing { .. } | LookedUp::NotADirectory(_) => Ok(None),
            LookedUp::TooManyLinks(_) => {
                let reason = "it leads through too many symbolic links";
                Err(LayerError::entry(path, reason))
            }
        }
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
