//! The on-disk structures of EROFS and their little-endian encoding.
//!
//! Owns field offsets, magic numbers and limits; it neither reads nor writes files. The facts are
//! those of <https://docs.kernel.org/filesystems/erofs.html> and of `fs/erofs/erofs_fs.h` in the
//! Linux source. Only what msb writes is here: extended inodes, flat data, attributes without a filter.

use std::fmt;

/// Bytes of a block. The format allows others; this one every kernel mounts.
pub const BLOCK_SIZE: u64 = 4096;
/// [`BLOCK_SIZE`] as a power of two.
pub(super) const BLOCK_BITS: u8 = 12;
/// [`BLOCK_SIZE`] for what is held in memory.
pub(super) const BLOCK: usize = 1 << BLOCK_BITS;

/// Bytes of an inode slot: a nid counts these from the start of the metadata area.
pub(super) const SLOT_SIZE: u64 = 32;
/// Where the superblock starts, in bytes.
pub(super) const SUPERBLOCK_OFFSET: usize = 1024;
/// Bytes of the superblock.
pub(super) const SUPERBLOCK_SIZE: usize = 128;
/// Bytes of an extended inode.
pub(super) const INODE_SIZE: usize = 64;
/// Bytes of a directory entry without its name.
pub(super) const DIRENT_SIZE: usize = 12;
/// Bytes of the header in front of inline attributes.
pub(super) const XATTR_HEADER_SIZE: usize = 12;
/// Bytes of the number of a shared attribute, and what such a number counts.
pub(super) const XATTR_ID_SIZE: usize = 4;
/// Bytes of an attribute without its name and value.
pub(super) const XATTR_ENTRY_SIZE: usize = 4;

/// Bytes of a file name.
pub(super) const NAME_MAX: usize = 255;
/// Bytes of the target of a symbolic link that the kernel hands out: `PATH_MAX` less its zero.
pub(super) const TARGET_MAX: usize = 4095;
/// Blocks of an image.
pub(super) const BLOCKS_MAX: u64 = u32::MAX as u64;

/// `EROFS_SUPER_MAGIC_V1`.
const MAGIC: u32 = 0xe0f5_e1e2;
/// `EROFS_FEATURE_COMPAT_SB_CHKSUM`: the checksum of the superblock is set.
pub(super) const COMPAT_CHECKSUM: u32 = 0x1;
/// `EROFS_FEATURE_COMPAT_MTIME`: the time of an inode is that of its contents.
pub(super) const COMPAT_MTIME: u32 = 0x2;

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
}

impl DataLayout {
    /// Returns `i_format` of an extended inode with this layout.
    pub(super) fn format(self) -> u16 {
        FORMAT_EXTENDED
            | match self {
                Self::Plain => 0 << 1,
                Self::Inline => 2 << 1,
            }
    }

    /// Returns the layout in `i_format`, `None` for those that msb does not write.
    pub(super) fn from_format(format: u16) -> Option<Self> {
        [Self::Plain, Self::Inline]
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
    /// How many more devices hold data.
    pub extra_devices: u16,
    /// The size of a directory block as a power of two, less `block_bits`.
    pub directory_block_bits: u8,
}

impl Superblock {
    /// Returns the bytes on disk.
    pub(super) fn encode(&self) -> [u8; SUPERBLOCK_SIZE] {
        let mut bytes = [0; SUPERBLOCK_SIZE];
        put(&mut bytes, 0, &MAGIC.to_le_bytes());
        put(&mut bytes, 4, &self.checksum.to_le_bytes());
        put(&mut bytes, 8, &self.feature_compat.to_le_bytes());
        put(&mut bytes, 12, &[self.block_bits, self.extension_slots]);
        put(&mut bytes, 14, &self.root_nid.to_le_bytes());
        put(&mut bytes, 16, &self.inodes.to_le_bytes());
        put(&mut bytes, 24, &self.build_time.to_le_bytes());
        put(&mut bytes, 32, &self.build_time_nanoseconds.to_le_bytes());
        put(&mut bytes, 36, &self.blocks.to_le_bytes());
        put(&mut bytes, 40, &self.meta_block.to_le_bytes());
        put(&mut bytes, 44, &self.xattr_block.to_le_bytes());
        put(&mut bytes, 48, &self.uuid);
        put(&mut bytes, 64, &self.volume_name);
        put(&mut bytes, 80, &self.feature_incompat.to_le_bytes());
        put(&mut bytes, 86, &self.extra_devices.to_le_bytes());
        put(&mut bytes, 90, &[self.directory_block_bits]);
        bytes
    }

    /// Returns what the bytes say, `None` when they do not start with the magic number.
    pub(super) fn decode(bytes: &[u8; SUPERBLOCK_SIZE]) -> Option<Self> {
        (u32::from_le_bytes(field(bytes, 0)) == MAGIC).then(|| Self {
            checksum: u32::from_le_bytes(field(bytes, 4)),
            feature_compat: u32::from_le_bytes(field(bytes, 8)),
            feature_incompat: u32::from_le_bytes(field(bytes, 80)),
            block_bits: u8::from_le_bytes(field(bytes, 12)),
            extension_slots: u8::from_le_bytes(field(bytes, 13)),
            root_nid: u16::from_le_bytes(field(bytes, 14)),
            inodes: u64::from_le_bytes(field(bytes, 16)),
            build_time: u64::from_le_bytes(field(bytes, 24)),
            build_time_nanoseconds: u32::from_le_bytes(field(bytes, 32)),
            blocks: u32::from_le_bytes(field(bytes, 36)),
            meta_block: u32::from_le_bytes(field(bytes, 40)),
            xattr_block: u32::from_le_bytes(field(bytes, 44)),
            uuid: field(bytes, 48),
            volume_name: field(bytes, 64),
            extra_devices: u16::from_le_bytes(field(bytes, 86)),
            directory_block_bits: u8::from_le_bytes(field(bytes, 90)),
        })
    }
}

/// Returns the checksum of the superblock in the first block of an image: CRC32C from seed `!0`
/// without a final inversion, from the superblock to the end of the block, with the checksum itself
/// taken as zero.
pub(super) fn superblock_checksum(block: &[u8]) -> u32 {
    let body = block.get(SUPERBLOCK_OFFSET..).unwrap_or_default();
    let magic = crc32c::crc32c(body.get(..4).unwrap_or_default());
    let zeroed = crc32c::crc32c_append(magic, &[0; 4]);
    !crc32c::crc32c_append(zeroed, body.get(8..).unwrap_or_default())
}

/// An extended inode: `struct erofs_inode_extended`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RawInode {
    /// Version and data layout.
    pub(super) format: u16,
    /// Size of the attributes: 0 for none, else 1 for their header and 1 for every 4 bytes.
    pub(super) xattr_count: u16,
    /// Type and permissions.
    pub(super) mode: u16,
    /// Bytes of the contents.
    pub(super) size: u64,
    /// The first block of the contents, or the number of the device.
    pub(super) address: u32,
    /// The number that 32 bit systems show.
    pub(super) ino: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: i64,
    pub(super) mtime_nanoseconds: u32,
    pub(super) nlink: u32,
}

impl RawInode {
    /// Returns the bytes on disk.
    pub(super) fn encode(&self) -> [u8; INODE_SIZE] {
        let mut bytes = [0; INODE_SIZE];
        put(&mut bytes, 0, &self.format.to_le_bytes());
        put(&mut bytes, 2, &self.xattr_count.to_le_bytes());
        put(&mut bytes, 4, &self.mode.to_le_bytes());
        put(&mut bytes, 8, &self.size.to_le_bytes());
        put(&mut bytes, 16, &self.address.to_le_bytes());
        put(&mut bytes, 20, &self.ino.to_le_bytes());
        put(&mut bytes, 24, &self.uid.to_le_bytes());
        put(&mut bytes, 28, &self.gid.to_le_bytes());
        put(&mut bytes, 32, &self.mtime.to_le_bytes());
        put(&mut bytes, 40, &self.mtime_nanoseconds.to_le_bytes());
        put(&mut bytes, 44, &self.nlink.to_le_bytes());
        bytes
    }

    /// Returns what the bytes say. Reserved fields are skipped.
    pub(super) fn decode(bytes: &[u8; INODE_SIZE]) -> Self {
        Self {
            format: u16::from_le_bytes(field(bytes, 0)),
            xattr_count: u16::from_le_bytes(field(bytes, 2)),
            mode: u16::from_le_bytes(field(bytes, 4)),
            size: u64::from_le_bytes(field(bytes, 8)),
            address: u32::from_le_bytes(field(bytes, 16)),
            ino: u32::from_le_bytes(field(bytes, 20)),
            uid: u32::from_le_bytes(field(bytes, 24)),
            gid: u32::from_le_bytes(field(bytes, 28)),
            mtime: i64::from_le_bytes(field(bytes, 32)),
            mtime_nanoseconds: u32::from_le_bytes(field(bytes, 40)),
            nlink: u32::from_le_bytes(field(bytes, 44)),
        }
    }
}

/// Returns the `N` bytes at `at`; those beyond the end of the record read as zeros.
pub(super) fn field<const N: usize>(record: &[u8], at: usize) -> [u8; N] {
    record
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .unwrap_or([0; N])
}

/// Puts bytes at `at`, which callers keep inside the record.
pub(super) fn put(record: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(target) = record.get_mut(at..at + bytes.len()) {
        target.copy_from_slice(bytes);
    }
}
