//! What can be wrong with a tar stream.

use std::io;

use crate::limits::{Limit, Overdrawn};

/// A tar stream that cannot be read. `offset` counts bytes from the start of the stream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TarError {
    /// The bytes could not be had.
    #[error("could not read at byte {offset}")]
    Read {
        /// Where.
        offset: u64,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The stream ends in the middle of an entry.
    #[error("it ends at byte {offset}, inside of {inside}")]
    Truncated {
        /// Where.
        offset: u64,
        /// `a header`, `the contents of an entry`, ….
        inside: &'static str,
    },
    /// Extension headers stand at the end of the archive, with no entry to belong to.
    #[error("it ends at byte {offset} with an extension header that belongs to no entry")]
    Dangling {
        /// Where.
        offset: u64,
    },
    /// A header's checksum is wrong: these are other bytes than a tar archive has there.
    #[error("there is no tar header at byte {offset}")]
    Checksum {
        /// Where.
        offset: u64,
    },
    /// A field of a header cannot be understood.
    #[error(
        "the header at byte {offset} has a field `{field}` that cannot be understood: {reason}"
    )]
    Field {
        /// Where the header is.
        offset: u64,
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Something is longer than the limit.
    #[error(
        "the {what} at byte {offset} is {size} bytes long, more than {max} (limit `{}`)",
        limit.name()
    )]
    TooLarge {
        /// Where its header is.
        offset: u64,
        /// `extension header`, `path`, `link target`, `sum of all global extension headers`.
        what: &'static str,
        /// Its length.
        size: u64,
        /// What is allowed.
        max: u64,
        /// Which cap that is.
        limit: Limit,
    },
    /// What the stream says would take too much memory.
    #[error(transparent)]
    Overdrawn(#[from] Overdrawn),
}

impl TarError {
    /// Returns whether the stream ends where it should go on.
    pub fn is_truncated(&self) -> bool {
        match self {
            Self::Truncated { .. } | Self::Dangling { .. } => true,
            Self::Read { source, .. } => source.kind() == io::ErrorKind::UnexpectedEof,
            _ => false,
        }
    }

    /// Returns whether the very first header was none, so that this never was a tar stream.
    pub fn is_not_a_tar(&self) -> bool {
        matches!(
            self,
            Self::Checksum { offset: 0 } | Self::Truncated { offset: ..512, .. }
        )
    }
}
