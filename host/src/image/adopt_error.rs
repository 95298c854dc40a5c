//! What can go wrong when images of microsandbox are adopted.

use std::path::PathBuf;

use super::ImageError;
use crate::cancel::Cancelled;
use crate::digest::Digest;
use crate::fs::FileError;
use crate::layer::LayerError;
use crate::microsandbox::CacheError;
use crate::store::StoreError;

/// Images that could not be adopted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// microsandbox has no such image.
    #[error("microsandbox has no image {image} in `{}`", home.display())]
    NotFound {
        /// What was asked for.
        image: String,
        /// The home of microsandbox.
        home: PathBuf,
        /// It has images with names.
        has_names: bool,
    },
    /// What is there is not a record.
    #[error("`{}` is not a record of microsandbox", path.display())]
    NotARecord {
        /// The file.
        path: PathBuf,
    },
    /// A digest in a record is not one.
    #[error("the record has `{}` for the digest of the {what}", text.escape_default())]
    Digest {
        /// Manifest or configuration.
        what: &'static str,
        /// What stands there.
        text: String,
    },
    /// Manifest or configuration are not what the record says, or not those of an image.
    #[error(transparent)]
    Document(Box<ImageError>),
    /// The file of a layer cannot be used.
    #[error("layer {diff_id} in `{}` cannot be used: {what}", path.display())]
    Layer {
        /// The layer.
        diff_id: Digest,
        /// The file.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// The file of a layer could not be read.
    #[error("layer {diff_id} in `{}` could not be read", path.display())]
    Unreadable {
        /// The layer.
        diff_id: Digest,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: LayerError,
    },
    /// Files cannot have names in the store: they are on another filesystem.
    #[error("`{}` is on another filesystem than the store", path.display())]
    OtherFilesystem {
        /// The file.
        path: PathBuf,
    },
    /// microsandbox removes or replaces the image at this moment.
    #[error("another program has had `{}` for seconds", path.display())]
    Busy {
        /// The record.
        path: PathBuf,
    },
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The store refused or failed.
    #[error(transparent)]
    Store(StoreError),
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl From<CacheError> for AdoptError {
    fn from(error: CacheError) -> Self {
        match error {
            CacheError::File(error) => error.into(),
            CacheError::Cancelled(cancelled) => cancelled.into(),
        }
    }
}

impl From<StoreError> for AdoptError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Io { path, source, .. }
                if source.raw_os_error() == Some(rustix::io::Errno::XDEV.raw_os_error()) =>
            {
                Self::OtherFilesystem { path }
            }
            error => Self::Store(error),
        }
    }
}
