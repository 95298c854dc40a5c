//! What can go wrong when images are pulled, loaded or saved.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use msb_documents::{DocumentError, NotAnImage};

use crate::archive::ArchiveError;
use crate::cancel::Cancelled;
use crate::digest::Digest;
use crate::excerpt::excerpt;
use crate::hosts::HostsError;
use crate::layer::LayerError;
use crate::limits::Overdrawn;
use crate::platform::Platform;
use crate::plugin::FormatError;
use crate::reference::Reference;
use crate::registry::RegistryError;
use crate::store::StoreError;

/// An archive that could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The archive as such could not be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// No plugin knows it, or one that does could not read it.
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
        source: Arc<LoadError>,
    },
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl LoadError {
    /// Returns whether no image of the archive can be loaded after this: the store, the disk or the
    /// user does not let it, or what all images share is used up.
    pub(super) fn ends_all(&self) -> bool {
        match self {
            Self::Store(_) | Self::Write { .. } | Self::Overdrawn(_) | Self::Cancelled(_) => true,
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

    /// Returns whether a layer had no room beside others, and may have it alone.
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

/// An image that could not be pulled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// The registry did not give it.
    #[error("could not pull {reference}")]
    Registry {
        /// The image.
        reference: Reference,
        /// The error of the registry.
        #[source]
        source: Box<RegistryError>,
    },
    /// What the registry gave is not in order, or could not be converted.
    #[error("could not pull {reference}")]
    Image {
        /// The image.
        reference: Reference,
        /// The error of one of the images.
        #[source]
        source: Box<LoadError>,
    },
    /// The configuration of registries cannot be used.
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// The store could not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl PullError {
    /// Returns the error of a registry.
    pub(super) fn at(reference: &Reference, error: RegistryError) -> Self {
        match error {
            RegistryError::Cancelled(cancelled) => cancelled.into(),
            source => Self::Registry {
                reference: reference.clone(),
                source: Box::new(source),
            },
        }
    }

    /// Returns the error of an image that comes from `host`. What a reader of bytes has failed of
    /// is the registry's matter.
    pub(super) fn of(reference: &Reference, host: &str, error: LoadError) -> Self {
        match error {
            LoadError::Cancelled(cancelled) => cancelled.into(),
            LoadError::Store(error) => error.into(),
            LoadError::NotAnImage { manifest, reason } => {
                let error = RegistryError::NoImage {
                    host: host.to_owned(),
                    what: format!("manifest {manifest}"),
                    reason: reason.to_string(),
                };
                Self::at(reference, error)
            }
            LoadError::Layer {
                name,
                source: LayerError::Read(error),
            } => match error.downcast::<RegistryError>() {
                Ok(error) => Self::at(reference, error),
                Err(error) => Self::Image {
                    reference: reference.clone(),
                    source: Box::new(LoadError::Layer {
                        name,
                        source: LayerError::Read(error),
                    }),
                },
            },
            LoadError::LayerDigest {
                name,
                stated,
                actual,
            } => {
                let error = RegistryError::Digest {
                    host: host.to_owned(),
                    what: format!("layer {name}"),
                    stated,
                    actual,
                };
                Self::at(reference, error)
            }
            source => Self::Image {
                reference: reference.clone(),
                source: Box::new(source),
            },
        }
    }
}

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
