//! The numbers of EROFS and what they mean.
//!
//! Owns limits, types and layouts; [`raw`](super::raw) has the structures on disk. The facts are
//! those of <https://docs.kernel.org/filesystems/erofs.html> and of `fs/erofs/erofs_fs.h` in the
//! Linux source. Only what msb writes is here: extended inodes, data that is flat, on
//! other devices or compressed, attributes without a filter.

use std::fmt;

use super::raw::RawSuperblock;

/// Bytes of a block. The format allows others; this one every kernel mounts.
pub const BLOCK_SIZE: u64 = 4096;
/// [`BLOCK_SIZE`] as a power of two.
pub(super) const BLOCK_BITS: u8 = 12;
/// [`BLOCK_SIZE`] for what is held in memory.
pub(super) const BLOCK: usize = 1 << BLOCK_BITS;

/// Bytes of an inode slot: a nid counts these from the start of the metadata area.
pub(super) const SLOT_SIZE: u64 = 32;
/// Bytes of a file name.
pub(super) const NAME_MAX: usize = 255;
/// Bytes of the target of a symbolic link that the kernel hands out: `PATH_MAX` less its zero.
pub(super) const TARGET_MAX: usize = 4095;
/// Blocks of an image.
pub(super) const BLOCKS_MAX: u64 = u32::MAX as u64;

/// `EROFS_FEATURE_COMPAT_SB_CHKSUM`: the checksum of the superblock is set.
pub(super) const COMPAT_CHECKSUM: u32 = 0x1;
/// `EROFS_FEATURE_COMPAT_MTIME`: the time of an inode is that of its contents.
pub(super) const COMPAT_MTIME: u32 = 0x2;

/// `EROFS_FEATURE_INCOMPAT_CHUNKED_FILE` and `EROFS_FEATURE_INCOMPAT_DEVICE_TABLE`: files have their
/// data on other devices.
pub(super) const INCOMPAT_DEVICES: u32 = 0x4 | 0x8;

/// `EROFS_FEATURE_INCOMPAT_ZERO_PADDING`, and `EROFS_FEATURE_INCOMPAT_COMPR_CFGS`, which is
/// `EROFS_FEATURE_INCOMPAT_BIG_PCLUSTER` too: files are compressed.
pub(super) const INCOMPAT_COMPRESSION: u32 = 0x1 | 0x2;

/// `i_format` bit 0: the inode has 64 bytes. Bits 1 to 3 are the [`DataLayout`].
pub(super) const FORMAT_EXTENDED: u16 = 1;

/// The number of an inode in an image: its offset in the metadata area in slots of 32 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nid(pub u64);

impl fmt::Display for Nid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Where the data of an inode lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataLayout {
    /// `EROFS_INODE_FLAT_PLAIN`: in consecutive blocks.
    Plain,
    /// `EROFS_INODE_FLAT_INLINE`: in consecutive blocks but for the last one, which follows the
    /// inode and its attributes.
    Inline,
    /// `EROFS_INODE_CHUNK_BASED`: in chunks on another device, whose indexes follow the inode and its
    /// attributes.
    Chunked,
    /// `EROFS_INODE_COMPRESSED_FULL`: in compressed clusters, whose indexes follow the inode and its
    /// attributes.
    Compressed,
}

impl DataLayout {
    /// Returns `i_format` of an extended inode with this layout.
    pub(super) fn format(self) -> u16 {
        FORMAT_EXTENDED
            | match self {
                Self::Plain => 0 << 1,
                Self::Compressed => 1 << 1,
                Self::Inline => 2 << 1,
                Self::Chunked => 4 << 1,
            }
    }

    /// Returns the layout in `i_format`, `None` for those that msb does not write.
    pub(super) fn from_format(format: u16) -> Option<Self> {
        [Self::Plain, Self::Inline, Self::Chunked, Self::Compressed]
            .into_iter()
            .find(|layout| layout.format() == format)
    }
}

/// The type of an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A symbolic link.
    Symlink,
}

impl FileType {
    const ALL: [Self; 7] = [
        Self::Regular,
        Self::Directory,
        Self::CharDevice,
        Self::BlockDevice,
        Self::Fifo,
        Self::Socket,
        Self::Symlink,
    ];

    /// Returns the bits of the mode (`S_IFMT`).
    pub(super) fn mode(self) -> u16 {
        match self {
            Self::Regular => 0o100_000,
            Self::Directory => 0o040_000,
            Self::CharDevice => 0o020_000,
            Self::BlockDevice => 0o060_000,
            Self::Fifo => 0o010_000,
            Self::Socket => 0o140_000,
            Self::Symlink => 0o120_000,
        }
    }

    /// Returns the byte of a directory entry (`FT_*`).
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Regular => 1,
            Self::Directory => 2,
            Self::CharDevice => 3,
            Self::BlockDevice => 4,
            Self::Fifo => 5,
            Self::Socket => 6,
            Self::Symlink => 7,
        }
    }

    /// Returns the type in a mode.
    pub(super) fn from_mode(mode: u16) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.mode() == mode & 0o170_000)
    }

    /// Returns the type in the byte of a directory entry.
    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// The superblock: `struct erofs_super_block`, as far as msb reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Superblock {
    /// CRC32C of the block from the superblock on.
    pub checksum: u32,
    /// Features that an older kernel may ignore.
    pub feature_compat: u32,
    /// Features that a reader must know.
    pub feature_incompat: u32,
    /// The size of a block as a power of two.
    pub block_bits: u8,
    /// How many units of 16 bytes follow the superblock.
    pub extension_slots: u8,
    /// The root directory.
    pub root_nid: u16,
    /// How many inodes the image holds.
    pub inodes: u64,
    /// When the image was built, in seconds since the epoch.
    pub build_time: u64,
    /// The nanoseconds of it.
    pub build_time_nanoseconds: u32,
    /// Blocks of the image.
    pub blocks: u32,
    /// The block that nid 0 starts at.
    pub meta_block: u32,
    /// The block that shared attributes start at.
    pub xattr_block: u32,
    /// The UUID of the volume.
    pub uuid: [u8; 16],
    /// The name of the volume, padded with zeros.
    pub volume_name: [u8; 16],
    /// The algorithms of compressed files, a bit for each.
    pub algorithms: u16,
    /// How many more devices hold data.
    pub extra_devices: u16,
    /// Where the table of these starts, in units of 128 bytes.
    pub device_slot: u16,
    /// The size of a directory block as a power of two, less `block_bits`.
    pub directory_block_bits: u8,
}

impl From<&RawSuperblock> for Superblock {
    fn from(raw: &RawSuperblock) -> Self {
        Self {
            checksum: raw.checksum.get(),
            feature_compat: raw.feature_compat.get(),
            feature_incompat: raw.feature_incompat.get(),
            block_bits: raw.block_bits,
            extension_slots: raw.extension_slots,
            root_nid: raw.root_nid.get(),
            inodes: raw.inodes.get(),
            build_time: raw.build_time.get(),
            build_time_nanoseconds: raw.build_time_nanoseconds.get(),
            blocks: raw.blocks.get(),
            meta_block: raw.meta_block.get(),
            xattr_block: raw.xattr_block.get(),
            uuid: raw.uuid,
            volume_name: raw.volume_name,
            algorithms: raw.algorithms.get(),
            extra_devices: raw.extra_devices.get(),
            device_slot: raw.device_slot.get(),
            directory_block_bits: raw.directory_block_bits,
        }
    }
}
