//! Texts and keys as Go's decoder has them.

use std::borrow::Cow;

/// Returns the text of a document in which every byte that is not UTF-8, and every half of a
/// surrogate pair without the other, is U+FFFD: Go reads these, and `serde_json` does not.
pub(crate) fn normalized(bytes: &[u8]) -> Cow<'_, str> {
    let text = match str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(replaced(bytes)),
    };
    // Halves are rare: nothing is copied for a document without `\ud`.
    if !text.contains("\\ud") && !text.contains("\\uD") {
        return text;
    }
    Cow::Owned(without_halves(&text))
}

fn replaced(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

fn without_halves(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        result.push_str(before);
        let length = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                result.push_str("\\ufffd");
                rest = escape.get(6..).unwrap_or_default();
                continue;
            }
            (Some(_), _) => 6,
            // A backslash and what it is about; a second backslash begins nothing.
            (None, _) => 1 + escape.chars().nth(1).map_or(0, char::len_utf8),
        };
        let (escape, after) = escape.split_at(length.min(escape.len()));
        result.push_str(escape);
        rest = after;
    }
    result + rest
}

/// Returns the code unit of an escape `\uXXXX` at the beginning of a text.
fn unit(escape: &str) -> Option<u16> {
    let digits = escape.strip_prefix("\\u")?.get(..4)?;
    // `from_str_radix` would take a sign.
    digits
        .bytes()
        .all(|digit| digit.is_ascii_hexdigit())
        .then_some(())?;
    u16::from_str_radix(digits, 16).ok()
}

/// Returns a key as Go compares it with the names of fields: without case, which for two letters
/// of ASCII has a third form. Source: Unicode's `CaseFolding.txt`, U+017F and U+212A.
pub(crate) fn folded(key: &str) -> impl Iterator<Item = char> {
    key.chars().map(|character| match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    })
}

/// Returns whether two keys are one field for Go: whatever their case.
pub fn is_same(one: &str, other: &str) -> bool {
    folded(one).eq(folded(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_that_is_no_text_is_replaced() {
        assert_eq!(normalized(b"plain"), "plain");
        assert_eq!(normalized(b"a\xff\xe2\x82b"), "a\u{fffd}\u{fffd}\u{fffd}b");
        assert_eq!(normalized(b"\xed\xa0\x80"), "\u{fffd}\u{fffd}\u{fffd}");
    }

    #[test]
    fn halves_of_surrogate_pairs_are_replaced_and_pairs_are_kept() {
        for (text, expected) in [
            (r"\ud83d\ude00", r"\ud83d\ude00"),
            (r"\uD83D\uDE00", r"\uD83D\uDE00"),
            (r"\ud800", r"\ufffd"),
            (r"\udc00\ud800", r"\ufffd\ufffd"),
            (r"\ud800\ud83d\ude00", r"\ufffd\ud83d\ude00"),
            (r"\ud800A\n", r"\ufffdA\n"),
            (r"\\ud800", r"\\ud800"),
            (r"\ud8", r"\ud8"),
            (r"\ud80+", r"\ud80+"),
            (r"\ud800\", r"\ufffd\"),
            ("\\\u{e4}\\ud800", "\\\u{e4}\\ufffd"),
        ] {
            assert_eq!(normalized(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn keys_are_folded_as_go_folds_them() {
        for (key, expected) in [
            ("layers", "layers"),
            ("Layer\u{17f}", "layers"),
            ("\u{212a}ind", "kind"),
            ("STRA\u{df}E", "stra\u{df}e"),
            ("\u{c4}", "\u{c4}"),
        ] {
            assert_eq!(folded(key).collect::<String>(), expected);
        }
    }
}
