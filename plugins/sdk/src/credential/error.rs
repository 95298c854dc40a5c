//! Reasons for having no answer.

use super::{Error, Problem};
use crate::system::Refusal;

impl Error {
    /// What would be asked cannot be asked now: the user is warned, and the next provider asked.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable(problem(message))
    }

    /// The user may not have credentials for this.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::Denied(problem(message))
    }

    /// What the user has configured makes no sense.
    pub fn misconfigured(message: impl Into<String>) -> Self {
        Self::Misconfigured(problem(message))
    }

    /// Anything else.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed(problem(message))
    }

    /// Says what the user can do about it. Means nothing where the error has no words.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Some(problem) = self.problem_mut() {
            problem.hint = Some(hint.into());
        }
        self
    }

    /// Puts words and a colon before the message: what was being done.
    #[must_use]
    pub fn context(mut self, context: &str) -> Self {
        if let Some(problem) = self.problem_mut() {
            problem.message = format!("{context}: {}", problem.message);
        }
        self
    }

    /// Returns the message.
    pub fn message(&self) -> &str {
        match self {
            Self::NotMine => "not a registry of this provider",
            Self::NotFound => "nothing for this registry",
            Self::Unsupported => "not supported",
            Self::Unavailable(problem)
            | Self::Denied(problem)
            | Self::Misconfigured(problem)
            | Self::Failed(problem) => &problem.message,
        }
    }

    fn problem_mut(&mut self) -> Option<&mut Problem> {
        match self {
            Self::NotMine | Self::NotFound | Self::Unsupported => None,
            Self::Unavailable(problem)
            | Self::Denied(problem)
            | Self::Misconfigured(problem)
            | Self::Failed(problem) => Some(problem),
        }
    }
}

fn problem(message: impl Into<String>) -> Problem {
    Problem {
        message: message.into(),
        hint: None,
    }
}

/// A refusal is passed on as what it means for the answer.
impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(message) => Self::denied(message),
            Refusal::Unavailable(message) => Self::unavailable(message),
            Refusal::Invalid(message) => Self::misconfigured(message),
            Refusal::TooLarge(message) | Refusal::Failed(message) => Self::failed(message),
        }
    }
}
