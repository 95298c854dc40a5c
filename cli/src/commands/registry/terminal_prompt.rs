//! The terminal as the place where a provider talks to the user at a login.

use std::io::{self, BufRead as _, ErrorKind, IsTerminal as _, Read as _};

use msb_host::Cancel;
use msb_host::auth::{LoginInstruction, LoginPrompt, LoginQuestion, PromptError, SecretString};
use msb_host::cancel::Cancelled;

use crate::escape::line;
use crate::hidden;
use crate::ui::Ui;

/// Bytes of a line that are read: a longer one is refused.
const MAX_LINE: u64 = 64 << 10;

/// The terminal that msb was started at.
#[derive(Debug)]
pub(crate) struct TerminalPrompt(Ui);

impl TerminalPrompt {
    /// Returns the terminal, which may be none.
    pub(crate) fn new(ui: Ui) -> Self {
        Self(ui)
    }
}

impl LoginPrompt for TerminalPrompt {
    fn show(&self, provider: &str, instruction: &LoginInstruction) -> Result<(), PromptError> {
        present()?;
        self.0.instruction(provider, instruction);
        Ok(())
    }

    fn ask(
        &self,
        provider: &str,
        question: &LoginQuestion,
        _: &Cancel,
    ) -> Result<SecretString, PromptError> {
        present()?;
        let (provider, text) = (line(provider), line(&question.text));
        self.0.prompt(&format!("plugin `{provider}` asks: {text} "));
        if question.is_secret {
            return match hidden::read_line() {
                Ok(answer) => Ok(answer.into()),
                // Ctrl-C: the terminal is as it was, and the signal on its way.
                Err(error) if error.kind() == ErrorKind::Interrupted => Err(Cancelled.into()),
                Err(error) => Err(error.into()),
            };
        }
        let mut answer = String::new();
        let read = io::stdin().lock().take(MAX_LINE).read_line(&mut answer)?;
        if read == 0 {
            return Err(PromptError::NoAnswer);
        }
        Ok(answer.trim_end_matches(['\r', '\n']).into())
    }
}

fn present() -> Result<(), PromptError> {
    if io::stdin().is_terminal() && io::stderr().is_terminal() {
        Ok(())
    } else {
        Err(PromptError::NoTerminal)
    }
}
