//! An entry of a tar stream, after all extension headers have had their say.

use crate::erofs::{Device, Timestamp};

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A link to a path that came before, usually.
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
    /// A type that has no place in a filesystem: volume labels and the like.
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

/// An entry of a tar stream.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The path as written, without trailing slashes of a directory cut off.
    pub path: Vec<u8>,
    /// The target of a link as written.
    pub link: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits, without the type.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last change.
    pub mtime: Timestamp,
    /// Device number.
    pub device: Device,
    /// Bytes of payload in the stream.
    pub size: u64,
    /// Length and regions of a sparse file, whose payload is the regions one after the other.
    pub sparse: Option<(u64, Vec<SparseRegion>)>,
    /// Extended attributes by full name.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where the payload starts in the stream.
    pub data_offset: u64,
}
