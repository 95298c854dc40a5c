//! Why an image could not be merged, or a disk not be made of it.

use std::io;
use std::path::{Path, PathBuf};

use msb_erofs::ErofsError;

use super::disk::DiskType;
use crate::cancel::Cancelled;
use crate::digest::Digest;
use crate::layer::LayerError;
use crate::store::StoreError;

/// An image that could not be merged, or made a disk of.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// The store could not give what it needs.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A layer of the image is missing or damaged.
    #[error("layer {diff_id} of {image} is missing or damaged")]
    MissingLayer {
        /// What the image was called.
        image: String,
        /// The layer.
        diff_id: Digest,
    },
    /// The layers could not be merged.
    #[error("could not merge the layers of image {image}")]
    Layers {
        /// The digest of its manifest.
        image: Digest,
        /// Why.
        #[source]
        source: LayerError,
    },
    /// The merged filesystem could not be written to the store.
    #[error("could not write the merged filesystem `{}`", path.display())]
    Merged {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: LayerError,
    },
    /// The disk could not be written.
    #[error("could not write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of the store could not be read.
    #[error("could not read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no room for a temporary file.
    #[error("could not write a temporary file")]
    Scratch {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Two files could not be compared.
    #[error("could not compare the merged filesystem")]
    Compare {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A descriptor of a virtual disk has no way to name a file.
    #[error("a VMDK cannot name the file `{}`: {reason}", path.display())]
    Name {
        /// The file.
        path: PathBuf,
        /// What is in the way.
        reason: &'static str,
    },
    /// A disk has to be written to a file.
    #[error("a {disk_type} disk needs a file to be written to")]
    NoFile {
        /// Its form.
        disk_type: DiskType,
    },
    /// A disk is written in any order, and read again.
    #[error("a disk of this type can only be written to a file, and `{}` is not one", path.display())]
    NotAFile {
        /// What it is to be written to.
        path: PathBuf,
    },
    /// Verity data can be appended only to a disk with all contents.
    #[error("`--verity` needs a disk that has all data: `--type raw` or `--type erofs`")]
    VerityOfReferences,
    /// Attributes can be left out only of an image that is written now.
    #[error("`--without-xattrs` needs a filesystem of its own: `--type erofs`")]
    XattrsOfReferences,
    /// Files can be compressed only in an image that is written for itself.
    #[error("`--compress` needs a filesystem of its own: `--type erofs`")]
    CompressionOfReferences,
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl MergeError {
    /// Returns that the layers of an image could not be read or merged.
    pub(super) fn of_layers(image: &Digest, source: LayerError) -> Self {
        match source {
            LayerError::Cancelled(cancelled) => cancelled.into(),
            source => Self::Layers {
                image: image.clone(),
                source,
            },
        }
    }

    /// Returns that the merged filesystem could not be written to the store.
    pub(super) fn of_merged(path: &Path, source: LayerError) -> Self {
        match source {
            LayerError::Cancelled(cancelled) => cancelled.into(),
            source => Self::Merged {
                path: path.to_owned(),
                source,
            },
        }
    }

    /// Returns that a disk with all contents could not be written to a file.
    pub(super) fn of_disk(image: &Digest, path: &Path, source: LayerError) -> Self {
        match source {
            LayerError::Erofs(ErofsError::Io {
                operation: "read",
                offset,
                source,
            }) => Self::of_layers(image, LayerError::Image { offset, source }),
            LayerError::Erofs(ErofsError::Io { source, .. }) => Self::Write {
                path: path.to_owned(),
                source,
            },
            source => Self::of_layers(image, source),
        }
    }
}
