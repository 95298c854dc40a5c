//! Where a mirror is: a host, and the namespace below which it keeps the repositories.

use std::str::FromStr;

use crate::address;
use crate::reference::{canonical_host, is_component};

/// A place on a host: `host[:port][/namespace]`, with a scheme or without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The host in its canonical form.
    pub host: String,
    /// What stands before the names of its repositories; may be empty.
    pub namespace: String,
    /// How it is spoken to, where that was written.
    pub scheme: Option<Scheme>,
}

/// How a host is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTPS.
    Https,
}

/// A text that is not a location.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not `host[:port][/namespace]`: {reason}")]
pub struct LocationError {
    text: String,
    reason: &'static str,
}

impl Location {
    /// Returns the repository as this location names it. `rest` is what is left of the name.
    pub(super) fn repository(&self, rest: &str) -> String {
        let rest = rest.trim_start_matches('/');
        match (self.namespace.as_str(), rest) {
            ("", rest) => rest.to_owned(),
            (namespace, "") => namespace.to_owned(),
            (namespace, rest) => format!("{namespace}/{rest}"),
        }
    }
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |reason| LocationError {
            // What stands before an `@` may be a password.
            text: match text.rsplit_once('@') {
                Some((_, rest)) => format!("***@{rest}"),
                None => address::shown(text),
            },
            reason,
        };
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => {
                (Some(Scheme::Https), rest)
            }
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => {
                (Some(Scheme::Http), rest)
            }
            Some(_) => return Err(invalid("the scheme is neither `https` nor `http`")),
            None => (None, text),
        };
        if rest.contains('@') {
            return Err(invalid("credentials do not belong here"));
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, namespace) = rest.split_once('/').unwrap_or((rest, ""));
        let host =
            canonical_host(host).ok_or_else(|| invalid("it does not begin with a host name"))?;
        if !namespace.is_empty() && !namespace.split('/').all(is_component) {
            return Err(invalid(
                "the namespace is not made of lower-case letters, digits and single separators",
            ));
        }
        Ok(Self {
            host,
            namespace: namespace.to_owned(),
            scheme,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_host_with_port_namespace_and_scheme_or_without() {
        for (text, host, namespace, scheme) in [
            ("mirror", "mirror", "", None),
            ("Mirror:5000/", "mirror:5000", "", None),
            (
                "https://m.example/a/b",
                "m.example",
                "a/b",
                Some(Scheme::Https),
            ),
            (
                "HTTP://[::1]:5000/a/",
                "[::1]:5000",
                "a",
                Some(Scheme::Http),
            ),
            ("index.docker.io", "docker.io", "", None),
        ] {
            let expected = Location {
                host: host.to_owned(),
                namespace: namespace.to_owned(),
                scheme,
            };
            assert_eq!(text.parse::<Location>().unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_places_are_refused() {
        for text in [
            "",
            "/a",
            "ftp://host",
            "host/UP",
            "host//a",
            "host/a:tag",
            "https://",
            "a b",
        ] {
            assert!(text.parse::<Location>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_in_a_place_is_not_repeated() {
        let error = "https://me:hunter2@host/a".parse::<Location>().unwrap_err();
        assert!(error.to_string().contains("credentials do not belong here"));
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn a_namespace_stands_before_the_repository() {
        let at = |text: &str, rest| text.parse::<Location>().unwrap().repository(rest);
        assert_eq!(at("m", "/library/python"), "library/python");
        assert_eq!(at("m/hub", "library/python"), "hub/library/python");
        assert_eq!(at("m/hub", ""), "hub");
    }
}
