//! The structures of EROFS as they are on disk, each declared once: their fields, in their order, are
//! what is written, read and verified. Sources: `fs/erofs/erofs_fs.h` of the Linux source.

use std::mem::{offset_of, size_of};

use zerocopy::little_endian::{I64, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::format::BLOCK;

/// Where the superblock starts, in bytes.
const SUPERBLOCK_OFFSET: usize = 1024;
/// Bytes of the superblock.
const SUPERBLOCK_SIZE: usize = size_of::<RawSuperblock>();
/// Bytes of an extended inode.
pub(super) const INODE_SIZE: usize = size_of::<RawInode>();
/// Bytes of a directory entry without its name.
pub(super) const DIRENT_SIZE: usize = size_of::<RawDirent>();
/// Bytes of the header in front of inline attributes.
pub(super) const XATTR_HEADER_SIZE: usize = size_of::<RawXattrHeader>();
/// Bytes of the number of a shared attribute, and what such a number counts.
pub(super) const XATTR_ID_SIZE: usize = size_of::<U32>();
/// Bytes of an attribute without its name and value.
pub(super) const XATTR_ENTRY_SIZE: usize = size_of::<RawXattrEntry>();

/// Bytes of a device in the table of devices, and what the superblock counts its place in
/// (`EROFS_DEVT_SLOT_SIZE`).
pub(super) const DEVICE_SLOT_SIZE: usize = size_of::<RawDeviceSlot>();
/// Where the table of devices starts: right after the superblock.
pub(super) const DEVICE_TABLE_OFFSET: usize = SUPERBLOCK_OFFSET + SUPERBLOCK_SIZE;
/// Bytes of the index of a chunk or of a block, and what the first one of a file is aligned to.
pub(super) const CHUNK_INDEX_SIZE: usize = size_of::<RawChunkIndex>();

/// `EROFS_SUPER_MAGIC_V1`.
pub(super) const MAGIC: U32 = U32::new(0xe0f5_e1e2);

/// The first block of an image.
#[derive(Clone, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct FirstBlock {
    /// For boot loaders.
    boot: [u8; SUPERBLOCK_OFFSET],
    pub(super) superblock: RawSuperblock,
    rest: [u8; BLOCK - SUPERBLOCK_OFFSET - SUPERBLOCK_SIZE],
}

/// `struct erofs_super_block`. What msb does not write is reserved here.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub(super) struct RawSuperblock {
    pub(super) magic: U32,
    pub(super) checksum: U32,
    pub(super) feature_compat: U32,
    pub(super) block_bits: u8,
    pub(super) extension_slots: u8,
    pub(super) root_nid: U16,
    pub(super) inodes: U64,
    pub(super) build_time: U64,
    pub(super) build_time_nanoseconds: U32,
    pub(super) blocks: U32,
    pub(super) meta_block: U32,
    pub(super) xattr_block: U32,
    pub(super) uuid: [u8; 16],
    pub(super) volume_name: [u8; 16],
    pub(super) feature_incompat: U32,
    /// Of compression.
    pub(super) algorithms: U16,
    pub(super) extra_devices: U16,
    /// Of the table of devices.
    pub(super) device_slot: U16,
    pub(super) directory_block_bits: u8,
    /// Of attributes with long prefixes.
    pub(super) xattr_prefix_count: u8,
    pub(super) xattr_prefix_start: U32,
    /// Of files without blocks of their own.
    pub(super) packed_nid: U64,
    pub(super) xattr_filter: u8,
    pub(super) reserved: [u8; 23],
}

/// An extended inode: `struct erofs_inode_extended`.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub(super) struct RawInode {
    /// Version and data layout.
    pub(super) format: U16,
    /// Size of the attributes: 0 for none, else 1 for their header and 1 for every 4 bytes.
    pub(super) xattr_count: U16,
    /// Type and permissions.
    pub(super) mode: U16,
    pub(super) reserved: U16,
    /// Bytes of the contents.
    pub(super) size: U64,
    /// The first block of the contents, or the number of the device.
    pub(super) address: U32,
    /// The number that 32 bit systems show.
    pub(super) ino: U32,
    pub(super) uid: U32,
    pub(super) gid: U32,
    pub(super) mtime: I64,
    pub(super) mtime_nanoseconds: U32,
    pub(super) nlink: U32,
    pub(super) reserved_end: [u8; 16],
}

/// `struct erofs_dirent`, whose name is elsewhere in the block.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawDirent {
    pub(super) nid: U64,
    /// Where the name starts in the block.
    pub(super) name_offset: U16,
    pub(super) file_type: u8,
    pub(super) reserved: u8,
}

/// `struct erofs_xattr_ibody_header`, in front of the attributes of an inode.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub(super) struct RawXattrHeader {
    /// What helps to find that an inode has no attribute of a name.
    pub(super) name_filter: U32,
    /// How many numbers of shared attributes follow.
    pub(super) shared_count: u8,
    pub(super) reserved: [u8; 7],
}

/// `struct erofs_xattr_entry`, in front of the rest of the name and the value.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawXattrEntry {
    /// Bytes of the name after its prefix.
    pub(super) name_size: u8,
    /// The number of the prefix.
    pub(super) name_index: u8,
    /// Bytes of the value.
    pub(super) value_size: U16,
}

/// `struct erofs_deviceslot`: a device that file data lies on.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawDeviceSlot {
    pub(super) tag: [u8; 64],
    pub(super) blocks: U32,
    /// Where it starts on a disk that has all of them.
    pub(super) mapped_block: U32,
    pub(super) reserved: [u8; 56],
}

/// `struct erofs_inode_chunk_index`: where a chunk of a file lies.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub(super) struct RawChunkIndex {
    pub(super) block_high: U16,
    pub(super) device: U16,
    pub(super) block: U32,
}

/// A record behind the superblock: its length, and `struct z_erofs_lz4_cfgs`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawLz4Config {
    pub(super) size: U16,
    /// The largest distance that a match looks back.
    pub(super) distance: U16,
    /// Blocks of the largest cluster.
    pub(super) blocks: U16,
    pub(super) reserved: [u8; 10],
}

/// A record behind the superblock: its length, and `struct z_erofs_zstd_cfgs`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct RawZstdConfig {
    pub(super) size: U16,
    pub(super) format: u8,
    /// The size of the largest window as a power of two, less 10.
    pub(super) window_bits: u8,
    pub(super) reserved: [u8; 4],
}

impl RawLz4Config {
    /// What the record says of its length: that of what follows.
    pub(super) const SIZE: u16 = 14;
}

impl RawZstdConfig {
    /// What the record says of its length: that of what follows.
    pub(super) const SIZE: u16 = 6;
}

/// `struct z_erofs_map_header` and what is reserved after it, in front of the indexes of a compressed
/// file.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
pub(super) struct RawMapHeader {
    pub(super) fragment: U32,
    pub(super) advise: U16,
    pub(super) algorithm: u8,
    pub(super) cluster_bits: u8,
    pub(super) reserved: [u8; 8],
}

/// `struct z_erofs_lcluster_index`: a block of the contents of a compressed file.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
pub(super) struct RawClusterIndex {
    /// What the block is.
    pub(super) advise: U16,
    /// Where a cluster starts in it.
    pub(super) start: U16,
    /// The lower half of the number of a block, or the distance to the first block.
    pub(super) low: U16,
    /// The upper half, or the distance to the next cluster.
    pub(super) high: U16,
}

impl Default for RawDeviceSlot {
    fn default() -> Self {
        Self {
            tag: [0; _],
            blocks: U32::ZERO,
            mapped_block: U32::ZERO,
            reserved: [0; _],
        }
    }
}

impl FirstBlock {
    /// Returns a block of a superblock, what fits of a table of devices, and zeros.
    pub(super) fn with_table(superblock: RawSuperblock, table: &[u8]) -> Self {
        let mut block = Self::of(superblock);
        for (to, from) in block.rest.iter_mut().zip(table) {
            *to = *from;
        }
        block
    }

    /// Returns what follows the superblock.
    pub(super) fn after_superblock(&self) -> &[u8] {
        &self.rest
    }

    /// Returns a block of a superblock and zeros.
    pub(super) fn of(superblock: RawSuperblock) -> Self {
        Self {
            boot: [0; _],
            superblock,
            rest: [0; _],
        }
    }

    /// Returns the checksum of the superblock: CRC32C from seed `!0` without a final inversion, from
    /// the superblock to the end of the block, with the checksum itself taken as zero.
    pub(super) fn checksum(&self) -> u32 {
        const AT: usize = SUPERBLOCK_OFFSET + offset_of!(RawSuperblock, checksum);
        let block = self.as_bytes();
        let magic = crc32c::crc32c(block.get(SUPERBLOCK_OFFSET..AT).unwrap_or_default());
        let zeroed = crc32c::crc32c_append(magic, U32::ZERO.as_bytes());
        let rest = block.get(AT + size_of::<U32>()..).unwrap_or_default();
        !crc32c::crc32c_append(zeroed, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structures_have_the_sizes_of_the_format() {
        assert_eq!(size_of::<FirstBlock>(), BLOCK);
        assert_eq!(SUPERBLOCK_SIZE, 128);
        assert_eq!((INODE_SIZE, DIRENT_SIZE), (64, 12));
        assert_eq!((XATTR_HEADER_SIZE, XATTR_ENTRY_SIZE), (12, 4));
        assert_eq!((DEVICE_SLOT_SIZE, CHUNK_INDEX_SIZE), (128, 8));
        assert_eq!(size_of::<RawMapHeader>(), 16);
        assert_eq!(size_of::<RawClusterIndex>(), CHUNK_INDEX_SIZE);
        assert_eq!(
            size_of::<RawLz4Config>(),
            2 + usize::from(RawLz4Config::SIZE)
        );
        assert_eq!(
            size_of::<RawZstdConfig>(),
            2 + usize::from(RawZstdConfig::SIZE)
        );
        assert_eq!(DEVICE_TABLE_OFFSET / DEVICE_SLOT_SIZE, 9);
        assert_eq!(offset_of!(RawDeviceSlot, blocks), 0x40);
        assert_eq!(offset_of!(RawDeviceSlot, mapped_block), 0x44);
        assert_eq!(offset_of!(RawSuperblock, feature_incompat), 80);
        assert_eq!(offset_of!(RawSuperblock, directory_block_bits), 90);
        assert_eq!(offset_of!(RawInode, nlink), 44);
    }
}
