//! What can go wrong with an EROFS image.

use std::io;

/// An image that could not be written or read. The caller knows the path of the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErofsError {
    /// The file failed.
    #[error("could not {operation} the EROFS image")]
    Io {
        /// `read`, `write`, …
        operation: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The tree holds something that EROFS cannot.
    #[error("`{path}` does not fit into EROFS: {reason}")]
    Unfit {
        /// The path inside of the image.
        path: String,
        /// Which limit it breaks.
        reason: &'static str,
    },
    /// The image would have more than 2^32 blocks of 4 KiB.
    #[error("the image would be larger than 16 TiB")]
    TooLarge,
    /// The bytes are no EROFS image of the kind that msb writes.
    #[error("not a valid EROFS image: {reason} at byte {offset}")]
    Invalid {
        /// What is wrong.
        reason: &'static str,
        /// Where.
        offset: u64,
    },
}
