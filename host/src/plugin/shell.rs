//! Words of a command as one types them, for messages that say what to type.

/// Returns a word in quotes, if a shell would make something else of it: of spaces, of `*`, and in
/// bash of a `~` behind `=` as well.
pub fn shell_word(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "=/:.,_-@%+".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_a_shell_would_change_are_quoted() {
        for (word, typed) in [
            ("env=VAULT_TOKEN", "env=VAULT_TOKEN"),
            (
                "http=GET,POST@https://a.example.com:8200",
                "http=GET,POST@https://a.example.com:8200",
            ),
            ("files=~/.token", "'files=~/.token'"),
            ("env=CI_*", "'env=CI_*'"),
            ("files=$XDG_RUNTIME_DIR/x", "'files=$XDG_RUNTIME_DIR/x'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(word), typed);
        }
    }
}
