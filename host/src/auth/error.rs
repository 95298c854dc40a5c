//! Why no credentials could be found.

use std::fmt;
use std::path::PathBuf;

use super::provider::ProviderError;
use crate::cancel::Cancelled;
use crate::credential::AuthSourceKind;
use crate::settings::{AuthProblem, key_shown};

/// A search for credentials that failed, although a provider should have had some.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The settings of the registry are not valid.
    #[error("`{}` is not valid at `{}`", file.display(), key_shown(key))]
    Settings {
        /// The file of settings.
        file: PathBuf,
        /// The keys that lead to the entry.
        key: String,
        /// What is wrong with the entry.
        #[source]
        source: AuthProblem,
    },
    /// The settings say where the password is, and it could not be read there.
    #[error("no credentials for {registry} from `{provider}`: {named}")]
    Configured {
        /// The registry.
        registry: String,
        /// Who was asked.
        provider: String,
        /// The entry of the settings.
        named: Box<Named>,
        /// The provider's error.
        #[source]
        source: Box<ProviderError>,
    },
    /// A provider that the user has installed ends the search.
    #[error("no credentials for {registry} from `{provider}`")]
    Provider {
        /// The registry.
        registry: String,
        /// Who was asked.
        provider: String,
        /// The provider's error.
        #[source]
        source: Box<ProviderError>,
    },
    /// The settings say where the password is, and no provider reads it there.
    #[error("no installed provider handles `{}` in `{}`", key_shown(key), file.display())]
    Unanswered {
        /// The file of settings.
        file: PathBuf,
        /// The keys that lead to the entry.
        key: String,
        /// The provider that the entry names, if it names one.
        provider: Option<String>,
    },
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Where the settings say that a password is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The file of settings.
    pub file: PathBuf,
    /// The keys that lead to it: `registries.auth.ghcr.io.password_env`.
    pub key: String,
    /// What stands there: `GHCR_TOKEN`.
    pub value: String,
    /// What kind of source it is; none is a provider.
    pub source: Option<AuthSourceKind>,
}

impl fmt::Display for Named {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file, key, value, ..
        } = self;
        write!(formatter, "`{key}` in `{}` is `{value}`", file.display())
    }
}

impl AuthError {
    /// Returns what the provider says can be done about it. Untrusted text.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Configured { source, .. } | Self::Provider { source, .. } => source.hint(),
            _ => None,
        }
    }
}
