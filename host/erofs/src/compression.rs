//! How the contents of files are compressed.
//!
//! Owns the algorithms, their levels, the sizes of clusters, and what the superblock says of them
//! (`struct z_erofs_lz4_cfgs`, `struct z_erofs_zstd_cfgs` in `fs/erofs/erofs_fs.h` of the Linux source).
//! Where compressed data lies is not known here.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use zerocopy::{FromBytes as _, IntoBytes as _};

use super::format::{BLOCK_BITS, BLOCK_SIZE};
use super::raw::{RawLz4Config, RawZstdConfig};

/// The largest distance that a match of LZ4 looks back, in bytes.
const LZ4_DISTANCE: u16 = u16::MAX;
/// What the superblock counts the window of Zstandard from, as a power of two.
const ZSTD_WINDOW_BITS: u32 = 10;

/// An algorithm that files are compressed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// LZ4. Kernels since 5.13 read what is written here, if they have `CONFIG_EROFS_FS_ZIP`.
    Lz4,
    /// Zstandard. Kernels since 6.10 read it, if they have `CONFIG_EROFS_FS_ZIP_ZSTD`.
    Zstd,
}

/// How the files of an image are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileCompression {
    algorithm: Algorithm,
    level: i32,
    cluster_size: u32,
}

/// A wish for a compression that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompressionError {
    /// The name of an algorithm that is not known.
    #[error("`{0}` is not an algorithm that msb compresses with: expected lz4 or zstd")]
    Algorithm(String),
    /// A level that the algorithm does not have.
    #[error(
        "{algorithm} has no level `{level}`: expected a number from {} to {}",
        algorithm.levels().start(),
        algorithm.levels().end()
    )]
    Level {
        /// The algorithm.
        algorithm: Algorithm,
        /// The level, as it was written.
        level: String,
    },
    /// A size of clusters that kernels or msb do not take.
    #[error(
        "clusters of {bytes} bytes cannot be written: expected a power of two from {} to {}",
        FileCompression::CLUSTER_SIZES.start(),
        FileCompression::CLUSTER_SIZES.end()
    )]
    ClusterSize {
        /// The size that was wanted.
        bytes: u64,
    },
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 2] = [Self::Lz4, Self::Zstd];

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// Returns its levels, the fastest one first. Level 1 of LZ4 is its fast compressor, the others are
    /// those of LZ4 HC.
    pub fn levels(self) -> RangeInclusive<i32> {
        match self {
            Self::Lz4 => 1..=12,
            Self::Zstd => 1..=22,
        }
    }

    /// Returns the level that is used unless another one is wanted.
    pub fn default_level(self) -> i32 {
        match self {
            Self::Lz4 => 1,
            Self::Zstd => 3,
        }
    }

    /// Returns the first version of Linux that reads it.
    pub fn first_kernel(self) -> &'static str {
        match self {
            Self::Lz4 => "5.13",
            Self::Zstd => "6.10",
        }
    }

    /// Returns its number: `Z_EROFS_COMPRESSION_*`.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Lz4 => 0,
            Self::Zstd => 3,
        }
    }

    /// Returns what the superblock lists it by.
    pub(super) fn bit(self) -> u16 {
        1 << self.number()
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FileCompression {
    /// The sizes that a cluster may have, in bytes: with one block there is nothing to be saved, and
    /// Linux takes 1 MiB at most (`Z_EROFS_PCLUSTER_MAX_SIZE`).
    pub const CLUSTER_SIZES: RangeInclusive<u32> = 8 << 10..=1 << 20;
    /// The size of a cluster unless another one is wanted.
    pub const CLUSTER_SIZE: u32 = 64 << 10;

    /// Returns a compression with the default level and the default size of clusters.
    pub fn new(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            level: algorithm.default_level(),
            cluster_size: Self::CLUSTER_SIZE,
        }
    }

    /// Sets the level.
    pub fn with_level(self, level: i32) -> Result<Self, CompressionError> {
        if !self.algorithm.levels().contains(&level) {
            return Err(CompressionError::Level {
                algorithm: self.algorithm,
                level: level.to_string(),
            });
        }
        Ok(Self { level, ..self })
    }

    /// Sets how many bytes of a file are compressed together: a power of two in
    /// [`CLUSTER_SIZES`](Self::CLUSTER_SIZES). Larger clusters are smaller once compressed, and cost
    /// more to read a few bytes of.
    pub fn with_cluster_size(self, bytes: u64) -> Result<Self, CompressionError> {
        let cluster_size = u32::try_from(bytes)
            .ok()
            .filter(|size| size.is_power_of_two() && Self::CLUSTER_SIZES.contains(size))
            .ok_or(CompressionError::ClusterSize { bytes })?;
        Ok(Self {
            cluster_size,
            ..self
        })
    }

    /// Returns the algorithm.
    pub fn algorithm(self) -> Algorithm {
        self.algorithm
    }

    /// Returns the level.
    pub fn level(self) -> i32 {
        self.level
    }

    /// Returns how many bytes of a file are compressed together.
    pub fn cluster_size(self) -> u32 {
        self.cluster_size
    }

    /// Returns how many blocks a cluster has before it is compressed.
    pub(super) fn blocks(self) -> u32 {
        self.cluster_size >> BLOCK_BITS
    }

    /// Returns the size of a cluster as a power of two.
    pub(super) fn window_bits(self) -> u32 {
        self.cluster_size.trailing_zeros()
    }

    /// Returns what follows the superblock.
    pub(super) fn encode(self) -> Vec<u8> {
        match self.algorithm {
            Algorithm::Lz4 => RawLz4Config {
                size: RawLz4Config::SIZE.into(),
                distance: LZ4_DISTANCE.into(),
                blocks: u16::try_from(self.blocks()).unwrap_or(u16::MAX).into(),
                reserved: [0; _],
            }
            .as_bytes()
            .to_vec(),
            Algorithm::Zstd => RawZstdConfig {
                size: RawZstdConfig::SIZE.into(),
                format: 0,
                window_bits: u8::try_from(self.window_bits() - ZSTD_WINDOW_BITS).unwrap_or(u8::MAX),
                reserved: [0; _],
            }
            .as_bytes()
            .to_vec(),
        }
    }

    /// Returns the compression that a superblock lists, with what follows it; its level is not known any
    /// more. `None` for one that msb does not write.
    pub(super) fn decode(bits: u16, config: &[u8]) -> Option<Self> {
        let algorithm = Algorithm::ALL
            .into_iter()
            .find(|algorithm| algorithm.bit() == bits)?;
        let size = match algorithm {
            Algorithm::Lz4 => {
                let (raw, _) = RawLz4Config::ref_from_prefix(config).ok()?;
                u64::from(raw.blocks.get()) * BLOCK_SIZE
            }
            Algorithm::Zstd => {
                let (raw, _) = RawZstdConfig::ref_from_prefix(config).ok()?;
                1_u64.checked_shl(u32::from(raw.window_bits) + ZSTD_WINDOW_BITS)?
            }
        };
        let found = Self::new(algorithm).with_cluster_size(size).ok()?;
        config.starts_with(&found.encode()).then_some(found)
    }
}

impl FromStr for FileCompression {
    type Err = CompressionError;

    /// Reads `ALGORITHM` or `ALGORITHM:LEVEL`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        let found = Algorithm::ALL.into_iter().find(|one| one.name() == name);
        let algorithm = found.ok_or_else(|| CompressionError::Algorithm(name.to_owned()))?;
        let compression = Self::new(algorithm);
        let Some(level) = level else {
            return Ok(compression);
        };
        let wrong = || CompressionError::Level {
            algorithm,
            level: level.to_owned(),
        };
        compression.with_level(level.parse().map_err(|_| wrong())?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn algorithms_and_levels_are_read() {
        let parsed = |text: &str| text.parse::<FileCompression>();
        assert_eq!(parsed("lz4").unwrap().level(), 1);
        assert_eq!(parsed("zstd").unwrap().level(), 3);
        assert_eq!(parsed("zstd:22").unwrap().level(), 22);
        for (text, words) in [
            ("lzma", "expected lz4 or zstd"),
            (
                "lz4:13",
                "lz4 has no level `13`: expected a number from 1 to 12",
            ),
            (
                "zstd:",
                "zstd has no level ``: expected a number from 1 to 22",
            ),
            ("zstd:0", "zstd has no level `0`"),
            ("", "expected lz4 or zstd"),
        ] {
            let error = parsed(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn clusters_are_powers_of_two_that_kernels_take() {
        let zstd = FileCompression::new(Algorithm::Zstd);
        for size in [8 << 10, 64 << 10, 1 << 20] {
            let found = zstd.with_cluster_size(size).unwrap();
            assert_eq!(u64::from(found.cluster_size()), size);
        }
        for size in [0, 4096, 12 << 10, 2 << 20, 1 << 40] {
            let error = zstd.with_cluster_size(size).unwrap_err().to_string();
            assert!(
                error.contains("a power of two from 8192 to 1048576"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_the_superblock_says_is_read_back() {
        for algorithm in Algorithm::ALL {
            for size in [8 << 10, 64 << 10, 1 << 20] {
                let written = FileCompression::new(algorithm)
                    .with_cluster_size(size)
                    .unwrap();
                let found = FileCompression::decode(algorithm.bit(), &written.encode());
                assert_eq!(found, Some(written));
            }
        }
        assert_eq!(FileCompression::decode(3, &[0; 100]), None);
        assert_eq!(FileCompression::decode(1, &[0; 100]), None);
        assert_eq!(FileCompression::decode(8, &[255; 100]), None);
        assert_eq!(FileCompression::decode(8, &[6]), None);
    }
}
