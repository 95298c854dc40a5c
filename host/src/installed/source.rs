//! Where a plugin comes from: a file, an address, or a registry.
//!
//! Owns the canonical form of each, which the lock keeps and policies are compared with. It has no
//! secrets: what an address has of them is used once, to ask with.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use url::Url;

use crate::address::{self, Address};
use crate::reference::Reference;
use crate::settings::is_plugin_name;

/// What stands in front of a reference in canonical form.
pub(super) const OCI: &str = "oci://";
/// The most characters of a plugin's name.
const MAX_NAME: usize = 32;

/// Where a plugin comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file, by its absolute path.
    File(PathBuf),
    /// A server, by an HTTPS address. It may have secrets in it, which are not shown.
    Url(Address),
    /// A registry.
    Oci(Reference),
}

/// Why a text names no source.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` names no place to get a plugin from: {reason}")]
pub struct ParseSourceError {
    /// The text.
    pub text: String,
    /// What is wrong.
    pub reason: String,
}

impl Source {
    /// Returns the name that a plugin from here has unless the user gives it one: the last part of
    /// the path without its ending. `None` if that is not a name.
    pub fn name(&self) -> Option<String> {
        let last = match self {
            Self::File(path) => path.file_stem()?.to_str()?.to_owned(),
            Self::Url(url) => {
                let last = url.expose().path_segments()?.next_back()?.to_owned();
                last.strip_suffix(".wasm").unwrap_or(&last).to_owned()
            }
            Self::Oci(reference) => reference.repository().rsplit('/').next()?.to_owned(),
        };
        let name: String = last
            .to_ascii_lowercase()
            .chars()
            .map(|character| match character {
                '_' | '.' | ' ' => '-',
                character => character,
            })
            .take(MAX_NAME)
            .collect();
        let name = name.trim_end_matches('-').to_owned();
        is_plugin_name(&name).then_some(name)
    }
}

impl FromStr for Source {
    type Err = ParseSourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |reason: String| ParseSourceError {
            text: address::shown(text).chars().take(300).collect(),
            reason,
        };
        if let Some(reference) = text.strip_prefix(OCI) {
            let reference = reference.parse::<Reference>();
            return reference
                .map(Self::Oci)
                .map_err(|source| error(source.to_string()));
        }
        let scheme = text.split_once("://").map(|(scheme, _)| scheme);
        match scheme.map(str::to_ascii_lowercase).as_deref() {
            Some("https" | "http") => {
                let mut url: Url = text
                    .parse()
                    .map_err(|source| error(format!("it is not an address: {source}")))?;
                if !url.username().is_empty() || url.password().is_some() {
                    return Err(error("credentials do not belong in an address".to_owned()));
                }
                url.set_fragment(None);
                return Ok(Self::Url(url.into()));
            }
            Some("file") => {
                let url: Url = text
                    .parse()
                    .map_err(|source| error(format!("it is not an address: {source}")))?;
                let path = url.to_file_path();
                return path
                    .map(|path| Self::File(place(path)))
                    .map_err(|()| error("it is not a file on this machine".to_owned()));
            }
            Some(scheme) => {
                return Err(error(format!(
                    "it begins with `{scheme}://`, and is neither https, oci nor file"
                )));
            }
            None => {}
        }
        if is_path(text) {
            let path = std::path::absolute(text)
                .map_err(|source| error(format!("it is not a path: {source}")))?;
            return Ok(Self::File(place(path)));
        }
        let reference = text.parse::<Reference>();
        reference
            .map(Self::Oci)
            .map_err(|source| error(format!("there is no such file, and {source}")))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "{}", path.display()),
            Self::Url(url) => write!(formatter, "{url}"),
            Self::Oci(reference) => write!(formatter, "{OCI}{}", reference.canonical()),
        }
    }
}

/// Returns the one path of what lies at a path, which may have several.
fn place(path: PathBuf) -> PathBuf {
    crate::fs::canonicalize(&path).unwrap_or(path)
}

/// Returns whether a text is meant as a path: it looks like one, or is there.
fn is_path(text: &str) -> bool {
    let looks = text.starts_with(['/', '.', '~']) || text.to_ascii_lowercase().ends_with(".wasm");
    looks || Path::new(text).is_file()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn read(text: &str) -> Source {
        text.parse().unwrap()
    }

    #[test]
    fn each_kind_of_source_has_one_spelling() {
        for (text, spelling) in [
            ("/a/b.wasm", "/a/b.wasm"),
            ("file:///a/b.wasm", "/a/b.wasm"),
            (
                "HTTPS://Example.COM:443/a.wasm#x",
                "https://example.com/a.wasm",
            ),
            ("ghcr.io/acme/vault:1", "oci://ghcr.io/acme/vault:1"),
            ("oci://acme/vault", "oci://docker.io/acme/vault:latest"),
        ] {
            assert_eq!(read(text).to_string(), spelling);
            assert_eq!(read(spelling), read(text), "{text}");
        }
        assert!(matches!(read("./x.wasm"), Source::File(path) if path.is_absolute()));
        assert!(matches!(read("x.wasm"), Source::File(_)));
    }

    #[test]
    fn what_is_no_source_is_an_error_that_says_why() {
        for (text, reason) in [
            ("ftp://a/b.wasm", "neither https"),
            ("https://me:secret@a/b.wasm", "credentials"),
            ("oci://A B", "reference"),
            ("", "no such file"),
        ] {
            let error = text.parse::<Source>().unwrap_err();
            assert!(error.reason.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_secret_in_an_address_is_neither_kept_nor_shown() {
        let source = read("https://example.com/a.wasm?token=secret&raw=1");
        let spelling = source.to_string();
        assert_eq!(spelling, "https://example.com/a.wasm?token=***&raw=1");
        assert!(!format!("{source:?}").contains("secret"));
        assert_eq!(source.name().as_deref(), Some("a"));
        let Source::Url(address) = source else {
            unreachable!("{spelling}");
        };
        assert!(address.expose().as_str().contains("token=secret"));
        for text in [
            "https://me:secret@a/b.wasm",
            "https://me:se/cret@a/b.wasm",
            "https://me:secret@/b.wasm",
            "ftp://a/b.wasm?token=secret",
            "ftp://me:secret@a/b.wasm",
        ] {
            let error = text.parse::<Source>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("cret"), "{error}");
        }
    }

    #[test]
    fn a_plugin_is_called_like_the_last_part_of_its_source() {
        for (text, name) in [
            ("/a/My_Plugin.v2.wasm", Some("my-plugin-v2")),
            ("https://example.com/x/vault.wasm?raw=1", Some("vault")),
            ("ghcr.io/acme/vault:1", Some("vault")),
            ("/a/7zip.wasm", None),
            ("https://example.com/", None),
        ] {
            assert_eq!(read(text).name().as_deref(), name, "{text}");
        }
    }
}
