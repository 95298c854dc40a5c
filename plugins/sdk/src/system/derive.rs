//! Making secrets of secrets in the host. See `wit/derive.wit`. Needs no permission.

use super::host::System;
use super::{Refusal, Secret};
use crate::credential_bindings::msb::plugin::derive as bindings;

pub use bindings::Encoding;

/// A part of a secret that is put together.
#[derive(Debug)]
pub enum Part<'a> {
    /// Text, as it is.
    Text(&'a str),
    /// A secret, and how it is written.
    Secret(&'a Secret, Encoding),
}

impl<'a> From<&'a str> for Part<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Part<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a Secret> for Part<'a> {
    fn from(secret: &'a Secret) -> Self {
        Self::Secret(secret, Encoding::Plain)
    }
}

/// Making secrets of secrets.
pub trait Derive {
    /// Returns parts one after the other.
    fn join(&self, parts: &[Part<'_>]) -> Result<Secret, Refusal>;

    /// Returns a member of a JSON document by its JSON pointer, `None` where there is none.
    fn member(&self, document: &Secret, pointer: &str) -> Result<Option<Secret>, Refusal>;

    /// Returns SHA-256 of a secret.
    fn sha256(&self, message: &Secret) -> Result<Secret, Refusal>;

    /// Returns HMAC-SHA-256 of a message under a key.
    fn hmac_sha256(&self, key: &Secret, message: &Secret) -> Result<Secret, Refusal>;

    /// Returns the signature of a message by RS256, with a key in PEM.
    fn rs256(&self, key: &Secret, message: &Secret) -> Result<Secret, Refusal>;

    /// Returns the signature of a message by ES256, with a key in PEM.
    fn es256(&self, key: &Secret, message: &Secret) -> Result<Secret, Refusal>;

    /// Returns a secret written in another way.
    fn encoded(&self, secret: &Secret, encoding: Encoding) -> Result<Secret, Refusal> {
        self.join(&[Part::Secret(secret, encoding)])
    }
}

impl Derive for System {
    fn join(&self, parts: &[Part<'_>]) -> Result<Secret, Refusal> {
        let handles: Vec<_> = parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => (None, *text, Encoding::Plain),
                Part::Secret(secret, encoding) => (Some(secret.handle()), "", *encoding),
            })
            .collect();
        let parts: Vec<bindings::Part<'_>> = handles
            .iter()
            .map(|(handle, text, encoding)| match handle {
                None => bindings::Part::Text((*text).to_owned()),
                Some(handle) => bindings::Part::Secret((handle.get(), *encoding)),
            })
            .collect();
        Ok(Secret::from_handle(bindings::join(&parts)?))
    }

    fn member(&self, document: &Secret, pointer: &str) -> Result<Option<Secret>, Refusal> {
        let member = bindings::member(document.handle().get(), pointer)?;
        Ok(member.map(Secret::from_handle))
    }

    fn sha256(&self, message: &Secret) -> Result<Secret, Refusal> {
        bindings::sha256(message.handle().get()).map(Secret::from_handle)
    }

    fn hmac_sha256(&self, key: &Secret, message: &Secret) -> Result<Secret, Refusal> {
        bindings::hmac_sha256(key.handle().get(), message.handle().get()).map(Secret::from_handle)
    }

    fn rs256(&self, key: &Secret, message: &Secret) -> Result<Secret, Refusal> {
        bindings::rs256(key.handle().get(), message.handle().get()).map(Secret::from_handle)
    }

    fn es256(&self, key: &Secret, message: &Secret) -> Result<Secret, Refusal> {
        bindings::es256(key.handle().get(), message.handle().get()).map(Secret::from_handle)
    }
}
