//! Talking to the user at a login: permission `prompt`.
//!
//! Owns what may be shown and asked, and how often. Every call to the caller's prompt is on a thread of its
//! own: a terminal may block for as long as the user likes.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio_util::sync::DropGuard;
use url::Url;
use wasmtime::component::Resource;

use super::off_thread::{NoAnswer, off_thread};
use super::secret::Value;
use crate::auth::{LoginInstruction, LoginPrompt, LoginQuestion, MAX_PASSWORD, PromptError};
use crate::cancel::Cancel;
use crate::plugin::bindings::msb::plugin::prompt::{self, Instruction};
use crate::plugin::bindings::msb::plugin::types::Refusal;
use crate::plugin::grant::Capability;
use crate::plugin::guest::Guest;

/// Instructions and questions in one login.
const MAX_TURNS: u32 = 32;
/// Waits in one login, and the seconds of one.
const MAX_WAITS: u32 = 1_000;
const MAX_WAIT: u32 = 300;
/// Bytes of a text, of a code, and of an answer that is not a secret.
const MAX_TEXT: usize = 4 << 10;
const MAX_CODE: usize = 64;
const MAX_ANSWER: usize = 4 << 10;

/// What a guest has of the user while it logs them in.
#[derive(Clone, Debug)]
pub(in crate::plugin) struct Conversation {
    /// How the user is reached.
    pub(in crate::plugin) prompt: Arc<dyn LoginPrompt>,
    turns: u32,
    waits: u32,
}

impl Conversation {
    /// Returns one in which nothing was said yet.
    pub(in crate::plugin) fn new(prompt: Arc<dyn LoginPrompt>) -> Self {
        Self {
            prompt,
            turns: 0,
            waits: 0,
        }
    }
}

impl prompt::Host for Guest {
    async fn show(&mut self, instruction: Instruction) -> wasmtime::Result<Result<(), Refusal>> {
        self.host_waits(async |guest| {
            let prompt = guest.turn()?;
            let instruction = checked(instruction)?;
            guest
                .off_thread(move |provider, _| prompt.show(provider, &instruction))
                .await
        })
        .await
    }

    async fn ask(&mut self, question: String) -> wasmtime::Result<Result<String, Refusal>> {
        self.host_waits(async |guest| {
            let answer = guest.answer(question, false).await?;
            let answer = answer.expose_secret();
            if answer.len() > MAX_ANSWER {
                return Err(too_large("an answer", MAX_ANSWER));
            }
            Ok(answer.to_owned())
        })
        .await
    }

    async fn ask_secret(
        &mut self,
        question: String,
    ) -> wasmtime::Result<Result<Resource<Value>, Refusal>> {
        self.host_waits(async |guest| {
            let answer = match guest.answer(question, true).await {
                Ok(answer) => answer,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let bytes = answer.expose_secret().as_bytes();
            if bytes.len() > MAX_PASSWORD {
                return Ok(Err(too_large("a secret", MAX_PASSWORD)));
            }
            Ok(Ok(guest.keep(Value::new(bytes.to_vec()))?))
        })
        .await?
    }

    async fn wait(&mut self, seconds: u32) -> wasmtime::Result<Result<(), Refusal>> {
        self.host_waits(async |guest| {
            let conversation = guest.conversation()?;
            if seconds > MAX_WAIT {
                return Err(Refusal::Invalid(format!(
                    "a wait is of at most {MAX_WAIT} seconds"
                )));
            }
            conversation.waits += 1;
            if conversation.waits > MAX_WAITS {
                return Err(Refusal::TooLarge(format!(
                    "there are at most {MAX_WAITS} waits in one login"
                )));
            }
            let time = Duration::from_secs(seconds.into());
            match guest.access.environment.fake() {
                Some(fake) => fake.wait(time),
                // What stops the call stops this as well: it is dropped.
                None => tokio::time::sleep(time).await,
            }
            Ok(())
        })
        .await
    }
}

impl Guest {
    /// Returns the conversation with the user, if there may be one now.
    fn conversation(&mut self) -> Result<&mut Conversation, Refusal> {
        if !self.access.grants.allow(Capability::Prompt) || self.access.describing {
            return Err(self.denied(Capability::Prompt, None));
        }
        let registry = self.access.registry_name.as_deref().unwrap_or("HOST");
        let words = format!(
            "plugin `{}` can talk to the user only while they log in; log in with \
             `msb registry login {registry}`",
            self.plugin
        );
        self.conversation
            .as_mut()
            .ok_or(Refusal::Unavailable(words))
    }

    /// Counts an instruction or a question, and returns how the user is reached.
    fn turn(&mut self) -> Result<Arc<dyn LoginPrompt>, Refusal> {
        let conversation = self.conversation()?;
        conversation.turns += 1;
        if conversation.turns > MAX_TURNS {
            return Err(Refusal::TooLarge(format!(
                "there are at most {MAX_TURNS} instructions and questions in one login"
            )));
        }
        Ok(Arc::clone(&conversation.prompt))
    }

    async fn answer(&mut self, text: String, is_secret: bool) -> Result<SecretString, Refusal> {
        let prompt = self.turn()?;
        let question = LoginQuestion {
            text: checked_text(text)?,
            is_secret,
        };
        self.off_thread(move |provider, cancel| prompt.ask(provider, &question, cancel))
            .await
    }

    /// Runs what may block on a thread that learns when its result is no longer wanted.
    async fn off_thread<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&str, &Cancel) -> Result<T, PromptError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let cancel = self.meter.cancel().child();
        let _over: DropGuard = cancel.token().clone().drop_guard();
        let plugin = Arc::clone(&self.plugin);
        let limit = self.meter.wall_left().unwrap_or(Duration::MAX);
        match off_thread(limit, move || work(&plugin, &cancel)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Refusal::Unavailable(error.to_string())),
            Err(NoAnswer::Late) => Err(Refusal::Unavailable(PromptError::NoAnswer.to_string())),
            Err(NoAnswer::Broken) => Err(Refusal::Unavailable(
                "the user could not be asked".to_owned(),
            )),
        }
    }
}

/// Checks what is to be shown. What is in the text is the caller's to escape.
fn checked(instruction: Instruction) -> Result<LoginInstruction, Refusal> {
    let text = checked_text(instruction.text)?;
    if let Some(url) = &instruction.url {
        let is_page = url
            .parse::<Url>()
            .is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host());
        if url.len() > MAX_TEXT || !is_page || url.chars().any(char::is_control) {
            return Err(Refusal::Invalid(
                "what the user is to open is not the address of a page".to_owned(),
            ));
        }
    }
    if let Some(code) = &instruction.code
        && (code.len() > MAX_CODE || code.chars().any(char::is_control))
    {
        return Err(Refusal::Invalid(format!(
            "a code has at most {MAX_CODE} bytes and no control characters"
        )));
    }
    Ok(LoginInstruction {
        text,
        url: instruction.url,
        code: instruction.code,
    })
}

fn checked_text(text: String) -> Result<String, Refusal> {
    if text.len() > MAX_TEXT {
        return Err(too_large("a text for the user", MAX_TEXT));
    }
    Ok(text)
}

fn too_large(what: &str, limit: usize) -> Refusal {
    Refusal::TooLarge(format!("{what} has at most {} KiB", limit >> 10))
}
