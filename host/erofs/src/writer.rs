//! The writer of images: file data as it comes, then the tree.
//!
//! Owns the order of the parts in an image: one block for the superblock, file data, the blocks of
//! directories and long symbolic links, the inode area. So file data needs no second copy, and the
//! tree may be changed until the last byte has come.

mod clusters;
mod finish;

use std::collections::HashMap;
use std::fs::File;

use tokio_util::sync::CancellationToken;

use super::cluster_map::ClusterMap;
use super::compression::FileCompression;
use super::device::{self, DeviceSlot};
use super::equal::{EqualFiles, KeyOfFile};
use super::error::ErofsError;
use super::format::{BLOCK_SIZE, BLOCKS_MAX};
use super::output::Output;
use super::tree::Extent;

use clusters::Clusters;
pub(super) use finish::device_slot;

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
    /// extent for them. Left out are files of 4 GiB or more, or with a hole of more than 64 KiB, and contents
    /// beyond the first 229,376 different ones, so that at most 5 MiB of memory are taken for it. `cancel` is
    /// asked while contents are compared.
    pub fn share_equal_files(&mut self, cancel: &CancellationToken) {
        self.equal = Some(EqualFiles::new(cancel.clone()));
    }

    /// Stops looking for equal files, and frees the memory that it took.
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
}
