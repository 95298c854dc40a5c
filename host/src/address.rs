//! Addresses of the web, shown without what is secret in them.
//!
//! Owns what of an address may be a secret: the user and the password in it, and the values of its
//! query, where signed and private addresses have their tokens. Whoever shows or keeps an address
//! does it by this module.

#[cfg(feature = "registry")]
mod typed;

use std::borrow::Cow;

#[cfg(feature = "registry")]
pub use typed::Address;

/// What stands where a secret was left out.
const LEFT_OUT: &str = "***";

/// Parameters whose values say what is wanted and open no door.
const HARMLESS: [&str; 22] = [
    "alt", "arch", "branch", "channel", "dl", "download", "export", "file", "filename", "format",
    "inline", "name", "os", "path", "platform", "raw", "ref", "ref_type", "tag", "type", "v",
    "version",
];

/// Algorithms of digests, by which references end.
const DIGESTS: [&str; 5] = ["sha256", "sha384", "sha512", "blake3", "md5"];

/// Returns a text that should be an address, a host or a reference, without what is secret in it:
/// even if it cannot be used, and with a user and a password before the host.
pub fn shown(text: &str) -> String {
    with_scheme(text).unwrap_or_else(|| without_user(text))
}

/// Returns any other text, such as the name of a file: without what is secret in it if it is an
/// address with a scheme, and as it is if not.
pub fn shown_in_text(text: &str) -> String {
    if text.starts_with("//") {
        return text.to_owned();
    }
    with_scheme(text).unwrap_or_else(|| text.to_owned())
}

/// Returns a text that should name an image or a plugin, without what is secret in it. `…@` says that
/// something was left out: the text may have been another slip, such as `app:1@latest`.
pub fn shown_as_name(text: &str) -> String {
    with_scheme(text).unwrap_or_else(|| match without_user(text) {
        shown if shown == text => shown,
        shown => format!("…@{shown}"),
    })
}

/// Returns a text that should be a registry, without all that is before its last `@`: that is never
/// a part of one.
pub fn shown_as_registry(text: &str) -> String {
    let text = shown(text);
    let (rest, digest) = without_digest(&text);
    let start = rest.rfind('@').map_or(0, |at| at + 1);
    format!("{}{digest}", &rest[start..])
}

/// Returns an address with a scheme, or with `//` before it, without what is secret in it.
fn with_scheme(text: &str) -> Option<String> {
    let text = &with_slashes(text);
    let (scheme, rest) = text.split_once("//")?;
    if scheme.contains(['/', '?', '#', '@']) {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // A password with a slash in it makes an address that cannot be parsed.
    let end = match rest.rfind('@') {
        Some(at) if at > end && !can_be_parsed(text) && !scheme.is_empty() => at + 1,
        _ => end,
    };
    let (authority, rest) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or_default();
    let (rest, fragment) = match rest.split_once('#') {
        Some((rest, _)) => (rest, "#***"),
        None => (rest, ""),
    };
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, format!("?{}", masked(query))),
        None => (rest, String::new()),
    };
    Some(format!("{scheme}//{host}{path}{query}{fragment}"))
}

/// Returns an address of the web with the two slashes that programs read into it where they are
/// missing or are others: `https:u:p@host`, `https:\\u:p@host`.
fn with_slashes(text: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = text.split_once(':') else {
        return text.into();
    };
    let is_web = ["http", "https", "ws", "wss", "ftp"]
        .iter()
        .any(|it| scheme.eq_ignore_ascii_case(it));
    if !is_web || rest.starts_with("//") {
        return text.into();
    }
    format!("{scheme}://{}", rest.trim_start_matches(['/', '\\'])).into()
}

/// Returns a host, and what follows it, without the user and the password before it. A password may
/// have any character, so all that is before the last `@` is left out if it has a colon.
fn without_user(text: &str) -> String {
    if is_path(text) {
        return text.to_owned();
    }
    // A reference with a tag and a digest looks the same: `app:1@sha256:…`.
    let (rest, digest) = without_digest(text);
    match rest.rsplit_once('@') {
        Some((user, host)) if user.contains(':') => format!("{host}{digest}"),
        _ => text.to_owned(),
    }
}

/// Returns a text without the digest at its end, and the digest with its `@`.
fn without_digest(text: &str) -> (&str, &str) {
    let Some(at) = text.rfind('@') else {
        return (text, "");
    };
    let is_digest = text[at + 1..].split_once(':').is_some_and(|(name, hex)| {
        DIGESTS.contains(&name)
            && !hex.is_empty()
            && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    text.split_at(if is_digest { at } else { text.len() })
}

/// Returns whether a text is the path of a file: it begins with a directory or with a drive.
fn is_path(text: &str) -> bool {
    let bytes = text.as_bytes();
    text.starts_with(['.', '/', '~'])
        || matches!(bytes, [drive, b':', b'\\', ..] if drive.is_ascii_alphabetic())
}

fn masked(query: &str) -> String {
    let pairs: Vec<String> = query
        .split('&')
        .map(|pair| {
            let name = pair.split('=').next().unwrap_or_default();
            let is_harmless = HARMLESS.iter().any(|it| name.eq_ignore_ascii_case(it));
            match (is_harmless, pair.len() > name.len()) {
                (true, _) => pair.to_owned(),
                (false, true) => format!("{name}={LEFT_OUT}"),
                (false, false) if pair.is_empty() => String::new(),
                (false, false) => LEFT_OUT.to_owned(),
            }
        })
        .collect();
    pairs.join("&")
}

#[cfg(feature = "registry")]
fn can_be_parsed(text: &str) -> bool {
    text.parse::<url::Url>().is_ok()
}

/// Where no address is asked for anything, one with an `@` behind its host may have a secret there.
#[cfg(not(feature = "registry"))]
fn can_be_parsed(_: &str) -> bool {
    false
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_is_secret_in_it() {
        for (text, expected) in [
            (
                "https://u:secret@a.example/t?raw=1",
                "https://a.example/t?raw=1",
            ),
            ("https://u:sec@ret@a.example", "https://a.example"),
            ("https://u:sec/ret@a.example/x", "https://a.example/x"),
            ("https://u:sec?ret@a.example/x", "https://a.example/x"),
            ("https://secret@a.example/x", "https://a.example/x"),
            ("//u:secret@a.example/t", "//a.example/t"),
            ("https://a.example/t@x", "https://a.example/t@x"),
            (
                "https://a.example/p.wasm?token=secret&Version=2&X-Amz-Signature=secret",
                "https://a.example/p.wasm?token=***&Version=2&X-Amz-Signature=***",
            ),
            ("https://a.example/p?secret", "https://a.example/p?***"),
            (
                "https://a.example/p?a=secret=secret",
                "https://a.example/p?a=***",
            ),
            ("https://a.example/p#secret", "https://a.example/p#***"),
            (
                "https://a.example:x/p?sig=secret",
                "https://a.example:x/p?sig=***",
            ),
            ("https:u:secret@a.example/x", "https://a.example/x"),
            ("https:/u:secret@a.example//x", "https://a.example//x"),
            ("HTTPS:\\\\u:secret@a.example:bad", "HTTPS://a.example:bad"),
            ("u:secret@a.example/x:1", "a.example/x:1"),
            ("u:sec@ret@a.example:5000", "a.example:5000"),
            ("u:sec/ret@a.example", "a.example"),
            ("u:12/secret@a.example", "a.example"),
            ("u:secret@share.example:5000", "share.example:5000"),
            ("u:secret@shadow.example:5000/x", "shadow.example:5000/x"),
            ("u:secret@shaw.example:5000", "shaw.example:5000"),
            ("u:secret@md5.example/x:1", "md5.example/x:1"),
            ("u:secret@blake.example:5000", "blake.example:5000"),
            ("u:secret@sha256.example:5000", "sha256.example:5000"),
            ("u:secret@sha256:port", "sha256:port"),
            (
                "u:secret@a.example/x@sha256:12ab",
                "a.example/x@sha256:12ab",
            ),
            ("app:1@sha256:12ab", "app:1@sha256:12ab"),
            ("app:1@sha512:12AB", "app:1@sha512:12AB"),
            (
                "a.example:5000/app@sha256:12",
                "a.example:5000/app@sha256:12",
            ),
            ("C:\\me@home.wasm", "C:\\me@home.wasm"),
            ("./a/u@b//c", "./a/u@b//c"),
            ("/token", "/token"),
            ("./me@home.wasm", "./me@home.wasm"),
            ("", ""),
        ] {
            assert_eq!(shown(text), expected);
            assert!(!shown(text).contains("secret"));
        }
    }

    #[test]
    fn a_registry_is_shown_without_all_that_is_before_it() {
        for (text, expected) in [
            ("u:secret@share.example:5000", "share.example:5000"),
            ("secret@a.example", "a.example"),
            ("./secret@a.example", "a.example"),
            ("https://u:12/secret@a.example", "a.example"),
            ("a.example/app@sha256:12ab", "a.example/app@sha256:12ab"),
            ("https://a.example/app", "https://a.example/app"),
            ("a:b:c", "a:b:c"),
        ] {
            assert_eq!(shown_as_registry(text), expected);
        }
    }

    #[test]
    fn a_name_says_that_something_was_left_out() {
        for (text, expected) in [
            ("u:secret@share.example/x", "…@share.example/x"),
            ("u:12/secret@h:5000/x:1", "…@h:5000/x:1"),
            ("app:1@latest", "…@latest"),
            ("app@latest", "app@latest"),
            ("app:1@sha256:12ab", "app:1@sha256:12ab"),
            ("https://u:secret@h/x", "https://h/x"),
        ] {
            assert_eq!(shown_as_name(text), expected);
        }
    }

    #[test]
    fn a_text_that_is_not_an_address_stays_as_it_is() {
        for text in [
            "backup:2024@home.tar",
            "app:1@latest",
            "a:b/c@d",
            "//u:p@a/b",
            "limits.u:p@x",
        ] {
            assert_eq!(shown_in_text(text), text);
        }
        assert_eq!(shown_in_text("https://u:secret@h/a.tar"), "https://h/a.tar");
        assert_eq!(
            shown_in_text("registries.auth.https://u:secret@h"),
            "registries.auth.https://h"
        );
    }
}
