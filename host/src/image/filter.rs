//! Which images an operation is about: the filters of `images` and `image prune`.
//!
//! Owns what a filter may say and whether an image matches. A filter looks at the catalogue's record of
//! an image; only that for labels reads its configuration.

use std::str::FromStr;

use glob::{MatchOptions, Pattern};

use super::config::ImageConfig;
use crate::reference::Reference;
use crate::store::{ImageRecord, Store, StoreError};

/// As in paths: `*` and `?` do not match a `/`.
const MATCHING: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// What an image has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageFilter {
    /// One of its names matches. Of several such filters one is enough.
    Reference(NamePattern),
    /// It has a label, with this value where one is given.
    Label {
        /// The label.
        name: String,
        /// Its value.
        value: Option<String>,
    },
    /// It has no name, or it has one.
    Dangling(bool),
    /// The store has had it for longer than the image that this names.
    Before(String),
    /// The store has not had it for as long as the image that this names.
    Since(String),
}

/// A pattern for names of images: `*`, `?` and `[a-z]` as in file names.
///
/// It matches a name that is written as people do or in full, with its tag or without: `alpine`,
/// `alpine:3.*`, `ghcr.io/org/*`, `docker.io/library/alpine:3.20`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern(Pattern);

/// A text that is not a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseFilterError {
    /// It has no `=`, or nothing after it.
    #[error("`{0}` is not a filter: a filter is written KEY=VALUE")]
    NoValue(String),
    /// The name of the filter is unknown.
    #[error("unknown filter `{key}`; expected one of {}", KEYS.join(", "))]
    UnknownKey {
        /// What stands before the `=`.
        key: String,
    },
    /// `dangling` is neither true nor false.
    #[error("`dangling` is true or false, not `{0}`")]
    NotABool(String),
    /// The pattern cannot be one.
    #[error("`{pattern}` is not a pattern for names: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// The filters that there are.
const KEYS: [&str; 5] = ["reference", "label", "dangling", "before", "since"];

impl FromStr for NamePattern {
    type Err = ParseFilterError;

    fn from_str(text: &str) -> Result<Self, ParseFilterError> {
        let failed = |reason| ParseFilterError::Pattern {
            pattern: text.to_owned(),
            reason,
        };
        if text.is_empty() {
            return Err(failed("it is empty"));
        }
        Pattern::new(text)
            .map(Self)
            .map_err(|error| failed(error.msg))
    }
}

impl NamePattern {
    /// Returns whether a name matches.
    pub fn matches(&self, name: &Reference) -> bool {
        let spellings = [
            name.familiar(),
            name.familiar_name(),
            name.canonical(),
            name.name(),
        ];
        spellings
            .iter()
            .any(|spelling| self.0.matches_with(spelling, MATCHING))
    }
}

impl FromStr for ImageFilter {
    type Err = ParseFilterError;

    fn from_str(text: &str) -> Result<Self, ParseFilterError> {
        let no_value = || ParseFilterError::NoValue(text.to_owned());
        let (key, value) = text.split_once('=').ok_or_else(no_value)?;
        if value.is_empty() {
            return Err(no_value());
        }
        Ok(match key {
            "reference" => Self::Reference(value.parse()?),
            "label" => match value.split_once('=') {
                Some((name, value)) => Self::Label {
                    name: name.to_owned(),
                    value: Some(value.to_owned()),
                },
                None => Self::Label {
                    name: value.to_owned(),
                    value: None,
                },
            },
            "dangling" => match value {
                "true" | "1" => Self::Dangling(true),
                "false" | "0" => Self::Dangling(false),
                other => return Err(ParseFilterError::NotABool(other.to_owned())),
            },
            "before" => Self::Before(value.to_owned()),
            // The word of podman.
            "since" | "after" => Self::Since(value.to_owned()),
            other => {
                return Err(ParseFilterError::UnknownKey {
                    key: other.to_owned(),
                });
            }
        })
    }
}

/// Filters whose images were looked up, to be asked of many images.
#[derive(Debug, Default)]
pub(super) struct Filters {
    names: Vec<NamePattern>,
    labels: Vec<(String, Option<String>)>,
    dangling: Option<bool>,
    /// The times between which an image was created. Sorted as text, they are sorted in time.
    before: Option<String>,
    since: Option<String>,
    matches_nothing: bool,
}

impl Filters {
    /// Looks up the images that filters name.
    pub(super) fn new(store: &Store, filters: &[ImageFilter]) -> Result<Self, StoreError> {
        let mut all = Self::default();
        let created = |selector: &str| Ok::<_, StoreError>(store.find(selector)?.image.created_at);
        for filter in filters {
            match filter {
                ImageFilter::Reference(pattern) => all.names.push(pattern.clone()),
                ImageFilter::Label { name, value } => {
                    all.labels.push((name.clone(), value.clone()));
                }
                ImageFilter::Dangling(wanted) => {
                    all.matches_nothing |= all.dangling.is_some_and(|other| other != *wanted);
                    all.dangling = Some(*wanted);
                }
                ImageFilter::Before(selector) => {
                    let time = created(selector)?;
                    all.before = Some(match all.before.take() {
                        Some(other) => other.min(time),
                        None => time,
                    });
                }
                ImageFilter::Since(selector) => {
                    let time = created(selector)?;
                    all.since = Some(match all.since.take() {
                        Some(other) => other.max(time),
                        None => time,
                    });
                }
            }
        }
        Ok(all)
    }

    /// Adds patterns, one of which is to match.
    pub(super) fn named(mut self, names: &[NamePattern]) -> Self {
        self.names.extend(names.iter().cloned());
        self
    }

    /// Returns the names of an image that match, all of them where no name is asked for; `None` if the
    /// image itself does not match. Needs no turn at the catalogue.
    pub(super) fn matching(&self, store: &Store, image: &ImageRecord) -> Option<Vec<Reference>> {
        let is_dangling = image.references.is_empty();
        if self.matches_nothing
            || self.dangling.is_some_and(|wanted| wanted != is_dangling)
            || self
                .before
                .as_ref()
                .is_some_and(|time| image.created_at >= *time)
            || self
                .since
                .as_ref()
                .is_some_and(|time| image.created_at <= *time)
            || !self.has_labels(store, image)
        {
            return None;
        }
        if self.names.is_empty() {
            return Some(image.references.clone());
        }
        let is_meant = |name: &&Reference| self.names.iter().any(|it| it.matches(name));
        let names: Vec<Reference> = image.references.iter().filter(is_meant).cloned().collect();
        (!names.is_empty()).then_some(names)
    }

    fn has_labels(&self, store: &Store, image: &ImageRecord) -> bool {
        if self.labels.is_empty() {
            return true;
        }
        // A configuration that is damaged says nothing.
        let Ok(bytes) = store.blob(&image.config_digest) else {
            return false;
        };
        let labels = ImageConfig::read(&image.config_digest, &bytes).labels;
        self.labels.iter().all(|(name, value)| {
            let found = labels.get(name);
            found.is_some_and(|found| value.as_ref().is_none_or(|value| value == found))
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_as_docker_and_podman_write_it() {
        for (text, filter) in [
            ("dangling=true", ImageFilter::Dangling(true)),
            ("dangling=0", ImageFilter::Dangling(false)),
            (
                "label=a=b=c",
                ImageFilter::Label {
                    name: "a".to_owned(),
                    value: Some("b=c".to_owned()),
                },
            ),
            ("before=app:1", ImageFilter::Before("app:1".to_owned())),
            ("after=04df", ImageFilter::Since("04df".to_owned())),
        ] {
            assert_eq!(text.parse::<ImageFilter>().unwrap(), filter, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_filter_is_told_by_what_it_lacks() {
        for (text, words) in [
            ("dangling", "KEY=VALUE"),
            ("label=", "KEY=VALUE"),
            ("lable=a", "expected one of reference, label"),
            ("dangling=maybe", "true or false"),
            ("reference=[", "not a pattern"),
        ] {
            let error = text.parse::<ImageFilter>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn a_pattern_matches_every_spelling_of_a_name() {
        let alpine: Reference = "alpine:3.20".parse().unwrap();
        let app: Reference = "ghcr.io/org/app:v1".parse().unwrap();
        for (pattern, is_alpine, is_app) in [
            ("alpine", true, false),
            ("alpine:3.20", true, false),
            ("alpine:3.*", true, false),
            ("docker.io/library/alpine", true, false),
            ("docker.io/library/alpine:3.20", true, false),
            ("al?ine", true, false),
            ("*", true, false),
            ("*/*/*", true, true),
            ("ghcr.io/org/*", false, true),
            ("ghcr.io/*", false, false),
            ("alpin", false, false),
            ("alpine:3", false, false),
        ] {
            let pattern: NamePattern = pattern.parse().unwrap();
            assert_eq!(pattern.matches(&alpine), is_alpine, "{pattern:?}");
            assert_eq!(pattern.matches(&app), is_app, "{pattern:?}");
        }
    }
}
