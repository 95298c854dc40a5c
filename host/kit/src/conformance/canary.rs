//! A value that must not be seen: planted wherever a plugin may look, and looked for in what it
//! says.
//!
//! Owns the forms in which it may be said.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};

/// The password of the made-up environment. Nothing else looks like it.
pub(super) const CANARY: &str = "Canary7Zq2Xw9Lk4Vt8Rb3Np6";

/// The name of the user in the made-up environment.
pub(super) const USER: &str = "kit-user";

/// Returns `user:password`, as it stands in Docker's files.
pub(super) fn pair() -> String {
    STANDARD.encode(format!("{USER}:{CANARY}"))
}

/// Returns in what form the canary is in a text, if it is.
pub(super) fn found_in(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    if lower.contains(&CANARY.to_ascii_lowercase()) {
        return Some("as it is");
    }
    if lower.contains(&hex(CANARY)) {
        return Some("in hexadecimal");
    }
    let reversed: String = CANARY.chars().rev().collect();
    if text.contains(&reversed) {
        return Some("backwards");
    }
    // Wherever it begins in what is encoded, the middle of it comes out in one of three ways.
    let encoded = |before: usize| {
        let bytes = [&b"..."[..before], CANARY.as_bytes()].concat();
        let text = STANDARD_NO_PAD.encode(bytes);
        text.get(4..text.len() - 4).unwrap_or_default().to_owned()
    };
    let plain = URL_SAFE.encode(CANARY);
    if (0..3).map(encoded).any(|form| text.contains(&form)) || text.contains(&plain) {
        return Some("in base64");
    }
    // A part of it gives away as much: what is cut off or wrapped is found by its first half.
    let half = CANARY.get(..CANARY.len() / 2).unwrap_or(CANARY);
    text.contains(half).then_some("in part")
}

fn hex(text: &str) -> String {
    let mut hex = String::new();
    for byte in text.bytes() {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_is_found_in_every_form() {
        for (text, form) in [
            (format!("the password is {CANARY}!"), "as it is"),
            (CANARY.to_ascii_uppercase(), "as it is"),
            (format!("x{CANARY:.20}"), "in part"),
            (pair(), "in base64"),
            (STANDARD.encode(CANARY), "in base64"),
            (STANDARD.encode(format!("a{CANARY}")), "in base64"),
            (STANDARD.encode(format!("ab{CANARY}cd")), "in base64"),
            (CANARY.chars().rev().collect(), "backwards"),
            (hex(CANARY).to_ascii_uppercase(), "in hexadecimal"),
        ] {
            assert_eq!(found_in(&text), Some(form), "{text}");
        }
        assert_eq!(found_in("a canary, and seven others"), None);
    }
}
