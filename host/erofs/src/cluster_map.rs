//! Where the clusters of a compressed file lie.
//!
//! Owns what follows the inode of such a file: a header (`struct z_erofs_map_header`) and an index for each
//! block of the contents (`struct z_erofs_lcluster_index`), as `mkfs.erofs` writes them with
//! `legacy-compress`. Source: `fs/erofs/zmap.c` and `fs/erofs/erofs_fs.h` of the Linux source.
//!
//! All clusters of a file but the last are equally long, and what they have become follows one another.

use zerocopy::IntoBytes as _;

use super::compression::FileCompression;
use super::format::BLOCK_SIZE;
use super::raw::{CHUNK_INDEX_SIZE, RawClusterIndex, RawMapHeader};

/// `Z_EROFS_ADVISE_BIG_PCLUSTER_1`: a cluster may have more blocks than one.
const BIG_CLUSTERS: u16 = 0x2;
/// `Z_EROFS_LCLUSTER_TYPE_PLAIN`: a block that is not compressed.
const PLAIN: u16 = 0;
/// `Z_EROFS_LCLUSTER_TYPE_HEAD1`: here a compressed cluster begins.
const HEAD: u16 = 1;
/// `Z_EROFS_LCLUSTER_TYPE_NONHEAD`: it goes on.
const REST: u16 = 2;
/// `Z_EROFS_LI_D0_CBLKCNT`: what follows is how many blocks the cluster has become.
const BLOCK_COUNT: u16 = 1 << 11;

/// Where the clusters of one file lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ClusterMap {
    /// How many blocks each cluster has become: as many as before, if it is not compressed.
    pub(super) counts: Vec<u16>,
}

/// One cluster of a file, where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClusterPlace {
    /// Its first block.
    pub(super) block: u32,
    /// How many blocks it has become.
    pub(super) count: u16,
    /// Bytes of the file.
    pub(super) size: u32,
}

impl ClusterPlace {
    /// Returns whether it is compressed.
    pub(super) fn is_compressed(self) -> bool {
        u64::from(self.count) < blocks(self.size)
    }

    /// Returns the indexes of its blocks.
    pub(super) fn indexes(self) -> Vec<RawClusterIndex> {
        let all = blocks(self.size);
        let narrow = |number: u64| u16::try_from(number).unwrap_or(u16::MAX);
        if !self.is_compressed() {
            let block = |number| RawClusterIndex {
                advise: PLAIN.into(),
                start: 0.into(),
                low: narrow((u64::from(self.block) + number) & 0xffff).into(),
                high: narrow((u64::from(self.block) + number) >> 16).into(),
            };
            return (0..all).map(block).collect();
        }
        // The last block of a file says where the file ends, unless it is full.
        let tail = u64::from(self.size) % BLOCK_SIZE;
        let full = u64::from(self.size) / BLOCK_SIZE;
        let mut indexes = vec![RawClusterIndex {
            advise: HEAD.into(),
            start: 0.into(),
            low: narrow(u64::from(self.block) & 0xffff).into(),
            high: narrow(u64::from(self.block) >> 16).into(),
        }];
        indexes.extend((1..full).map(|number| RawClusterIndex {
            advise: REST.into(),
            start: 0.into(),
            low: match number {
                1 => (BLOCK_COUNT | self.count).into(),
                _ => narrow(number).into(),
            },
            high: narrow(full - number).into(),
        }));
        if tail > 0 {
            indexes.push(RawClusterIndex {
                advise: PLAIN.into(),
                start: narrow(tail).into(),
                ..RawClusterIndex::default()
            });
        }
        indexes
    }

    /// Returns the cluster of so many bytes that indexes are about, or the rule that they break.
    pub(super) fn of(size: u32, indexes: &[RawClusterIndex]) -> Result<Self, &'static str> {
        let first = indexes.first().ok_or("it has no indexes")?;
        let all = u16::try_from(blocks(size)).map_err(|_| "it has a cluster that is too large")?;
        let count = match (first.advise.get(), indexes.get(1)) {
            (PLAIN, _) => all,
            (_, Some(second)) if second.advise.get() == REST => second.low.get() & !BLOCK_COUNT,
            _ => 1,
        };
        let place = Self {
            block: u32::from(first.low.get()) | u32::from(first.high.get()) << 16,
            count,
            size,
        };
        let is_right = count > 0 && count <= all && place.indexes() == indexes;
        is_right
            .then_some(place)
            .ok_or("the indexes of a cluster are not as msb writes them")
    }
}

impl ClusterMap {
    /// Returns how many blocks the whole file has become.
    pub(super) fn blocks(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    /// Returns the clusters of a file that starts at a block, in their order.
    pub(super) fn places(
        &self,
        start: u32,
        size: u64,
        compression: FileCompression,
    ) -> impl Iterator<Item = ClusterPlace> {
        let mut block = start;
        let counts = self.counts.iter().zip(0..);
        counts.map(move |(count, number)| {
            let place = ClusterPlace {
                block,
                count: *count,
                size: cluster_size(size, number, compression),
            };
            // The layout has checked that all blocks have numbers of 32 bits.
            block = block.saturating_add((*count).into());
            place
        })
    }
}

/// Returns the header in front of the indexes.
pub(super) fn header(compression: FileCompression) -> RawMapHeader {
    RawMapHeader {
        advise: BIG_CLUSTERS.into(),
        algorithm: compression.algorithm().number(),
        ..RawMapHeader::default()
    }
}

/// Returns the bytes of the header and the indexes of a file of so many bytes.
pub(super) fn map_size(size: u64) -> u64 {
    let header = header_size();
    header.saturating_add(size.div_ceil(BLOCK_SIZE) * CHUNK_INDEX_SIZE as u64)
}

/// Returns the bytes of the header.
pub(super) fn header_size() -> u64 {
    RawMapHeader::default().as_bytes().len() as u64
}

/// Returns how many bytes of a file the cluster with that number has.
pub(super) fn cluster_size(size: u64, number: u64, compression: FileCompression) -> u32 {
    let whole = compression.cluster_size();
    let start = number.saturating_mul(whole.into());
    u32::try_from(size.saturating_sub(start)).map_or(whole, |left| left.min(whole))
}

fn blocks(size: u32) -> u64 {
    u64::from(size).div_ceil(BLOCK_SIZE)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn indexes_say_where_a_cluster_is() {
        for size in [
            1,
            4095,
            4096,
            4097,
            5000,
            8191,
            8192,
            8193,
            65535,
            65536,
            1 << 20,
        ] {
            let all = u16::try_from(blocks(size)).unwrap();
            for count in [1, 2, all - 1, all] {
                if count == 0 || count > all {
                    continue;
                }
                let place = ClusterPlace {
                    block: 0x12_3456,
                    count,
                    size,
                };
                let indexes = place.indexes();
                assert_eq!(indexes.len(), usize::from(all), "{size} {count}");
                assert_eq!(ClusterPlace::of(size, &indexes), Ok(place));
            }
        }
    }

    #[test]
    fn indexes_of_other_shapes_are_refused() {
        let place = ClusterPlace {
            block: 7,
            count: 3,
            size: 20_000,
        };
        let indexes = place.indexes();
        let bytes = indexes.as_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            let changed: Vec<RawClusterIndex> = changed
                .chunks_exact(8)
                .map(|index| zerocopy::FromBytes::read_from_bytes(index).unwrap())
                .collect();
            // Another place or another count is a cluster too.
            if let Ok(found) = ClusterPlace::of(place.size, &changed) {
                assert_ne!(found, place);
                assert_eq!(found.indexes(), changed);
            }
        }
        ClusterPlace::of(0, &[]).unwrap_err();
        ClusterPlace::of(5000, &indexes[..1]).unwrap_err();
    }
}
