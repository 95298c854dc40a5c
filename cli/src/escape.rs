//! Text of others on its way to a terminal.
//!
//! Archives, registries and plugins may say anything. What could move the cursor, change colours
//! or turn the reading direction is shown as what it is instead.

use std::fmt::Write as _;

/// Returns a text in which everything that a terminal might obey is spelled out. A line end stays
/// only as `\n`.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            character if character.is_control() || changes_direction(character) => {
                // Writing to a string cannot fail.
                let _ = write!(safe, "\\u{{{:x}}}", u32::from(character));
            }
            character => safe.push(character),
        }
    }
    safe
}

/// Bidirectional marks, and characters that take no room and no ink.
fn changes_direction(character: char) -> bool {
    matches!(
        character,
        '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_spelled_out() {
        for (text, safe) in [
            ("plain ünïcode 🦀", "plain ünïcode 🦀"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\rb\nc\td\u{7}", "a\\rb\\nc\\td\\u{7}"),
            ("txt.\u{202e}exe", "txt.\\u{202e}exe"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
        ] {
            assert_eq!(escaped(text), safe);
        }
    }
}
