//! What can go wrong when an image is mounted or unmounted.

use std::io;
use std::path::{Path, PathBuf};

use msb_erofs::ErofsError;

use super::MergeError;
use crate::cancel::Cancelled;
use crate::digest::Digest;
use crate::fs::FileError;
use crate::mount::MountError;
use crate::store::StoreError;

/// An image that could not be mounted or unmounted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MountImageError {
    /// The image is not there, or the store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The kernel lets no other user mount filesystems of this kind.
    #[error("only root may mount and unmount images")]
    NotRoot {
        /// The image, if it was to be mounted.
        image: String,
    },
    /// The directory is not there.
    #[error("`{}` does not exist", directory.display())]
    NoDirectory {
        /// The directory.
        directory: PathBuf,
    },
    /// It is something else.
    #[error("`{}` is not a directory", directory.display())]
    NotADirectory {
        /// The path.
        directory: PathBuf,
    },
    /// Something is mounted there.
    #[error("something is mounted at `{}` already", directory.display())]
    IsMount {
        /// The directory.
        directory: PathBuf,
    },
    /// There is something in it, which the mount would hide.
    #[error("`{}` is not empty, and a mount would hide what is in it", directory.display())]
    NotEmpty {
        /// The directory.
        directory: PathBuf,
    },
    /// No image is mounted there.
    #[error("no image is mounted at `{}`", directory.display())]
    NotMounted {
        /// The directory.
        directory: PathBuf,
    },
    /// Something else is mounted there.
    #[error("what is mounted at `{}` is `{source_name}`, which msb has not mounted", directory.display())]
    NotOurs {
        /// The directory.
        directory: PathBuf,
        /// What is mounted.
        source_name: String,
    },
    /// A layer of the image is not in the store any more.
    #[error("layer {diff_id} of `{image}` is missing or damaged in the store")]
    MissingLayer {
        /// The image as it was named.
        image: String,
        /// The layer.
        diff_id: Digest,
    },
    /// A layer of the image is not what it was.
    #[error("layer {diff_id} of `{image}` cannot be mounted")]
    DamagedLayer {
        /// The image as it was named.
        image: String,
        /// The layer.
        diff_id: Digest,
        /// What is wrong with its image.
        #[source]
        source: ErofsError,
    },
    /// An image has another root hash than it must have.
    #[error("the root hash of {image} is {found}, not {expected}")]
    RootHash {
        /// The digest of its manifest.
        image: String,
        /// The root hash that was asked for.
        expected: String,
        /// The root hash that it has.
        found: String,
    },
    /// The merged image could not be made.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// The kernel refused.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// A file or directory failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl MountImageError {
    pub(super) fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        FileError::of(operation, path)(source).into()
    }
}
