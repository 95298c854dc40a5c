//! The writer of images: file data as it comes, then the tree.
//!
//! Owns the order of the parts in an image: one block for the superblock, file data, the blocks of
//! directories and long symbolic links, the inode area. So file data needs no second copy, and the
//! tree may be changed until the last byte has come.

use std::collections::HashMap;
use std::fs::File;

use tokio_util::sync::CancellationToken;
use zerocopy::IntoBytes as _;

use super::cluster::Cluster;
use super::cluster_map::{self, ClusterMap};
use super::compression::FileCompression;
use super::device::{self, Chunks, DeviceSlot};
use super::dirent::{self, Packer};
use super::equal::{EqualFiles, KeyOfFile};
use super::error::{ErofsError, check};
use super::format::{
    BLOCK, BLOCK_BITS, BLOCK_SIZE, BLOCKS_MAX, COMPAT_CHECKSUM, COMPAT_MTIME, DataLayout, FileType,
    INCOMPAT_COMPRESSION, INCOMPAT_DEVICES, SLOT_SIZE,
};
use super::layout::{InodeShape, Layout};
use super::output::Output;
use super::raw::{
    CHUNK_INDEX_SIZE, DEVICE_SLOT_SIZE, DEVICE_TABLE_OFFSET, FirstBlock, MAGIC, RawInode,
    RawSuperblock,
};
use super::tree::{Extent, InodeId, Kind, Tree};
use super::xattr;

/// Writes one image: the data of every file, then [`finish`](Self::finish).
#[derive(Debug)]
pub struct ImageWriter {
    output: Output,
    /// Where the data of the file being written starts.
    open: Option<u64>,
    /// The key of its contents.
    key: KeyOfFile,
    /// Files that equal ones are looked for among.
    equal: Option<EqualFiles>,
    /// Where file data may lie besides the image.
    devices: Vec<DeviceSlot>,
    /// How files may be compressed.
    compression: Option<FileCompression>,
    /// The clusters of the file being written.
    clusters: Clusters,
    /// The clusters of compressed files, by their first blocks.
    maps: HashMap<u32, ClusterMap>,
}

/// The clusters of the file being written.
#[derive(Debug, Default)]
struct Clusters {
    map: ClusterMap,
    /// Bytes of the file.
    size: u64,
    /// A cluster has come that can only be the last.
    has_ended: bool,
}

/// What an image carries besides its tree.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImageOptions {
    /// The UUID of the volume.
    pub uuid: [u8; 16],
    /// The time in the superblock, in seconds since the epoch.
    pub build_time: u64,
}

/// An image that has been written.
#[derive(Debug)]
pub struct Summary {
    /// Bytes of the image.
    pub size: u64,
    /// Inodes of the image.
    pub inodes: u64,
    /// The image file, not synchronised with the disk.
    pub file: File,
}

impl ImageWriter {
    /// Starts an image in a file open for reading and writing. What the file held is gone.
    pub fn new(file: File) -> Result<Self, ErofsError> {
        Self::new_at(file, BLOCK_SIZE)
    }

    /// Starts an image whose file data starts at `start`.
    fn new_at(file: File, start: u64) -> Result<Self, ErofsError> {
        Ok(Self {
            output: Output::new(file, start)?,
            open: None,
            key: KeyOfFile::default(),
            equal: None,
            devices: Vec::new(),
            compression: None,
            clusters: Clusters::default(),
            maps: HashMap::new(),
        })
    }

    /// Starts an image whose files may be compressed: see [`write_cluster`](Self::write_cluster). If none
    /// is, the image is a plain one.
    pub fn with_compression(file: File, compression: FileCompression) -> Result<Self, ErofsError> {
        Ok(Self {
            compression: Some(compression),
            ..Self::new(file)?
        })
    }

    /// Starts an image whose files may have their data on other devices: see
    /// [`Extent::device`](crate::Extent::device). A kernel since 5.16 mounts it with the devices as
    /// options, in their order, and one that knows `mapped_blkaddr` without options mounts a disk that
    /// has the image and then each device.
    pub fn with_devices(file: File, devices: Vec<DeviceSlot>) -> Result<Self, ErofsError> {
        if u16::try_from(devices.len()).is_err() {
            return Err(ErofsError::TooManyDevices {
                count: devices.len(),
            });
        }
        let start = device::table_end(devices.len()).next_multiple_of(BLOCK_SIZE);
        Ok(Self {
            devices,
            ..Self::new_at(file, start)?
        })
    }

    /// Keeps equal contents of files once from now on: [`end_file`](Self::end_file) returns the same
    /// extent for them. Files of 4 GiB or more, or with a hole of more than 64 KiB, are left out. `cancel` is asked while
    /// contents are compared.
    pub fn share_equal_files(&mut self, cancel: &CancellationToken) {
        self.equal = Some(EqualFiles::new(cancel.clone()));
    }

    /// Returns the bytes of memory that are taken to find equal files: 40 for each of the first 229,376
    /// that differ.
    pub fn sharing_memory(&self) -> u64 {
        self.equal.as_ref().map_or(0, EqualFiles::memory)
    }

    /// Looks for equal files no more, and frees the memory for that.
    pub fn stop_sharing(&mut self) {
        self.equal = None;
    }

    /// Starts the data of a regular file, at the next block. Returns where it starts in the image,
    /// in bytes: for now, if equal files [share](Self::share_equal_files) their data.
    pub fn begin_file(&mut self) -> Result<u64, ErofsError> {
        if self.open.is_some() {
            return Err(ErofsError::OutOfOrder {
                operation: "begin a file",
                reason: "the file before it has not ended",
            });
        }
        let start = self.output.position();
        self.open = Some(start);
        self.key = KeyOfFile::default();
        Ok(start)
    }

    /// Appends bytes to the file.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ErofsError> {
        self.grow("write data", bytes.len() as u64)?;
        if self.equal.is_some() {
            self.key.add(bytes);
        }
        self.output.append(bytes)
    }

    /// Appends zeros to the file. Many of them take no space on disk; the image is the same.
    pub fn hole(&mut self, length: u64) -> Result<(), ErofsError> {
        self.grow("write a hole", length)?;
        if self.equal.is_some() {
            self.key.add_hole(length);
        }
        self.output.append_zeros(length)
    }

    /// Ends the file and returns where its data lies. An empty file takes no block, and one with the
    /// contents of another may take none of its own.
    pub fn end_file(&mut self) -> Result<Extent, ErofsError> {
        let start = self.open.take().ok_or(ErofsError::OutOfOrder {
            operation: "end a file",
            reason: "no file has begun",
        })?;
        let end = self.output.position();
        if start == end {
            return Ok(Extent::default());
        }
        let extent = Extent {
            block: u32::try_from(start / BLOCK_SIZE).map_err(|_| ErofsError::ImageTooLarge)?,
            size: end - start,
            device: 0,
        };
        if let Some(block) = self.equal_file(extent)? {
            self.output.rewind(start)?;
            return Ok(Extent { block, ..extent });
        }
        self.output.pad_to(end.next_multiple_of(BLOCK_SIZE))?;
        Ok(extent)
    }

    /// Returns the first block of an earlier file with the contents of the one that was written last.
    fn equal_file(&mut self, last: Extent) -> Result<Option<u32>, ErofsError> {
        let (Some(files), Some(key)) = (&mut self.equal, self.key.finish(last.size)) else {
            return Ok(None);
        };
        let Some(block) = files.find_or_insert(key, last.block) else {
            return Ok(None);
        };
        let start = |block| u64::from(block) * BLOCK_SIZE;
        let (one, two) = (start(block), start(last.block));
        let is_equal = self.output.is_equal(one, two, last.size, &files.cancel)?;
        Ok(is_equal.then_some(block))
    }

    /// Appends the next cluster to a file, in an image [with compression](Self::with_compression). All of
    /// them but the last have the size of the compression. Such a file has nothing but clusters, and is
    /// ended by [`end_compressed`](Self::end_compressed).
    pub fn write_cluster(&mut self, cluster: &Cluster) -> Result<(), ErofsError> {
        self.grow("write a cluster", cluster.stored_size())?;
        let size = u64::from(cluster.size);
        let whole = self.compression.map_or(0, FileCompression::cluster_size);
        if size == 0 || cluster.size > whole || self.clusters.has_ended {
            return Err(ErofsError::OutOfOrder {
                operation: "write a cluster",
                reason: "it has another size than the compression says",
            });
        }
        let stored = cluster.stored_size();
        let padding = stored - cluster.bytes.len() as u64;
        if cluster.is_compressed {
            self.output.append_zeros(padding)?;
            self.output.append(&cluster.bytes)?;
        } else {
            self.output.append(&cluster.bytes)?;
            self.output.append_zeros(padding)?;
        }
        let blocks = u16::try_from(stored / BLOCK_SIZE).map_err(|_| ErofsError::ImageTooLarge)?;
        self.clusters.map.counts.push(blocks);
        self.clusters.size += size;
        self.clusters.has_ended = cluster.size < whole;
        Ok(())
    }

    /// Ends a file of clusters and returns where its data lies. `None` if the file has not become smaller,
    /// its indexes counted: then nothing of it is kept, and it is to be written plain.
    pub fn end_compressed(&mut self) -> Result<Option<Extent>, ErofsError> {
        let Clusters { map, size, .. } = std::mem::take(&mut self.clusters);
        let start = self.open.take().ok_or(ErofsError::OutOfOrder {
            operation: "end a file",
            reason: "no file has begun",
        })?;
        if size == 0 {
            return Ok(Some(Extent::default()));
        }
        let extent = Extent {
            block: u32::try_from(start / BLOCK_SIZE).map_err(|_| ErofsError::ImageTooLarge)?,
            size,
            device: 0,
        };
        let saved = device::blocks_of(size).saturating_sub(map.blocks());
        if saved == 0 {
            return Ok(Some(extent));
        }
        if saved * BLOCK_SIZE <= cluster_map::map_size(size) {
            self.output.rewind(start)?;
            return Ok(None);
        }
        self.maps.insert(extent.block, map);
        Ok(Some(extent))
    }

    /// Returns how many bytes of the image are written: where the next file will start.
    pub fn position(&self) -> u64 {
        self.output.position()
    }

    /// Drops the data of a file that no inode refers to any more: its bytes become zeros, and its
    /// space on disk is given back where the filesystem can. Files that follow share with none before.
    pub fn discard(&mut self, extent: Extent) -> Result<(), ErofsError> {
        self.stop_sharing();
        let (start, end) = self.range(extent)?;
        self.output.erase(start, end)
    }

    /// Reads the data of a file written before, from `offset` in it. Returns how many bytes of
    /// `buf` are filled: all, unless the file ends before.
    pub fn read_data(
        &self,
        extent: Extent,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<usize, ErofsError> {
        let (start, end) = self.range(extent)?;
        let left = end.saturating_sub(start.saturating_add(offset));
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        let (target, _) = buf.split_at_mut(count);
        self.output.read(start.saturating_add(offset), target)?;
        Ok(count)
    }

    /// Writes the tree and the superblock. The same calls and the same tree give the same bytes.
    ///
    /// The file is not synchronised with the disk.
    ///
    /// # Errors
    /// A tree that the format cannot hold is refused by the path of the first such inode, before
    /// any of it is written.
    pub fn finish(
        mut self,
        tree: &Tree,
        options: &ImageOptions,
        cancel: &CancellationToken,
    ) -> Result<Summary, ErofsError> {
        if self.open.is_some() {
            return Err(ErofsError::OutOfOrder {
                operation: "finish the image",
                reason: "the last file has not ended",
            });
        }
        let first_block = self.output.position() / BLOCK_SIZE;
        let maps = std::mem::take(&mut self.maps);
        let compression = self.compression.filter(|_| !maps.is_empty());
        let layout = Layout::plan(tree, first_block, &self.devices, &maps, cancel)?;
        let shared_block = first_block + layout.blocks;
        let meta_block = shared_block + layout.shared.size.div_ceil(BLOCK_SIZE);
        let blocks = meta_block + layout.size.div_ceil(BLOCK_SIZE);
        if blocks > BLOCKS_MAX {
            return Err(ErofsError::ImageTooLarge);
        }
        device::map(&mut self.devices, blocks)?;
        let narrow = |number: u64| u32::try_from(number).map_err(|_| ErofsError::ImageTooLarge);

        self.write_contents(tree, &layout, cancel)?;
        self.write_shared(&layout, cancel)?;
        self.write_inodes(tree, &layout, narrow(first_block)?, cancel)?;
        self.output.pad_to(blocks * BLOCK_SIZE)?;

        let root = layout.nid(InodeId::ROOT).0;
        let inodes = layout.order.len() as u64;
        let xattr_block = match layout.shared.size {
            0 => 0,
            _ => narrow(shared_block)?,
        };
        let root = u16::try_from(root).map_err(|_| ErofsError::ImageTooLarge)?;
        let table = match compression {
            Some(compression) => compression.encode(),
            None => device::encode(&self.devices),
        };
        let has_devices = !self.devices.is_empty();
        let superblock = RawSuperblock {
            magic: MAGIC,
            feature_compat: (COMPAT_CHECKSUM | COMPAT_MTIME).into(),
            block_bits: BLOCK_BITS,
            root_nid: root.into(),
            inodes: inodes.into(),
            build_time: options.build_time.into(),
            blocks: narrow(blocks)?.into(),
            meta_block: narrow(meta_block)?.into(),
            xattr_block: xattr_block.into(),
            uuid: options.uuid,
            feature_incompat: match compression {
                Some(_) => INCOMPAT_COMPRESSION,
                None if has_devices => INCOMPAT_DEVICES,
                None => 0,
            }
            .into(),
            algorithms: compression
                .map_or(0, |compression| compression.algorithm().bit())
                .into(),
            extra_devices: u16::try_from(self.devices.len()).unwrap_or(u16::MAX).into(),
            device_slot: device_slot(has_devices).into(),
            ..RawSuperblock::default()
        };
        let mut first = FirstBlock::with_table(superblock, &table);
        first.superblock.checksum = first.checksum().into();
        // What of the table does not fit follows.
        let rest = table.get(BLOCK - DEVICE_TABLE_OFFSET..).unwrap_or_default();
        Ok(Summary {
            size: blocks * BLOCK_SIZE,
            inodes,
            file: self.output.finish(&[first.as_bytes(), rest].concat())?,
        })
    }

    /// Checks that `length` more bytes may follow.
    fn grow(&mut self, operation: &'static str, length: u64) -> Result<(), ErofsError> {
        if self.open.is_none() {
            return Err(ErofsError::OutOfOrder {
                operation,
                reason: "no file has begun",
            });
        }
        match self.output.position().checked_add(length) {
            Some(end) if end <= BLOCKS_MAX * BLOCK_SIZE => Ok(()),
            _ => Err(ErofsError::ImageTooLarge),
        }
    }

    /// Returns the bytes of an extent in the file.
    fn range(&self, extent: Extent) -> Result<(u64, u64), ErofsError> {
        let start = u64::from(extent.block) * BLOCK_SIZE;
        match start
            .checked_add(extent.size)
            .filter(|_| extent.device == 0 && !self.maps.contains_key(&extent.block))
        {
            Some(end) if extent.size == 0 || end <= self.output.position() => Ok((start, end)),
            _ => Err(ErofsError::Extent {
                path: format!("block {}", extent.block),
            }),
        }
    }

    /// Writes what of directories and symbolic links does not follow their inodes.
    fn write_contents(
        &mut self,
        tree: &Tree,
        layout: &Layout<'_>,
        cancel: &CancellationToken,
    ) -> Result<(), ErofsError> {
        for id in &layout.order {
            check(cancel)?;
            let shape = layout.shape(tree, *id);
            if shape.blocks() == 0 {
                continue;
            }
            match &tree.get(*id).kind {
                Kind::Directory(_) => {
                    let output = &mut self.output;
                    let last = pack(tree, layout, *id, |block| {
                        check(cancel)?;
                        output.append(block)
                    })?;
                    if shape.layout == DataLayout::Plain {
                        self.output.append(&last)?;
                    }
                }
                Kind::Symlink(target) => self.output.append(target)?,
                _ => {}
            }
            let end = self.output.position().next_multiple_of(BLOCK_SIZE);
            self.output.pad_to(end)?;
        }
        Ok(())
    }

    /// Writes the attributes that many inodes have.
    fn write_shared(
        &mut self,
        layout: &Layout<'_>,
        cancel: &CancellationToken,
    ) -> Result<(), ErofsError> {
        for entry in layout.shared.entries() {
            check(cancel)?;
            self.output.append(&entry)?;
        }
        let end = self.output.position().next_multiple_of(BLOCK_SIZE);
        self.output.pad_to(end)
    }

    /// Writes the inode area. Contents outside of it start at `block` and have the same order.
    fn write_inodes(
        &mut self,
        tree: &Tree,
        layout: &Layout<'_>,
        mut block: u32,
        cancel: &CancellationToken,
    ) -> Result<(), ErofsError> {
        let area = self.output.position();
        let mut xattrs = Vec::new();
        for (ino, id) in (1..).zip(&layout.order) {
            check(cancel)?;
            let shape = layout.shape(tree, *id);
            let inode = raw_inode(tree, layout, *id, shape, ino, block)?;
            self.output.pad_to(area + layout.nid(*id).0 * SLOT_SIZE)?;
            self.output.append(inode.as_bytes())?;
            xattrs.clear();
            layout
                .shared
                .encode_body(&tree.get(*id).metadata.xattrs, &mut xattrs);
            self.output.append(&xattrs)?;
            if let Kind::File(extent) = &tree.get(*id).kind
                && shape.indexes > 0
            {
                self.write_indexes(*extent, shape, layout, cancel)?;
            }
            if shape.layout == DataLayout::Inline {
                match &tree.get(*id).kind {
                    Kind::Directory(_) => {
                        let last = pack(tree, layout, *id, |_| Ok(()))?;
                        self.output.append(&last)?;
                    }
                    Kind::Symlink(target) => self.output.append(target)?,
                    _ => {}
                }
            }
            let blocks = u32::try_from(shape.blocks()).map_err(|_| ErofsError::ImageTooLarge)?;
            block = block.checked_add(blocks).ok_or(ErofsError::ImageTooLarge)?;
        }
        Ok(())
    }

    /// Writes where the chunks or the clusters of a file are.
    fn write_indexes(
        &mut self,
        extent: Extent,
        shape: InodeShape,
        layout: &Layout<'_>,
        cancel: &CancellationToken,
    ) -> Result<(), ErofsError> {
        let start = self.output.position();
        self.output
            .pad_to(start.next_multiple_of(CHUNK_INDEX_SIZE as u64))?;
        if let Some(chunks) = shape.chunks {
            for index in chunks.indexes(extent) {
                self.output.append(index.as_bytes())?;
            }
        }
        if let (Some(compression), Some(map)) = (self.compression, layout.map(extent)) {
            self.output
                .append(cluster_map::header(compression).as_bytes())?;
            for place in map.places(extent.block, extent.size, compression) {
                check(cancel)?;
                self.output.append(place.indexes().as_bytes())?;
            }
        }
        Ok(())
    }
}

/// Returns what the superblock says of where the table of devices is.
pub(super) fn device_slot(has_devices: bool) -> u16 {
    let slot = u16::try_from(DEVICE_TABLE_OFFSET / DEVICE_SLOT_SIZE).unwrap_or_default();
    if has_devices { slot } else { 0 }
}

/// Hands every full block of a directory to `full` and returns the last one, not padded.
fn pack(
    tree: &Tree,
    layout: &Layout<'_>,
    directory: InodeId,
    mut full: impl FnMut(&[u8]) -> Result<(), ErofsError>,
) -> Result<Vec<u8>, ErofsError> {
    let mut packer = Packer::default();
    for (name, id) in dirent::listing(tree, directory, layout.parent(directory)) {
        let file_type = file_type(&tree.get(id).kind);
        if let Some(block) = packer.push(name, layout.nid(id), file_type) {
            full(block)?;
        }
    }
    Ok(packer.finish())
}

fn raw_inode(
    tree: &Tree,
    layout: &Layout<'_>,
    id: InodeId,
    shape: InodeShape,
    ino: u32,
    block: u32,
) -> Result<RawInode, ErofsError> {
    let inode = tree.get(id);
    let metadata = &inode.metadata;
    let (size, address) = match &inode.kind {
        Kind::File(extent) if extent.size > 0 => {
            let block = match layout.map(*extent) {
                Some(map) => u32::try_from(map.blocks()).map_err(|_| ErofsError::ImageTooLarge)?,
                None => shape.chunks.map_or(extent.block, Chunks::format),
            };
            (extent.size, block)
        }
        Kind::CharDevice(device) | Kind::BlockDevice(device) => (0, device.encode()),
        Kind::Directory(_) | Kind::Symlink(_) if shape.blocks() > 0 => (shape.contents, block),
        _ => (shape.contents, 0),
    };
    let xattr_count = xattr::body_count(shape.xattrs).ok_or(ErofsError::ImageTooLarge)?;
    Ok(RawInode {
        format: shape.layout.format().into(),
        xattr_count: xattr_count.into(),
        mode: (file_type(&inode.kind).mode() | metadata.permissions & 0o7777).into(),
        size: size.into(),
        address: address.into(),
        ino: ino.into(),
        uid: metadata.uid.into(),
        gid: metadata.gid.into(),
        mtime: metadata.mtime.seconds.into(),
        mtime_nanoseconds: metadata.mtime.nanoseconds.into(),
        nlink: layout.nlink(id).into(),
        ..RawInode::default()
    })
}

/// Returns the type of an inode of the model.
pub(super) fn file_type(kind: &Kind) -> FileType {
    match kind {
        Kind::Directory(_) => FileType::Directory,
        Kind::File(_) => FileType::Regular,
        Kind::Symlink(_) => FileType::Symlink,
        Kind::CharDevice(_) => FileType::CharDevice,
        Kind::BlockDevice(_) => FileType::BlockDevice,
        Kind::Fifo => FileType::Fifo,
        Kind::Socket => FileType::Socket,
    }
}
