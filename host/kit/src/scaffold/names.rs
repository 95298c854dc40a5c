//! The name of a new plugin, in the spellings that its files need.

use super::{Language, ScaffoldError};
use msb_host::plugin::API;
use msb_host::settings::is_plugin_name;

/// A name that can be put into files.
#[derive(Debug)]
pub(super) struct Names {
    /// What a placeholder stands for.
    values: [(&'static str, String); 6],
}

impl Names {
    /// Checks a name.
    pub(super) fn of(name: &str, language: Language) -> Result<Self, ScaffoldError> {
        if !is_plugin_name(name) || name.ends_with('-') || name.contains("--") {
            return Err(ScaffoldError::Name(name.chars().take(100).collect()));
        }
        if let Some(taken_by) = taken(name, language) {
            return Err(ScaffoldError::Taken {
                name: name.to_owned(),
                language: language.title(),
                taken_by,
            });
        }
        Ok(Self {
            values: [
                ("name", name.to_owned()),
                ("type", upper_camel(name)),
                ("module", name.replace('-', "_")),
                ("env", name.replace('-', "_").to_ascii_uppercase()),
                ("api", API.to_owned()),
                ("msb", env!("CARGO_PKG_VERSION").to_owned()),
            ],
        })
    }

    /// Returns a text with the values in place of `{{name}}`, `{{type}}` and so on. Braces around
    /// other words stay.
    pub(super) fn put_into(&self, text: &str) -> String {
        self.values
            .iter()
            .fold(text.to_owned(), |text, (placeholder, value)| {
                text.replace(&format!("{{{{{placeholder}}}}}"), value)
            })
    }
}

/// Returns `MyLogin` for `my-login`.
fn upper_camel(name: &str) -> String {
    let mut upper = true;
    name.chars()
        .filter_map(|character| {
            if character == '-' {
                upper = true;
                return None;
            }
            let character = if upper {
                character.to_ascii_uppercase()
            } else {
                character
            };
            upper = false;
            Some(character)
        })
        .collect()
}

/// Returns what has a name that a project in a language then cannot have.
fn taken(name: &str, language: Language) -> Option<&'static str> {
    match (language, name) {
        (Language::Rust, "std" | "core") => Some("the standard library"),
        (Language::Rust, "msb-plugin" | "serde" | "serde-json") => {
            Some("a library that the project uses")
        }
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn put(name: &str, text: &str) -> String {
        Names::of(name, Language::Python).unwrap().put_into(text)
    }

    #[test]
    fn a_name_is_put_in_the_way_it_is_spelled_there() {
        let text = "{{name}} {{type}} {{module}} {{env}}";
        assert_eq!(
            put("my-login2", text),
            "my-login2 MyLogin2 my_login2 MY_LOGIN2"
        );
        assert_eq!(put("x", text), "x X x X");
        assert_eq!(
            put("x", "{{api}} {{msb}}"),
            format!("{API} {}", env!("CARGO_PKG_VERSION"))
        );
        assert_eq!(
            put("x", "{{ name }} {{other}} {name}"),
            "{{ name }} {{other}} {name}"
        );
    }

    #[test]
    fn what_is_no_name_of_a_plugin_is_refused() {
        for name in [
            "",
            "a_b",
            "A",
            "1a",
            "-a",
            "a-",
            "a--b",
            "../a",
            "ä",
            &"a".repeat(33),
        ] {
            let refused = Names::of(name, Language::Rust);
            assert!(matches!(refused, Err(ScaffoldError::Name(_))), "{name}");
        }
        Names::of(&"a".repeat(32), Language::Rust).unwrap();
    }
}
