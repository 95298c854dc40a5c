//! What was done to which path, and failed.

use std::io;
use std::path::{Path, PathBuf};

/// Something with a file or directory that failed.
#[derive(Debug, thiserror::Error)]
#[error("could not {operation} `{}`", path.display())]
pub struct FileError {
    /// `read`, `inspect`, …
    pub operation: &'static str,
    /// The path of the file or directory.
    pub path: PathBuf,
    /// The error of the operating system.
    pub source: io::Error,
}

impl FileError {
    /// Gives an error of the operating system its operation and path.
    pub(crate) fn of(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self {
            operation,
            path: path.clone(),
            source,
        }
    }

    /// Returns whether nothing has the name.
    pub(crate) fn is_missing(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

/// For callers whose own error names the path.
impl From<FileError> for io::Error {
    fn from(error: FileError) -> Self {
        error.source
    }
}

/// For what need not be there.
pub(crate) trait IfThere<T> {
    /// Returns `None` if nothing has the name.
    fn if_there(self) -> Result<Option<T>, FileError>;
}

impl<T> IfThere<T> for Result<T, FileError> {
    fn if_there(self) -> Result<Option<T>, FileError> {
        match self {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::*;

    #[test]
    fn an_error_says_what_was_done_to_which_path() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("missing");
        let expected = format!("could not read `{}`", path.display());
        let error = read(&path).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(error.is_missing() && io::Error::from(error).kind() == io::ErrorKind::NotFound);
        assert_eq!(read(&path).if_there().unwrap(), None);
        assert!(entries(&path).if_there().unwrap().is_none());
        assert_eq!(length(&path), None);
        // A path that leads to something else is not a missing file.
        assert!(read(directory.path()).if_there().is_err());
    }
}
