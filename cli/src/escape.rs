//! Text of others on its way to a terminal.
//!
//! Archives, registries, plugins and file names may say anything. What could move the cursor,
//! change colours, turn the reading direction or hide is shown as what it is instead.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns a text in which everything that a terminal might obey is spelled out, line ends too.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            character if is_hostile(character) => {
                // Writing to a string cannot fail.
                let _ = write!(safe, "\\u{{{:x}}}", u32::from(character));
            }
            character => safe.push(character),
        }
    }
    Cow::Owned(safe)
}

/// Returns the same of bytes that are text for the most part: what is not is spelled out as `\\xff`.
pub(crate) fn escaped_bytes(bytes: &[u8]) -> String {
    let mut safe = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        safe.push_str(&escaped(chunk.valid()));
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(safe, "\\x{byte:02x}");
        }
    }
    safe
}

/// The most bytes of one line of a message.
const LINE: usize = 8192;

/// Returns the same, cut where it is too long for one line of a message.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    if text.len() <= LINE {
        return escaped(text);
    }
    let head = text
        .get(..text.floor_char_boundary(LINE))
        .unwrap_or_default();
    Cow::Owned(escaped(head).into_owned() + "…")
}

/// Returns whether a character does something instead of showing something: controls of both
/// ranges, bidirectional marks, and characters that take no room and no ink. The joiners U+200C
/// and U+200D stay, for scripts and emoji need them.
pub(crate) fn is_hostile(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200b}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_message_has_an_end() {
        assert_eq!(line("short\n"), "short\\n");
        let long = line(&"ü".repeat(100_000)).into_owned();
        assert!(long.ends_with("ü…") && long.len() < LINE + 8);
    }

    #[test]
    fn what_a_terminal_would_obey_is_spelled_out() {
        for (text, safe) in [
            ("plain ünïcode 🦀 👩‍🔬", "plain ünïcode 🦀 👩‍🔬"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\rb\nc\td\u{7}\u{7f}", "a\\rb\\nc\\td\\u{7}\\u{7f}"),
            ("txt.\u{202e}exe", "txt.\\u{202e}exe"),
            ("\u{2066}in\u{2069}", "\\u{2066}in\\u{2069}"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("py\u{200b}thon", "py\\u{200b}thon"),
        ] {
            assert_eq!(escaped(text), safe);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_spelled_out() {
        assert_eq!(escaped_bytes("ü\n".as_bytes()), "ü\\n");
        assert_eq!(escaped_bytes(b"a\xff\xfe\x1bb"), "a\\xff\\xfe\\u{1b}b");
    }

    #[test]
    fn harmless_text_is_not_copied() {
        assert!(matches!(escaped("python:3.13"), Cow::Borrowed(_)));
    }
}
