//! Reading the contents of files, and where they lie.

use zerocopy::{FromZeros as _, IntoBytes as _};

use crate::ErofsError;
use crate::format::{BLOCK_SIZE, DataLayout, FileType};
use crate::inode::InodeInfo;
use crate::raw::{INODE_SIZE, RawChunkIndex};
use crate::source::{ReadAt, Source};
use crate::tree::Extent;

use super::Image;

impl<R: ReadAt> Image<R> {
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

    /// Reads contents, from blocks and from behind the inode.
    pub(super) fn read_contents(
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
