//! Why a login or a logout has failed.

use std::io;
use std::path::PathBuf;

use super::provider::ProviderError;
use crate::address;
use crate::cancel::Cancelled;
use crate::registry::VerifyError;
use crate::settings::SettingsError;

/// Credentials that could not be kept or forgotten.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// A text is not a registry.
    #[error("`{}` is not a registry: a host name, with a port or without", address::shown_as_registry(.0))]
    NotARegistry(String),
    /// A text is more than a registry.
    #[error(
        "credentials are stored per registry; use `{registry}` instead of `{}`",
        address::shown_as_registry(text)
    )]
    Path {
        /// The text.
        text: String,
        /// The registry that it begins with.
        registry: String,
    },
    /// A name is none.
    #[error("the user name {0}")]
    Username(&'static str),
    /// A password is none.
    #[error("the password {0}")]
    Password(&'static str),
    /// A password is longer than any that a registry takes.
    #[error("the password is longer than {} KiB", limit >> 10)]
    LongPassword {
        /// The limit in bytes.
        limit: usize,
    },
    /// The registry refuses the credentials, or could not be reached.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The store of credentials did not take them.
    #[error("no secure store of credentials for {registry}")]
    Store {
        /// The registry.
        registry: String,
        /// The provider's error.
        #[source]
        source: ProviderError,
    },
    /// A provider that talks to the user did not log them in.
    #[error("could not log in to {registry} with the provider `{provider}`")]
    Interactive {
        /// The registry.
        registry: String,
        /// The provider.
        provider: String,
        /// The provider's error.
        #[source]
        source: ProviderError,
    },
    /// No provider stores logins in the credential store of the operating system.
    #[error("no enabled provider stores credentials in the keyring")]
    NoKeyring {
        /// The providers that store credentials.
        offered: Vec<String>,
    },
    /// There is no provider of that name.
    #[error("there is no credential provider `{name}`")]
    NoProvider {
        /// The name.
        name: String,
        /// The providers that store credentials.
        offered: Vec<String>,
    },
    /// The provider only finds credentials.
    #[error("the provider `{name}` does not store credentials")]
    CannotStore {
        /// The provider.
        name: String,
        /// The providers that do.
        offered: Vec<String>,
    },
    /// The file with a password could not be changed.
    #[error("could not {operation} `{}`", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The settings could not be changed.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A file that was changed before an error did not become what it was.
    #[error("could not restore `{}` ({reason}) after an error", path.display())]
    NotRestored {
        /// The path of the file.
        path: PathBuf,
        /// The reason, for a sentence.
        reason: String,
        /// The error.
        #[source]
        first: Box<Self>,
    },
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}
