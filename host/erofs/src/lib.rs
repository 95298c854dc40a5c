//! Writes, reads and verifies EROFS images.
//!
//! This crate owns the on-disk format and a model of a filesystem, [`Tree`]. It knows nothing of
//! containers: the caller decides what the inodes of a tree mean.
//!
//! ```
//! use msb_erofs::{Image, ImageOptions, ImageWriter, Inode, InodeId, Kind, Metadata, Tree};
//! use tokio_util::sync::CancellationToken;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let metadata = |permissions| Metadata { permissions, ..Metadata::default() };
//! let mut writer = ImageWriter::new(tempfile::tempfile()?)?;
//! writer.begin_file()?;
//! writer.write(b"Hello")?;
//! let contents = Kind::File(writer.end_file()?);
//!
//! let mut tree = Tree::new(metadata(0o755));
//! let greeting = Inode { metadata: metadata(0o644), kind: contents };
//! let greeting = tree.insert(greeting).ok_or("too many inodes")?;
//! if let Kind::Directory(names) = &mut tree.get_mut(InodeId::ROOT).kind {
//!     names.insert((*b"greeting").into(), greeting);
//! }
//! let written = writer.finish(&tree, &ImageOptions::default(), &CancellationToken::new())?;
//!
//! assert!(msb_erofs::verify(&written.file)?.is_sound());
//! let image = Image::open(&written.file)?;
//! let root = image.entries(&image.inode(image.root())?)?;
//! assert!(root.iter().any(|entry| *entry.name == *b"greeting"));
//! # Ok(())
//! # }
//! ```
//!
//! An image has its data first and its tree last, so that file contents go to their final place
//! while they stream by:
//!
//! | part | size |
//! |---|---|
//! | superblock, at byte 1024, and the table of devices | one block; more for 24 devices or more |
//! | contents of regular files, each from a block of its own | |
//! | directories and symbolic links that are too large to follow their inodes | |
//! | attributes that many inodes have, where copies of them would be large | whole blocks |
//! | inodes, with their attributes and small directories and symbolic links | |
//!
//! The images are plain on purpose: blocks of 4096 bytes, no incompatible feature, nothing
//! compressed. Every kernel since 5.4 mounts them, and another image may point at the blocks of
//! their files: [`ImageWriter::with_devices`] writes such a one. An image that stands alone may have
//! compressed files: [`ImageWriter::with_compression`]. Equal contents of files can be kept once:
//! [`ImageWriter::share_equal_files`]. The same tree gives the same bytes.

mod cluster;
mod cluster_map;
mod clustered;
mod compression;
mod device;
mod dirent;
mod dump;
mod equal;
mod error;
mod finding;
mod format;
mod inode;
mod layout;
mod load;
mod metadata;
mod output;
mod raw;
mod reader;
mod shared;
mod source;
mod tree;
mod verify;
mod writer;
mod xattr;

pub use cluster::{Cluster, Compressor};
pub use compression::{Algorithm, CompressionError, FileCompression};
pub use device::DeviceSlot;
pub use dirent::DirEntry;
pub use dump::dump;
pub use error::ErofsError;
pub use finding::{Finding, FsckReport};
pub use format::{BLOCK_SIZE, DataLayout, FileType, Nid, Superblock};
pub use inode::InodeInfo;
pub use metadata::{Device, Metadata, Timestamp};
pub use reader::Image;
pub use source::ReadAt;
pub use tree::{Extent, Inode, InodeId, Kind, Tree, Xattrs};
pub use verify::{verify, verify_foreign};
pub use writer::{ImageOptions, ImageWriter, Summary};
pub use xattr::is_storable_xattr;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;
