//! Text of others in errors and notices: as much of it as a person reads.

use std::borrow::Cow;

/// Bytes of a path, a name or a message that are shown.
const MOST: usize = 1024;

/// Returns a text, the middle of it left out where it is long: both ends of a path tell something.
pub(crate) fn excerpt(text: &str) -> Cow<'_, str> {
    if text.len() <= MOST {
        return Cow::Borrowed(text);
    }
    let head = text.floor_char_boundary(MOST / 2);
    let tail = text.ceil_char_boundary(text.len() - MOST / 2);
    Cow::Owned(format!("{}…{}", &text[..head], &text[tail..]))
}

/// Returns the same of bytes that are text for the most part.
pub(crate) fn excerpt_of(bytes: &[u8]) -> String {
    // Not more is looked at than can be shown, whatever the bytes are.
    if bytes.len() <= 2 * MOST {
        return excerpt(&String::from_utf8_lossy(bytes)).into_owned();
    }
    let head = String::from_utf8_lossy(&bytes[..MOST]);
    let tail = String::from_utf8_lossy(&bytes[bytes.len() - MOST..]);
    excerpt(&format!("{head}{tail}")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_lose_their_middle_and_short_ones_nothing() {
        let short = "a/b".repeat(100);
        assert_eq!(excerpt(&short), short);
        assert_eq!(excerpt_of(short.as_bytes()), short);
        let long = format!("begin{}end", "ü".repeat(40_000));
        for cut in [excerpt(&long).into_owned(), excerpt_of(long.as_bytes())] {
            assert!(cut.starts_with("beginü") && cut.ends_with("üend"), "{cut}");
            assert!(cut.contains('…') && cut.len() <= MOST + "…".len(), "{cut}");
        }
    }
}
