//! Asking a credential provider: the questions, and what is taken down of its answers.
//!
//! Owns everything that a provider can say, as text, so that it can be searched.

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::canary::USER;
use super::fake_environment::{PASSWORD_VARIABLE, SECRET_NAME};
use super::harness::{Harness, chain};
use msb_host::Context;
use msb_host::auth::{Answer, CredentialEntry, LoginPrompt, Problem, Provider, ProviderError};
use msb_host::credential::{Action, CredentialRequest, Outcome, RegistryAuth};
use msb_host::plugin::PluginError;

/// How a call to a provider ended.
#[derive(Debug)]
pub(super) enum Ended<T> {
    /// With an answer, which the host takes.
    Answered(T),
    /// With an error that the contract has: its name, and what was said.
    Refused(&'static str, String),
    /// In no way that is allowed.
    Broken(String),
}

/// What a provider said in one call.
pub(super) struct Observed<T> {
    pub(super) ended: Ended<T>,
    /// Everything that a user may get to see of it, and what that is.
    pub(super) texts: Vec<(&'static str, String)>,
    /// What it used and was not granted.
    pub(super) refused: Vec<String>,
}

/// Someone who asks.
pub(super) struct Probe<'a> {
    pub(super) harness: &'a Harness<'a>,
    pub(super) provider: &'a dyn Provider,
}

impl Probe<'_> {
    fn context(&self) -> Context {
        self.harness.context()
    }

    pub(super) fn get(&self, request: &CredentialRequest) -> Observed<Answer> {
        self.observed(
            |context| self.provider.get(request, context),
            |answer, texts| {
                texts.extend(answer.source.clone().map(|source| ("source", source)));
            },
        )
    }

    pub(super) fn log_in(
        &self,
        request: &CredentialRequest,
        prompt: &Arc<dyn LoginPrompt>,
    ) -> Observed<Answer> {
        self.observed(
            |context| self.provider.log_in(request, prompt, context),
            |answer, texts| {
                texts.extend(answer.source.clone().map(|source| ("source", source)));
            },
        )
    }

    pub(super) fn store(&self, request: &CredentialRequest, login: &RegistryAuth) -> Observed<()> {
        self.observed(
            |context| self.provider.store(request, login, context),
            |(), _| (),
        )
    }

    pub(super) fn erase(&self, request: &CredentialRequest) -> Observed<()> {
        self.observed(|context| self.provider.erase(request, context), |(), _| ())
    }

    pub(super) fn report(&self, request: &CredentialRequest, outcome: Outcome) -> Observed<()> {
        self.observed(
            |context| self.provider.report(request, outcome, context),
            |(), _| (),
        )
    }

    pub(super) fn list(&self) -> Observed<Vec<CredentialEntry>> {
        self.observed(
            |context| self.provider.list(context),
            |entries, texts| {
                for entry in entries {
                    texts.push(("entry", entry.registry.clone()));
                    texts.extend(entry.username.clone().map(|name| ("entry", name)));
                    texts.extend(entry.source.clone().map(|source| ("entry", source)));
                }
            },
        )
    }

    fn observed<T>(
        &self,
        call: impl FnOnce(&Context) -> Result<T, ProviderError>,
        said: impl FnOnce(&T, &mut Vec<(&'static str, String)>),
    ) -> Observed<T> {
        self.harness.journal.take();
        self.harness.fake.take_refused();
        let answer = call(&self.context());
        let mut texts: Vec<_> = self
            .harness
            .journal
            .take()
            .into_iter()
            .map(|line| ("log", line))
            .collect();
        let ended = match answer {
            Ok(answer) => {
                said(&answer, &mut texts);
                Ended::Answered(answer)
            }
            Err(error) => refused(&error, &mut texts),
        };
        Observed {
            ended,
            texts,
            refused: self.harness.fake.take_refused(),
        }
    }
}

fn refused<T>(error: &ProviderError, texts: &mut Vec<(&'static str, String)>) -> Ended<T> {
    let mut problem = |word: &'static str, problem: &Problem| {
        texts.push(("error", problem.message.clone()));
        texts.extend(problem.hint.clone().map(|hint| ("hint", hint)));
        Ended::Refused(word, problem.message.clone())
    };
    match error {
        ProviderError::NotMine => Ended::Refused("not-mine", String::new()),
        ProviderError::NotFound => Ended::Refused("not-found", String::new()),
        ProviderError::Unsupported => Ended::Refused("unsupported", String::new()),
        ProviderError::Unavailable(it) => problem("unavailable", it),
        ProviderError::Denied(it) => problem("denied", it),
        ProviderError::Misconfigured(it) => problem("misconfigured", it),
        ProviderError::Failed(it) => problem("failed", it),
        ProviderError::Broken(error) => {
            let text = match error.downcast_ref::<PluginError>() {
                Some(error) => chain(&*error.failure),
                None => chain(&**error),
            };
            texts.push(("error", text.clone()));
            Ended::Broken(text)
        }
        error => {
            let text = chain(error);
            texts.push(("error", text.clone()));
            Ended::Broken(text)
        }
    }
}

impl<T> Ended<T> {
    /// Returns what is wrong with how it ended, if anything is.
    pub(super) fn allowed(&self) -> Result<(), String> {
        match self {
            Self::Answered(_) | Self::Refused(..) => Ok(()),
            Self::Broken(why) => Err(why.clone()),
        }
    }

    /// Returns how it ended in a few words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Answered(_) => "an answer".to_owned(),
            Self::Refused(word, text) if text.is_empty() => format!("`{word}`"),
            Self::Refused(word, text) => format!("`{word}`: {text}"),
            Self::Broken(why) => why.clone(),
        }
    }
}

impl Ended<Answer> {
    /// Returns everything that matters of an end, to be compared and never shown.
    pub(super) fn whole(&self) -> String {
        let Self::Answered(answer) = self else {
            return self.words();
        };
        let credential = match &answer.credential {
            RegistryAuth::Anonymous => "anonymous".to_owned(),
            RegistryAuth::Basic { username, password } => {
                format!("{username}:{}", password.expose_secret())
            }
            RegistryAuth::IdentityToken(token) | RegistryAuth::RegistryToken(token) => {
                token.expose_secret().to_owned()
            }
        };
        let (cache, extent, source) = (answer.cache, answer.extent, &answer.source);
        format!("{credential} {cache:?} {extent:?} {source:?}")
    }
}

/// Registries that people have, and those that a plugin says it is asked about.
pub(super) fn registries(patterns: &[String]) -> Vec<String> {
    let usual = [
        "docker.io",
        "ghcr.io",
        "registry.example.com",
        "registry.example.com:5000",
        "[::1]:5000",
    ];
    let own = patterns
        .iter()
        .filter(|pattern| pattern.as_str() != "*")
        .map(|pattern| pattern.replace('*', "kit"));
    let mut registries: Vec<String> = own.take(8).collect();
    for usual in usual {
        if registries.iter().all(|registry| registry != usual) {
            registries.push(usual.to_owned());
        }
    }
    registries
}

/// What `registries.auth` may say of a registry.
pub(super) fn configurations() -> [Option<Value>; 4] {
    [
        None,
        Some(json!({"username": USER, "password_env": PASSWORD_VARIABLE})),
        Some(json!({"username": USER, "secret_name": SECRET_NAME})),
        Some(json!({"username": USER, "store": "keyring"})),
    ]
}

/// Returns a question about a registry.
pub(super) fn question(registry: &str) -> CredentialRequest {
    CredentialRequest {
        repository: Some("library/kit".to_owned()),
        challenges: vec![format!(
            "Bearer realm=\"https://{registry}/token\",service=\"{registry}\",\
             scope=\"repository:library/kit:pull\""
        )],
        ..CredentialRequest::new(registry, Action::Pull)
    }
}
