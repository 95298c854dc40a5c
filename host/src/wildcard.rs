//! Patterns in which a `*` stands for any characters, for permissions and for names of registries.
//!
//! Owns the matching. Knows nothing of what is matched.

/// What a `*` may stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stars {
    /// Any characters.
    Any,
    /// Any characters but these, which are ASCII.
    Within(&'static [u8]),
    /// The same, and `**` stands for any characters.
    WithinOrDeep(&'static [u8]),
}

/// Returns whether a whole text matches a pattern. The time is the product of both lengths at most,
/// whatever the pattern.
pub(crate) fn matches(pattern: &str, stars: Stars, text: &str) -> bool {
    let tokens = tokens(pattern.as_bytes(), stars);
    // Whether the text so far matches the first so many tokens.
    let mut reached = vec![false; tokens.len() + 1];
    reached[0] = true;
    pass_stars(&tokens, &mut reached);
    for byte in text.bytes() {
        let mut next = vec![false; tokens.len() + 1];
        for (number, token) in tokens.iter().enumerate() {
            if !reached[number] {
                continue;
            }
            match token {
                Token::Byte(wanted) if *wanted == byte => next[number + 1] = true,
                Token::Star(barriers) if !barriers.contains(&byte) => next[number] = true,
                _ => {}
            }
        }
        pass_stars(&tokens, &mut next);
        reached = next;
    }
    reached[tokens.len()]
}

enum Token {
    Byte(u8),
    /// Any bytes but these.
    Star(&'static [u8]),
}

fn tokens(mut pattern: &[u8], stars: Stars) -> Vec<Token> {
    let mut tokens = Vec::new();
    while let Some((first, rest)) = pattern.split_first() {
        pattern = rest;
        tokens.push(match (first, stars) {
            (b'*', Stars::Any) => Token::Star(&[]),
            (b'*', Stars::Within(barriers)) => Token::Star(barriers),
            (b'*', Stars::WithinOrDeep(barriers)) => match rest.strip_prefix(b"*") {
                Some(rest) => {
                    pattern = rest;
                    Token::Star(&[])
                }
                None => Token::Star(barriers),
            },
            (byte, _) => Token::Byte(*byte),
        });
    }
    tokens
}

/// A star also stands for nothing.
fn pass_stars(tokens: &[Token], reached: &mut [bool]) {
    for (number, token) in tokens.iter().enumerate() {
        if reached[number] && matches!(token, Token::Star(_)) {
            reached[number + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_what_it_may() {
        const WITHIN: Stars = Stars::Within(b"/");
        const DEEP: Stars = Stars::WithinOrDeep(b"/");
        for (pattern, stars, text, expected) in [
            ("", Stars::Any, "", true),
            ("", Stars::Any, "a", false),
            ("*", Stars::Any, "", true),
            ("*", Stars::Any, "a/b", true),
            ("a*", Stars::Any, "b", false),
            ("ab*b", Stars::Any, "ab", false),
            ("ab*b", Stars::Any, "abb", true),
            ("a*b*c", Stars::Any, "abbc", true),
            ("a*\u{fc}", Stars::Any, "a\u{fc}\u{fc}", true),
            ("*", WITHIN, "a/b", false),
            ("**", WITHIN, "a/b", false),
            ("*/b", WITHIN, "a/b", true),
            ("*/b", WITHIN, "/b", true),
            ("*", DEEP, "a/b", false),
            ("**", DEEP, "a/b", true),
            ("a/**/c", DEEP, "a/b/b/c", true),
            ("a/**/c", DEEP, "a/c", false),
            ("a/*/c", DEEP, "a/b/b/c", false),
            ("***", DEEP, "a/b", true),
        ] {
            assert_eq!(matches(pattern, stars, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        // Trying each place for each star would take longer than anyone waits.
        let pattern = "*a".repeat(60);
        assert!(!matches(
            &pattern,
            Stars::Within(b"."),
            &format!("{}b", "a".repeat(200))
        ));
    }
}
