//! The providers that were asked for credentials, and what each replied. Holds no secret.

use std::fmt;

use super::provider::{Answer, Problem, ProviderError};
use crate::credential::{RegistryAuth, Tier};

/// One provider's part in the search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderAttempt {
    /// The provider's name.
    pub provider: String,
    /// Its position in the chain.
    pub tier: Tier,
    /// What it replied.
    pub reply: ProviderReply,
}

/// What a provider replied, or why it was not asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderReply {
    /// It was not asked: the registry is none of its patterns.
    OtherRegistries,
    /// It was not asked: the user has set nothing for the registry.
    NothingSet,
    /// It was not asked: the user has named another provider for the registry.
    AnotherNamed,
    /// It has nothing, or the registry is not its own.
    Nothing(&'static str),
    /// It answered.
    Answer {
        /// What kind of credentials.
        kind: &'static str,
        /// The name of the user. Untrusted text.
        username: Option<String>,
        /// Where they were found. Untrusted text.
        source: Option<String>,
    },
    /// It could not answer. Untrusted text.
    Failed {
        /// The reason, for a sentence.
        message: String,
        /// What to do.
        hint: Option<String>,
        /// The search ends with it.
        stops: bool,
        /// The user should hear of it.
        is_news: bool,
    },
}

impl ProviderReply {
    pub(super) fn answer(answer: &Answer) -> Self {
        let (kind, username) = match &answer.credential {
            RegistryAuth::Anonymous => ("anonymous, on purpose", None),
            RegistryAuth::Basic { username, .. } => ("a password", Some(username.clone())),
            RegistryAuth::IdentityToken(_) => ("an identity token", None),
            RegistryAuth::RegistryToken(_) => ("a registry token", None),
        };
        Self::Answer {
            kind,
            username,
            source: answer.source.clone(),
        }
    }

    pub(super) fn error(error: &ProviderError, stops: bool, is_news: bool) -> Self {
        match error {
            ProviderError::NotMine => Self::Nothing("it does not know this registry"),
            ProviderError::NotFound => Self::Nothing("it has nothing for this registry"),
            ProviderError::Unsupported => Self::Nothing("it does not do this"),
            error => Self::Failed {
                message: with_causes(error),
                hint: error.hint().map(str::to_owned),
                stops,
                is_news,
            },
        }
    }

    /// Returns whether this is an answer.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Answer { .. })
    }
}

impl fmt::Display for ProviderReply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherRegistries => formatter.write_str("not asked: it is for other registries"),
            Self::NothingSet => formatter.write_str("not asked: the settings name nothing"),
            Self::AnotherNamed => {
                formatter.write_str("not asked: the settings name another provider")
            }
            Self::Nothing(why) => formatter.write_str(why),
            Self::Answer {
                kind,
                username,
                source,
            } => {
                formatter.write_str(kind)?;
                if let Some(username) = username {
                    write!(formatter, " of {username}")?;
                }
                if let Some(source) = source {
                    write!(formatter, " from {source}")?;
                }
                Ok(())
            }
            Self::Failed { message, .. } => formatter.write_str(message),
        }
    }
}

impl ProviderError {
    /// Returns what the provider says can be done about it. Untrusted text.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Unavailable(problem)
            | Self::Denied(problem)
            | Self::Misconfigured(problem)
            | Self::Failed(problem) => problem.hint.as_deref(),
            _ => None,
        }
    }
}

impl Problem {
    /// Returns a problem without a cure.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }
}

fn with_causes(error: &ProviderError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
