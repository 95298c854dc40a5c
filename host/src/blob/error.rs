//! What can be wrong with a blob.

use std::io;

use super::Compression;
use crate::limits::Limit;

/// A blob that cannot be decompressed. What a [`Decoder`](super::Decoder) finds while it reads
/// comes inside of an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// The compression is known and not supported.
    #[error("{0} compression is not supported")]
    Unsupported(Compression),
    /// The decoder could not be set up.
    #[error("could not start the {compression} decoder")]
    Decoder {
        /// The compression.
        compression: Compression,
        /// Why.
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
    /// Behind the last gzip member there is something else than zeros.
    #[error("there is something else than zeros behind the gzip data")]
    Trailing,
}
