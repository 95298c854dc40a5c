//! Credentials for registries: what they are, a request for them, and where they come from.
//!
//! Owns the types that a registry, the search for credentials and the providers share. Knows nothing of
//! how credentials are found, kept or sent.

mod tier;

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use crate::cancel::{Cancel, Cancelled};

pub use tier::{AuthSourceKind, ParseTierError, Tier};

/// What we show to a registry. Never prints a secret.
#[derive(Clone, Debug, Default)]
pub enum RegistryAuth {
    /// Nothing.
    #[default]
    Anonymous,
    /// A name and a password, or a token that stands for one.
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: SecretString,
    },
    /// A refresh token, which the token server gives tokens for (`identitytoken` in Docker's
    /// files).
    IdentityToken(SecretString),
    /// A token that the registry itself takes (`registrytoken` in Docker's files).
    RegistryToken(SecretString),
}

/// A search for credentials, and what a provider is asked.
#[derive(Clone, Debug)]
pub struct CredentialRequest {
    /// The registry in its canonical form: `docker.io`, `ghcr.io`, `host:5000`.
    pub registry: String,
    /// The repository on it; `None` where only the registry is meant, as for a login.
    pub repository: Option<String>,
    /// What the credentials are for.
    pub action: Action,
    /// The values of `WWW-Authenticate` that the registry answered with.
    pub challenges: Vec<String>,
    /// The user name that is wanted, where the settings name one.
    pub username: Option<String>,
    /// 1, and more after credentials that the registry rejected.
    pub attempt: u32,
    /// What the user has set for the registry under `registries.auth`, as JSON without secrets.
    pub settings: Option<serde_json::Value>,
}

/// What credentials are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Action {
    /// Reading an image.
    #[default]
    Pull,
    /// Reading and writing one.
    Push,
    /// Logging in: showing who the user is, and nothing more.
    Login,
}

/// What became of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The registry let the user in.
    Accepted,
    /// It did not.
    Rejected,
}

/// The credentials for a registry, and where they came from.
#[derive(Clone, Debug, Default)]
pub struct ResolvedCredential {
    /// The credentials.
    pub auth: RegistryAuth,
    /// Where they came from; `None` when the caller gave them, or when there are none.
    pub source: Option<Arc<CredentialSource>>,
    /// Providers that were asked before and had none.
    pub tried: Arc<[TriedProvider]>,
}

/// Where credentials come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialSource {
    /// The provider's name.
    pub provider: String,
    /// Where the provider found them. Untrusted text.
    pub location: Option<String>,
    /// Why the provider is asked.
    pub tier: Tier,
    /// The source of the settings that the provider reads.
    pub reads: Option<AuthSourceKind>,
    /// Asked once more, the provider may have others.
    pub renewable: bool,
}

/// A provider that gave no credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriedProvider {
    /// The provider's name.
    pub provider: String,
    /// Why not, in its own words. Untrusted text.
    pub message: String,
    /// It should have had an answer, and could not give it.
    pub failed: bool,
}

/// Why a [`CredentialRequest`] has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The search failed.
    #[error(transparent)]
    Failed(Box<dyn Error + Send + Sync>),
    /// The operation was cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Finds credentials when a registry demands some.
pub trait Credentials: Send + Sync + fmt::Debug {
    /// Returns what to show to a registry.
    fn find(
        &self,
        request: &CredentialRequest,
        cancel: &Cancel,
    ) -> Result<ResolvedCredential, CredentialError>;

    /// Takes note of what became of what was found.
    fn report(
        &self,
        request: &CredentialRequest,
        source: &CredentialSource,
        outcome: Outcome,
        cancel: &Cancel,
    ) {
        let _ = (request, source, outcome, cancel);
    }
}

/// The same credentials for every registry.
impl Credentials for RegistryAuth {
    fn find(
        &self,
        _: &CredentialRequest,
        _: &Cancel,
    ) -> Result<ResolvedCredential, CredentialError> {
        Ok(self.clone().into())
    }
}

impl CredentialRequest {
    /// Returns the first request for a registry.
    pub fn new(registry: impl Into<String>, action: Action) -> Self {
        Self {
            registry: registry.into(),
            repository: None,
            action,
            challenges: Vec::new(),
            username: None,
            attempt: 1,
            settings: None,
        }
    }
}

impl CredentialSource {
    /// Returns whether the user has not asked for the provider: what is public is then read without
    /// credentials where these are rejected.
    pub fn is_ambient(&self) -> bool {
        self.tier == Tier::Ambient
    }
}

/// Which credentials a token was given for: tokens of one are never shown for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Account([u8; 32]);

impl RegistryAuth {
    /// Returns a name and a password.
    pub fn basic(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Basic {
            username: username.into(),
            password: SecretString::from(password.into()),
        }
    }

    /// Returns a refresh token.
    pub fn identity_token(token: impl Into<String>) -> Self {
        Self::IdentityToken(SecretString::from(token.into()))
    }

    /// Returns a token that the registry itself takes.
    pub fn registry_token(token: impl Into<String>) -> Self {
        Self::RegistryToken(SecretString::from(token.into()))
    }

    /// Returns whether these are no credentials at all.
    pub fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }

    /// Returns what tells these credentials from all others, secrets included.
    pub(crate) fn account(&self) -> Account {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        match self {
            Self::Anonymous => add("anonymous"),
            Self::Basic { username, password } => {
                add("basic");
                add(username);
                add(password.expose_secret());
            }
            Self::IdentityToken(token) => {
                add("identity");
                add(token.expose_secret());
            }
            Self::RegistryToken(token) => {
                add("registry");
                add(token.expose_secret());
            }
        }
        Account(hash.finalize().into())
    }
}

impl From<RegistryAuth> for ResolvedCredential {
    fn from(auth: RegistryAuth) -> Self {
        Self {
            auth,
            ..Self::default()
        }
    }
}

impl fmt::Display for CredentialSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}`", self.provider)?;
        match &self.location {
            Some(location) => write!(formatter, " ({location})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_printed() {
        let auth = RegistryAuth::basic("me", "hunter2");
        assert!(!format!("{auth:?}").contains("hunter2"));
        assert!(!format!("{:?}", ResolvedCredential::from(auth)).contains("hunter2"));
    }

    #[test]
    fn accounts_differ_where_anything_of_the_credentials_does() {
        let token = |text: &str| SecretString::from(text.to_owned());
        let all = [
            RegistryAuth::Anonymous,
            RegistryAuth::basic("a", "bc"),
            RegistryAuth::basic("ab", "c"),
            RegistryAuth::basic("a", "bd"),
            RegistryAuth::IdentityToken(token("abc")),
            RegistryAuth::RegistryToken(token("abc")),
        ];
        for (number, one) in all.iter().enumerate() {
            assert_eq!(one.account(), one.clone().account());
            for other in &all[number + 1..] {
                assert_ne!(one.account(), other.account());
            }
        }
    }
}
