//! Where an answer sends us on to.
//!
//! Owns how an address in a header is read. Whether it may be followed is not its matter.

use std::fmt::Write as _;

use reqwest::header::{HeaderMap, HeaderValue, LOCATION};
use reqwest::{Response, Url};

/// Returns the address that a redirect names; `None` if the answer is not a redirect.
pub(super) fn location(response: &Response) -> Option<&HeaderValue> {
    let is_redirect = matches!(response.status().as_u16(), 301..=303 | 307 | 308);
    response.headers().get(LOCATION).filter(|_| is_redirect)
}

/// Returns the address in a `Location`, relative to where the answer came from; `None` where it is
/// not an address.
///
/// Many servers write bytes beyond ASCII as they are. They are taken for what they would be if they
/// were escaped, one by one, as Go does, so that the server gets back what it wrote, in whatever
/// encoding that is.
pub(super) fn target(base: &Url, location: &HeaderValue) -> Option<Url> {
    let mut text = String::with_capacity(location.len());
    for byte in location.as_bytes() {
        if byte.is_ascii() {
            text.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    base.join(&text).ok()
}

/// Returns the address in the `Location` of an answer that is not a redirect.
pub(super) fn named(base: &Url, headers: &HeaderMap) -> Option<Url> {
    target(base, headers.get(LOCATION)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ascii_is_escaped_byte_by_byte() {
        let base = "https://r.example/v2/a".parse().unwrap();
        for (location, expected) in [
            (&b"/caf\xc3\xa9"[..], "https://r.example/caf%C3%A9"),
            (b"/caf\xe9", "https://r.example/caf%E9"),
            (b"/a b?c d=\xff", "https://r.example/a%20b?c%20d=%FF"),
            (b"  /a%20b ", "https://r.example/a%20b"),
            (
                b"https://b\xc3\xbccher.example/x",
                "https://xn--bcher-kva.example/x",
            ),
            (b"//cdn.example/x", "https://cdn.example/x"),
        ] {
            let value = HeaderValue::from_bytes(location).unwrap();
            let found = target(&base, &value).unwrap();
            assert_eq!(found.as_str(), expected);
        }
        for location in [
            &b"https://"[..],
            b"https://b\xfccher.example/",
            b"http://[::1",
        ] {
            let value = HeaderValue::from_bytes(location).unwrap();
            assert_eq!(target(&base, &value), None);
        }
    }
}
