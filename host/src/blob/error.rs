//! What can be wrong with a blob.

use std::io;

use super::Compression;
use crate::limits::Limit;

/// A blob that cannot be decompressed. What a [`Decoder`](super::Decoder) finds while it reads
/// comes inside of an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// The decoder could not be set up.
    #[error("could not start the {compression} decoder")]
    Decoder {
        /// The compression.
        compression: Compression,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The data grows beyond all reason.
    #[error(
        "the {compression} data grows to more than {max} times its size (limit `{}`)",
        Limit::InflateRatio.name()
    )]
    Ratio {
        /// The compression.
        compression: Compression,
        /// What is allowed.
        max: u64,
    },
    /// The decoder would need more memory than it may have.
    #[error(
        "the {compression} data was made with a window for which {max} bytes are not enough (limit \
         `{}`)",
        Limit::WindowBytes.name()
    )]
    Window {
        /// The compression.
        compression: Compression,
        /// What is allowed.
        max: u64,
    },
    /// After the last gzip member or bzip2 stream there is something else than zeros.
    #[error("there is something else than zeros after the {0} data")]
    Trailing(Compression),
}
