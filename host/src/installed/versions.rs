//! Other versions of an installed plugin: a tag, a range of versions, or another source.
//!
//! Owns what `update --to` may name, and the choice among the tags of a repository.

use std::sync::Arc;

use semver::{Version, VersionReq};

use super::error::InstalledError;
use super::fetch::Network;
use super::source::Source;
use crate::cancel::Cancel;
use crate::credential::Action;
use crate::reference::Reference;

/// Where a plugin goes with an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The source from now on.
    pub source: Source,
    /// The range of versions that it follows.
    pub range: Option<String>,
}

impl Destination {
    /// Finds what `to` names: a tag of the repository that the plugin is from, the newest tag of it in a
    /// range of versions (`^1.2`, `>=1, <3`), a digest, or another source.
    ///
    /// # Errors
    /// When it names nothing that a plugin from there can go to.
    pub fn find(
        current: &Source,
        to: &str,
        network: &Network,
        cancel: &Cancel,
    ) -> Result<Self, InstalledError> {
        let to = to.trim();
        let nowhere = |reason: String| InstalledError::Destination {
            to: crate::address::shown(to),
            reason,
        };
        if to.is_empty() {
            return Err(nowhere("it is empty".to_owned()));
        }
        if to.contains('/') || to.to_ascii_lowercase().ends_with(".wasm") {
            let source = to.parse()?;
            return Ok(Self {
                source,
                range: None,
            });
        }
        let Source::Oci(reference) = current else {
            return Err(nowhere(format!(
                "`{current}` has no tags; name another file or address"
            )));
        };
        let name = reference.name();
        if !is_range(to) {
            let mark = if to.contains(':') { '@' } else { ':' };
            let reference = format!("{name}{mark}{to}").parse::<Reference>();
            let reference = reference.map_err(|error| nowhere(error.to_string()))?;
            return Ok(Self {
                source: Source::Oci(reference),
                range: None,
            });
        }
        let range = VersionReq::parse(to).map_err(|error| nowhere(error.to_string()))?;
        let repository = network
            .client
            .repository(reference, Action::Pull, Arc::clone(&network.credentials))?
            .telling(Arc::clone(&network.progress));
        let tags = repository.tags(&|_| {}, cancel)?;
        let Some(tag) = newest(&tags, &range) else {
            return Err(nowhere(format!(
                "no tag of {name} is in this range: {}",
                some_of(&tags)
            )));
        };
        let reference = format!("{name}:{tag}").parse::<Reference>();
        Ok(Self {
            source: Source::Oci(reference.map_err(|error| nowhere(error.to_string()))?),
            range: Some(to.to_owned()),
        })
    }
}

impl Source {
    /// Returns whether another version of the same is there: the same repository, or the same file or
    /// address.
    pub(super) fn is_same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Oci(one), Self::Oci(other)) => one.name() == other.name(),
            (one, other) => one == other,
        }
    }
}

/// Returns whether a text is a range and no tag: tags have none of these characters.
fn is_range(text: &str) -> bool {
    text.contains(['^', '~', '<', '>', '=', '*', ','])
}

/// Returns the tag of the newest version in a range. `v1.2.3` is a version as well; `1.2` is not, for
/// such a tag moves.
fn newest<'t>(tags: &'t [String], range: &VersionReq) -> Option<&'t str> {
    let version = |tag: &str| Version::parse(tag.strip_prefix('v').unwrap_or(tag)).ok();
    tags.iter()
        .filter_map(|tag| Some((version(tag)?, tag.as_str())))
        .filter(|(version, _)| range.matches(version))
        .max()
        .map(|(_, tag)| tag)
}

fn some_of(tags: &[String]) -> String {
    const SHOWN: usize = 8;
    match tags {
        [] => "it has none".to_owned(),
        tags => {
            let first: Vec<&str> = tags.iter().rev().take(SHOWN).map(String::as_str).collect();
            let more = if tags.len() > SHOWN { ", …" } else { "" };
            format!("it has {}{more}", first.join(", "))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_in_a_range_is_taken_and_no_other_tag() {
        let tags: Vec<String> = [
            "latest",
            "1",
            "1.2",
            "1.2.0",
            "1.10.0",
            "v1.11.0",
            "2.0.0-rc.1",
            "2.0.0",
            "1.12.0+x",
            "sha256-abc.sig",
            "0.9.9",
        ]
        .map(str::to_owned)
        .into();
        for (range, tag) in [
            ("^1.2", Some("1.12.0+x")),
            ("~1.10", Some("1.10.0")),
            (">=1, <1.12", Some("v1.11.0")),
            ("*", Some("2.0.0")),
            (">2", None),
            (">=2.0.0-rc", Some("2.0.0")),
        ] {
            let range = VersionReq::parse(range).unwrap();
            assert_eq!(newest(&tags, &range), tag, "{range}");
        }
    }

    #[test]
    fn tags_are_no_ranges() {
        for tag in ["1", "1.2.3", "v1", "latest", "1.x", "stable-2"] {
            assert!(!is_range(tag), "{tag}");
        }
        for range in ["^1", "~1.2", ">=1", "*", "1, 2", "=1.0.0"] {
            assert!(is_range(range), "{range}");
        }
    }

    #[test]
    fn other_tags_are_of_the_same_place_and_other_repositories_are_not() {
        let source = |text: &str| text.parse::<Source>().unwrap();
        let own = source("ghcr.io/acme/vault:1");
        assert!(own.is_same_place(&source("ghcr.io/acme/vault:2")));
        assert!(!own.is_same_place(&source("ghcr.io/acme/vault2:1")));
        assert!(!source("/a.wasm").is_same_place(&source("/b.wasm")));
    }
}
