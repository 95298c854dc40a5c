//! What can go wrong with a layer.

use std::io;

use crate::blob::BlobError;
use crate::cancel::Cancelled;
use crate::digest::Digest;
use crate::erofs::ErofsError;
use crate::tar::TarError;

/// A layer that could not be converted or rebuilt. The caller knows which one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// The bytes could not be had, or not be decompressed.
    #[error("could not read the layer")]
    Read(#[source] io::Error),
    /// It ends in the middle of a file.
    #[error("the layer ends in the middle of a file")]
    Truncated,
    /// The compression is not supported.
    #[error("could not decompress the layer")]
    Blob(#[from] BlobError),
    /// The tar stream is broken.
    #[error("the layer is not a valid tar archive")]
    Tar(#[from] TarError),
    /// An entry cannot be part of a filesystem.
    #[error("entry `{path}`: {reason}")]
    Entry {
        /// Its path as written.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A hard link leads nowhere.
    #[error("entry `{path}` is a hard link to `{target}`, which the layer does not have")]
    HardlinkTarget {
        /// The path of the link.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// The image could not be written.
    #[error(transparent)]
    Erofs(#[from] ErofsError),
    /// The recipe could not be written or read.
    #[error("could not {operation} the tar recipe")]
    Recipe {
        /// `read` or `write`.
        operation: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The recipe is not one, or not one for this image.
    #[error("the tar recipe is damaged: {0}")]
    DamagedRecipe(&'static str),
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
    /// The bytes are more or fewer than stated.
    #[error("it is {actual} bytes long, not {expected}")]
    BlobSize {
        /// What was stated.
        expected: u64,
        /// What is there.
        actual: u64,
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
    #[error("it has more than {limit} {what} (limit `{setting}`)")]
    Limit {
        /// `bytes`, `entries`.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// Its name.
        setting: &'static str,
    },
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

    pub(super) fn entry(path: &[u8], reason: &'static str) -> Self {
        Self::Entry {
            path: String::from_utf8_lossy(path).into_owned(),
            reason,
        }
    }
}
