//! Patterns that administrators and users write for permissions and identities.

use crate::wildcard::{self, Stars};

/// Returns whether a pattern covers a text, or another pattern: a `*` in it stands for any characters but
/// `/` and `@`, and `**` for these as well; `*` alone covers everything.
pub(super) fn covers(pattern: &str, text: &str) -> bool {
    // A star of the text itself is a character: only another star allows it.
    pattern == "*" || wildcard::matches(pattern, Stars::WithinOrDeep(b"/@"), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_is_covered_by_another_or_not() {
        for (pattern, text, expected) in [
            ("*", "http=*", true),
            ("clock", "clock", true),
            ("clock", "reveal", false),
            ("env=ACME_*", "env=ACME_TOKEN", true),
            ("env=ACME_*", "env=ACME_*", true),
            ("env=ACME_*", "env=*", false),
            ("env=ACME_*", "env=HOME", false),
            (
                "http=https://*.acme.com",
                "http=https://vault.acme.com",
                true,
            ),
            (
                "http=https://*.acme.com",
                "http=https://evil.example/x.acme.com",
                false,
            ),
            (
                "http=https://*.acme.com",
                "http=https://me@evil.example:1@x.acme.com",
                false,
            ),
            (
                "http=https://*.acme.com",
                "http=https://vault.acme.com:8200",
                false,
            ),
            (
                "http=https://*.acme.com*",
                "http=https://vault.acme.com:8200",
                true,
            ),
            (
                "http=https://*.acme.com:*",
                "http=https://vault.acme.com:8200",
                true,
            ),
            (
                "http=https://*.acme.com:*",
                "http=https://vault.acme.com.evil.example",
                false,
            ),
            ("files=~/.acme/*", "files=~/.acme/token", true),
            ("files=~/.acme/*", "files=~/.acme/a/b", false),
            ("files=~/.acme/**", "files=~/.acme/a/b", true),
            ("files=~/.acme/**", "files=~/.ssh/id", false),
            ("*@acme.example", "dev@acme.example", true),
            ("*@acme.example", "dev@evil.example@acme.example", false),
            (
                "https://github.com/acme/vault/.github/workflows/release.yml@refs/tags/*",
                "https://github.com/acme/vault/.github/workflows/release.yml@refs/tags/v1.2",
                true,
            ),
            (
                "https://github.com/acme/vault/.github/workflows/release.yml@refs/tags/*",
                "https://github.com/acme/vault/.github/workflows/test.yml@refs/tags/v1.2",
                false,
            ),
            (
                "https://github.com/acme/**",
                "https://github.com/acme/a/b.yml@refs/x",
                true,
            ),
            (
                "https://github.com/acme/**",
                "https://github.com/acmes/a",
                false,
            ),
        ] {
            assert_eq!(covers(pattern, text), expected, "{pattern} {text}");
        }
    }
}
