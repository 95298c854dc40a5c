//! One cluster of a file: the bytes that are compressed together.
//!
//! Owns compressing and decompressing them. A cluster that does not save a block stays as it is. The
//! compressed bytes end where their last block ends, with zeros in front of them
//! (`EROFS_FEATURE_INCOMPAT_ZERO_PADDING`).

use std::fmt;
use std::io;

use lz4::block::{self, CompressionMode};
use zstd::bulk;
use zstd::zstd_safe::{CParameter, DParameter};

use super::compression::{Algorithm, FileCompression};
use super::format::{BLOCK, BLOCK_SIZE};

/// Compresses clusters. Each thread needs its own.
pub struct Compressor {
    compression: FileCompression,
    /// For Zstandard, whose state is worth keeping.
    zstd: Option<bulk::Compressor<'static>>,
    /// As large as the largest cluster that is still worth it.
    buffer: Vec<u8>,
}

/// Bytes of a file that are compressed together, as they go into an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// How many bytes of the file they are.
    pub(super) size: u32,
    /// The bytes, compressed or not.
    pub(super) bytes: Vec<u8>,
    pub(super) is_compressed: bool,
}

impl Compressor {
    /// Returns one for a compression.
    ///
    /// # Errors
    /// Where there is no memory for its state.
    pub fn new(compression: FileCompression) -> io::Result<Self> {
        let zstd = match compression.algorithm() {
            Algorithm::Lz4 => None,
            Algorithm::Zstd => {
                let mut zstd = bulk::Compressor::new(compression.level())?;
                // What is needed to read a cluster is what the superblock says.
                zstd.set_parameter(CParameter::WindowLog(compression.window_bits()))?;
                zstd.set_parameter(CParameter::ContentSizeFlag(true))?;
                zstd.set_parameter(CParameter::ChecksumFlag(false))?;
                Some(zstd)
            }
        };
        Ok(Self {
            compression,
            zstd,
            buffer: Vec::new(),
        })
    }

    /// Returns how many bytes of memory compressors take at most, each for itself, with the clusters that
    /// they work on. At level 22, Zstandard's tables for a window of 1 MiB have 19 MiB.
    pub fn memory(compression: FileCompression) -> u64 {
        24 * u64::from(compression.cluster_size()) + (4 << 20)
    }

    /// Compresses bytes, unless that would save no block: then they come back as they are. The same bytes
    /// give the same cluster.
    pub fn compress(&mut self, bytes: Vec<u8>) -> Cluster {
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let room = (bytes.len().div_ceil(BLOCK)).saturating_sub(1) * BLOCK;
        if room > 0 {
            self.buffer.resize(room, 0);
            // What goes wrong is that the buffer is too small.
            if let Ok(count) = self.compress_into_buffer(&bytes)
                && let Some(compressed) = self.buffer.get(..count)
            {
                return Cluster {
                    size,
                    bytes: compressed.to_vec(),
                    is_compressed: true,
                };
            }
        }
        Cluster {
            size,
            bytes,
            is_compressed: false,
        }
    }

    fn compress_into_buffer(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(zstd) = &mut self.zstd {
            return zstd.compress_to_buffer(bytes, self.buffer.as_mut_slice());
        }
        let mode = match self.compression.level() {
            1 => CompressionMode::DEFAULT,
            level => CompressionMode::HIGHCOMPRESSION(level),
        };
        block::compress_to_buffer(bytes, Some(mode), false, &mut self.buffer)
    }
}

impl Cluster {
    /// Returns how many bytes it takes in an image.
    pub fn stored_size(&self) -> u64 {
        (self.bytes.len() as u64).next_multiple_of(BLOCK_SIZE)
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Compressor")
            .field("compression", &self.compression)
            .finish_non_exhaustive()
    }
}

/// Decompresses the blocks of a cluster, which fill `target`. No input makes it take more than that.
pub(super) fn decompress(
    algorithm: Algorithm,
    blocks: &[u8],
    target: &mut [u8],
) -> Result<(), &'static str> {
    let padding = blocks.iter().position(|byte| *byte != 0);
    let padding = padding
        .filter(|count| *count < BLOCK)
        .ok_or("a compressed cluster starts with a block of zeros")?;
    let bytes = blocks.get(padding..).unwrap_or_default();
    let size = target.len();
    let count = match algorithm {
        Algorithm::Lz4 => {
            let size = i32::try_from(size).map_err(|_| "a cluster is too large")?;
            block::decompress_to_buffer(bytes, Some(size), target)
        }
        Algorithm::Zstd => {
            let decompressor = bulk::Decompressor::new();
            decompressor.and_then(|mut decompressor| {
                let window = FileCompression::CLUSTER_SIZES.end().trailing_zeros();
                decompressor.set_parameter(DParameter::WindowLogMax(window))?;
                decompressor.decompress_to_buffer(bytes, target)
            })
        }
    };
    match count {
        Ok(count) if count == size => Ok(()),
        _ => Err("a compressed cluster cannot be decompressed to its size"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::tests::noise;

    fn every_compression() -> Vec<FileCompression> {
        let levels = [
            (Algorithm::Lz4, [1, 2, 9, 12]),
            (Algorithm::Zstd, [1, 3, 19, 22]),
        ];
        let mut all = Vec::new();
        for (algorithm, levels) in levels {
            for level in levels {
                for size in [8 << 10, 64 << 10, 1 << 20] {
                    let compression = FileCompression::new(algorithm).with_level(level).unwrap();
                    all.push(compression.with_cluster_size(size).unwrap());
                }
            }
        }
        all
    }

    #[test]
    fn what_shrinks_is_compressed_and_read_back() {
        for compression in every_compression() {
            let mut compressor = Compressor::new(compression).unwrap();
            let size = usize::try_from(compression.cluster_size()).unwrap();
            let text: Vec<u8> = b"All work and no play makes a dull text. "
                .iter()
                .copied()
                .cycle()
                .take(size)
                .collect();
            for bytes in [
                text.clone(),
                vec![0; size],
                text[..size / 2 + 1000].to_vec(),
            ] {
                let cluster = compressor.compress(bytes.clone());
                assert!(cluster.is_compressed, "{compression:?}");
                assert!(cluster.stored_size() < bytes.len() as u64);
                assert_eq!(cluster, compressor.compress(bytes.clone()));
                let mut blocks = vec![0; usize::try_from(cluster.stored_size()).unwrap()];
                let start = blocks.len() - cluster.bytes.len();
                blocks[start..].copy_from_slice(&cluster.bytes);
                let mut found = vec![1; bytes.len()];
                decompress(compression.algorithm(), &blocks, &mut found).unwrap();
                assert!(found == bytes, "{compression:?}");
                // Neither shorter nor longer than it says.
                for wrong in [bytes.len() - 1, bytes.len() + 1] {
                    let mut found = vec![1; wrong];
                    decompress(compression.algorithm(), &blocks, &mut found).unwrap_err();
                }
            }
        }
    }

    #[test]
    fn what_does_not_shrink_by_a_block_stays_as_it_is() {
        for compression in every_compression() {
            let mut compressor = Compressor::new(compression).unwrap();
            let size = usize::try_from(compression.cluster_size()).unwrap();
            for bytes in [noise(size), vec![7; 4096], vec![7], Vec::new()] {
                let cluster = compressor.compress(bytes.clone());
                assert!(!cluster.is_compressed, "{compression:?} {}", bytes.len());
                assert_eq!(cluster.bytes, bytes);
            }
        }
    }

    #[test]
    fn garbage_is_refused() {
        for algorithm in Algorithm::ALL {
            for blocks in [vec![0; 8192], noise(4096), vec![255; 4096], Vec::new()] {
                decompress(algorithm, &blocks, &mut [0; 8192]).unwrap_err();
            }
        }
        // A frame that says it would be larger by far.
        let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 3).unwrap();
        let mut block = vec![0; BLOCK.max(bomb.len())];
        let start = block.len() - bomb.len();
        block[start..].copy_from_slice(&bomb);
        decompress(Algorithm::Zstd, &block, &mut vec![0; 65_536]).unwrap_err();
    }
}
