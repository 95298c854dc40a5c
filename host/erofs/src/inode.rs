//! An inode as it is read from an image.
//!
//! Owns the arithmetic of what belongs to it: the tail behind it, the blocks of its contents.

use super::ErofsError;
use super::cluster_map::map_size;
use super::device::Chunks;
use super::format::{BLOCK_SIZE, DataLayout, FileType, Nid};
use super::metadata::{Device, Timestamp};
use super::raw::{CHUNK_INDEX_SIZE, INODE_SIZE};

/// An inode of an image. Its data is known to lie inside of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InodeInfo {
    /// Its number in the image.
    pub nid: Nid,
    /// Its type.
    pub file_type: FileType,
    /// Permission, setuid, setgid and sticky bits.
    pub permissions: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last change of the contents.
    pub mtime: Timestamp,
    /// How many names lead to it.
    pub nlink: u32,
    /// The number that 32 bit systems show.
    pub ino: u32,
    /// Bytes of its contents.
    pub size: u64,
    /// Where its contents lie.
    pub layout: DataLayout,
    /// Bytes of its attributes.
    pub(super) xattr_size: u64,
    /// The first block of its contents, the format of its chunks, how many blocks it was compressed to,
    /// or its device number.
    pub(super) address: u32,
}

impl InodeInfo {
    /// Returns the number of a device, `None` for all other inodes.
    pub fn device(&self) -> Option<Device> {
        matches!(self.file_type, FileType::CharDevice | FileType::BlockDevice)
            .then(|| Device::decode(self.address))
    }

    /// Returns how many bytes of the contents follow the inode and its attributes.
    pub(super) fn tail(&self) -> u64 {
        match self.layout {
            DataLayout::Plain | DataLayout::Chunked | DataLayout::Compressed => 0,
            DataLayout::Inline => self.size % BLOCK_SIZE,
        }
    }

    /// Returns the chunks of a file on another device, `None` for all other inodes.
    pub(super) fn chunks(&self) -> Option<Chunks> {
        (self.layout == DataLayout::Chunked).then(|| Chunks::of(self.size))
    }

    /// Returns the bytes of the indexes of its chunks or clusters.
    pub(super) fn index_size(&self) -> u64 {
        match self.layout {
            DataLayout::Chunked => Chunks::of(self.size).size(),
            DataLayout::Compressed => map_size(self.size),
            DataLayout::Plain | DataLayout::Inline => 0,
        }
    }

    /// Returns where the indexes of its chunks or clusters are, in bytes, of an inode that starts at
    /// `start`.
    pub(super) fn index_range(&self, start: u64) -> Option<(u64, u64)> {
        if self.index_size() == 0 {
            return None;
        }
        let first =
            (start + INODE_SIZE as u64 + self.xattr_size).next_multiple_of(CHUNK_INDEX_SIZE as u64);
        Some((first, first.saturating_add(self.index_size())))
    }

    /// Returns the first byte of the contents in blocks, and the one behind the last.
    pub(super) fn blocks(&self) -> (u64, u64) {
        let length = self.size - self.tail();
        match self.file_type {
            FileType::Regular | FileType::Directory | FileType::Symlink
                if length > 0 && self.index_size() == 0 =>
            {
                let start = u64::from(self.address) * BLOCK_SIZE;
                (start, start.saturating_add(length))
            }
            _ => (0, 0),
        }
    }

    /// Returns the error that the inode breaks a rule.
    pub(super) fn damaged(&self, what: &'static str) -> ErofsError {
        ErofsError::DamagedInode {
            nid: self.nid,
            what,
        }
    }

    /// Returns whether kernels before 6.12 can read the inode. They take the target of a symbolic
    /// link from the block in which the inode ends (`erofs_fill_symlink` in `fs/erofs/inode.c`).
    pub(super) fn is_readable_link(&self, start: u64) -> bool {
        let end = start + INODE_SIZE as u64;
        let last = end + self.xattr_size + self.tail();
        self.file_type != FileType::Symlink
            || self.layout != DataLayout::Inline
            || (end - 1) / BLOCK_SIZE == (last - 1) / BLOCK_SIZE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_link_ends_in_the_block_of_its_inode() {
        let link = |size, xattr_size| InodeInfo {
            nid: Nid(2),
            file_type: FileType::Symlink,
            permissions: 0,
            uid: 0,
            gid: 0,
            mtime: Timestamp::default(),
            nlink: 1,
            ino: 1,
            size,
            layout: DataLayout::Inline,
            xattr_size,
            address: 0,
        };
        for (start, size, xattr_size, readable) in [
            (0, 4032, 0, true),
            (32, 4032, 0, false),
            (4032, 1, 0, false),
            (4064, 1, 0, true),
            (4000, 8, 24, true),
            (4000, 9, 24, false),
        ] {
            let readable_here = link(size, xattr_size).is_readable_link(start);
            assert_eq!(readable_here, readable, "{start} {size} {xattr_size}");
        }
    }
}
