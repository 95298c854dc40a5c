//! What can go wrong when layers are served to another program.

use std::io;
use std::path::{Path, PathBuf};

use super::merge_error::MergeError;
use crate::cancel::Cancelled;
use crate::fs::FileError;
use crate::microsandbox::CacheError;
use crate::store::StoreError;

/// Layers that could not be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// An image is not there, or the store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The directory could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is no containerd that could be asked what it refers to.
    #[error("`{}` is not the state of a containerd", root.display())]
    NoContainerd {
        /// Where it should be.
        root: PathBuf,
    },
    /// Files cannot have names there: it is another filesystem than that of the store.
    #[error("`{}` is on another filesystem than the store", path.display())]
    OtherFilesystem {
        /// The name.
        path: PathBuf,
    },
    /// Another msb is working there.
    #[error("another msb has had the lock `{}` for seconds", path.display())]
    Busy {
        /// The lock.
        path: PathBuf,
    },
    /// An image could not be merged.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl ServeError {
    pub(super) fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        FileError::of(operation, path)(source).into()
    }
}

impl From<CacheError> for ServeError {
    fn from(error: CacheError) -> Self {
        match error {
            CacheError::File(error) => error.into(),
            CacheError::Cancelled(cancelled) => cancelled.into(),
        }
    }
}
