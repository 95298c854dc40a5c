//! The other devices that an image keeps file data on, and how a file points there.
//!
//! Owns the table of devices (`struct erofs_deviceslot`) and the chunks of a file (`struct
//! erofs_inode_chunk_index`). Source: `fs/erofs/erofs_fs.h` and `fs/erofs/data.c` of the Linux source.
//!
//! Every file has one chunk, of the least power of two that holds it, or two where it is too large for
//! that: its blocks follow one another.

use zerocopy::IntoBytes as _;

use super::ErofsError;
use super::format::{BLOCK_BITS, BLOCK_SIZE, BLOCKS_MAX};
use super::raw::{
    CHUNK_INDEX_SIZE, DEVICE_SLOT_SIZE, DEVICE_TABLE_OFFSET, RawChunkIndex, RawDeviceSlot,
};
use super::tree::Extent;

/// Bytes of the tag of a device.
pub(super) const TAG_SIZE: usize = 64;
/// `EROFS_CHUNK_FORMAT_INDEXES`: each chunk has an index of 8 bytes.
const CHUNK_INDEXES: u32 = 0x20;
/// `EROFS_CHUNK_FORMAT_BLKBITS_MASK`: the size of a chunk as a power of two, less that of a block.
const CHUNK_BITS_MAX: u32 = 0x1f;

/// A device besides the image itself: file data lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceSlot {
    /// What identifies it to people and programs, padded with zeros.
    pub tag: [u8; TAG_SIZE],
    /// Its blocks.
    pub blocks: u32,
    /// Where it starts, in blocks, on a disk that has the image and then each device in order. The
    /// writer sets it. A kernel reads the data there if it is given no devices.
    pub mapped_block: u32,
}

impl DeviceSlot {
    /// Returns a device of so many blocks. Of a longer tag, its start is kept.
    pub fn new(tag: &[u8], blocks: u32) -> Self {
        let mut padded = [0; TAG_SIZE];
        for (to, from) in padded.iter_mut().zip(tag) {
            *to = *from;
        }
        Self {
            tag: padded,
            blocks,
            mapped_block: 0,
        }
    }

    /// Returns the block after the device on the one disk of all.
    pub fn end(&self) -> u64 {
        u64::from(self.mapped_block) + u64::from(self.blocks)
    }
}

impl From<&RawDeviceSlot> for DeviceSlot {
    fn from(raw: &RawDeviceSlot) -> Self {
        Self {
            tag: raw.tag,
            blocks: raw.blocks.get(),
            mapped_block: raw.mapped_block.get(),
        }
    }
}

/// Returns the bytes of an image up to the end of a table of so many devices.
pub(super) fn table_end(devices: usize) -> u64 {
    (DEVICE_TABLE_OFFSET + devices * DEVICE_SLOT_SIZE) as u64
}

/// Sets where each device starts, for an image of so many blocks.
pub(super) fn map(devices: &mut [DeviceSlot], blocks: u64) -> Result<(), ErofsError> {
    let mut end = blocks;
    for device in devices {
        device.mapped_block = u32::try_from(end).map_err(|_| ErofsError::ImageTooLarge)?;
        end = device.end();
    }
    if end > BLOCKS_MAX {
        return Err(ErofsError::ImageTooLarge);
    }
    Ok(())
}

/// Returns the bytes of the table of devices.
pub(super) fn encode(devices: &[DeviceSlot]) -> Vec<u8> {
    let slots = devices.iter().map(|device| RawDeviceSlot {
        tag: device.tag,
        blocks: device.blocks.into(),
        mapped_block: device.mapped_block.into(),
        ..RawDeviceSlot::default()
    });
    slots.flat_map(|slot| slot.as_bytes().to_vec()).collect()
}

/// How a file of some size is cut into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunks {
    /// The size of a chunk as a power of two, less that of a block.
    bits: u32,
    /// How many there are.
    pub(super) count: u64,
}

impl Chunks {
    /// Returns the chunks of a file of so many bytes, at least one.
    pub(super) fn of(size: u64) -> Self {
        let last = size.saturating_sub(1) >> BLOCK_BITS;
        let bits = (u64::BITS - last.leading_zeros()).min(CHUNK_BITS_MAX);
        Self {
            bits,
            count: (last >> bits) + 1,
        }
    }

    /// Returns what an inode has in the place of its first block: `struct erofs_inode_chunk_info`.
    pub(super) fn format(self) -> u32 {
        CHUNK_INDEXES | self.bits
    }

    /// Returns the bytes of the indexes.
    pub(super) fn size(self) -> u64 {
        self.count.saturating_mul(CHUNK_INDEX_SIZE as u64)
    }

    /// Returns the indexes of a file.
    pub(super) fn indexes(self, extent: Extent) -> impl Iterator<Item = RawChunkIndex> {
        (0..self.count).map(move |number| RawChunkIndex {
            block_high: 0.into(),
            device: extent.device.into(),
            // The layout has checked that all blocks have numbers of 32 bits.
            block: u32::try_from(u64::from(extent.block) + (number << self.bits))
                .unwrap_or(u32::MAX)
                .into(),
        })
    }

    /// Returns where a file of so many bytes lies, or the rule that its indexes break.
    pub(super) fn extent(
        self,
        size: u64,
        indexes: &[RawChunkIndex],
    ) -> Result<Extent, &'static str> {
        let first = indexes.first().ok_or("it has no chunks")?;
        let extent = Extent {
            device: first.device.get(),
            block: first.block.get(),
            size,
        };
        if !self.indexes(extent).eq(indexes.iter().copied()) {
            return Err("its chunks do not follow one another");
        }
        Ok(extent)
    }
}

/// Returns the blocks of some bytes.
pub(super) fn blocks_of(size: u64) -> u64 {
    size.div_ceil(BLOCK_SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_chunk_of_the_least_power_of_two_that_holds_it() {
        for (size, bits, count) in [
            (1, 0, 1),
            (4096, 0, 1),
            (4097, 1, 1),
            (8192, 1, 1),
            (8193, 2, 1),
            (1 << 30, 18, 1),
            ((1 << 30) + 1, 19, 1),
            (1 << 43, 31, 1),
            ((1 << 43) + 1, 31, 2),
            (1 << 44, 31, 2),
        ] {
            assert_eq!(Chunks::of(size), Chunks { bits, count }, "{size}");
        }
    }
}
