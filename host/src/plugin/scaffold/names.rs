//! The name of a new plugin, in the spellings that its files need.

use super::{Language, ScaffoldError};
use crate::plugin::API;
use crate::settings::is_plugin_name;

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
fn taken(_name: &str, _language: Language) -> Option<&'static str> {
    None
}
