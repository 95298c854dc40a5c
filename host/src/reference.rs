//! Image references: `python`, `ghcr.io/org/app:v1`, `host:5000/app@sha256:…`.
//!
//! Owns the one normal form that every spelling of a name has. Source: distribution/reference, the
//! grammar that Docker, podman and the registries share.

mod host;
mod pasted;

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use host::is_host;

use crate::address;
use crate::digest::{Digest, ParseDigestError};

pub use host::canonical_host;
pub use pasted::{Instead, Pasted};

const DEFAULT_REGISTRY: &str = "docker.io";
const DEFAULT_NAMESPACE: &str = "library";
const DEFAULT_TAG: &str = "latest";
/// Bytes of registry and repository together.
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// A reference in normal form. Two spellings of one name are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is not a reference.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseReferenceError {
    /// A part of it breaks the grammar.
    #[error("`{text}` is not an image reference: {reason}")]
    Invalid {
        /// The text.
        text: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// It is something else, which people paste: the address of a page, a transport of skopeo.
    #[error("`{text}` is not an image reference: {}", pasted.problem)]
    Pasted {
        /// The text, without a password in it.
        text: String,
        /// What it is, and what is meant.
        pasted: Box<Pasted>,
    },
    /// What follows the `@` is not a digest.
    #[error("`{text}` is not an image reference")]
    Digest {
        /// The text.
        text: String,
        /// What is wrong with the digest.
        #[source]
        source: ParseDigestError,
    },
}

impl Reference {
    /// Returns the host of the registry, `docker.io` where none was written.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Returns the repository within the registry: `library/python`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns the tag. A reference has a tag, a digest, or both.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the digest.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Returns registry and repository: `docker.io/library/python`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// Returns the name as people write it: `python`. It always reads as the same name again.
    pub fn familiar_name(&self) -> String {
        if self.registry != DEFAULT_REGISTRY {
            return self.name();
        }
        match self.repository.split_once('/') {
            Some((DEFAULT_NAMESPACE, rest)) if !rest.contains('/') => rest.to_owned(),
            // `docker.io/host.name/app` without its registry would name another one.
            _ if split_registry(&self.repository).0.is_some() => self.name(),
            _ => self.repository.clone(),
        }
    }

    /// Returns the whole reference: `docker.io/library/python:latest`.
    pub fn canonical(&self) -> String {
        self.with_name(self.name())
    }

    /// Returns the reference as people write it: `python:latest`.
    pub fn familiar(&self) -> String {
        self.with_name(self.familiar_name())
    }

    fn with_name(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(&digest.to_string());
        }
        text
    }
}

impl FromStr for Reference {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let pasted = |pasted| ParseReferenceError::Pasted {
            text: shortened(text),
            pasted: Box::new(pasted),
        };
        if let Some(page) = Pasted::page(text) {
            return Err(pasted(page));
        }
        Self::parse(text).map_err(|error| Pasted::recognise(text).map_or(error, pasted))
    }
}

impl Reference {
    fn parse(text: &str) -> Result<Self, ParseReferenceError> {
        let invalid = |reason| ParseReferenceError::Invalid {
            text: shortened(text),
            reason,
        };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let digest = digest
                    .parse()
                    .map_err(|source| ParseReferenceError::Digest {
                        text: shortened(text),
                        source,
                    })?;
                (rest, Some(digest))
            }
            None => (text, None),
        };
        if rest.is_empty() {
            return Err(invalid("it has no name"));
        }
        let (name, tag) = match rest.rsplit_once(':') {
            // A colon in front of a slash belongs to a port.
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if let Some(tag) = tag
            && !is_tag(tag)
        {
            return Err(invalid(
                "the tag is not 1 to 128 letters, digits, `_`, `.` or `-`, beginning with none of the last two",
            ));
        }
        if digest.is_none() && tag.is_none() && name.len() == 64 && name.bytes().all(is_hex) {
            return Err(invalid("64 hexadecimal digits are an image ID, not a name"));
        }
        let (registry, path) = split_registry(name);
        let mut repository = path.to_owned();
        if repository.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(invalid("the repository has upper-case letters"));
        }
        if !repository.split('/').all(is_component) {
            return Err(invalid(
                "the repository is not made of lower-case letters, digits and single separators",
            ));
        }
        let registry = match registry {
            Some(registry) if !is_host(registry) => {
                return Err(invalid(
                    "the registry is not a host name, with a port or without",
                ));
            }
            Some(registry) => host::normal(registry),
            None => DEFAULT_REGISTRY.to_owned(),
        };
        if registry == DEFAULT_REGISTRY && !repository.contains('/') {
            repository = format!("{DEFAULT_NAMESPACE}/{repository}");
        }
        if registry.len() + 1 + repository.len() > MAX_NAME {
            return Err(invalid("the name is longer than 255 bytes"));
        }
        let tag = match (tag, &digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, Some(_)) => None,
            (None, None) => Some(DEFAULT_TAG.to_owned()),
        };
        Ok(Self {
            registry,
            repository,
            tag,
            digest,
        })
    }
}

impl From<Reference> for String {
    fn from(value: Reference) -> Self {
        value.to_string()
    }
}

impl From<&Reference> for String {
    fn from(value: &Reference) -> Self {
        value.to_string()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.familiar())
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Returns how a text that is not a reference is shown: not all of what is very long, and no password.
fn shortened(text: &str) -> String {
    address::shown(text).chars().take(300).collect()
}

/// Tells a registry in front from the first part of a repository: it has a dot or a colon, or is
/// `localhost`. A bare word with upper-case letters is not a registry here, unlike in
/// distribution/reference: `Org/app` is a mistyped repository far more often than a host.
fn split_registry(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((first, rest))
            if first.eq_ignore_ascii_case("localhost") || first.contains(['.', ':', '[']) =>
        {
            (Some(first), rest)
        }
        _ => (None, name),
    }
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// Returns whether a text may be a tag.
pub(crate) fn is_tag(tag: &str) -> bool {
    !tag.is_empty()
        && tag.len() <= MAX_TAG
        && !tag.starts_with(['.', '-'])
        && tag
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// Runs of letters and digits, between them `.`, `_`, `__` or dashes.
pub(crate) fn is_component(component: &str) -> bool {
    let bytes = component.as_bytes();
    let is_word = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_separator =
        |run: &[u8]| matches!(run, b"." | b"_" | b"__") || run.iter().all(|byte| *byte == b'-');
    bytes.first().is_some_and(is_word)
        && bytes.last().is_some_and(is_word)
        && bytes
            .split(is_word)
            .all(|run| run.is_empty() || is_separator(run))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
