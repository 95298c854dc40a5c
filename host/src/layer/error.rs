//! What can go wrong with a layer.

use std::io;

use msb_erofs::ErofsError;

use crate::blob::BlobError;
use crate::cancel::Cancelled;
use crate::digest::Digest;
use crate::excerpt::excerpt_of;
use crate::limits::{Limit, Overdrawn};
use crate::tar::TarError;

/// A layer that could not be converted or rebuilt. The caller knows which one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// The bytes could not be had.
    #[error("could not read the layer")]
    Read(#[source] io::Error),
    /// The bytes could not be decompressed: they are damaged, or beyond a limit.
    #[error("could not decompress the layer")]
    Decompress(#[source] io::Error),
    /// The compression is not supported.
    #[error("could not decompress the layer")]
    Blob(#[from] BlobError),
    /// It ends in the middle of a file.
    #[error("the layer ends in the middle of `{path}`")]
    Truncated {
        /// The path of the file as written.
        path: String,
    },
    /// The tar stream is broken.
    #[error("the layer is not a valid tar archive")]
    Tar(#[source] TarError),
    /// An entry cannot be part of a filesystem.
    #[error("entry `{path}`: {reason}")]
    Entry {
        /// Its path.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A hard link leads nowhere.
    #[error(
        "entry `{path}` is a hard link to `{target}`, which neither the layer has nor those below"
    )]
    HardlinkTarget {
        /// The path of the link.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// What compresses the contents of files could not be had.
    #[error("could not compress the contents of files")]
    Compress(#[source] io::Error),
    /// The image could not be written.
    #[error(transparent)]
    Erofs(ErofsError),
    /// The recipe could not be written or read.
    #[error("could not {operation} the tar recipe")]
    Recipe {
        /// `read` or `write`.
        operation: &'static str,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The recipe is not one, or not one for this image.
    #[error("the tar recipe is damaged: {0}")]
    DamagedRecipe(&'static str),
    /// The image could not be read to rebuild the tar.
    #[error("could not read the image at byte {offset}")]
    Image {
        /// Where.
        offset: u64,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The rebuilt bytes could not be written.
    #[error("could not write the rebuilt layer")]
    Output(#[source] io::Error),
    /// The bytes are not those of the stated digest.
    #[error("the digest is {actual}, not {expected}")]
    BlobDigest {
        /// What was stated.
        expected: Digest,
        /// What is there.
        actual: Digest,
    },
    /// The bytes are fewer than stated.
    #[error("it is {actual} bytes long, not {expected}")]
    BlobSize {
        /// What was stated.
        expected: u64,
        /// What is there.
        actual: u64,
    },
    /// The bytes are more than stated. How many was not looked at.
    #[error("it is longer than {expected} bytes")]
    BlobTooLong {
        /// What was stated.
        expected: u64,
    },
    /// The contents are not those of the stated `diff_id`.
    #[error("the diff_id is {actual}, not {expected}")]
    DiffId {
        /// What was stated.
        expected: Digest,
        /// What is there.
        actual: Digest,
    },
    /// The layer is beyond a limit.
    #[error("it has more than {max} {what} (limit `{}`)", limit.name())]
    Limit {
        /// `bytes`, `entries`.
        what: &'static str,
        /// What is allowed.
        max: u64,
        /// Which cap that is.
        limit: Limit,
    },
    /// There are more layers than a filesystem image can refer to.
    #[error("an image with {count} layers cannot be merged: EROFS refers to 65535 at most")]
    TooManyLayers {
        /// How many there are.
        count: usize,
    },
    /// The layers take more together than the operation may.
    #[error(transparent)]
    Overdrawn(#[from] Overdrawn),
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl LayerError {
    /// Returns whether the place where the layer should go has failed, and not the layer.
    pub fn is_output(&self) -> bool {
        matches!(
            self,
            Self::Erofs(ErofsError::Io { .. }) | Self::Recipe { .. } | Self::Output(_)
        )
    }

    /// Returns whether the bytes of the layer make no sense. They may be other bytes than were
    /// asked for; then that is the better explanation.
    pub(crate) fn may_be_damage(&self) -> bool {
        matches!(
            self,
            Self::Decompress(_)
                | Self::Truncated { .. }
                | Self::Tar(_)
                | Self::Entry { .. }
                | Self::HardlinkTarget { .. }
                | Self::DiffId { .. }
        )
    }

    /// Returns whether what all layers of an operation share was used up, perhaps by others.
    pub(crate) fn is_want_of_room(&self) -> bool {
        match self {
            Self::Overdrawn(_) => true,
            Self::Decompress(error) => {
                let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
                matches!(inner, Some(BlobError::Ratio { .. }))
            }
            _ => false,
        }
    }

    pub(super) fn entry(path: &[u8], reason: &'static str) -> Self {
        Self::Entry {
            path: lossy(path),
            reason,
        }
    }
}

impl From<ErofsError> for LayerError {
    fn from(error: ErofsError) -> Self {
        match error {
            ErofsError::Cancelled => Self::Cancelled(Cancelled),
            error => Self::Erofs(error),
        }
    }
}

impl From<TarError> for LayerError {
    fn from(error: TarError) -> Self {
        match error {
            TarError::Overdrawn(overdrawn) => Self::Overdrawn(overdrawn),
            error => Self::Tar(error),
        }
    }
}

/// Returns bytes of a path as text, for errors and notices.
pub(super) fn lossy(path: &[u8]) -> String {
    excerpt_of(path)
}
