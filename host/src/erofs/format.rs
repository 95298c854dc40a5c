//! The on-disk format: constants and the byte layout of superblock, inode, dirent and xattr.
//!
//! Facts from the kernel's `fs/erofs/erofs_fs.h` and
//! <https://docs.kernel.org/filesystems/erofs.html>. All numbers are little-endian.

/// Bytes of a block, the unit of data addresses.
pub const BLOCK: u64 = BLOCK_SIZE as u64;
/// The same as a length of memory.
pub(super) const BLOCK_SIZE: usize = 4096;
/// log2 of [`BLOCK`].
pub(super) const BLOCK_BITS: u8 = 12;
/// Where the superblock lies in block 0.
pub(super) const SUPERBLOCK_OFFSET: u64 = 1024;
/// Bytes of the superblock.
pub(super) const SUPERBLOCK_SIZE: usize = 128;
/// First four bytes of the superblock.
pub(super) const MAGIC: u32 = 0xE0F5_E1E2;
/// The superblock carries a checksum.
pub(super) const COMPAT_CHECKSUM: u32 = 0x1;
/// Inode times are modification times.
pub(super) const COMPAT_MTIME: u32 = 0x2;
/// Inode numbers count in these units from the metadata block address on.
pub(super) const SLOT: u64 = 32;
/// Bytes of an extended inode.
pub(super) const INODE_SIZE: usize = 64;
/// Bytes of a directory entry without its name.
pub(super) const DIRENT_SIZE: usize = 12;
/// Bytes in front of the inline extended attributes.
pub(super) const XATTR_HEADER: usize = 12;
/// Data in whole blocks.
pub(super) const LAYOUT_PLAIN: u16 = 0;
/// Data in whole blocks but for a tail, which follows the inode.
pub(super) const LAYOUT_INLINE: u16 = 2;
