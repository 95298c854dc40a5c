//! One error for callers that do not care which room it comes from.

use std::io;

use crate::auth::{AuthError, LoginError};
use crate::cancel::Cancelled;
use crate::hosts::HostsError;
use crate::image::{LoadError, PullError, SaveError};
use crate::platform::ParsePlatformError;
use crate::plugin::{FormatError, InstalledError};
use crate::reference::ParseReferenceError;
use crate::registry::RegistryError;
use crate::settings::SettingsError;
use crate::store::StoreError;

/// Any error of this crate. Its message and sources are those of the error inside.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An archive could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// An image could not be pulled.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// Nobody could say who the user is.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// Credentials could not be kept or forgotten.
    #[error(transparent)]
    Keep(#[from] LoginError),
    /// A registry could not be asked.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Images could not be saved.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A plugin could not be installed or called.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// What is configured of registries cannot be used.
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// What is installed is not known.
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
