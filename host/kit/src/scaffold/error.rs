//! Why there is no new plugin.

use std::io;
use std::path::PathBuf;

/// Why a project was not made. Nothing of it was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScaffoldError {
    /// The name is none that a plugin can have.
    #[error("`{0}` is not a name for a plugin")]
    Name(String),
    /// A compiler or a library has the name already.
    #[error(
        "`{name}` cannot be the name of a plugin in {language}, where it is the name of {taken_by}"
    )]
    Taken {
        /// The name.
        name: String,
        /// The language.
        language: &'static str,
        /// What has the name.
        taken_by: &'static str,
    },
    /// A plugin that ships with msb has the name.
    #[error("`{0}` is the name of a plugin that ships with msb")]
    OfMsb(String),
    /// The directory is not empty, or is not a directory.
    #[error("`{}` exists and is not an empty folder", .0.display())]
    Occupied(PathBuf),
    /// The disk says no.
    #[error("could not {operation} `{}`", path.display())]
    Io {
        /// What was tried: `write`.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
}
