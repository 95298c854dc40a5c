//! The name of an image in an OCI layout.
//!
//! Two annotations carry it. `io.containerd.image.name` is always a full name. What
//! `org.opencontainers.image.ref.name` holds depends on the tool: podman and msb write a full name
//! (`docker.io/library/python:3.12`), skopeo what the user typed (`python:3.12` or `3.12`), buildx
//! and umoci only the tag (`3.12`). So a text with a `/` or a `:` is taken for a name. A text
//! without is taken for a tag, never for the name of an image: to read `latest` as
//! `docker.io/library/latest:latest` has misled users of other tools.

use std::collections::BTreeMap;

use super::{IMAGE_NAME, REF_NAME};

/// What the annotations of a descriptor say about the image's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// A full name.
    Reference(String),
    /// A tag, of an image whose name is not stated.
    Tag(String),
}

impl Name {
    /// Returns the name in the annotations of a descriptor.
    pub(super) fn of(annotations: &BTreeMap<String, String>) -> Option<Self> {
        let stated = |key: &str| annotations.get(key).filter(|name| !name.is_empty());
        if let Some(name) = stated(IMAGE_NAME) {
            return Some(Self::Reference(name.clone()));
        }
        let name = stated(REF_NAME).filter(|name| !is_bare_digest(name))?;
        Some(if name.contains(['/', ':']) {
            Self::Reference(name.clone())
        } else {
            Self::Tag(name.clone())
        })
    }
}

/// Tells whether the text says no more than the digest of the descriptor does. By grammar alone,
/// `sha256:…` would be a tag of an image called `sha256`.
fn is_bare_digest(text: &str) -> bool {
    [("sha256:", 64), ("sha512:", 128)]
        .iter()
        .any(|(prefix, length)| {
            text.strip_prefix(prefix).is_some_and(|hex| {
                hex.len() == *length && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(pairs: &[(&str, &str)]) -> Option<Name> {
        let annotations = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Name::of(&annotations)
    }

    #[test]
    fn the_full_name_wins_over_the_name_in_the_layout() {
        assert_eq!(
            name(&[
                (REF_NAME, "latest"),
                (IMAGE_NAME, "docker.io/library/a:latest")
            ]),
            Some(Name::Reference("docker.io/library/a:latest".to_owned()))
        );
    }

    #[test]
    fn a_name_in_the_layout_counts_when_it_has_a_slash_or_a_colon() {
        for text in ["a:1", "team/a", "localhost:5000/a", "ghcr.io/team/a:1"] {
            assert_eq!(
                name(&[(REF_NAME, text)]),
                Some(Name::Reference(text.to_owned()))
            );
        }
    }

    #[test]
    fn a_bare_word_is_a_tag() {
        for text in ["latest", "3.12", "alpine"] {
            assert_eq!(name(&[(REF_NAME, text)]), Some(Name::Tag(text.to_owned())));
        }
    }

    #[test]
    fn a_digest_or_nothing_is_no_name() {
        assert_eq!(name(&[]), None);
        assert_eq!(name(&[(REF_NAME, ""), (IMAGE_NAME, "")]), None);
        assert_eq!(
            name(&[(REF_NAME, &format!("sha256:{}", "ab".repeat(32)))]),
            None
        );
    }
}
