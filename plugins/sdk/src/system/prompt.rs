//! Talking to the user. See `wit/prompt.wit`. Needs `prompt`.

use super::Refusal;
use super::host::System;
use super::secret::Secret;
use crate::credential_bindings::msb::plugin::prompt as bindings;

pub use bindings::Instruction;

/// Talking to the user while they log in: in a request that
/// [is interactive](crate::credential::Request::is_interactive), and in no other.
pub trait Prompt {
    /// Shows what the user is to do.
    fn show(&self, instruction: &Instruction) -> Result<(), Refusal>;

    /// Asks a question, and returns what the user types.
    fn ask(&self, question: &str) -> Result<String, Refusal>;

    /// Asks for a secret, which is not shown while it is typed.
    fn ask_secret(&self, question: &str) -> Result<Secret, Refusal>;

    /// Waits, for 300 seconds at most.
    fn wait(&self, seconds: u32) -> Result<(), Refusal>;
}

impl Instruction {
    /// Returns an instruction without page and code.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            url: None,
            code: None,
        }
    }

    /// Names the page to open.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Names what to enter there.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }
}

impl Prompt for System {
    fn show(&self, instruction: &Instruction) -> Result<(), Refusal> {
        bindings::show(instruction)
    }

    fn ask(&self, question: &str) -> Result<String, Refusal> {
        bindings::ask(question)
    }

    fn ask_secret(&self, question: &str) -> Result<Secret, Refusal> {
        bindings::ask_secret(question).map(Secret::from_handle)
    }

    fn wait(&self, seconds: u32) -> Result<(), Refusal> {
        bindings::wait(seconds)
    }
}
