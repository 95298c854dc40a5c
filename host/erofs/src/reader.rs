//! The reader of images.
//!
//! Owns the way from an image to its superblock, inodes, names, attributes and bytes. It reads what
//! the writer of this room writes, and is total on anything else: a damaged image gives an error,
//! at the latest when the damaged inode is read, and no number in it makes the reader allocate
//! more than the image is large.

mod attributes;
mod contents;
mod names;

use std::collections::HashMap;
use std::sync::Mutex;

use zerocopy::{FromZeros as _, IntoBytes as _};

use super::ErofsError;
use super::clustered::Decompressed;
use super::compression::FileCompression;
use super::device::{Chunks, DeviceSlot, table_end};
use super::format::{
    BLOCK_BITS, BLOCK_SIZE, COMPAT_CHECKSUM, DataLayout, FORMAT_EXTENDED, FileType,
    INCOMPAT_COMPRESSION, INCOMPAT_DEVICES, Nid, SLOT_SIZE, Superblock,
};
use super::inode::InodeInfo;
use super::metadata::Timestamp;
use super::raw::{DEVICE_SLOT_SIZE, FirstBlock, INODE_SIZE, MAGIC, RawDeviceSlot, RawInode};
use super::source::{ReadAt, Source};
use super::tree::Xattrs;
use super::xattr;

/// Sets of shared attributes that are kept at hand.
const KEPT_SETS: usize = 64;

/// An image to read from.
#[derive(Debug)]
pub struct Image<R> {
    source: Source<R>,
    superblock: Superblock,
    /// Where file data may lie besides the image.
    devices: Vec<DeviceSlot>,
    /// What can be read of these.
    device_sources: Vec<Source<R>>,
    /// Sets with shared attributes that were read, by what follows their inodes.
    sets: Mutex<HashMap<Vec<u8>, Xattrs>>,
    /// How files are compressed.
    pub(super) compression: Option<FileCompression>,
    pub(super) decompressed: Mutex<Option<Decompressed>>,
}

impl<R: ReadAt> Image<R> {
    /// Opens an image.
    ///
    /// # Errors
    /// What is no EROFS image, ends too early or has a wrong checksum is damaged; an image with
    /// features that msb does not write is unsupported.
    pub fn open(source: R) -> Result<Self, ErofsError> {
        let (image, block) = Self::load(source)?;
        let checksum = block.checksum();
        if image.superblock.feature_compat & COMPAT_CHECKSUM != 0
            && image.superblock.checksum != checksum
        {
            return Err(ErofsError::Damaged {
                what: "the checksum of the superblock is wrong",
            });
        }
        if image.source.size() < u64::from(image.superblock.blocks) * BLOCK_SIZE {
            return Err(ErofsError::Damaged {
                what: "it is shorter than its superblock says",
            });
        }
        Ok(image)
    }

    /// Opens an image, and the devices that hold the data of its files, in their order. Without them, a
    /// source that goes on after the image is taken for a disk that has them all.
    pub fn with_devices(
        source: R,
        devices: impl IntoIterator<Item = R>,
    ) -> Result<Self, ErofsError> {
        let mut image = Self::open(source)?;
        for device in devices {
            image.device_sources.push(Source::new(device)?);
        }
        Ok(image)
    }

    /// Opens an image whose checksum and length are unchecked, and returns its first block
    /// beside it.
    pub(super) fn load(source: R) -> Result<(Self, FirstBlock), ErofsError> {
        let source = Source::new(source)?;
        if source.size() < BLOCK_SIZE {
            return Err(ErofsError::Damaged {
                what: "it is shorter than a block",
            });
        }
        let mut block = FirstBlock::new_zeroed();
        source.read(0, block.as_mut_bytes())?;
        if block.superblock.magic != MAGIC {
            return Err(ErofsError::Damaged {
                what: "it has no EROFS superblock",
            });
        }
        let superblock = Superblock::from(&block.superblock);
        let compression = FileCompression::decode(superblock.algorithms, block.after_superblock());
        let unsupported = [
            (
                !matches!(
                    superblock.feature_incompat,
                    0 | INCOMPAT_DEVICES | INCOMPAT_COMPRESSION
                ),
                "incompatible features",
            ),
            (
                superblock.block_bits != BLOCK_BITS || superblock.directory_block_bits != 0,
                "blocks that are not of 4096 bytes",
            ),
            (
                (superblock.extra_devices != 0)
                    != (superblock.feature_incompat == INCOMPAT_DEVICES),
                "devices without a table of them",
            ),
            (
                compression.is_some() != (superblock.feature_incompat == INCOMPAT_COMPRESSION),
                "another compression than msb writes",
            ),
        ];
        if let Some((_, what)) = unsupported.into_iter().find(|(found, _)| *found) {
            return Err(ErofsError::Unsupported { what });
        }
        let devices = device_table(&source, &superblock)?;
        let image = Self {
            source,
            superblock,
            devices,
            device_sources: Vec::new(),
            sets: Mutex::default(),
            compression,
            decompressed: Mutex::default(),
        };
        Ok((image, block))
    }

    /// Returns the superblock.
    pub fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// Returns the devices that hold data of files, besides the image itself.
    pub fn devices(&self) -> &[DeviceSlot] {
        &self.devices
    }

    /// Returns the root directory.
    pub fn root(&self) -> Nid {
        Nid(self.superblock.root_nid.into())
    }

    /// Returns an inode.
    pub fn inode(&self, nid: Nid) -> Result<InodeInfo, ErofsError> {
        let raw = self.raw_inode(nid)?;
        let damaged = |what| ErofsError::DamagedInode { nid, what };
        let (format, mode) = (raw.format.get(), raw.mode.get());
        let layout = DataLayout::from_format(format).ok_or_else(|| match format {
            0..=0xf if format & FORMAT_EXTENDED == 0 => ErofsError::Unsupported {
                what: "compact inodes",
            },
            0..=0x9 => ErofsError::Unsupported {
                what: "data that is inline or compressed in another way",
            },
            _ => damaged("it has an unknown format"),
        })?;
        if layout == DataLayout::Chunked
            && (self.devices.is_empty() || raw.address.get() != Chunks::of(raw.size.get()).format())
        {
            return Err(ErofsError::Unsupported {
                what: "files in chunks of another size",
            });
        }
        let info = InodeInfo {
            nid,
            file_type: FileType::from_mode(mode).ok_or(damaged("it has no file type"))?,
            permissions: mode & 0o7777,
            uid: raw.uid.get(),
            gid: raw.gid.get(),
            mtime: Timestamp {
                seconds: raw.mtime.get(),
                nanoseconds: raw.mtime_nanoseconds.get(),
            },
            nlink: raw.nlink.get(),
            ino: raw.ino.get(),
            size: raw.size.get(),
            layout,
            xattr_size: xattr::counted_size(raw.xattr_count.get()),
            address: raw.address.get(),
        };
        self.check(&info).map_err(damaged)?;
        Ok(info)
    }

    /// Returns the bytes of an inode.
    pub(super) fn raw_inode(&self, nid: Nid) -> Result<RawInode, ErofsError> {
        let mut raw = RawInode::default();
        let offset = self
            .offset(nid)
            .filter(|offset| offset.saturating_add(INODE_SIZE as u64) <= self.size())
            .ok_or(ErofsError::DamagedInode {
                nid,
                what: "it lies outside of the image",
            })?;
        self.source.read_cached(offset, raw.as_mut_bytes())?;
        Ok(raw)
    }

    /// Returns how many bytes of the source belong to the image.
    pub(super) fn size(&self) -> u64 {
        let stated = u64::from(self.superblock.blocks) * BLOCK_SIZE;
        self.source.size().min(stated)
    }

    /// Returns the source.
    pub(super) fn source(&self) -> &Source<R> {
        &self.source
    }

    /// Returns where an inode starts, in bytes.
    pub(super) fn offset(&self, nid: Nid) -> Option<u64> {
        let area = u64::from(self.superblock.meta_block) * BLOCK_SIZE;
        area.checked_add(nid.0.checked_mul(SLOT_SIZE)?)
    }

    /// Checks that all that belongs to an inode lies in the image, and that what is inline does
    /// not cross a block.
    fn check(&self, inode: &InodeInfo) -> Result<(), &'static str> {
        let outside = "it lies outside of the image";
        let start = self.offset(inode.nid).ok_or(outside)?;
        let end = (start + INODE_SIZE as u64 + inode.xattr_size).saturating_add(inode.tail());
        let end = inode.index_range(start).map_or(end, |(_, end)| end);
        if end > self.size() {
            return Err(outside);
        }
        if inode.tail() > 0 && (end - 1) / BLOCK_SIZE != (end - inode.tail()) / BLOCK_SIZE {
            return Err("its inline data crosses a block");
        }
        if inode.layout == DataLayout::Inline && inode.size.is_multiple_of(BLOCK_SIZE) {
            return Err("it has no inline data");
        }
        if inode.layout == DataLayout::Chunked
            && (inode.file_type != FileType::Regular || inode.size == 0)
        {
            return Err("it has chunks and is not a file with contents");
        }
        if inode.layout == DataLayout::Compressed
            && (inode.file_type != FileType::Regular || inode.size <= BLOCK_SIZE)
        {
            return Err("it is compressed and is not a file of two blocks or more");
        }
        let (first, last) = inode.blocks();
        if last > self.size() || first > last {
            return Err("its data lies outside of the image");
        }
        Ok(())
    }
}

/// Reads the table of devices.
fn device_table<R: ReadAt>(
    source: &Source<R>,
    superblock: &Superblock,
) -> Result<Vec<DeviceSlot>, ErofsError> {
    let count = usize::from(superblock.extra_devices);
    if count == 0 {
        return Ok(Vec::new());
    }
    let outside = "the table of devices lies elsewhere or outside of the image";
    let start = u64::from(superblock.device_slot) * DEVICE_SLOT_SIZE as u64;
    let image = u64::from(superblock.blocks) * BLOCK_SIZE;
    if start != table_end(0) || table_end(count) > image.min(source.size()) {
        return Err(ErofsError::Damaged { what: outside });
    }
    let mut slots = vec![RawDeviceSlot::default(); count];
    source.read(start, slots.as_mut_bytes())?;
    Ok(slots.iter().map(DeviceSlot::from).collect())
}
