//! A user who answers as the test says.

use super::FakeSystem;
use crate::system::{Instruction, Prompt, Refusal, Secret};

impl FakeSystem {
    /// Says what the user answers to a question.
    #[must_use]
    pub fn reply(mut self, question: &str, answer: &str) -> Self {
        self.replies.insert(question.to_owned(), answer.to_owned());
        self
    }

    /// Returns what the user was shown.
    pub fn shown(&self) -> Vec<Instruction> {
        self.shown.borrow().clone()
    }

    fn answer(&self, question: &str) -> Result<&str, Refusal> {
        self.call(format!("prompt ask {question}"))?;
        let answer = self.replies.get(question).map(String::as_str);
        answer.ok_or_else(|| Refusal::Unavailable("the user has not answered".to_owned()))
    }
}

impl Prompt for FakeSystem {
    fn show(&self, instruction: &Instruction) -> Result<(), Refusal> {
        self.call("prompt show".to_owned())?;
        self.shown.borrow_mut().push(instruction.clone());
        Ok(())
    }

    fn ask(&self, question: &str) -> Result<String, Refusal> {
        self.answer(question).map(str::to_owned)
    }

    fn ask_secret(&self, question: &str) -> Result<Secret, Refusal> {
        self.answer(question)
            .map(|answer| Secret::new(answer.as_bytes().to_vec()))
    }

    fn wait(&self, seconds: u32) -> Result<(), Refusal> {
        self.call(format!("prompt wait {seconds}"))?;
        self.now.set(self.now.get() + u64::from(seconds));
        Ok(())
    }
}
