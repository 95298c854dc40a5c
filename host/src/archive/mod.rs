//! Archives from the outside: opening an input, knowing its entries, writing an output.
//!
//! Owns the bytes of an archive on the way in and out. Formats are the business of plugins, which
//! see an archive through [`ArchiveSource`] and [`ArchiveOutput`]; images are the business of
//! [`crate::image`].

mod contents;
mod defined;
mod definition;
mod directory;
mod entry_paths;
mod error;
mod foreign;
mod handed;
mod index;
mod inner;
mod input;
mod member;
mod merged;
mod metadata;
mod opaque;
mod output;
mod output_layer;
mod polled;
mod seekable;
mod spooled;
mod streamed;

pub use contents::Contents;
pub use defined::{DefinedLayers, Measured};
pub use definition::{EntryChange, LayerDefinition};
pub use error::ArchiveError;
pub use foreign::Foreign;
pub(crate) use handed::Handed;
pub use index::{ArchiveEntry, ArchiveEntryKind, Index, normal_path};
pub use inner::in_innermost_folder;
pub use input::Input;
pub use metadata::{EntryMetadata, EntryXattrs, ExactNames, NodeKind};
pub(crate) use opaque::not_an_archive;
pub use output::TarOutput;
pub use output_layer::{OutputLayer, StoredFiles};
pub use streamed::{StreamedLayer, StreamedLayers};

use std::io::Read;
use std::sync::Arc;

use crate::digest::Digest;
use crate::tar::SparseMap;

/// An archive that was opened for reading.
pub trait ArchiveSource: Send + Sync + std::fmt::Debug {
    /// Returns what entries there are.
    fn index(&self) -> &Index;

    /// Returns whether [`read`](Self::read) and [`open`](Self::open) have the bytes of an entry.
    fn readable(&self, number: u32) -> bool;

    /// Returns the digest of an entry's contents, where it is known already.
    fn digest(&self, number: u32) -> Option<&Digest>;

    /// Returns up to `length` bytes of an entry from `offset` on, fewer only at its end.
    fn read(&self, number: u32, offset: u64, length: u32) -> Result<Vec<u8>, ArchiveError>;

    /// Returns all bytes of an entry as a stream.
    fn open(&self, number: u32) -> Result<Box<dyn Read + Send>, ArchiveError>;

    /// Returns what the archive says of an entry besides path and contents, where it says it.
    fn metadata(&self, _number: u32) -> Option<EntryMetadata> {
        None
    }

    /// Returns the bytes of an entry as they are stored: of a sparse file, those that are data.
    fn open_stored(&self, number: u32) -> Result<StoredContents, ArchiveError> {
        Ok(StoredContents {
            bytes: self.open(number)?,
            length: self.index().get(number).map_or(0, |entry| entry.size),
            sparse: None,
        })
    }

    /// Returns whether it is an input that is not a tar archive: then all of it is the one entry.
    fn is_opaque(&self) -> bool {
        false
    }

    /// Returns what an entry is called in messages. Untrusted text.
    fn name(&self, number: u32) -> String {
        self.index()
            .get(number)
            .map_or_else(|| format!("entry {number}"), |entry| entry.path.to_string())
    }
}

/// The contents of an entry as they are stored.
pub struct StoredContents {
    /// The bytes.
    pub bytes: Box<dyn Read + Send>,
    /// Their number.
    pub length: u64,
    /// Where they belong in a sparse file.
    pub sparse: Option<Arc<SparseMap>>,
}

impl std::fmt::Debug for StoredContents {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("StoredContents")
            .field("length", &self.length)
            .field("sparse", &self.sparse)
            .finish_non_exhaustive()
    }
}

/// An archive that is being written. Entries come out in the order of the calls.
pub trait ArchiveOutput: Send {
    /// Adds a directory.
    fn put_directory(&mut self, path: &str) -> Result<(), ArchiveError>;

    /// Adds a file.
    fn put_file(&mut self, path: &str, contents: &[u8]) -> Result<(), ArchiveError>;

    /// Adds a symbolic link.
    fn put_symlink(&mut self, path: &str, target: &str) -> Result<(), ArchiveError>;

    /// Adds a file that holds a layer of the store as an uncompressed tar.
    fn put_layer(&mut self, path: &str, layer: u32) -> Result<(), ArchiveError>;

    /// Adds everything that layers of the store show together, the bottom one first, below `prefix`.
    fn put_merged(&mut self, prefix: &str, layers: &[u32]) -> Result<(), ArchiveError>;

    /// Ends the archive and returns its length in bytes.
    fn finish(self: Box<Self>) -> Result<u64, ArchiveError>;
}
