//! Taking secrets out of what servers answer: those that were sent to them in this call.

use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use reqwest::header::{HeaderMap, HeaderValue};
use zeroize::Zeroizing;

use super::secret::{Bytes, Value};
use super::written;
use crate::plugin::bindings::msb::plugin::derive::Encoding;
use crate::plugin::bindings::msb::plugin::types::Refusal;

/// What stands for a secret.
pub(super) const SCRUBBED: &str = "***";
/// Secrets shorter than this stand in every text.
const SHORTEST: usize = 4;
/// Secrets from this length on are also looked for in the base64 of more than themselves.
const LONG: usize = 8;
/// Secrets that may be sent in one call, and their bytes: looking for them takes memory.
const MAX_SECRETS: usize = 256;
const MAX_BYTES: usize = 64 << 10;

/// The secrets that were sent in one call.
#[derive(Default)]
pub(in crate::plugin) struct Sent(Vec<Bytes>);

impl Sent {
    /// Takes note of a secret that is about to be sent.
    pub(super) fn note(&mut self, value: &Value) -> Result<(), Refusal> {
        for bytes in value.traces() {
            if self.0.iter().any(|there| there == bytes) {
                continue;
            }
            self.0.push(Arc::clone(bytes));
            let total: usize = self.0.iter().map(|bytes| bytes.len()).sum();
            if self.0.len() > MAX_SECRETS || total > MAX_BYTES {
                return Err(Refusal::TooLarge(format!(
                    "a call sends at most {MAX_SECRETS} secrets of {} KiB in all",
                    MAX_BYTES >> 10
                )));
            }
        }
        Ok(())
    }

    /// Returns what takes them, and what was taken out of an answer, out of it.
    pub(super) fn scrubber(&self, taken: &[Bytes]) -> Result<Scrubber, Refusal> {
        let mut patterns: Vec<Zeroizing<Vec<u8>>> = Vec::new();
        for secret in self.0.iter().chain(taken) {
            patterns.extend(forms(secret));
        }
        if patterns.is_empty() {
            return Ok(Scrubber(None));
        }
        let search = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(patterns.iter().map(|pattern| pattern.as_slice()))
            .map_err(|_| Refusal::TooLarge("the secrets that were sent are too long".to_owned()))?;
        Ok(Scrubber(Some(search)))
    }
}

/// Returns how a secret may stand in an answer.
fn forms(secret: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    if secret.len() < SHORTEST {
        return Vec::new();
    }
    let written = |how| {
        let mut text = Zeroizing::new(Vec::new());
        written::write(&mut text, secret, how);
        text
    };
    let (percent, hex) = (written(Encoding::Percent), written(Encoding::Hex));
    let mut forms = vec![
        written(Encoding::Plain),
        written(Encoding::Json),
        Zeroizing::new(lower_percent(&percent)),
        percent,
        Zeroizing::new(hex.to_ascii_uppercase()),
        hex,
    ];
    // What comes before moves the bits by two or four: of each, what only the secret decides.
    let shifts = if secret.len() < LONG { 1 } else { 3 };
    for shift in 0..shifts {
        let mut moved = Zeroizing::new(vec![0; shift]);
        moved.extend_from_slice(secret);
        let first = (shift * 8).div_ceil(6);
        let end = moved.len() * 8 / 6;
        for alphabet in [&STANDARD, &URL_SAFE] {
            let text = Zeroizing::new(alphabet.encode(&*moved));
            forms.push(Zeroizing::new(text.as_bytes()[first..end].to_vec()));
        }
    }
    forms
}

/// Writes the digits behind each `%` in lower case.
fn lower_percent(text: &[u8]) -> Vec<u8> {
    let mut digits = 0;
    text.iter()
        .map(|&byte| {
            if byte == b'%' {
                digits = 2;
                return byte;
            }
            if digits == 0 {
                return byte;
            }
            digits -= 1;
            byte.to_ascii_lowercase()
        })
        .collect()
}

/// Takes secrets out of bytes.
pub(super) struct Scrubber(Option<AhoCorasick>);

impl Scrubber {
    /// Returns bytes with [`SCRUBBED`] in the place of each secret.
    pub(super) fn clean(&self, bytes: &[u8]) -> Vec<u8> {
        let Some(search) = &self.0 else {
            return bytes.to_vec();
        };
        let mut clean = Vec::with_capacity(bytes.len());
        let mut end = 0;
        for found in search.find_iter(bytes) {
            clean.extend_from_slice(&bytes[end..found.start()]);
            clean.extend_from_slice(SCRUBBED.as_bytes());
            end = found.end();
        }
        clean.extend_from_slice(&bytes[end..]);
        clean
    }

    /// Does the same in the values of headers.
    pub(super) fn clean_headers(&self, headers: &HeaderMap) -> Vec<(String, String)> {
        let text = |value: &HeaderValue| {
            String::from_utf8_lossy(&self.clean(value.as_bytes())).into_owned()
        };
        headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), text(value)))
            .collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn clean(secrets: &[&str], answer: &str) -> String {
        let mut sent = Sent::default();
        for secret in secrets {
            sent.note(&Value::new(secret.as_bytes().to_vec())).unwrap();
        }
        let clean = sent.scrubber(&[]).unwrap().clean(answer.as_bytes());
        String::from_utf8(clean).unwrap()
    }

    #[test]
    fn a_secret_is_found_however_it_is_written() {
        let secret = "p\"w\\ d/\u{e4}+x";
        let other = "name:before it:";
        for (written, left) in [
            (secret.to_owned(), ""),
            (serde_json::to_string(secret).unwrap(), "\"\""),
            ("p%22w%5C%20d%2F%C3%A4%2Bx".to_owned(), ""),
            ("p%22w%5c%20d%2f%c3%a4%2bx".to_owned(), ""),
            ("7022775c20642fc3a42b78".to_owned(), ""),
            ("7022775C20642FC3A42B78".to_owned(), ""),
        ] {
            assert_eq!(
                clean(&[secret], &format!("a {written} b")),
                format!("a {} b", if left.is_empty() { "***" } else { "\"***\"" }),
                "{written}"
            );
        }
        for before in 0..other.len() {
            for alphabet in [&STANDARD, &URL_SAFE] {
                let echoed = alphabet.encode(format!("{}{secret}", &other[..before]));
                let clean = clean(&[secret], &echoed);
                assert!(clean.contains("***"), "{before} {echoed} {clean}");
                assert!(clean.len() <= before * 8 / 6 + 3 + 4, "{echoed} {clean}");
            }
        }
    }

    #[test]
    fn overlapping_and_short_secrets_do_no_harm() {
        assert_eq!(
            clean(&["secret", "secret-long"], "secret-long secret"),
            "*** ***"
        );
        assert_eq!(clean(&["e"], "here"), "here");
        assert_eq!(clean(&[], "here"), "here");
    }

    #[test]
    fn more_than_can_be_looked_for_is_not_sent() {
        let mut sent = Sent::default();
        sent.note(&Value::new(vec![b'x'; MAX_BYTES])).unwrap();
        sent.note(&Value::new(vec![b'x'; MAX_BYTES])).unwrap();
        let more = sent.note(&Value::new(b"more".to_vec()));
        assert!(matches!(more, Err(Refusal::TooLarge(_))));
    }
}
