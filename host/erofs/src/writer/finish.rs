//! The end of an image: the tree after the data of files, then the superblock.

use tokio_util::sync::CancellationToken;
use zerocopy::IntoBytes as _;

use crate::cluster_map;
use crate::device::{self, Chunks};
use crate::dirent::{self, Packer};
use crate::error::{ErofsError, check};
use crate::format::{
    BLOCK, BLOCK_BITS, BLOCK_SIZE, BLOCKS_MAX, COMPAT_CHECKSUM, COMPAT_MTIME, DataLayout,
    INCOMPAT_COMPRESSION, INCOMPAT_DEVICES, SLOT_SIZE,
};
use crate::layout::{InodeShape, Layout};
use crate::raw::{
    CHUNK_INDEX_SIZE, DEVICE_SLOT_SIZE, DEVICE_TABLE_OFFSET, FirstBlock, MAGIC, RawInode,
    RawSuperblock,
};
use crate::tree::{Extent, InodeId, Kind, Tree};
use crate::xattr;

use super::{ImageOptions, ImageWriter, Summary};

impl ImageWriter {
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
pub(crate) fn device_slot(has_devices: bool) -> u16 {
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
        let file_type = tree.get(id).kind.file_type();
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
        mode: (inode.kind.file_type().mode() | metadata.permissions & 0o7777).into(),
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
