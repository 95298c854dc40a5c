//! Which sources a policy is about: by the place that they name, however it is written.
//!
//! Owns the comparison of a source with the text of a policy. A policy is about its place and all
//! that begins with it.

use std::path::Path;

use url::Url;

use super::source::Source;
use crate::fs;
use crate::reference::{Reference, canonical_host};

/// The port that registries have unless another is named.
const REGISTRY_PORT: u16 = 443;

impl Source {
    /// Returns whether a policy for sources that begin with `prefix` is meant for this one: `*` is
    /// every source.
    pub fn begins_with(&self, prefix: &str) -> bool {
        if prefix == "*" {
            return true;
        }
        match self {
            Self::File(path) => {
                let prefix = prefix.strip_prefix("file://").unwrap_or(prefix);
                let own = fs::canonicalize(path);
                let own = own.as_deref().unwrap_or(path).to_string_lossy();
                prefix.starts_with('/') && own.starts_with(&path_of(prefix))
            }
            Self::Url(url) => {
                let prefix = prefix.parse::<Url>();
                prefix.is_ok_and(|prefix| is_below(url.expose(), &prefix))
            }
            Self::Oci(reference) => {
                let prefix = prefix.strip_prefix("oci://").unwrap_or(prefix);
                let prefix = with_registry(prefix);
                names(reference).iter().any(|own| own.starts_with(&prefix))
            }
        }
    }
}

/// Returns the path of a policy by which the system knows it, as far as it is there.
fn path_of(prefix: &str) -> String {
    let path = Path::new(prefix);
    let slash = if prefix.ends_with('/') { "/" } else { "" };
    if let Ok(place) = fs::canonicalize(path) {
        return format!("{}{slash}", place.display());
    }
    match (path.parent().map(fs::canonicalize), path.file_name()) {
        (Some(Ok(parent)), Some(name)) => {
            format!("{}{slash}", parent.join(name).display())
        }
        _ => prefix.to_owned(),
    }
}

/// Returns whether an address is on the host of another, below its path. Whether it is asked by TLS
/// makes it no other place.
fn is_below(own: &Url, prefix: &Url) -> bool {
    let is_web = matches!(prefix.scheme(), "https" | "http");
    let same_port = if own.scheme() == prefix.scheme() {
        own.port_or_known_default() == prefix.port_or_known_default()
    } else {
        own.port() == prefix.port()
    };
    let host = |url: &Url| {
        url.host_str()
            .map(|host| host.trim_end_matches('.').to_owned())
    };
    is_web
        && same_port
        && host(own) == host(prefix)
        && plain(own.path()).starts_with(&plain(prefix.path()))
}

/// Returns a path as servers understand it: without escapes that are not needed, and without empty
/// parts.
fn plain(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = |digit: u8| char::from(digit).to_digit(16);
        let escaped = match rest {
            [b'%', high, low, ..] => hex(*high).zip(hex(*low)),
            _ => None,
        };
        let (byte, after) = match escaped {
            Some((high, low)) => (u8::try_from(high * 16 + low).unwrap_or(first), &rest[3..]),
            None => (first, after),
        };
        if byte != b'/' || bytes.last() != Some(&b'/') {
            bytes.push(byte);
        }
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the names that a policy may have for a reference.
fn names(reference: &Reference) -> [String; 2] {
    let (canonical, familiar) = (reference.canonical(), reference.familiar());
    let own = reference.registry();
    let canonical = match canonical.strip_prefix(own) {
        Some(rest) => format!("{}{rest}", registry(own)),
        None => canonical,
    };
    let familiar = match familiar.strip_prefix(own) {
        Some(rest) => format!("{}{rest}", registry(own)),
        None => familiar,
    };
    [canonical, familiar]
}

/// Returns the text of a policy with the one form of its registry, if it names one.
fn with_registry(prefix: &str) -> String {
    let (head, rest) = match prefix.find('/') {
        Some(at) => prefix.split_at(at),
        None => (prefix, ""),
    };
    let is_host = head.contains(['.', ':']) || head.eq_ignore_ascii_case("localhost");
    match canonical_host(head).filter(|_| is_host) {
        Some(host) => format!("{}{rest}", registry(&host)),
        None => prefix.to_owned(),
    }
}

/// Returns a registry without the port that it has anyway, and without zeros before another.
fn registry(host: &str) -> String {
    let Some((name, port)) = host.rsplit_once(':') else {
        return host.to_owned();
    };
    match port.parse::<u16>() {
        Ok(REGISTRY_PORT) => name.to_owned(),
        Ok(port) => format!("{name}:{port}"),
        Err(_) => host.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_covers(source: &str, prefix: &str, expected: bool) {
        let source: Source = source.parse().unwrap();
        assert_eq!(source.begins_with(prefix), expected, "{source} {prefix}");
    }

    #[test]
    fn a_policy_is_about_a_registry_in_all_its_spellings() {
        for prefix in [
            "*",
            "oci://docker.io/acme/",
            "docker.io/acme",
            "acme/",
            "index.docker.io/acme/",
        ] {
            assert_covers("docker.io/acme/vault:1", prefix, true);
        }
        for (source, prefix) in [
            ("127.0.0.1:5680/acme/vault:1", "127.0.0.1:05680/acme/"),
            ("127.0.0.1:05680/acme/vault:1", "oci://127.0.0.1:5680/acme/"),
            ("ghcr.io:443/acme/vault:1", "ghcr.io/acme/"),
            ("ghcr.io/acme/vault:1", "GHCR.io:443/acme/"),
        ] {
            assert_covers(source, prefix, true);
        }
        for prefix in ["ghcr.io/acme", "docker.io:5000/acme", "/acme"] {
            assert_covers("docker.io/acme/vault:1", prefix, false);
        }
    }

    #[test]
    fn a_policy_is_about_a_server_in_all_its_spellings() {
        for source in [
            "https://a.example/p.wasm",
            "https://A.example:443//p.wasm",
            "https://a.example/%70.wasm",
            "https://a.example/x/../p.wasm?token=1",
            "http://a.example/p.wasm",
            "https://a.example./p.wasm",
        ] {
            assert_covers(source, "https://a.example/p", true);
        }
        for source in [
            "https://a.example/q.wasm",
            "https://a.example:444/p.wasm",
            "https://b.example/p.wasm",
            "https://a.example.b.example/p.wasm",
        ] {
            assert_covers(source, "https://a.example/p", false);
        }
        assert_covers("https://a.example/p.wasm", "a.example/", false);
    }

    #[test]
    fn a_policy_is_about_a_directory_whatever_leads_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap().join("real");
        let link = real.with_file_name("link");
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        std::fs::write(real.join("p.wasm"), "").unwrap();
        let (real, link) = (real.display().to_string(), link.display().to_string());
        for source in [
            format!("{real}/p.wasm"),
            format!("{link}/p.wasm"),
            format!("file://{link}/p.wasm"),
            format!("/{real}/p.wasm"),
            format!("{real}/../link/./p.wasm"),
        ] {
            for prefix in [
                &real,
                &link,
                &format!("{link}/"),
                &format!("file://{real}/p"),
            ] {
                assert_covers(&source, prefix, true);
            }
            assert_covers(&source, &format!("{real}2/"), false);
            assert_covers(&source, "real", false);
        }
    }
}
