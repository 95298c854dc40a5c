//! Which sources a policy is about: by the place that they name, however it is written.
//!
//! Owns the comparison of a source with the text of a policy. What allows something is about its place
//! and all that lies within. What demands something is also about all that begins with its text: it
//! would be worse to ask for nothing.

use std::path::Path;

use url::Url;

use super::source::{OCI, Source};
use crate::fs;
use crate::reference::{Reference, canonical_host};

/// The port that registries have unless another is named.
const REGISTRY_PORT: u16 = 443;

impl Source {
    /// Returns whether this one lies within a place: it is the place, or goes on there behind the end of
    /// a host, of a part of a path, or of the name of a repository. `*` is every place.
    pub fn is_within(&self, place: &str) -> bool {
        if place == "*" {
            return true;
        }
        match self {
            Self::File(path) => {
                let place = place.strip_prefix("file://").unwrap_or(place);
                let own = fs::canonicalize(path);
                let own = own.as_deref().unwrap_or(path);
                place.starts_with('/') && own.starts_with(path_of(place))
            }
            Self::Url(url) => {
                let place = place.parse::<Url>();
                place.is_ok_and(|place| {
                    let own = plain(url.expose().path());
                    // What a server makes of these is not known.
                    let is_plain = own.split(['/', '\\']).all(|part| part != "..");
                    is_plain
                        && is_same_server(url.expose(), &place)
                        && goes_on(&own, &plain(place.path()), |rest| rest.starts_with('/'))
                })
            }
            Self::Oci(_) if place == OCI => true,
            Self::Oci(reference) => {
                let place = with_registry(place.strip_prefix(OCI).unwrap_or(place));
                // A `:` before a `/` is that of a port: another registry.
                let is_version = |rest: &str| rest.starts_with([':', '@']) && !rest.contains('/');
                names(reference).iter().any(|own| {
                    goes_on(own, &place, |rest| {
                        rest.starts_with('/') || is_version(rest)
                    })
                })
            }
        }
    }

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
                prefix.is_ok_and(|prefix| {
                    is_same_server(url.expose(), &prefix)
                        && plain(url.expose().path()).starts_with(&plain(prefix.path()))
                })
            }
            Self::Oci(reference) => {
                let prefix = prefix.strip_prefix(OCI).unwrap_or(prefix);
                let prefix = with_registry(prefix);
                names(reference).iter().any(|own| own.starts_with(&prefix))
            }
        }
    }
}

/// Returns whether a text is a place, or goes on behind its end as `boundary` says.
fn goes_on(own: &str, place: &str, boundary: impl Fn(&str) -> bool) -> bool {
    let rest = own.strip_prefix(place).filter(|_| !place.is_empty());
    rest.is_some_and(|rest| rest.is_empty() || place.ends_with('/') || boundary(rest))
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

/// Returns whether an address is on the host of another. Whether it is asked by TLS makes it no other
/// place.
fn is_same_server(own: &Url, prefix: &Url) -> bool {
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
    is_web && same_port && host(own) == host(prefix)
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

    #[track_caller]
    fn assert_within(source: &str, place: &str, expected: bool) {
        let source: Source = source.parse().unwrap();
        assert_eq!(source.is_within(place), expected, "{source} {place}");
        // What demands something is at least as wide.
        assert!(!expected || source.begins_with(place), "{source} {place}");
    }

    #[test]
    fn a_place_ends_where_a_host_a_part_of_a_path_or_a_name_ends() {
        let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let pinned = format!("ghcr.io/acme/vault:1@{digest}");
        for (source, place) in [
            ("ghcr.io/acme/vault:1", "*"),
            ("ghcr.io/acme/vault:1", "oci://"),
            ("ghcr.io/acme/vault:1", "oci://ghcr.io"),
            ("ghcr.io/acme/vault:1", "oci://ghcr.io/"),
            ("ghcr.io/acme/vault:1", "ghcr.io/acme"),
            ("ghcr.io/acme/vault:1", "ghcr.io/acme/"),
            ("ghcr.io/acme/vault:1", "GHCR.io:443/acme/vault"),
            ("ghcr.io/acme/vault:1", "ghcr.io/acme/vault:1"),
            (&pinned, "ghcr.io/acme/vault"),
            (&pinned, "ghcr.io/acme/vault:1"),
            (&pinned, &pinned),
            ("127.0.0.1:6111/acme/vault:1", "oci://127.0.0.1:6111"),
            ("docker.io/acme/vault:1", "acme"),
            ("docker.io/acme/vault:1", "index.docker.io/acme/"),
            ("docker.io/library/vault:1", "vault"),
            ("https://a.example/p/x.wasm", "https://a.example"),
            ("https://a.example/p/x.wasm", "https://a.example/p"),
            ("https://a.example/p/x.wasm", "https://A.example:443/%70/"),
            (
                "https://a.example/p/x.wasm?t=1",
                "https://a.example/p/x.wasm",
            ),
        ] {
            assert_within(source, place, true);
        }
        for (source, place) in [
            ("ghcr.io.evil.invalid/x:1", "oci://ghcr.io"),
            ("ghcr.io:5000/acme/vault:1", "oci://ghcr.io"),
            ("127.0.0.1:6111/acme/vault:1", "oci://127.0.0.1:611"),
            ("127.0.0.1:6111/acme/vault:1", "oci://127.0.0.1"),
            ("ghcr.io/acme-evil/vault:1", "oci://ghcr.io/acme"),
            ("ghcr.io/acme/vault-evil:1", "oci://ghcr.io/acme/vault"),
            ("ghcr.io/acme/vault:1.2", "oci://ghcr.io/acme/vault:1"),
            ("ghcr.io/acme/vault:1", "oci://ghcr.io/acme/vault/"),
            ("docker.io/acme-evil/vault:1", "acme"),
            ("docker.io/library/vault:1", "vau"),
            ("registry:5000/vault:1", "registry"),
            ("ghcr.io/acme/vault:1", ""),
            ("https://a.example/p-evil.wasm", "https://a.example/p"),
            ("https://a.example/x.wasm-evil", "https://a.example/x.wasm"),
            ("https://a.example/p/..%2Fx.wasm", "https://a.example/p/"),
            ("https://a.example.b.example/p", "https://a.example"),
            ("https://a.example:4430/p", "https://a.example:443"),
        ] {
            assert_within(source, place, false);
        }
    }

    #[test]
    fn a_place_ends_where_the_name_of_a_file_ends() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap().display().to_string();
        for name in ["w", "w-evil.wasm"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert_within(&format!("{root}/w"), &format!("{root}/w"), true);
        assert_within(&format!("{root}/w"), &root, true);
        assert_within(&format!("{root}/w"), &format!("file://{root}/"), true);
        assert_within(&format!("{root}/w-evil.wasm"), &format!("{root}/w"), false);
        assert_within(&format!("{root}/w"), "w", false);
        assert_within(&format!("{root}/w"), "", false);
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
