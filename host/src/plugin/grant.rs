//! What a plugin may use: a grant, as the user writes it.
//!
//! Owns the syntax `capability=scope`. Whether a use is covered is for [`grants`](super::grants) to say.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::http_scope::HttpScope;
use super::symbolic_path;

/// The scope of `env` that stands for the variable named in `password_env` for the registry of the
/// request.
pub const CONFIGURED: &str = "@configured";

/// What a grant is about: an interface of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Variables of the environment.
    Env,
    /// Reading files.
    Files,
    /// The credential store of the operating system.
    Keychain,
    /// Docker's credential helpers.
    Helper,
    /// Asking servers.
    Http,
    /// The time.
    Clock,
    /// Reading the bytes of secrets.
    Reveal,
    /// Keeping what outlives a run.
    State,
    /// Talking to the user at a login.
    Prompt,
}

impl Capability {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 9] = [
        Self::Env,
        Self::Files,
        Self::Keychain,
        Self::Helper,
        Self::Http,
        Self::Clock,
        Self::Reveal,
        Self::State,
        Self::Prompt,
    ];

    /// Returns its name, which is its interface's: `env`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Env => "env",
            Self::Files => "files",
            Self::Keychain => "keychain",
            Self::Helper => "helper",
            Self::Http => "http",
            Self::Clock => "clock",
            Self::Reveal => "reveal",
            Self::State => "state",
            Self::Prompt => "prompt",
        }
    }

    /// Returns whether its grants name a scope.
    pub fn has_scope(self) -> bool {
        !matches!(
            self,
            Self::Clock | Self::Reveal | Self::State | Self::Prompt
        )
    }

    /// Returns the capability that an import makes use of: `msb:plugin/env@0.1.0`.
    pub(crate) fn of_import(import: &str) -> Option<Self> {
        if import.starts_with("wasi:http/") {
            return Some(Self::Http);
        }
        let (interface, _) = import.strip_prefix("msb:plugin/")?.split_once('@')?;
        match interface {
            "exchange" => Some(Self::Http),
            name => Self::from_name(name),
        }
    }

    /// Returns the capability whose interface has this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// One permission: `env=VAULT_TOKEN`, `files=~/.config/vault/*`, `clock`. Kept in canonical form, so
/// that equal grants are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Grant {
    capability: Capability,
    scope: Option<String>,
}

/// A text that is not a grant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{grant}` is not a permission: {problem}")]
pub struct ParseGrantError {
    /// What was given.
    pub grant: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Grant {
    /// Returns the grant of a capability within a scope.
    ///
    /// # Errors
    /// When the capability wants a scope and there is none, has none and there is one, or the
    /// scope is none of its kind.
    pub fn new(capability: Capability, scope: Option<&str>) -> Result<Self, ParseGrantError> {
        let error = |problem: String| ParseGrantError {
            grant: match scope {
                Some(scope) => format!("{capability}={scope}"),
                None => capability.to_string(),
            },
            problem,
        };
        let scope = match (capability.has_scope(), scope) {
            (false, None) => None,
            (false, Some(_)) => return Err(error(format!("`{capability}` takes no scope"))),
            (true, None | Some("")) => {
                return Err(error(format!(
                    "`{capability}` wants {}",
                    wanted(capability)
                )));
            }
            (true, Some(scope)) => Some(canonical(capability, scope).map_err(error)?),
        };
        Ok(Self { capability, scope })
    }

    /// Returns what it is about.
    pub fn capability(&self) -> Capability {
        self.capability
    }

    /// Returns its scope as it is printed, if the capability has scopes.
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }
}

/// What the scope of a capability is, for messages.
fn wanted(capability: Capability) -> &'static str {
    match capability {
        Capability::Env => "the name of a variable, as in `env=VAULT_TOKEN`",
        Capability::Files => "a path, as in `files=~/.config/vault/token`",
        Capability::Keychain => "the name of a service, as in `keychain=com.example.vault`",
        Capability::Helper => "the name of a helper, as in `helper=pass`",
        Capability::Http => "a server, as in `http=https://vault.example.com:8200`",
        Capability::Clock | Capability::Reveal | Capability::State | Capability::Prompt => {
            "no scope"
        }
    }
}

/// Returns the canonical form of a scope, or what is wrong with it.
fn canonical(capability: Capability, scope: &str) -> Result<String, String> {
    let plain = |allowed: fn(char) -> bool| {
        if scope.chars().all(allowed) {
            Ok(scope.to_owned())
        } else {
            Err(format!("it wants {}", wanted(capability)))
        }
    };
    match capability {
        Capability::Env if scope == CONFIGURED => Ok(scope.to_owned()),
        Capability::Env => {
            plain(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '*'))
        }
        Capability::Helper => plain(|letter| is_helper_letter(letter) || letter == '*'),
        Capability::Keychain => plain(|letter| !letter.is_control() && letter != '*'),
        Capability::Files => symbolic_path::pattern(scope).map(|path| path.to_string()),
        Capability::Http => scope.parse::<HttpScope>().map(|scope| scope.to_string()),
        Capability::Clock | Capability::Reveal | Capability::State | Capability::Prompt => {
            Err(format!("`{capability}` takes no scope"))
        }
    }
}

/// Returns whether a letter may be in the name of a credential helper.
fn is_helper_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.')
}

/// Returns whether a name may be that of a credential helper: the end of the name of a program,
/// never a path.
pub(super) fn is_helper_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && !name.starts_with('.')
        && name.chars().all(is_helper_letter)
}

impl FromStr for Grant {
    type Err = ParseGrantError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, scope) = match text.split_once('=') {
            Some((name, scope)) => (name, Some(scope)),
            None => (text, None),
        };
        let Some(capability) = Capability::from_name(name) else {
            let names: Vec<&str> = Capability::ALL.map(Capability::name).to_vec();
            return Err(ParseGrantError {
                grant: text.to_owned(),
                problem: format!("there are {}", names.join(", ")),
            });
        };
        Self::new(capability, scope)
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            Some(scope) => write!(formatter, "{}={scope}", self.capability),
            None => write!(formatter, "{}", self.capability),
        }
    }
}

impl TryFrom<String> for Grant {
    type Error = ParseGrantError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Grant> for String {
    fn from(grant: Grant) -> Self {
        grant.to_string()
    }
}

#[cfg(test)]
#[path = "grant_tests.rs"]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
