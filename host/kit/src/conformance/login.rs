//! Whether a provider that talks to the user logs them in: with a user who answers, with one who does not,
//! and where there is no terminal.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::answers::Candidate;
use super::canary::{CANARY, USER};
use super::fake_environment::Scenario;
use super::leaks::says_nothing;
use super::probe::{Ended, Observed, question};
use super::report::{Cases, Check};
use msb_host::auth::{
    Answer, LoginInstruction, LoginPrompt, LoginQuestion, PromptError, SecretString,
};
use msb_host::cancel::Cancel;
use msb_host::credential::{Action, CredentialRequest};

/// What becomes of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum User {
    /// It is answered.
    Answers,
    /// It is not.
    IsSilent,
    /// There is no one to ask.
    IsAway,
}

/// A made-up user.
#[derive(Debug)]
struct FakeUser {
    user: User,
    /// What is answered, by how the question begins.
    replies: BTreeMap<String, String>,
    said: Mutex<Vec<(&'static str, String)>>,
}

/// Logs the user in and out.
pub(super) fn login(candidate: &Candidate<'_>) -> Check {
    const NAME: &str = "login";
    if !candidate.description.operations.login {
        return Check::skipped(NAME, "it does not log users in by talking to them");
    }
    let registry = candidate
        .harness
        .subject
        .registry
        .clone()
        .unwrap_or_else(|| candidate.own_registry());
    let mut cases = Cases::of(NAME, "logins borne");
    let mut is_in = false;
    for user in [User::IsAway, User::IsSilent, User::Answers] {
        if let Err(why) = candidate.set(Scenario::Documents, &registry) {
            return Check::failed(NAME, why);
        }
        let (observed, said) = logged_in(candidate, &registry, user);
        let all = observed.texts.iter().chain(&said);
        let quiet = says_nothing(all).and_then(|()| observed.ended.allowed());
        let passed_on = quiet.and_then(|()| match user {
            User::IsAway if !said.is_empty() => told(&observed),
            _ => Ok(()),
        });
        cases.note(words(user), passed_on);
        is_in = matches!(observed.ended, Ended::Answered(_));
        if user == User::Answers && !is_in {
            cases.remark(format!(
                "with a user who answers it ends in {}; see whether it needs --settings, --answer, \
                 --reply or --registry",
                observed.ended.words()
            ));
        }
    }
    if is_in {
        cases.note("a pull after it", pulled(candidate, &registry));
    }
    cases.end()
}

/// Has it log a user in, and returns what it said to them as well.
fn logged_in(
    candidate: &Candidate<'_>,
    registry: &str,
    user: User,
) -> (Observed<Answer>, Vec<(&'static str, String)>) {
    let user = Arc::new(FakeUser {
        user,
        replies: candidate.harness.subject.replies.clone(),
        said: Mutex::default(),
    });
    let request = CredentialRequest::new(registry, Action::Login);
    let prompt: Arc<dyn LoginPrompt> = Arc::clone(&user) as _;
    let observed = candidate.probe().log_in(&request, &prompt);
    let said = std::mem::take(&mut *user.said.lock().unwrap_or_else(PoisonError::into_inner));
    (observed, said)
}

/// Returns an error unless it says that there was no terminal.
fn told(observed: &Observed<Answer>) -> Result<(), String> {
    let words = PromptError::NoTerminal.to_string();
    if observed.texts.iter().any(|(_, text)| text.contains(&words)) {
        return Ok(());
    }
    Err(format!(
        "that there is no terminal is not passed on: it ends in {}",
        observed.ended.words()
    ))
}

/// Asks for credentials as a pull does, and has them forgotten.
fn pulled(candidate: &Candidate<'_>, registry: &str) -> Result<(), String> {
    let probe = candidate.probe();
    let request = question(registry);
    let observed = probe.get(&request);
    says_nothing(observed.texts.iter())?;
    if !matches!(observed.ended, Ended::Answered(_)) {
        return Err(format!(
            "it has logged the user in, and asking for credentials ends in {}",
            observed.ended.words()
        ));
    }
    if !candidate.description.operations.erase {
        return Ok(());
    }
    let login = CredentialRequest::new(registry, Action::Login);
    if let ended @ (Ended::Refused(..) | Ended::Broken(_)) = probe.erase(&login).ended {
        return Err(format!("forgetting it ends in {}", ended.words()));
    }
    match probe.get(&request).ended {
        Ended::Answered(_) => Err("it was told to forget the login, and still has it".to_owned()),
        ended => ended.allowed(),
    }
}

fn words(user: User) -> &'static str {
    match user {
        User::Answers => "a user who answers",
        User::IsSilent => "a user who does not answer",
        User::IsAway => "no terminal",
    }
}

impl FakeUser {
    fn hear(&self, place: &'static str, text: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.push((place, text.to_owned()));
    }
}

impl LoginPrompt for FakeUser {
    fn show(&self, _: &str, instruction: &LoginInstruction) -> Result<(), PromptError> {
        self.hear("instruction", &instruction.text);
        for text in [&instruction.url, &instruction.code].into_iter().flatten() {
            self.hear("instruction", text);
        }
        match self.user {
            User::IsAway => Err(PromptError::NoTerminal),
            _ => Ok(()),
        }
    }

    fn ask(
        &self,
        _: &str,
        question: &LoginQuestion,
        _: &Cancel,
    ) -> Result<SecretString, PromptError> {
        self.hear("question", &question.text);
        let mut replies = self.replies.iter();
        let reply = replies.find(|(begin, _)| question.text.starts_with(begin.as_str()));
        match self.user {
            User::IsAway => Err(PromptError::NoTerminal),
            User::IsSilent => Err(PromptError::NoAnswer),
            User::Answers => Ok(match reply {
                Some((_, reply)) => reply.as_str().into(),
                None if question.is_secret => CANARY.into(),
                None => USER.into(),
            }),
        }
    }
}
