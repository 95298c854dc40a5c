//! Which registries a provider is asked about. Source: `wit/credentials.wit`, `description`.

use crate::reference::canonical_host;
use crate::wildcard::{self, Stars};

/// Returns whether a registry, in its canonical form, is one of a pattern.
///
/// A `*` stands for any characters but dots and colons; alone it is every registry. A pattern
/// without one is a registry in any of its spellings.
pub fn matches(pattern: &str, registry: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    if !pattern.contains('*') {
        return canonical_host(pattern).as_deref() == Some(registry);
    }
    wildcard::matches(
        &pattern.to_ascii_lowercase(),
        Stars::Within(b".:"),
        registry,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_within_a_label() {
        for (pattern, registry, expected) in [
            ("*", "ghcr.io", true),
            ("*", "[::1]:5000", true),
            ("ghcr.io", "ghcr.io", true),
            ("https://GHCR.io/", "ghcr.io", true),
            ("index.docker.io", "docker.io", true),
            ("ghcr.io", "ghcr.io:5000", false),
            ("*.io", "ghcr.io", true),
            ("*.io", "a.ghcr.io", false),
            ("*.IO", "ghcr.io", true),
            (
                "*.dkr.ecr.*.amazonaws.com",
                "123.dkr.ecr.eu-west-1.amazonaws.com",
                true,
            ),
            (
                "*.dkr.ecr.*.amazonaws.com",
                "123.dkr.ecr.eu.west.amazonaws.com",
                false,
            ),
            ("*:5000", "host:5000", true),
            ("*:5000", "host.example:5000", false),
            ("*:5000", "host", false),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "abbc", true),
            ("a*", "b", false),
            ("", "ghcr.io", false),
            ("*evil", "notevil.example", false),
        ] {
            assert_eq!(matches(pattern, registry), expected, "{pattern} {registry}");
        }
    }
}
