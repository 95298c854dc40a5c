//! What can go wrong when one looks inside an image.

use crate::cancel::Cancelled;
use crate::digest::Digest;
use crate::excerpt::excerpt_of;
use crate::layer::LayerError;
use crate::limits::Overdrawn;
use crate::store::StoreError;

/// Files of an image that could not be looked at. Paths are those inside the image, without a slash at
/// their beginning.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// The image is not there, or the store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A layer of the image is not in the store any more.
    #[error("layer {diff_id} of `{image}` is missing or damaged in the store")]
    MissingLayer {
        /// The image as it was named.
        image: String,
        /// The layer.
        diff_id: Digest,
    },
    /// The layers could not be read.
    #[error("could not read the files of `{image}`")]
    Read {
        /// The image as it was named.
        image: String,
        /// What is wrong with them.
        #[source]
        source: LayerError,
    },
    /// The image has nothing at a path.
    #[error("`{}` is not in `{image}`", shown(path))]
    NotFound {
        /// The image as it was named.
        image: String,
        /// The path.
        path: Vec<u8>,
        /// Paths in the same directory that are nearly this one, the nearest first.
        near: Vec<Vec<u8>>,
    },
    /// Something on the way to a path is not a directory.
    #[error("`{}` in `{image}` is not a directory", shown(path))]
    NotADirectory {
        /// The image as it was named.
        image: String,
        /// What is not a directory.
        path: Vec<u8>,
    },
    /// A file was wanted, and this is a directory.
    #[error("`{}` in `{image}` is a directory", shown(path))]
    IsADirectory {
        /// The image as it was named.
        image: String,
        /// The directory.
        path: Vec<u8>,
    },
    /// A file was wanted, and this is something else that has no contents.
    #[error("`{}` in `{image}` is a {kind}, which has no contents", shown(path))]
    NotAFile {
        /// The image as it was named.
        image: String,
        /// What is not a file.
        path: Vec<u8>,
        /// What it is instead.
        kind: &'static str,
    },
    /// Symbolic links lead in circles, or there are too many.
    #[error("more than 40 symbolic links lead to `{}` in `{image}`", shown(path))]
    TooManyLinks {
        /// The image as it was named.
        image: String,
        /// The last of them.
        path: Vec<u8>,
    },
    /// What is kept of the image would take too much memory.
    #[error(transparent)]
    Overdrawn(#[from] Overdrawn),
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

fn shown(path: &[u8]) -> String {
    format!("/{}", excerpt_of(path))
}
