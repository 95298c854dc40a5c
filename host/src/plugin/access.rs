//! What a plugin may reach beside archives, and what a refusal says.
//!
//! Owns the surroundings of one call: grants, settings, the homes. Knows nothing of how a
//! capability does its work.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use super::bindings::msb::plugin::types::Refusal;
use super::grant::{Capability, Grant, Grants};
use super::servers::Servers;

/// The environment that msb runs in.
#[derive(Clone, Debug, Default)]
pub(super) enum Environment {
    /// That of the process.
    #[default]
    Process,
    /// One that a test has put together.
    #[cfg(test)]
    Fixed(std::collections::BTreeMap<String, OsString>),
}

impl Environment {
    /// Returns the value of a variable.
    pub(super) fn get(&self, name: &str) -> Option<OsString> {
        match self {
            Self::Process => std::env::var_os(name),
            #[cfg(test)]
            Self::Fixed(variables) => variables.get(name).cloned(),
        }
    }
}

/// What one call may reach beside archives. The default is nothing.
#[derive(Clone, Default)]
pub(super) struct Access {
    /// What the user has granted.
    pub(super) grants: Arc<Grants>,
    /// What the user has set for the plugin, as JSON.
    pub(super) settings: Option<Arc<str>>,
    /// What the user has set for the registry of the request.
    pub(super) registry: Option<serde_json::Value>,
    /// The home of msb: the root `msb:`.
    pub(super) msb_home: PathBuf,
    /// How servers are spoken to.
    pub(super) servers: Option<Arc<Servers>>,
    /// The variables that there are.
    pub(super) environment: Environment,
    /// Whether permissions are in force at all: not while a plugin describes itself.
    pub(super) describing: bool,
}

impl Access {
    /// Returns the variable that the user has named for the registry of the request.
    pub(super) fn configured_variable(&self) -> Option<&str> {
        self.registry.as_ref()?.get("password_env")?.as_str()
    }

    /// Returns the refusal of what was not granted, with the command that grants it.
    pub(super) fn denied(
        &self,
        plugin: &str,
        capability: Capability,
        scope: Option<&str>,
    ) -> Refusal {
        let wish = match scope {
            Some(scope) => format!("{capability}={scope}"),
            None => capability.to_string(),
        };
        if self.describing {
            return Refusal::Denied(format!(
                "no permission is given to a plugin that describes itself, and it used `{wish}`"
            ));
        }
        // What is no grant cannot be granted: say what is wrong with it instead.
        match Grant::new(capability, scope) {
            Ok(grant) => Refusal::Denied(format!(
                "plugin `{plugin}` has no permission `{grant}`; grant it with `msb plugin grant {plugin} {}`",
                quoted(&grant.to_string()),
            )),
            Err(error) => Refusal::Invalid(error.to_string()),
        }
    }
}

/// Returns a word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |letter: char| {
        letter.is_ascii_alphanumeric()
            || matches!(letter, '=' | '/' | '.' | ':' | '-' | '_' | '@' | ',' | '~')
    };
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
