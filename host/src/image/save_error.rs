//! What can go wrong when images are saved.

use std::io;
use std::path::PathBuf;

use crate::archive::ArchiveError;
use crate::cancel::Cancelled;
use crate::digest::Digest;
use crate::plugin::FormatError;
use crate::store::StoreError;

/// Images that could not be saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// An image is not there, or could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No plugin writes the format, or the one that does failed.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The archive could not be written.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// No image was named.
    #[error("no image to save was named")]
    Nothing,
    /// A layer of an image is not in the store any more.
    #[error("layer {diff_id} of `{image}` is missing or damaged in the store")]
    MissingLayer {
        /// The image as it was named.
        image: String,
        /// The layer.
        diff_id: Digest,
    },
    /// A layer was adopted from microsandbox, which keeps no tar.
    #[error(
        "layer {diff_id} of `{image}` was adopted from microsandbox, and there is no tar of it"
    )]
    AdoptedLayer {
        /// The image as it was named.
        image: String,
        /// The layer.
        diff_id: Digest,
    },
    /// The output file could not be made or put in its place.
    #[error("could not write `{}`", path.display())]
    Output {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}
