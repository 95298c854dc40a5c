//! Who we are to a registry.
//!
//! Owns the kinds of credentials and the one question by which they are found. Where they come
//! from is the matter of those who answer it.

use std::fmt;

use secrecy::SecretString;

use super::RegistryError;

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
#[derive(Clone, Debug)]
pub struct CredentialRequest {
    /// The registry, in its one spelling: `docker.io`, `ghcr.io`, `host:5000`.
    pub host: String,
    /// The repository on it.
    pub repository: String,
}

/// Finds credentials. Asked once for each place of a repository, when that place wants some.
pub trait Credentials: Send + Sync + fmt::Debug {
    /// Returns what to show to a registry.
    fn find(&self, request: &CredentialRequest) -> Result<RegistryAuth, RegistryError>;
}

/// The same credentials for one registry, and none for any other.
#[derive(Clone, Debug)]
pub(crate) struct Explicit {
    pub(crate) host: String,
    pub(crate) auth: RegistryAuth,
}

impl Credentials for Explicit {
    fn find(&self, request: &CredentialRequest) -> Result<RegistryAuth, RegistryError> {
        if request.host == self.host {
            Ok(self.auth.clone())
        } else {
            Ok(RegistryAuth::Anonymous)
        }
    }
}

impl RegistryAuth {
    /// Returns a name and a password.
    pub fn basic(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Basic {
            username: username.into(),
            password: SecretString::from(password.into()),
        }
    }

    pub(super) fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_printed() {
        let auth = RegistryAuth::basic("me", "hunter2");
        assert!(!format!("{auth:?}").contains("hunter2"));
    }

    #[test]
    fn explicit_credentials_are_shown_to_their_registry_alone() {
        let credentials = Explicit {
            host: "a.example".to_owned(),
            auth: RegistryAuth::basic("me", "secret"),
        };
        let find = |host: &str| {
            let request = CredentialRequest {
                host: host.to_owned(),
                repository: "x".to_owned(),
            };
            credentials.find(&request).unwrap()
        };
        assert!(!find("a.example").is_anonymous());
        assert!(find("b.example").is_anonymous());
    }
}
