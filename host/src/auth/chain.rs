//! The order in which providers are asked, and what becomes of their errors.
//!
//! Owns the policy: which provider is asked, whose answer counts, and whose error ends the search.
//! Knows nothing of where credentials come from, and nothing of what registries do with them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::attempt::{ProviderAttempt, ProviderReply};
use super::credential_cache::CredentialCache;
use super::error::{AuthError, Named};
use super::link::{KEYCHAIN, Link, Tier};
use super::pattern;
use super::provider::{
    Action, Answer, Cache, CredentialExtent, Outcome, Provider, ProviderError, ProviderRequest,
};
use super::resolution::{ProviderSource, Resolution};
use crate::context::Context;
use crate::progress::{Event, LogLevel};
use crate::registry::RegistryAuth;
use crate::settings::{AuthEntry, AuthSettings, AuthSource};

/// All providers in their order, and what they answered in this process.
#[derive(Debug, Default)]
pub struct Chain {
    links: Vec<Link>,
    settings: BTreeMap<String, AuthEntry>,
    cached: CredentialCache,
    warned: Mutex<BTreeSet<String>>,
}

/// A search for credentials.
#[derive(Clone, Copy, Debug)]
pub struct CredentialQuery<'a> {
    /// The registry in its canonical form.
    pub registry: &'a str,
    /// The repository.
    pub repository: Option<&'a str>,
    /// What the credentials are for.
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

    /// Returns the credentials for a registry. Of several threads with the same query one asks,
    /// and the others wait for what it finds.
    pub fn ask(
        &self,
        query: &CredentialQuery<'_>,
        context: &Context,
    ) -> Result<Arc<Resolution>, AuthError> {
        let registry = self.cached.of(query.registry);
        let mut turn = registry.turn();
        let (repository, action) = (query.repository, query.action);
        if query.attempt <= 1
            && let Some(resolution) = turn.get(repository, action, SystemTime::now())
        {
            return Ok(resolution);
        }
        let (resolution, life) = self.search(query, context)?;
        let resolution = Arc::new(resolution);
        turn.put(repository, action, &resolution, life);
        Ok(resolution)
    }

    /// Takes note of what became of an answer, and tells the provider, if it wants to know.
    pub fn report(
        &self,
        query: &CredentialQuery<'_>,
        from: &ProviderSource,
        outcome: Outcome,
        context: &Context,
    ) {
        if outcome == Outcome::Rejected {
            self.cached.of(query.registry).turn().forget();
        }
        let Some(provider) = self.provider(&from.provider) else {
            return;
        };
        if !provider.operations().report {
            return;
        }
        let request = self.request(query);
        if let Err(error) = provider.report(&request, outcome, context) {
            let text = format!("`{}` could not take note: {error}", from.provider);
            log(context, LogLevel::Debug, &text);
        }
    }

    /// Asks every provider, also those that others answer for.
    pub fn explain(
        &self,
        query: &CredentialQuery<'_>,
        context: &Context,
    ) -> Result<Vec<ProviderAttempt>, AuthError> {
        let request = self.request(query);
        let mut attempts = Vec::new();
        for link in &self.links {
            context.cancel.check()?;
            let reply = match self.skipped(link, query) {
                Some(reply) => reply,
                None => match link.provider.get(&request, context) {
                    Ok(answer) => ProviderReply::answer(&answer),
                    Err(ProviderError::Cancelled(cancelled)) => return Err(cancelled.into()),
                    Err(error) => {
                        let is_news = self.is_news(query.registry, link.provider.name());
                        let is_the_end =
                            self.is_named(link, query.registry) || link.stops_at(&error);
                        ProviderReply::error(&error, is_the_end, is_news)
                    }
                },
            };
            attempts.push(link.attempt(reply));
        }
        Ok(attempts)
    }

    fn search(
        &self,
        query: &CredentialQuery<'_>,
        context: &Context,
    ) -> Result<(Resolution, (Cache, CredentialExtent)), AuthError> {
        let registry = query.registry;
        let entry = self.entry(registry)?;
        let request = self.request(query);
        let mut attempts = Vec::new();
        for (number, link) in self.links.iter().enumerate() {
            context.cancel.check()?;
            Self::check_answered(entry, &self.links[number..])?;
            let name = link.provider.name();
            if let Some(reply) = self.skipped(link, query) {
                log(context, LogLevel::Debug, &told(registry, name, &reply));
                attempts.push(link.attempt(reply));
                continue;
            }
            match link.provider.get(&request, context) {
                Ok(answer) => {
                    let reply = ProviderReply::answer(&answer);
                    log(context, LogLevel::Debug, &told(registry, name, &reply));
                    attempts.push(link.attempt(reply));
                    return Ok(found(link, answer, attempts));
                }
                Err(ProviderError::Cancelled(cancelled)) => return Err(cancelled.into()),
                Err(error) => {
                    let is_the_end = self.is_named(link, registry) || link.stops_at(&error);
                    let reply =
                        ProviderReply::error(&error, is_the_end, self.is_news(registry, name));
                    log(context, LogLevel::Debug, &told(registry, name, &reply));
                    if is_the_end {
                        return Err(stopped(registry, link, entry, error));
                    }
                    let reply = match entry {
                        Some((entry, settings))
                            if name == KEYCHAIN
                                && settings.source == AuthSource::Keyring
                                && matches!(error, ProviderError::NotFound) =>
                        {
                            promised(entry)
                        }
                        _ => reply,
                    };
                    self.warn(query, link, &reply, context);
                    attempts.push(link.attempt(reply));
                }
            }
        }
        Self::check_answered(entry, &[])?;
        log(
            context,
            LogLevel::Debug,
            &format!("credentials for {registry}: none found"),
        );
        let nobody = Resolution {
            credential: RegistryAuth::Anonymous,
            from: None,
            attempts,
        };
        Ok((nobody, (Cache::Session, CredentialExtent::Repository)))
    }

    /// Ends the search where the settings name a source of a password and no provider
    /// that reads it is left to be asked.
    fn check_answered(
        entry: Option<(&AuthEntry, &AuthSettings)>,
        to_come: &[Link],
    ) -> Result<(), AuthError> {
        match entry {
            Some((entry, settings))
                if settings.source != AuthSource::Keyring
                    && !to_come.iter().any(|link| match settings.provider() {
                        Some(name) => link.provider.name() == name,
                        None => link.tier == Tier::Configured,
                    }) =>
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
    fn skipped(&self, link: &Link, query: &CredentialQuery<'_>) -> Option<ProviderReply> {
        let patterns = link.provider.registries();
        let is_its = |pattern: &String| pattern::matches(pattern, query.registry);
        if !patterns.iter().any(is_its) {
            return Some(ProviderReply::OtherRegistries);
        }
        let entry = self.settings.get(query.registry);
        let named = entry.and_then(|entry| entry.content.as_ref().ok()?.provider());
        if named.is_some_and(|named| named != link.provider.name()) {
            return Some(ProviderReply::AnotherNamed);
        }
        let is_set = self.settings.get(query.registry).is_some_and(|entry| {
            let settings = entry.content.as_ref();
            settings.is_ok_and(|settings| settings.source != AuthSource::Keyring)
        });
        (link.tier == Tier::Configured && !is_set).then_some(ProviderReply::NothingSet)
    }

    pub(super) fn request(&self, query: &CredentialQuery<'_>) -> ProviderRequest {
        let entry = self.settings.get(query.registry);
        let settings = entry.and_then(|entry| entry.content.as_ref().ok());
        ProviderRequest {
            registry: query.registry.to_owned(),
            repository: query.repository.map(str::to_owned),
            action: query.action,
            challenges: query.challenges.to_vec(),
            // A name that goes with another source says nothing of what the keychain may have.
            username: settings
                .filter(|it| matches!(it.source, AuthSource::Keyring | AuthSource::Provider(_)))
                .and_then(|settings| settings.username.clone()),
            attempt: query.attempt,
            settings: settings.map(AuthSettings::to_json),
        }
    }

    /// Returns whether the settings name this provider for a registry: it answers, or the search ends.
    fn is_named(&self, link: &Link, registry: &str) -> bool {
        let entry = self.settings.get(registry);
        let named = entry.and_then(|entry| entry.content.as_ref().ok()?.provider());
        named == Some(link.provider.name())
    }

    /// Returns whether the user should hear that a provider does not work. That the system has no
    /// store of credentials only matters to a user who has put something there.
    fn is_news(&self, registry: &str, provider: &str) -> bool {
        provider != KEYCHAIN
            || self.settings.get(registry).is_some_and(|entry| {
                let settings = entry.content.as_ref();
                settings.is_ok_and(|settings| settings.source == AuthSource::Keyring)
            })
    }

    /// Lets the user know of a provider that does not work, once.
    fn warn(
        &self,
        query: &CredentialQuery<'_>,
        link: &Link,
        reply: &ProviderReply,
        context: &Context,
    ) {
        let ProviderReply::Failed { message, hint, .. } = reply else {
            return;
        };
        let name = link.provider.name();
        let mut text = format!("`{name}` was skipped for {}: {message}", query.registry);
        if let Some(hint) = hint {
            text = format!("{text} ({hint})");
        }
        if !self.is_news(query.registry, name) {
            return log(context, LogLevel::Info, &text);
        }
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.insert(text.clone()) {
            context.progress.report(Event::Notice(&text));
        }
    }
}

fn found(
    link: &Link,
    answer: Answer,
    attempts: Vec<ProviderAttempt>,
) -> (Resolution, (Cache, CredentialExtent)) {
    let life = (answer.cache, answer.extent);
    let resolution = Resolution {
        credential: answer.credential,
        from: Some(ProviderSource {
            provider: link.provider.name().to_owned(),
            source: answer.source,
            tier: link.tier,
            renewable: answer.cache != Cache::Session,
        }),
        attempts,
    };
    (resolution, life)
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
        Some((entry, settings))
            if link.tier == Tier::Configured || settings.provider().is_some() =>
        {
            AuthError::Configured {
                registry,
                provider,
                named: Box::new(Named {
                    file: entry.file.clone(),
                    key: format!("{}.{}", entry.key, settings.source_key()),
                    value: settings.source_name().to_owned(),
                }),
                source: Box::new(source),
            }
        }
        _ => AuthError::Provider {
            registry,
            provider,
            source: Box::new(source),
        },
    }
}

/// Returns the reply for a keychain that has nothing although the settings say that it has.
fn promised(entry: &AuthEntry) -> ProviderReply {
    ProviderReply::Failed {
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

fn told(registry: &str, provider: &str, reply: &ProviderReply) -> String {
    format!("credentials for {registry}: `{provider}`: {reply}")
}

fn log(context: &Context, level: LogLevel, message: &str) {
    context.progress.report(Event::Log { level, message });
}
