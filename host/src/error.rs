//! One error for callers that do not care which room it comes from.

use std::io;

#[cfg(feature = "registry")]
use crate::auth::{AuthError, LoginError};
use crate::cancel::Cancelled;
use crate::home::NoHomeError;
#[cfg(feature = "registry")]
use crate::hosts::HostsError;
use crate::image::MergeError;
#[cfg(feature = "registry")]
use crate::image::{AdoptError, FilesError, MountImageError, PullError, ServeError};
#[cfg(feature = "plugins")]
use crate::image::{ImageError, SaveError};
#[cfg(feature = "plugins")]
use crate::installed::InstalledError;
use crate::platform::ParsePlatformError;
#[cfg(feature = "plugins")]
use crate::plugin::FormatError;
use crate::reference::ParseReferenceError;
#[cfg(feature = "registry")]
use crate::registry::{RegistryError, VerifyError};
#[cfg(feature = "registry")]
use crate::settings::SettingsError;
use crate::store::StoreError;

/// Any error of this crate. Its message and sources are those of the error inside.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An archive could not be loaded.
    #[cfg(feature = "plugins")]
    #[error(transparent)]
    Load(#[from] ImageError),
    /// An image could not be pulled.
    #[cfg(feature = "registry")]
    #[error(transparent)]
    Pull(#[from] PullError),
    /// Nobody could say who the user is.
    #[cfg(feature = "registry")]
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// Credentials could not be kept or forgotten.
    #[cfg(feature = "registry")]
    #[error(transparent)]
    Keep(#[from] LoginError),
    /// A registry could not be asked.
    #[cfg(feature = "registry")]
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Images could not be saved.
    #[cfg(feature = "plugins")]
    #[error(transparent)]
    Save(#[from] SaveError),
    /// There is nothing that says where the home is.
    #[error(transparent)]
    Home(#[from] NoHomeError),
    /// The files of an image could not be looked at.
    #[cfg(feature = "registry")]
    #[error(transparent)]
    Files(#[from] FilesError),
    /// An image could not be mounted or unmounted.
    #[cfg(feature = "registry")]
    #[error(transparent)]
    Mount(#[from] MountImageError),
    /// Images of another program could not be adopted.
    #[cfg(feature = "registry")]
    #[error(transparent)]
    Adopt(#[from] AdoptError),
    /// Layers could not be served to another program.
    #[cfg(feature = "registry")]
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The layers of an image could not be merged, or made a disk of.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A plugin could not be installed or called.
    #[cfg(feature = "plugins")]
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The settings cannot be used.
    #[cfg(feature = "registry")]
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// What is configured of registries cannot be used.
    #[cfg(feature = "registry")]
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// What is installed is not known.
    #[cfg(feature = "plugins")]
    #[error(transparent)]
    Installed(#[from] InstalledError),
    /// A text is not a reference.
    #[error(transparent)]
    Reference(#[from] ParseReferenceError),
    /// A text is not a platform.
    #[error(transparent)]
    Platform(#[from] ParsePlatformError),
    /// The operating system has no thread for an operation.
    #[error("could not start a thread")]
    Thread(#[source] io::Error),
    /// The operation was cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl Error {
    /// Returns the error of the registry that it comes from, whatever was being done there.
    #[cfg(feature = "registry")]
    pub fn registry(&self) -> Option<&RegistryError> {
        match self {
            Self::Registry(error)
            | Self::Keep(LoginError::Verify(VerifyError::Registry(error))) => Some(error),
            Self::Pull(PullError::Registry { source, .. }) => Some(source),
            #[cfg(feature = "plugins")]
            Self::Installed(InstalledError::Registry(error)) => Some(error),
            _ => None,
        }
    }

    /// Returns the error of the store that it comes from, whatever was being done there.
    pub fn store(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) | Self::Merge(MergeError::Store(error)) => Some(error),
            #[cfg(feature = "plugins")]
            Self::Load(ImageError::Store(error))
            | Self::Save(SaveError::Store(error))
            | Self::Installed(InstalledError::Store(error)) => Some(error),
            #[cfg(feature = "registry")]
            Self::Pull(PullError::Store(error))
            | Self::Files(FilesError::Store(error))
            | Self::Adopt(AdoptError::Store(error))
            | Self::Mount(
                MountImageError::Store(error) | MountImageError::Merge(MergeError::Store(error)),
            )
            | Self::Serve(ServeError::Store(error) | ServeError::Merge(MergeError::Store(error))) => {
                Some(error)
            }
            _ => None,
        }
    }
}
