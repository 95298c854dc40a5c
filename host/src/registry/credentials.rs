//! Credentials for registries.
//!
//! Owns the kinds of credentials and the trait that finds them. Where they come
//! from is up to its implementations.

use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::RegistryError;
use crate::cancel::Cancel;

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

/// What credentials are wanted for.
#[derive(Clone, Copy, Debug)]
pub struct CredentialRequest<'a> {
    /// The registry, in its canonical form: `docker.io`, `ghcr.io`, `host:5000`.
    pub host: &'a str,
    /// The repository on it; none where we only want to know whether we are known.
    pub repository: Option<&'a str>,
    /// What is to be done there.
    pub access: Access,
    /// The values of `WWW-Authenticate` that it answered with.
    pub challenges: &'a [String],
    /// 1, and more after credentials that were not accepted.
    pub attempt: u32,
}

/// What is to be done at a registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Access {
    /// Reading.
    #[default]
    Pull,
    /// Reading and writing.
    Push,
    /// Showing who we are, and nothing more.
    Login,
}

/// The credentials for a registry, and where they came from.
#[derive(Clone, Debug, Default)]
pub struct ResolvedCredential {
    /// The credentials.
    pub auth: RegistryAuth,
    /// Where they came from; `None` when the caller gave them, or when there are none.
    pub origin: Option<Arc<CredentialSource>>,
    /// Providers that were asked before and had none.
    pub tried: Arc<[TriedProvider]>,
}

/// Where credentials come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialSource {
    /// The provider's name.
    pub provider: String,
    /// Where it found them. Untrusted text.
    pub source: Option<String>,
    /// The user has not asked for this provider: what may be read by everybody is read without
    /// credentials where these are refused.
    pub ambient: bool,
    /// The key of the user's settings that says where it looks, as `password_env`.
    pub setting: Option<&'static str>,
    /// Asked once more, it may have others.
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

/// Finds credentials when a registry demands some.
pub trait Credentials: Send + Sync + fmt::Debug {
    /// Returns what to show to a registry.
    fn find(
        &self,
        request: &CredentialRequest<'_>,
        cancel: &Cancel,
    ) -> Result<ResolvedCredential, RegistryError>;

    /// Hears whether the registry has accepted them.
    fn report(
        &self,
        request: &CredentialRequest<'_>,
        origin: &CredentialSource,
        accepted: bool,
        cancel: &Cancel,
    ) {
        let _ = (request, origin, accepted, cancel);
    }
}

/// The same credentials for every registry.
impl Credentials for RegistryAuth {
    fn find(
        &self,
        _: &CredentialRequest<'_>,
        _: &Cancel,
    ) -> Result<ResolvedCredential, RegistryError> {
        Ok(self.clone().into())
    }
}

/// Which credentials a token was given for: tokens of one are never shown for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Account([u8; 32]);

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

    /// Returns whether these are no credentials.
    pub fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }

    /// Returns what tells these credentials from all others, secrets included.
    pub(super) fn account(&self) -> Account {
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
        match &self.source {
            Some(source) => write!(formatter, " ({source})"),
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
