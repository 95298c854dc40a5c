//! What can go wrong when an image is pulled.

use super::ImageError;
use crate::cancel::Cancelled;
use crate::hosts::HostsError;
use crate::layer::LayerError;
use crate::reference::Reference;
use crate::registry::{RegistryError, RegistryErrorKind, RegistryOperation};
use crate::store::StoreError;

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
        source: Box<ImageError>,
    },
    /// It is not in the store, and the registry was not to be asked.
    #[error("{reference} is not in the store, and the registry was not asked")]
    NotInStore {
        /// The image.
        reference: Reference,
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
        match error.kind {
            RegistryErrorKind::Cancelled(cancelled) => cancelled.into(),
            _ => Self::Registry {
                reference: reference.clone(),
                source: Box::new(error),
            },
        }
    }

    /// Returns the error of an image that comes from `host`. What a reader of bytes has failed of
    /// is the registry's matter.
    pub(super) fn of(reference: &Reference, host: &str, error: ImageError) -> Self {
        match error {
            ImageError::Cancelled(cancelled) => cancelled.into(),
            ImageError::Store(error) => error.into(),
            ImageError::NotAnImage { manifest, reason } => {
                let what = RegistryOperation::FetchManifest(manifest.to_string());
                let reason = reason.to_string();
                let kind = RegistryErrorKind::NoImage { reason };
                Self::at(reference, RegistryError::new(host, what, kind))
            }
            ImageError::Layer {
                name,
                source: LayerError::Read(error),
            } => match error.downcast::<RegistryError>() {
                Ok(error) => Self::at(reference, error),
                Err(error) => Self::Image {
                    reference: reference.clone(),
                    source: Box::new(ImageError::Layer {
                        name,
                        source: LayerError::Read(error),
                    }),
                },
            },
            ImageError::LayerDigest {
                name,
                stated,
                actual,
            } => {
                let what = RegistryOperation::FetchLayer(name);
                let kind = RegistryErrorKind::Digest { stated, actual };
                Self::at(reference, RegistryError::new(host, what, kind))
            }
            source => Self::Image {
                reference: reference.clone(),
                source: Box::new(source),
            },
        }
    }
}
