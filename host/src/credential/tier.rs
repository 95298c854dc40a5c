//! Why a credential provider is asked, and what of the settings it reads.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a provider is asked, which decides when it is, and what its faults mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// It is there anyway: a fault of it is a warning, and the next one is asked.
    Ambient,
    /// The settings name it for the registry: it answers, or the search ends.
    Configured,
    /// The user has installed it: it may have nothing, but a fault ends the search.
    Installed,
}

/// Where a password is, of the sources of `registries.auth` that some provider reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthSourceKind {
    /// `"store": "keyring"`.
    Keyring,
    /// `password_env`.
    PasswordEnv,
    /// `secret_name`.
    SecretName,
}

impl Tier {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ambient, Self::Configured, Self::Installed];

    /// Returns the word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ambient => "ambient",
            Self::Configured => "configured",
            Self::Installed => "installed",
        }
    }
}

impl AuthSourceKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Keyring, Self::PasswordEnv, Self::SecretName];

    /// Returns the word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Keyring => "keyring",
            Self::PasswordEnv => "password_env",
            Self::SecretName => "secret_name",
        }
    }

    /// Returns the source of a word, if it is one.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

/// A text that is not the word for a tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tier is `ambient`, `configured` or `installed`")]
pub struct ParseTierError;

impl FromStr for Tier {
    type Err = ParseTierError;

    fn from_str(text: &str) -> Result<Self, ParseTierError> {
        let mut all = Self::ALL.into_iter();
        all.find(|tier| tier.word() == text).ok_or(ParseTierError)
    }
}
