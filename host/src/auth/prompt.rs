//! Talking to the user while a provider logs them in.
//!
//! Owns what can be shown and asked. Knows nothing of terminals: a program that embeds msb has its own way
//! to reach its user.

use std::fmt;
use std::io;

use secrecy::SecretString;

use crate::cancel::{Cancel, Cancelled};

/// Reaches the user, for a provider that logs them in. It is called from a thread that may be left behind:
/// a call that waits for the user ends soon after `cancel` is raised, or holds nothing that others need.
pub trait LoginPrompt: fmt::Debug + Send + Sync {
    /// Shows what the user is to do elsewhere. `provider` is who says so.
    ///
    /// # Errors
    /// When no one can see it.
    fn show(&self, provider: &str, instruction: &LoginInstruction) -> Result<(), PromptError>;

    /// Asks the user. `provider` is who wants to know.
    ///
    /// # Errors
    /// When there is no answer.
    fn ask(
        &self,
        provider: &str,
        question: &LoginQuestion,
        cancel: &Cancel,
    ) -> Result<SecretString, PromptError>;
}

/// What the user is to do elsewhere. Untrusted text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginInstruction {
    /// What for and how.
    pub text: String,
    /// The page to open, `https` or `http`.
    pub url: Option<String>,
    /// What to enter there.
    pub code: Option<String>,
}

/// A question. Untrusted text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginQuestion {
    /// What is asked.
    pub text: String,
    /// The answer is a secret, which is not shown while it is typed.
    pub is_secret: bool,
}

/// Why the user was not reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PromptError {
    /// There is no terminal, nor anything like one.
    #[error("there is no terminal at which the user could be asked; log in at one")]
    NoTerminal,
    /// The user has ended the input instead of answering.
    #[error("the user has not answered")]
    NoAnswer,
    /// The terminal does not work.
    #[error("the user could not be asked: {0}")]
    Io(#[from] io::Error),
    /// The operation was cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}
