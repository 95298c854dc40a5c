//! What can be wrong with an image that is to be stored, wherever it comes from.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use msb_documents::{DocumentError, NotAnImage};

#[cfg(feature = "registry")]
use crate::archive::ArchiveError;
use crate::cancel::Cancelled;
use crate::digest::Digest;
use crate::excerpt::excerpt;
use crate::layer::LayerError;
use crate::limits::Overdrawn;
use crate::platform::Platform;
#[cfg(feature = "plugins")]
use crate::plugin::FormatError;
use crate::reference::Reference;
use crate::store::StoreError;

/// Images that could not be loaded, or an image that could not be converted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The archive as such could not be read.
    #[cfg(feature = "registry")]
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// No plugin knows it, or one that does could not read it.
    #[cfg(feature = "plugins")]
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The store could not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The archive is in order and holds no image.
    #[error("the archive holds no image")]
    NoImages,
    /// An image was to be called by a digest, which it has and is not given.
    #[error("`{tag}` cannot be given as a name: a digest says what an image is")]
    DigestAsTag {
        /// The name.
        tag: Box<Reference>,
    },
    /// What the archive says of its images would take too much memory.
    #[error(transparent)]
    Overdrawn(#[from] Overdrawn),
    /// None of the images is for the wanted platform.
    #[error("no image for platform {wanted}: the archive has {}", list(.offered))]
    Platform {
        /// What was asked for.
        wanted: Platform,
        /// What there is.
        offered: Vec<Platform>,
    },
    /// A layer could not be written.
    #[error("could not write layer `{name}` in `{}`", path.display())]
    Write {
        /// What the archive or the manifest calls it.
        name: String,
        /// The directory where it was being made.
        path: PathBuf,
        /// What is wrong with the layer.
        #[source]
        source: LayerError,
    },
    /// A manifest or configuration is longer than the limit.
    #[error("the {what} is {size} bytes long, more than the {limit} of limit `{setting}`")]
    DocumentTooLarge {
        /// `manifest` or `configuration`.
        what: &'static str,
        /// Its length.
        size: u64,
        /// The limit.
        limit: u64,
        /// The limit's name.
        setting: &'static str,
    },
    /// A manifest or configuration is not what its digest says.
    #[error("the {what} does not match its digest: {stated} is stated, {actual} is there")]
    DocumentDigest {
        /// `manifest` or `configuration`.
        what: &'static str,
        /// The digest in the archive.
        stated: Digest,
        /// The digest of the bytes.
        actual: Digest,
    },
    /// A manifest or configuration is not the JSON it should be.
    #[error("the {what} {digest} cannot be understood")]
    Document {
        /// `manifest` or `configuration`.
        what: &'static str,
        /// Its digest.
        digest: Digest,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// A manifest has no meaning that all readers agree on.
    #[error("the manifest {manifest} cannot be used: {reason}")]
    Manifest {
        /// Its digest.
        manifest: Digest,
        /// What is wrong with the document.
        reason: DocumentError,
    },
    /// A manifest is that of something else than an image.
    #[error("{manifest} is not an image that msb can keep: {reason}")]
    NotAnImage {
        /// Its digest.
        manifest: Digest,
        /// What it is.
        reason: NotAnImage,
    },
    /// Manifest, configuration and archive disagree about the number of layers.
    #[error(
        "image {config} has {diff_ids} layers by its configuration, and {layers} in its {holder}"
    )]
    LayerCount {
        /// The digest of the configuration.
        config: Digest,
        /// Entries in `rootfs.diff_ids`.
        diff_ids: usize,
        /// Layers elsewhere.
        layers: usize,
        /// `manifest` or `archive`.
        holder: &'static str,
    },
    /// The manifest belongs to another configuration.
    #[error("manifest {manifest} is for configuration {stated}, the archive has {actual}")]
    OtherConfig {
        /// The digest of the manifest.
        manifest: Digest,
        /// The configuration it names.
        stated: Digest,
        /// The configuration of the image.
        actual: Digest,
    },
    /// A manifest could not be composed for an image that came without one.
    #[cfg(feature = "registry")]
    #[error("could not compose a manifest for image {config}")]
    Compose {
        /// The digest of the configuration.
        config: Digest,
        /// The error of the parser.
        #[source]
        source: oci_spec::OciSpecError,
    },
    /// The archive does not have a layer, and the store does not have it either.
    #[error("layer {diff_id} of image {config} is neither in the archive nor in the store")]
    MissingLayer {
        /// The digest of the configuration.
        config: Digest,
        /// The layer.
        diff_id: Digest,
    },
    /// A layer could not be converted.
    #[error("could not load layer `{name}`")]
    Layer {
        /// What the archive calls it.
        name: String,
        /// What is wrong with the layer.
        #[source]
        source: LayerError,
    },
    /// A layer's bytes are not those that the manifest names.
    #[error("layer `{name}` does not match its digest: {stated} is stated, {actual} is there")]
    LayerDigest {
        /// What the archive calls it.
        name: String,
        /// The digest in the manifest or the archive's index.
        stated: Digest,
        /// The digest of the bytes.
        actual: Digest,
    },
    /// A layer's contents are not those that the configuration names.
    #[error("layer `{name}` does not match its diff_id: {stated} is stated, {actual} is there")]
    DiffId {
        /// What the archive calls it.
        name: String,
        /// The `diff_id` in the configuration.
        stated: Digest,
        /// The digest of the contents.
        actual: Digest,
    },
    /// One of several images of the archive could not be loaded.
    #[error("could not load image `{image}`")]
    Image {
        /// The first of its names, or its ID.
        image: String,
        /// Why. Images that share a layer share the reason.
        #[source]
        source: Arc<ImageError>,
    },
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl ImageError {
    /// Returns whether no image of the archive can be loaded after this: the store, the disk or the
    /// user does not let it, or what all images share is used up.
    pub(super) fn ends_all(&self) -> bool {
        match self {
            Self::Store(_) | Self::Write { .. } | Self::Overdrawn(_) | Self::Cancelled(_) => true,
            #[cfg(feature = "registry")]
            Self::Archive(error) => {
                matches!(
                    error,
                    ArchiveError::Store(_)
                        | ArchiveError::Stage { .. }
                        | ArchiveError::Cancelled(_)
                )
            }
            Self::Layer { source, .. } => source.is_output(),
            _ => false,
        }
    }

    /// Returns whether a layer had no room next to others, and may have it alone.
    pub(super) fn is_want_of_room(&self) -> bool {
        match self {
            Self::Layer { source, .. } => source.is_want_of_room(),
            _ => false,
        }
    }

    /// Returns whether there is no room on the disk, or none that the user may have.
    pub(super) fn is_full(&self) -> bool {
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = next {
            let failed = error.downcast_ref::<io::Error>().map(io::Error::kind);
            if let Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) = failed {
                return true;
            }
            next = error.source();
        }
        false
    }

    /// Returns whether this is about something that is in order and no image, such as an artifact.
    pub(super) fn is_of_another_kind(&self) -> bool {
        matches!(self, Self::NotAnImage { .. })
    }

    /// Returns whether this is about the documents of one image, and no reason to give up others
    /// beside it.
    pub(super) fn is_of_one_image(&self) -> bool {
        matches!(
            self,
            Self::DocumentTooLarge { .. }
                | Self::DocumentDigest { .. }
                | Self::Document { .. }
                | Self::Manifest { .. }
                | Self::NotAnImage { .. }
                | Self::LayerCount { .. }
                | Self::OtherConfig { .. }
        )
    }
}

/// Platforms that a person would read.
const MOST_PLATFORMS: usize = 20;

fn list(platforms: &[Platform]) -> String {
    let mut names: Vec<String> = platforms.iter().map(Platform::to_string).collect();
    names.sort();
    names.dedup();
    let more = names.len().saturating_sub(MOST_PLATFORMS);
    names.truncate(MOST_PLATFORMS);
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    excerpt(&names.join(", ")).into_owned()
}
