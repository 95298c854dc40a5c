//! The reader of images.
//!
//! Owns the way from an image to its superblock, inodes, names, attributes and bytes. It reads what
//! the writer of this room writes, and is total on anything else: a damaged image gives an error,
//! at the latest when the damaged inode is read, and no number in it makes the reader allocate
//! more than the image is large.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zerocopy::{FromZeros as _, IntoBytes as _};

use super::ErofsError;
use super::clustered::Decompressed;
use super::compression::FileCompression;
use super::device::{Chunks, DeviceSlot, table_end};
use super::dirent::{self, DirEntry};
use super::format::{
    BLOCK, BLOCK_BITS, BLOCK_SIZE, COMPAT_CHECKSUM, DataLayout, FORMAT_EXTENDED, FileType,
    INCOMPAT_COMPRESSION, INCOMPAT_DEVICES, Nid, SLOT_SIZE, Superblock, TARGET_MAX,
};
use super::inode::InodeInfo;
use super::metadata::Timestamp;
use super::raw::{
    DEVICE_SLOT_SIZE, FirstBlock, INODE_SIZE, MAGIC, RawChunkIndex, RawDeviceSlot, RawInode,
    RawXattrEntry, XATTR_ENTRY_SIZE, XATTR_ID_SIZE,
};
use super::source::{ReadAt, Source};
use super::tree::{Extent, Xattrs};
use super::xattr::{self, Pair};

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

/// The names in a directory.
#[derive(Debug)]
pub(super) struct Directory {
    /// Where `..` leads.
    pub(super) parent: Nid,
    /// All other names but `.`, in order.
    pub(super) entries: Vec<DirEntry>,
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

    /// Returns the names in a directory in their order, without `.` and `..`.
    ///
    /// # Errors
    /// A directory that breaks a rule of the format, and an inode that is none, are damaged.
    pub fn entries(&self, inode: &InodeInfo) -> Result<Vec<DirEntry>, ErofsError> {
        Ok(self.directory(inode)?.entries)
    }

    /// Returns the target of a symbolic link.
    pub fn read_link(&self, inode: &InodeInfo) -> Result<Box<[u8]>, ErofsError> {
        let damaged = |what| inode.damaged(what);
        let size = usize::try_from(inode.size).unwrap_or(usize::MAX);
        if inode.file_type != FileType::Symlink {
            return Err(damaged("it is not a symbolic link"));
        }
        if size == 0 || size > TARGET_MAX {
            return Err(damaged("its target is empty or longer than 4095 bytes"));
        }
        let mut target = vec![0; size];
        self.read_contents(inode, 0, &mut target)?;
        if target.contains(&0) {
            return Err(damaged("its target has a zero byte"));
        }
        Ok(target.into())
    }

    /// Returns the extended attributes of an inode by their full names.
    pub fn xattrs(&self, inode: &InodeInfo) -> Result<Xattrs, ErofsError> {
        if inode.xattr_size == 0 {
            return Ok(Xattrs::default());
        }
        let bytes = self.xattr_body(inode)?;
        let known = |sets: &HashMap<Vec<u8>, Xattrs>| sets.get(&bytes).cloned();
        if let Some(xattrs) = known(&self.sets()) {
            return Ok(xattrs);
        }
        let body = xattr::decode(&bytes).map_err(|what| inode.damaged(what))?;
        if body.shared.is_empty() {
            return Ok(body.inline.into_iter().collect());
        }
        let mut xattrs = body.inline;
        for number in body.shared {
            let (pair, _) = self
                .shared_xattr(number)?
                .map_err(|what| inode.damaged(what))?;
            xattrs.push(pair);
        }
        let count = xattrs.len();
        let xattrs: Xattrs = xattrs.into_iter().collect();
        if xattrs.len() < count {
            return Err(inode.damaged("an attribute is there twice"));
        }
        let mut sets = self.sets();
        if sets.len() >= KEPT_SETS {
            sets.clear();
        }
        sets.insert(bytes, xattrs.clone());
        Ok(xattrs)
    }

    /// Returns what follows an inode of its attributes.
    pub(super) fn xattr_body(&self, inode: &InodeInfo) -> Result<Vec<u8>, ErofsError> {
        let mut body = vec![0; usize::try_from(inode.xattr_size).unwrap_or_default()];
        let offset = self.offset(inode.nid).ok_or(ErofsError::ImageTooLarge)?;
        self.source
            .read_cached(offset + INODE_SIZE as u64, &mut body)?;
        Ok(body)
    }

    /// Returns a shared attribute and where it lies in the image, or the rule that it breaks.
    pub(super) fn shared_xattr(
        &self,
        number: u32,
    ) -> Result<Result<(Pair, Range<u64>), &'static str>, ErofsError> {
        let area = u64::from(self.superblock.xattr_block) * BLOCK_SIZE;
        let start = area + u64::from(number) * XATTR_ID_SIZE as u64;
        let end = start.saturating_add(XATTR_ENTRY_SIZE as u64);
        if area == 0 || end > self.size() {
            return Ok(Err("a shared attribute lies outside of the image"));
        }
        let mut head = RawXattrEntry::default();
        self.source.read_cached(start, head.as_mut_bytes())?;
        let size = head.whole_size();
        let end = start.saturating_add(size as u64);
        if end > self.size() {
            return Ok(Err("a shared attribute lies outside of the image"));
        }
        let mut bytes = vec![0; size];
        self.source.read_cached(start, &mut bytes)?;
        Ok(xattr::decode_one(&bytes).map(|(pair, _)| (pair, start..end)))
    }

    fn sets(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Xattrs>> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the data of a regular file. Returns how many bytes of `buf` are filled: all, unless
    /// the file ends before.
    pub fn read_file(
        &self,
        inode: &InodeInfo,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<usize, ErofsError> {
        if inode.file_type != FileType::Regular {
            return Err(inode.damaged("it is not a regular file"));
        }
        if inode.layout == DataLayout::Chunked {
            return match self.extent(inode)? {
                Some(extent) => self.read_extent(extent, offset, buf),
                None => Ok(0),
            };
        }
        if inode.layout == DataLayout::Compressed {
            return self.read_compressed(inode, offset, buf);
        }
        self.read_contents(inode, offset, buf)
    }

    /// Reads the data of a file by the place where it lies. Returns how many bytes of `buf` are filled:
    /// all, unless the file ends before.
    ///
    /// # Errors
    /// [`ErofsError::NoDevice`] when the device that it lies on is not there.
    pub fn read_extent(
        &self,
        extent: Extent,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<usize, ErofsError> {
        let left = usize::try_from(extent.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (buf, _) = buf.split_at_mut(left.min(buf.len()));
        if !buf.is_empty() {
            let (source, start) = self.device(extent.device)?;
            let block = u64::from(extent.block) * BLOCK_SIZE;
            source.read(start + block + offset, buf)?;
        }
        Ok(buf.len())
    }

    /// Returns where the data of a regular file lies, `None` for all other inodes and for a file
    /// whose data is not all in blocks as it is.
    pub fn extent(&self, inode: &InodeInfo) -> Result<Option<Extent>, ErofsError> {
        if inode.file_type != FileType::Regular {
            return Ok(None);
        }
        match inode.layout {
            DataLayout::Inline | DataLayout::Compressed => Ok(None),
            DataLayout::Plain => Ok(Some(Extent {
                device: 0,
                block: inode.address,
                size: inode.size,
            })),
            DataLayout::Chunked => self.chunked_extent(inode),
        }
    }

    /// Returns where the data of a file on another device lies.
    fn chunked_extent(&self, inode: &InodeInfo) -> Result<Option<Extent>, ErofsError> {
        let start = self.offset(inode.nid).ok_or(ErofsError::ImageTooLarge)?;
        let (Some(chunks), Some((first, _))) = (inode.chunks(), inode.index_range(start)) else {
            return Ok(None);
        };
        let count = usize::try_from(chunks.count).unwrap_or(usize::MAX);
        let mut indexes = vec![RawChunkIndex::new_zeroed(); count];
        self.source.read_cached(first, indexes.as_mut_bytes())?;
        let extent = chunks.extent(inode.size, &indexes);
        Ok(Some(extent.map_err(|what| inode.damaged(what))?))
    }

    /// Returns what a device is read from, and where it starts there.
    fn device(&self, number: u16) -> Result<(&Source<R>, u64), ErofsError> {
        let Some(index) = usize::from(number).checked_sub(1) else {
            return Ok((&self.source, 0));
        };
        let missing = ErofsError::NoDevice { device: number };
        if let Some(source) = self.device_sources.get(index) {
            return Ok((source, 0));
        }
        match self.devices.get(index) {
            Some(device) if device.end() * BLOCK_SIZE <= self.source.size() => {
                Ok((&self.source, u64::from(device.mapped_block) * BLOCK_SIZE))
            }
            _ => Err(missing),
        }
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

    /// Returns the names in a directory, and whether they keep the rules: rising, with `.` and
    /// `..`, the former leading to the directory itself.
    pub(super) fn directory(&self, inode: &InodeInfo) -> Result<Directory, ErofsError> {
        if inode.file_type != FileType::Directory {
            return Err(inode.damaged("it is not a directory"));
        }
        let mut dots = [None, None];
        let mut entries: Vec<DirEntry> = Vec::new();
        let mut previous: Box<[u8]> = Box::default();
        let mut block = Vec::new();
        for offset in (0..inode.size).step_by(BLOCK) {
            let length = usize::try_from(inode.size - offset).unwrap_or(BLOCK);
            block.resize(length.min(BLOCK), 0);
            self.read_contents(inode, offset, &mut block)?;
            for entry in dirent::parse(&block).map_err(|what| inode.damaged(what))? {
                if entry.name <= previous {
                    return Err(inode.damaged("its names are not in order"));
                }
                previous.clone_from(&entry.name);
                match &*entry.name {
                    b"." => dots[0] = Some(entry),
                    b".." => dots[1] = Some(entry),
                    _ => entries.push(entry),
                }
            }
        }
        let [Some(itself), Some(parent)] = dots else {
            return Err(inode.damaged("it lacks `.` or `..`"));
        };
        if itself.nid != inode.nid || itself.file_type != FileType::Directory {
            return Err(inode.damaged("its `.` leads elsewhere"));
        }
        if parent.file_type != FileType::Directory {
            return Err(inode.damaged("its `..` is not a directory"));
        }
        Ok(Directory {
            parent: parent.nid,
            entries,
        })
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

    /// Reads contents, from blocks and from behind the inode.
    fn read_contents(
        &self,
        inode: &InodeInfo,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<usize, ErofsError> {
        let left = usize::try_from(inode.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = left.min(buf.len());
        let (buf, _) = buf.split_at_mut(count);
        let (first, last) = inode.blocks();
        let in_blocks = (last - first).saturating_sub(offset);
        let split = usize::try_from(in_blocks).unwrap_or(usize::MAX).min(count);
        let (from_blocks, from_tail) = buf.split_at_mut(split);
        if !from_blocks.is_empty() {
            let at = first + offset;
            match inode.file_type {
                FileType::Regular => self.source.read(at, from_blocks)?,
                _ => self.source.read_cached(at, from_blocks)?,
            }
        }
        if !from_tail.is_empty() {
            let tail = self.offset(inode.nid).ok_or(ErofsError::ImageTooLarge)?
                + INODE_SIZE as u64
                + inode.xattr_size;
            let skip = offset.saturating_sub(last - first);
            self.source.read_cached(tail + skip, from_tail)?;
        }
        Ok(count)
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
