//! Writing and reading EROFS images.
//!
//! Owns the on-disk format and a model of a filesystem, [`Tree`]. It knows nothing of layers,
//! whiteouts or archives: whoever fills a tree decides what its inodes mean.
//!
//! An image has its data first and its tree last, so that file contents go to their final place
//! while they stream by:
//!
//! | part | size |
//! |---|---|
//! | superblock, at byte 1024 | one block |
//! | contents of regular files, each from a block of its own | |
//! | directories and symbolic links that are too large to follow their inodes | |
//! | attributes that many inodes have, where copies of them would be large | whole blocks |
//! | inodes, with their attributes and small directories and symbolic links | |
//!
//! The images are plain on purpose: blocks of 4096 bytes, no incompatible feature, nothing
//! compressed. Every kernel since 5.4 mounts them, and another image may point at the blocks of
//! their files. The same tree gives the same bytes.

mod dirent;
mod dump;
mod error;
mod finding;
mod format;
mod inode;
mod layout;
mod load;
mod output;
mod reader;
mod shared;
mod source;
mod tree;
mod verify;
mod writer;
mod xattr;

pub use dirent::DirEntry;
pub use dump::dump;
pub use error::ErofsError;
pub use finding::{Finding, VerifyReport};
pub use format::{BLOCK_SIZE, DataLayout, FileType, Nid, Superblock};
pub use inode::InodeInfo;
pub use reader::Image;
pub use source::ReadAt;
pub use tree::{Device, Extent, Inode, InodeId, Kind, Metadata, Timestamp, Tree, Xattrs};
pub use verify::verify;
pub use writer::{ImageOptions, ImageWriter, Summary};
pub use xattr::is_storable_xattr;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;
