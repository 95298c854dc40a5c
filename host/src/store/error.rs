//! What can go wrong in the store.

use std::io;
use std::path::PathBuf;

use super::fault;
use crate::address;
use crate::cancel::Cancelled;
use crate::digest::Digest;
use crate::fs::FileError;
use crate::reference::Reference;

/// An operation of the store that did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file or directory failed.
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
    /// The catalogue failed.
    #[error("could not {operation} the catalogue `{}`", path.display())]
    Catalogue {
        /// `open`, `read`, `write`.
        operation: &'static str,
        /// The database file.
        path: PathBuf,
        /// The error of the database.
        #[source]
        source: rusqlite::Error,
    },
    /// A newer msb has written the store.
    #[error("the store `{}` has format {found}, this msb knows up to {known}", path.display())]
    Format {
        /// The database file.
        path: PathBuf,
        /// The format of the store.
        found: u32,
        /// The newest format that this msb knows.
        known: u32,
    },
    /// A development version of msb wrote the store.
    #[error("the store `{}` has format {found}, which msb does not read any more", path.display())]
    OldFormat {
        /// The database file.
        path: PathBuf,
        /// The format of the store.
        found: u32,
    },
    /// No image has this name.
    #[error("image not found: {}", address::shown_as_name(.0))]
    NotFound(String),
    /// Several images have an ID like this.
    #[error("`{selector}` is ambiguous: it could be {}", candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        selector: String,
        /// The short manifest digest of each, with a reference where there is one.
        candidates: Vec<String>,
    },
    /// An image is used by sandboxes.
    #[error("image `{image}` is in use by sandbox {}", sandboxes.join(", "))]
    InUse {
        /// The image as it was named.
        image: String,
        /// The names of the sandboxes.
        sandboxes: Vec<String>,
    },
    /// An image was named by its ID, and several references lead to it.
    #[error("image `{image}` has several references: {}", references.join(", "))]
    SeveralReferences {
        /// The image as it was named.
        image: String,
        /// The references.
        references: Vec<String>,
    },
    /// An image was to be recorded whose layer is not published.
    #[error("layer {diff_id} of image {image} is not in the store")]
    MissingLayer {
        /// The digest of the manifest.
        image: Digest,
        /// The layer.
        diff_id: Digest,
    },
    /// A reference with a digest was to name an image that does not have it.
    #[error("{reference} cannot name image {image}, which has another digest")]
    OtherDigest {
        /// The reference.
        reference: Box<Reference>,
        /// The digest of the manifest.
        image: Digest,
    },
    /// An image was to be called by a digest, which it has and is not given.
    #[error("`{name}` cannot be given as a name: a digest says what an image is")]
    DigestAsName {
        /// The name.
        name: Box<Reference>,
    },
    /// A stored manifest, configuration or index is not what its digest says.
    #[error("`{}` is damaged: its digest is {actual}", path.display())]
    DamagedBlob {
        /// The path of the file.
        path: PathBuf,
        /// The digest of what is there.
        actual: Digest,
    },
    /// The catalogue is not a database any more, or holds what it should not.
    #[error("the catalogue `{}` is damaged: {what}", path.display())]
    DamagedCatalogue {
        /// The database file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The catalogue has lost images that the store has. Nobody knows how many there are where
    /// `images` is 0.
    #[error("the catalogue `{}` has lost {}", path.display(), counted(*images))]
    LostImages {
        /// The database file.
        path: PathBuf,
        /// Images that are known to be missing in it.
        images: usize,
    },
    /// What the catalogue has of one image makes no sense.
    #[error("the catalogue is damaged at image `{image}`: {what}")]
    DamagedImage {
        /// The image as it was named, or as the catalogue calls it.
        image: String,
        /// What is wrong.
        what: String,
    },
    /// The store may take so much of the disk, and what cannot go takes more.
    #[error(
        "the image needs {needed} bytes, and {held} bytes of the store are in use, which is more than the \
         budget of {budget} bytes (`store.max_bytes`)"
    )]
    OverBudget {
        /// The budget, in bytes of disk.
        budget: u64,
        /// What is to be added.
        needed: u64,
        /// What is in use and stays.
        held: u64,
    },
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl From<FileError> for StoreError {
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

impl StoreError {
    /// Returns whether there is no room on the disk, or none that the user may have.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if fault::is_full(source))
    }

    /// Returns whether the catalogue is damaged or lost, which rebuilding it heals.
    pub fn is_of_catalogue(&self) -> bool {
        matches!(
            self,
            Self::DamagedCatalogue { .. } | Self::LostImages { .. } | Self::DamagedImage { .. }
        )
    }
}

fn counted(images: usize) -> String {
    match images {
        0 => "all images".to_owned(),
        1 => "1 image".to_owned(),
        images => format!("{images} images"),
    }
}
