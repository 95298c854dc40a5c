//! What can go wrong with an archive as such, whatever its format.

use std::io;
use std::path::PathBuf;

use super::Foreign;
use crate::address;
use crate::blob::BlobError;
use crate::cancel::Cancelled;
use crate::digest::Digest;
use crate::layer::LayerError;
use crate::limits::Overdrawn;
use crate::tar::TarError;

/// An archive that could not be read or written. `name` is how the user called it: a path, or
/// `standard input`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The input could not be opened.
    #[error("could not open `{}`", address::shown_in_text(&path.display().to_string()))]
    Open {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The input could not be read.
    #[error("could not read `{name}`")]
    Read {
        /// Which input, or which entry of it.
        name: String,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The output could not be written.
    #[error("could not write `{name}`")]
    Write {
        /// Which output.
        name: String,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// There was not a single byte.
    #[error("`{name}` is empty")]
    Empty {
        /// The name of the input, as messages give it.
        name: String,
    },
    /// The first bytes are those of no archive.
    #[error("`{name}` is not a tar archive{}", foreign.map_or_else(String::new, |it| format!(": it is {it}")))]
    NotAnArchive {
        /// The name of the input, as messages give it.
        name: String,
        /// What the bytes are, if that can be told.
        foreign: Option<Foreign>,
    },
    /// The compression around the archive is damaged, or grows beyond a limit.
    #[error("could not decompress `{name}`")]
    Decompress {
        /// The name of the input, as messages give it.
        name: String,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The archive is compressed in a way that cannot be undone.
    #[error("could not decompress `{name}`")]
    Compression {
        /// The name of the input, as messages give it.
        name: String,
        /// What is wrong with the blob.
        #[source]
        source: BlobError,
    },
    /// The tar around the image is broken.
    #[error("`{name}` is not a complete tar archive")]
    Tar {
        /// The name of the input, as messages give it.
        name: String,
        /// Where and why.
        #[source]
        source: TarError,
    },
    /// There are more entries than the limit.
    #[error("the archive has more than {limit} entries (limit `archive_entries`)")]
    TooManyEntries {
        /// The limit.
        limit: u64,
    },
    /// What is kept of the archive would take too much memory.
    #[error(transparent)]
    Overdrawn(#[from] Overdrawn),
    /// There is no entry of this number.
    #[error("the archive has no entry {number}")]
    NoSuchEntry {
        /// The number.
        number: u32,
    },
    /// An entry has no bytes to read.
    #[error("entry `{path}` has no bytes that can be read: {reason}")]
    NotReadable {
        /// The path of the entry in the archive.
        path: String,
        /// The reason, for a sentence.
        reason: &'static str,
    },
    /// The bytes of an entry have gone by: a pipe is read once.
    #[error("entry `{path}` has passed in the pipe: {reason}")]
    Consumed {
        /// The path of the entry in the archive.
        path: String,
        /// Why it was not kept.
        reason: &'static str,
    },
    /// A layer that a plugin makes could not be begun.
    #[error("could not begin layer `{layer}`")]
    Made {
        /// Its name.
        layer: String,
        /// The underlying error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A layer cannot consist of what a plugin says.
    #[error("this is not a layer: {problem}")]
    Definition {
        /// What is wrong.
        problem: String,
    },
    /// A plugin has the host read more than an operation may.
    #[error("more than {limit} bytes were to be read for the plugin (limit `image_bytes`)")]
    TooMuchRead {
        /// The limit.
        limit: u64,
    },
    /// A path cannot be written to an archive.
    #[error("cannot write an entry `{path}`: {reason}")]
    OutputPath {
        /// The path that cannot be written.
        path: String,
        /// The reason, for a sentence.
        reason: &'static str,
    },
    /// There is no layer of this number among those to be saved.
    #[error("there is no layer {number} to save")]
    NoSuchLayer {
        /// The number.
        number: u32,
    },
    /// A stored layer did not give back its tar.
    #[error("could not rebuild layer {diff_id}")]
    Layer {
        /// The `diff_id` of the layer.
        diff_id: Digest,
        /// What is wrong with the layer.
        #[source]
        source: LayerError,
    },
    /// What stored layers show together could not be read.
    #[error("could not read the filesystem of the image")]
    Merge {
        /// What is wrong with the layers.
        #[source]
        source: LayerError,
    },
    /// A stored layer gave back other bytes than it was made from.
    #[error("stored layer {diff_id} is damaged: it rebuilds as {rebuilt}")]
    Damaged {
        /// The `diff_id` of the layer.
        diff_id: Digest,
        /// The digest of what came out.
        rebuilt: Digest,
    },
    /// A layer could not be converted on its way through a pipe, for a reason that is not in the
    /// archive.
    #[error("could not convert `{path}`")]
    Convert {
        /// The path of the entry in the archive.
        path: String,
        /// What is wrong with the layer.
        #[source]
        source: LayerError,
    },
    /// An entry of a pipe was taken for a layer at once, and could not be written.
    #[error("could not write `{path}` in `{}`", directory.display())]
    Stage {
        /// The path of the entry in the archive.
        path: String,
        /// The directory where the layer was being made.
        directory: PathBuf,
        /// What is wrong with the layer.
        #[source]
        source: LayerError,
    },
    /// The store could not take what was read.
    #[error(transparent)]
    Store(Box<crate::store::StoreError>),
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl ArchiveError {
    /// Adds what the first bytes say, where they are those of no archive.
    pub(super) fn explained(self, foreign: Option<Foreign>) -> Self {
        match self {
            Self::NotAnArchive { name, .. } => Self::NotAnArchive { name, foreign },
            other => other,
        }
    }
}

impl From<crate::store::StoreError> for ArchiveError {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Store(Box::new(error))
    }
}
