//! An entry of a tar stream, after all extension headers have had their say.

use std::sync::Arc;

use msb_erofs::{Device, Timestamp};

/// Extended attributes by full name, in the order of their names, each once. Entries with the same
/// global records share them, and those with records of their own what the global ones say.
pub type PaxXattrs = Arc<Vec<(Arc<[u8]>, Arc<[u8]>)>>;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryKind {
    /// A regular file.
    File,
    /// Another name of what is at a path, usually of an entry before.
    Hardlink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// A type, by its flag, that has no place in a filesystem: volume labels and the like.
    Other(u8),
}

/// A part of a sparse file that has data; what lies between is zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SparseRegion {
    /// Bytes from the start of the file.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

impl SparseRegion {
    /// Returns where it ends, in bytes from the start of the file.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.length)
    }
}

/// Where the data of a sparse file belongs. The regions come in order, inside of the file, and add
/// up to the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SparseMap {
    /// Bytes of the file, zeros included.
    pub length: u64,
    /// The parts that the payload consists of, one after the other.
    pub regions: Vec<SparseRegion>,
}

/// An entry of a tar stream.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The path as written, trailing slashes and all.
    pub path: Vec<u8>,
    /// The target of a link as written.
    pub link: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Permission, setuid, setgid and sticky bits, without the type.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last change.
    pub mtime: Timestamp,
    /// Device number; 0:0 for what is none.
    pub device: Device,
    /// Bytes of payload in the stream. Not only files have some.
    pub size: u64,
    /// The map of a sparse file.
    pub sparse: Option<SparseMap>,
    /// Extended attributes.
    pub xattrs: PaxXattrs,
    /// Where the payload starts in the stream.
    pub data_offset: u64,
}
