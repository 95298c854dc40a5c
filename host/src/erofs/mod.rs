//! EROFS images: a tree of inodes written as a read-only filesystem that Linux mounts.
//!
//! Owns the on-disk format: 4 KiB blocks, no feature that a kernel since 5.4 would not know,
//! everything sorted and every padding zero, so that equal trees give equal bytes. Knows nothing of
//! layers or archives.

mod data;
mod dirent;
mod error;
mod format;
mod tree;
mod writer;
mod xattr;

pub use error::ErofsError;
pub use format::BLOCK;
pub use tree::{Device, Extent, Inode, InodeId, Kind, Metadata, Timestamp, Tree};
pub use writer::{ImageOptions, ImageWriter, Summary};
