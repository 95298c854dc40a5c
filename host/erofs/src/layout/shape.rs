//! The size of an inode and of what belongs to it.

use crate::cluster_map::map_size;
use crate::device::Chunks;
use crate::format::{BLOCK_SIZE, DataLayout, SLOT_SIZE};
use crate::raw::{CHUNK_INDEX_SIZE, INODE_SIZE};
use crate::tree::Extent;

/// Bytes of an inode without its attributes.
pub(super) const HEAD: u64 = INODE_SIZE as u64;

/// The size of an inode and of what belongs to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InodeShape {
    /// Bytes of the attributes.
    pub(crate) xattrs: u64,
    /// Bytes of the contents of a directory or a symbolic link, 0 for all others.
    pub(crate) contents: u64,
    /// Where these contents go.
    pub(crate) layout: DataLayout,
    /// The chunks of a file on another device.
    pub(crate) chunks: Option<Chunks>,
    /// Bytes of the indexes of chunks or clusters.
    pub(crate) indexes: u64,
}

impl InodeShape {
    pub(super) fn new(xattrs: u64, contents: u64) -> Self {
        let tail = contents % BLOCK_SIZE;
        let inline = tail > 0 && HEAD + xattrs + tail <= BLOCK_SIZE;
        Self {
            xattrs,
            contents,
            layout: if inline {
                DataLayout::Inline
            } else {
                DataLayout::Plain
            },
            chunks: None,
            indexes: 0,
        }
    }

    /// Returns the shape of a regular file.
    pub(super) fn of_file(xattrs: u64, extent: Extent, is_compressed: bool) -> Self {
        let chunks = (extent.device > 0 && extent.size > 0).then(|| Chunks::of(extent.size));
        let (layout, indexes) = match chunks {
            Some(chunks) => (DataLayout::Chunked, chunks.size()),
            None if is_compressed => (DataLayout::Compressed, map_size(extent.size)),
            None => (DataLayout::Plain, 0),
        };
        Self {
            layout,
            chunks,
            indexes,
            ..Self::new(xattrs, 0)
        }
    }

    /// Returns how many bytes of the contents follow the inode.
    pub(crate) fn tail(self) -> u64 {
        match self.layout {
            DataLayout::Plain | DataLayout::Chunked | DataLayout::Compressed => 0,
            DataLayout::Inline => self.contents % BLOCK_SIZE,
        }
    }

    /// Returns how many blocks the rest of the contents takes.
    pub(crate) fn blocks(self) -> u64 {
        (self.contents - self.tail()).div_ceil(BLOCK_SIZE)
    }

    /// Returns where the last byte that belongs to an inode of this shape is followed, when the inode
    /// ends at `head_end`.
    pub(crate) fn end(self, head_end: u64) -> u64 {
        let end = head_end + self.xattrs + self.tail();
        match self.indexes {
            0 => end,
            indexes => end.next_multiple_of(CHUNK_INDEX_SIZE as u64) + indexes,
        }
    }

    /// Returns where an inode of this shape starts when the area is in use up to `end`. Neither an
    /// inode nor the inline data behind it crosses a block: kernels before 6.12 read the target of
    /// a symbolic link from the block of its inode.
    pub(super) fn start(self, end: u64) -> u64 {
        let start = end.next_multiple_of(SLOT_SIZE);
        let together = match self.layout {
            DataLayout::Plain | DataLayout::Chunked | DataLayout::Compressed => HEAD,
            DataLayout::Inline => HEAD + self.xattrs + self.tail(),
        };
        if start % BLOCK_SIZE + together <= BLOCK_SIZE {
            start
        } else {
            start.next_multiple_of(BLOCK_SIZE)
        }
    }
}
