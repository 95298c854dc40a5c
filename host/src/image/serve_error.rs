//! What can go wrong when layers are served to another program.

use std::io;
use std::path::{Path, PathBuf};

use crate::cancel::Cancelled;
use crate::fs::FileError;
use crate::store::StoreError;

/// Layers that could not be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// An image is not there, or the store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The directory could not be read or written.
    #[error("could not {operation} `{}`", path.display())]
    Io {
        /// `create`, `write`, …
        operation: &'static str,
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// There is no containerd that could be asked what it refers to.
    #[error("`{}` is not the state of a containerd", root.display())]
    NoContainerd {
        /// Where it should be.
        root: PathBuf,
    },
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl ServeError {
    pub(super) fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            operation,
            path: path.to_owned(),
            source,
        }
    }
}

impl From<FileError> for ServeError {
    fn from(error: FileError) -> Self {
        let FileError {
            operation,
            path,
            source,
        } = error;
        Self::Io {
            operation,
            path,
            source,
        }
    }
}
