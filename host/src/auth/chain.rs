//! The order in which providers are asked, and what becomes of their errors.
//!
//! Owns the policy: who is asked, who answers for the others, and whose fault ends the search.
//! Knows nothing of where credentials come from, and nothing of what registries do with them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::answers::Answers;
use super::error::{AuthError, Named};
use super::finding::{Finding, Source};
use super::link::{KEYCHAIN, Link, Tier};
use super::pattern;
use super::provider::{
    Action, Answer, Cache, Extent, Outcome, Provider, ProviderError, Request, Surroundings,
};
use super::trace::{Said, Step};
use crate::progress::{Event, LogLevel};
use crate::registry::RegistryAuth;
use crate::settings::{AuthEntry, AuthSettings, AuthSource};

/// All providers in their order, and what they have said in this process.
#[derive(Debug, Default)]
pub struct Chain {
    links: Vec<Link>,
    settings: BTreeMap<String, AuthEntry>,
    answers: Answers,
    warned: Mutex<BTreeSet<String>>,
}

/// What somebody wants to know of the chain.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The registry in its one spelling.
    pub registry: &'a str,
    /// The repository.
    pub repository: Option<&'a str>,
    /// What for.
    pub action: Action,
    /// The values of `WWW-Authenticate` that the registry answered with.
    pub challenges: &'a [String],
    /// 1, and more after an answer that was rejected.
    pub attempt: u32,
}

impl Chain {
    /// Returns a chain of providers in this order, with what the settings say of registries.
    pub fn new(
        providers: impl IntoIterator<Item = Arc<dyn Provider>>,
        settings: &BTreeMap<String, AuthEntry>,
    ) -> Self {
        Self {
            links: providers.into_iter().map(Link::new).collect(),
            settings: settings.clone(),
            ..Self::default()
        }
    }

    /// Returns the providers in their order.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// Returns a provider.
    pub fn provider(&self, name: &str) -> Option<&Arc<dyn Provider>> {
        let link = self.links.iter().find(|link| link.provider.name() == name);
        link.map(|link| &link.provider)
    }

    /// Returns what the settings say of registries.
    pub fn settings(&self) -> &BTreeMap<String, AuthEntry> {
        &self.settings
    }

    /// Returns who the user is to a registry. Of several threads with the same question one asks,
    /// and the others wait for what it finds.
    pub fn ask(
        &self,
        question: &Question<'_>,
        around: &Surroundings<'_>,
    ) -> Result<Arc<Finding>, AuthError> {
        let registry = self.answers.of(question.registry);
        let mut turn = registry.turn();
        let (repository, action) = (question.repository, question.action);
        if question.attempt <= 1
            && let Some(finding) = turn.get(repository, action, SystemTime::now())
        {
            return Ok(finding);
        }
        let (finding, life) = self.search(question, around)?;
        let finding = Arc::new(finding);
        turn.put(repository, action, &finding, life);
        Ok(finding)
    }

    /// Takes note of what became of an answer, and tells the provider, if it wants to know.
    pub fn report(
        &self,
        question: &Question<'_>,
        from: &Source,
        outcome: Outcome,
        around: &Surroundings<'_>,
    ) {
        if outcome == Outcome::Rejected {
            self.answers.of(question.registry).turn().forget();
        }
        let Some(provider) = self.provider(&from.provider) else {
            return;
        };
        if !provider.operations().report {
            return;
        }
        let request = self.request(question);
        if let Err(error) = provider.report(&request, outcome, around) {
            let text = format!("`{}` could not take note: {error}", from.provider);
            log(around, LogLevel::Debug, &text);
        }
    }

    /// Asks every provider, also those that others answer for.
    pub fn explain(
        &self,
        question: &Question<'_>,
        around: &Surroundings<'_>,
    ) -> Result<Vec<Step>, AuthError> {
        let request = self.request(question);
        let mut steps = Vec::new();
        for link in &self.links {
            around.cancel.check()?;
            let said = match self.skipped(link, question) {
                Some(said) => said,
                None => match link.provider.get(&request, around) {
                    Ok(answer) => Said::answer(&answer),
                    Err(ProviderError::Cancelled(cancelled)) => return Err(cancelled.into()),
                    Err(error) => {
                        let is_news = self.is_news(question.registry, link.provider.name());
                        Said::error(&error, link.stops_at(&error), is_news)
                    }
                },
            };
            steps.push(link.step(said));
        }
        Ok(steps)
    }

    fn search(
        &self,
        question: &Question<'_>,
        around: &Surroundings<'_>,
    ) -> Result<(Finding, (Cache, Extent)), AuthError> {
        let registry = question.registry;
        let entry = self.entry(registry)?;
        let request = self.request(question);
        let mut steps = Vec::new();
        for (number, link) in self.links.iter().enumerate() {
            around.cancel.check()?;
            Self::check_answered(entry, &self.links[number..])?;
            let name = link.provider.name();
            if let Some(said) = self.skipped(link, question) {
                log(around, LogLevel::Debug, &told(registry, name, &said));
                steps.push(link.step(said));
                continue;
            }
            match link.provider.get(&request, around) {
                Ok(answer) => {
                    let said = Said::answer(&answer);
                    log(around, LogLevel::Debug, &told(registry, name, &said));
                    steps.push(link.step(said));
                    return Ok(found(link, answer, steps));
                }
                Err(ProviderError::Cancelled(cancelled)) => return Err(cancelled.into()),
                Err(error) => {
                    let is_the_end = link.stops_at(&error);
                    let said = Said::error(&error, is_the_end, self.is_news(registry, name));
                    log(around, LogLevel::Debug, &told(registry, name, &said));
                    if is_the_end {
                        return Err(stopped(registry, link, entry, error));
                    }
                    let said = match entry {
                        Some((entry, settings))
                            if name == KEYCHAIN
                                && settings.source == AuthSource::Keyring
                                && matches!(error, ProviderError::NotFound) =>
                        {
                            promised(entry)
                        }
                        _ => said,
                    };
                    self.warn(question, link, &said, around);
                    steps.push(link.step(said));
                }
            }
        }
        Self::check_answered(entry, &[])?;
        log(
            around,
            LogLevel::Debug,
            &format!("credentials for {registry}: nobody has any"),
        );
        let nobody = Finding {
            credential: RegistryAuth::Anonymous,
            from: None,
            steps,
        };
        Ok((nobody, (Cache::Session, Extent::Repository)))
    }

    /// Ends the search where the settings name a source of a password and none of those who would
    /// look there is still to be asked.
    fn check_answered(
        entry: Option<(&AuthEntry, &AuthSettings)>,
        to_come: &[Link],
    ) -> Result<(), AuthError> {
        match entry {
            Some((entry, settings))
                if settings.source != AuthSource::Keyring
                    && to_come.iter().all(|link| link.tier != Tier::Configured) =>
            {
                Err(AuthError::Unanswered {
                    file: entry.file.clone(),
                    key: entry.key.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    fn entry(&self, registry: &str) -> Result<Option<(&AuthEntry, &AuthSettings)>, AuthError> {
        let Some(entry) = self.settings.get(registry) else {
            return Ok(None);
        };
        match &entry.content {
            Ok(settings) => Ok(Some((entry, settings))),
            Err(problem) => Err(AuthError::Settings {
                file: entry.file.clone(),
                key: entry.key.clone(),
                source: problem.clone(),
            }),
        }
    }

    /// Returns why a provider is not asked, if it is not.
    fn skipped(&self, link: &Link, question: &Question<'_>) -> Option<Said> {
        let patterns = link.provider.registries();
        let is_its = |pattern: &String| pattern::matches(pattern, question.registry);
        if !patterns.iter().any(is_its) {
            return Some(Said::OtherRegistries);
        }
        let is_set = self.settings.get(question.registry).is_some_and(|entry| {
            let settings = entry.content.as_ref();
            settings.is_ok_and(|settings| settings.source != AuthSource::Keyring)
        });
        (link.tier == Tier::Configured && !is_set).then_some(Said::NothingSet)
    }

    pub(super) fn request(&self, question: &Question<'_>) -> Request {
        let entry = self.settings.get(question.registry);
        let settings = entry.and_then(|entry| entry.content.as_ref().ok());
        Request {
            registry: question.registry.to_owned(),
            repository: question.repository.map(str::to_owned),
            action: question.action,
            challenges: question.challenges.to_vec(),
            // A name that goes with another source says nothing of what the keychain may have.
            username: settings
                .filter(|settings| settings.source == AuthSource::Keyring)
                .and_then(|settings| settings.username.clone()),
            attempt: question.attempt,
            settings: settings.map(AuthSettings::to_json),
        }
    }

    /// Returns whether the user should hear that a provider does not work. That the system has no
    /// store of credentials is no news to somebody who has put nothing there.
    fn is_news(&self, registry: &str, provider: &str) -> bool {
        provider != KEYCHAIN
            || self.settings.get(registry).is_some_and(|entry| {
                let settings = entry.content.as_ref();
                settings.is_ok_and(|settings| settings.source == AuthSource::Keyring)
            })
    }

    /// Lets the user know of a provider that does not work, once.
    fn warn(&self, question: &Question<'_>, link: &Link, said: &Said, around: &Surroundings<'_>) {
        let Said::Failed { message, hint, .. } = said else {
            return;
        };
        let name = link.provider.name();
        let mut text = format!(
            "`{name}` was passed over for {}: {message}",
            question.registry
        );
        if let Some(hint) = hint {
            text = format!("{text} ({hint})");
        }
        if !self.is_news(question.registry, name) {
            return log(around, LogLevel::Info, &text);
        }
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.insert(text.clone()) {
            around.progress.report(Event::Notice(&text));
        }
    }
}

fn found(link: &Link, answer: Answer, steps: Vec<Step>) -> (Finding, (Cache, Extent)) {
    let life = (answer.cache, answer.extent);
    let finding = Finding {
        credential: answer.credential,
        from: Some(Source {
            provider: link.provider.name().to_owned(),
            source: answer.source,
            tier: link.tier,
            renewable: answer.cache != Cache::Session,
        }),
        steps,
    };
    (finding, life)
}

fn stopped(
    registry: &str,
    link: &Link,
    entry: Option<(&AuthEntry, &AuthSettings)>,
    source: ProviderError,
) -> AuthError {
    let registry = registry.to_owned();
    let provider = link.provider.name().to_owned();
    match entry {
        Some((entry, settings)) if link.tier == Tier::Configured => AuthError::Configured {
            registry,
            provider,
            named: Box::new(Named {
                file: entry.file.clone(),
                key: format!("{}.{}", entry.key, settings.source_key()),
                value: settings.source_name().to_owned(),
            }),
            source: Box::new(source),
        },
        _ => AuthError::Provider {
            registry,
            provider,
            source: Box::new(source),
        },
    }
}

/// Returns what it means that the keychain has nothing where the settings say that it has.
fn promised(entry: &AuthEntry) -> Said {
    Said::Failed {
        message: format!(
            "it has nothing for this registry, although `{}` in `{}` says so",
            entry.key,
            entry.file.display()
        ),
        hint: None,
        stops: false,
        is_news: true,
    }
}

fn told(registry: &str, provider: &str, said: &Said) -> String {
    format!("credentials for {registry}: `{provider}`: {said}")
}

fn log(around: &Surroundings<'_>, level: LogLevel, message: &str) {
    around.progress.report(Event::Log { level, message });
}
