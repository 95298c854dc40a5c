//! What a provider answers.

use super::{Cache, Extent};
use crate::Attributes;
use crate::credential_bindings::exports::msb::plugin::credentials as bindings;
use crate::system::Secret;

/// Who the user is.
#[derive(Debug)]
pub enum Credential {
    /// A name and a password.
    Basic(String, Secret),
    /// A token that the registry's token server takes for others (`refresh_token`).
    IdentityToken(Secret),
    /// A token that the registry itself takes (`Bearer`).
    RegistryToken(Secret),
    /// Nobody, on purpose: no further provider is asked.
    Anonymous,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Who the user is.
    pub credential: Credential,
    /// For how long.
    pub cache: Cache,
    /// For what.
    pub extent: Extent,
    /// Where it was found, for messages. Never a secret.
    pub source: Option<String>,
    /// Those that `wit/credentials.wit` has.
    pub attributes: Attributes,
}

impl Answer {
    /// Returns an answer for the whole registry and as long as this msb runs.
    pub fn new(credential: Credential) -> Self {
        Self {
            credential,
            cache: Cache::Session,
            extent: Extent::Registry,
            source: None,
            attributes: Attributes::new(),
        }
    }

    /// Says where it was found.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says for how long it is good.
    #[must_use]
    pub fn cache(mut self, cache: Cache) -> Self {
        self.cache = cache;
        self
    }

    /// Lets the host keep it for the next run, until it ends. Needs `state`.
    #[must_use]
    pub fn keep(mut self) -> Self {
        self.attributes.push(("keep".to_owned(), "yes".to_owned()));
        self
    }

    /// Says that it is good for the repository of the request alone.
    #[must_use]
    pub fn repository_only(mut self) -> Self {
        self.extent = Extent::Repository;
        self
    }
}

impl From<Answer> for bindings::Answer {
    fn from(answer: Answer) -> Self {
        Self {
            credential: match answer.credential {
                Credential::Basic(name, password) => {
                    bindings::Credential::Basic((name, password.into_handle()))
                }
                Credential::IdentityToken(token) => {
                    bindings::Credential::IdentityToken(token.into_handle())
                }
                Credential::RegistryToken(token) => {
                    bindings::Credential::RegistryToken(token.into_handle())
                }
                Credential::Anonymous => bindings::Credential::Anonymous,
            },
            cache: answer.cache,
            extent: answer.extent,
            source: answer.source,
            attributes: answer.attributes,
        }
    }
}

impl From<bindings::Credential> for Credential {
    fn from(credential: bindings::Credential) -> Self {
        match credential {
            bindings::Credential::Basic((name, password)) => {
                Self::Basic(name, Secret::from_handle(password))
            }
            bindings::Credential::IdentityToken(token) => {
                Self::IdentityToken(Secret::from_handle(token))
            }
            bindings::Credential::RegistryToken(token) => {
                Self::RegistryToken(Secret::from_handle(token))
            }
            bindings::Credential::Anonymous => Self::Anonymous,
        }
    }
}
