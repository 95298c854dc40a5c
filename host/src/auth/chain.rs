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
use super::link::Link;
use super::provider::{Answer, Cache, CredentialExtent, Provider, ProviderError};
use super::resolution::Resolution;
use super::rules::promised;
use crate::context::Context;
use crate::credential::{
    AuthSourceKind, CredentialRequest, CredentialSource, Outcome, RegistryAuth, Tier,
};
use crate::progress::{Event, LogLevel};
use crate::settings::{AuthEntry, AuthSettings, AuthSource};

/// All providers in their order, and what they answered in this process.
#[derive(Debug, Default)]
pub struct Chain {
    pub(super) links: Vec<Link>,
    pub(super) settings: BTreeMap<String, AuthEntry>,
    /// No provider has to be there or to work, not even one that the settings name.
    pub(super) is_forgiving: bool,
    cached: CredentialCache,
    warned: Mutex<BTreeSet<String>>,
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

    /// Lets no fault of these providers end a search, and lets the settings name providers that are not
    /// there: for fetching plugins, when the provider may be what is to be fetched.
    #[must_use]
    pub fn forgiving(mut self, providers: &BTreeSet<String>) -> Self {
        self.is_forgiving = true;
        for link in &mut self.links {
            if providers.contains(link.provider.name()) {
                link.tier = Tier::Ambient;
                link.is_forgiven = true;
            }
        }
        self
    }

    /// Returns the providers in their order.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// Returns the provider of a name, or the one that has taken its place.
    pub fn provider(&self, name: &str) -> Option<&Arc<dyn Provider>> {
        let mut providers = self.links.iter().map(|link| &link.provider);
        let mut others = providers.clone();
        providers
            .find(|provider| provider.name() == name)
            .or_else(|| others.find(|provider| provider.provides() == name))
    }

    /// Returns the first provider that reads a source of the settings.
    pub fn reader(&self, source: AuthSourceKind) -> Option<&Arc<dyn Provider>> {
        let link = self.links.iter().find(|link| link.reads(source));
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
        query: &CredentialRequest,
        context: &Context,
    ) -> Result<Arc<Resolution>, AuthError> {
        let registry = self.cached.of(&query.registry);
        let mut turn = registry.turn();
        let (repository, action) = (query.repository.as_deref(), query.action);
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
        query: &CredentialRequest,
        from: &CredentialSource,
        outcome: Outcome,
        context: &Context,
    ) {
        if outcome == Outcome::Rejected {
            self.cached.of(&query.registry).turn().forget();
        }
        let Some(provider) = self.provider(&from.provider) else {
            return;
        };
        let request = self.request(query);
        if outcome == Outcome::Rejected {
            provider.forget(&request, context);
        }
        if !provider.operations().report {
            return;
        }
        if let Err(error) = provider.report(&request, outcome, context) {
            let text = format!("`{}` could not take note: {error}", from.provider);
            log(context, LogLevel::Debug, &text);
        }
    }

    /// Asks every provider, also those that others answer for.
    pub fn explain(
        &self,
        query: &CredentialRequest,
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
                        let is_news = self.is_news(&query.registry, link);
                        let is_the_end = self.is_the_end(link, &query.registry, &error);
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
        query: &CredentialRequest,
        context: &Context,
    ) -> Result<(Resolution, (Cache, CredentialExtent)), AuthError> {
        let registry = query.registry.as_str();
        let entry = self.entry(registry)?;
        let request = self.request(query);
        let mut attempts = Vec::new();
        for (number, link) in self.links.iter().enumerate() {
            context.cancel.check()?;
            self.check_answered(entry, &self.links[number..])?;
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
                    let is_the_end = self.is_the_end(link, registry, &error);
                    let is_news = self.is_news(registry, link);
                    let reply = ProviderReply::error(&error, is_the_end, is_news);
                    log(context, LogLevel::Debug, &told(registry, name, &reply));
                    if is_the_end {
                        return Err(stopped(registry, link, entry, error));
                    }
                    let reply = match error {
                        ProviderError::NotFound => promised(entry, link).unwrap_or(reply),
                        _ => reply,
                    };
                    self.warn(query, link, &reply, context);
                    attempts.push(link.attempt(reply));
                }
            }
        }
        self.check_answered(entry, &[])?;
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

    /// Adds what the settings say of the registry.
    pub(super) fn request(&self, query: &CredentialRequest) -> CredentialRequest {
        let entry = self.settings.get(&query.registry);
        let settings = entry.and_then(|entry| entry.content.as_ref().ok());
        CredentialRequest {
            // A name that goes with another source says nothing of what the keychain may have.
            username: settings
                .filter(|it| matches!(it.source, AuthSource::Keyring | AuthSource::Provider(_)))
                .and_then(|settings| settings.username.clone()),
            settings: settings.map(AuthSettings::to_json),
            ..query.clone()
        }
    }

    /// Lets the user know of a provider that does not work, once.
    fn warn(
        &self,
        query: &CredentialRequest,
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
        if !self.is_news(&query.registry, link) {
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
        from: Some(CredentialSource {
            provider: link.provider.name().to_owned(),
            location: answer.source,
            tier: link.tier,
            reads: link.provider.reads(),
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
                    source: settings.source.kind(),
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

fn told(registry: &str, provider: &str, reply: &ProviderReply) -> String {
    format!("credentials for {registry}: `{provider}`: {reply}")
}

fn log(context: &Context, level: LogLevel, message: &str) {
    context.progress.report(Event::Log { level, message });
}
