//! What the settings say of a registry, and what follows for each provider: whether it is asked, and
//! whether its fault ends the search.

use super::attempt::ProviderReply;
use super::chain::Chain;
use super::error::AuthError;
use super::link::Link;
use super::pattern;
use super::provider::ProviderError;
use crate::credential::{AuthSourceKind, CredentialRequest, Tier};
use crate::settings::{AuthEntry, AuthSettings, AuthSource};

impl Chain {
    /// Returns the entry of a registry.
    ///
    /// # Errors
    /// [`AuthError::Settings`] for one that makes no sense.
    pub(super) fn entry(
        &self,
        registry: &str,
    ) -> Result<Option<(&AuthEntry, &AuthSettings)>, AuthError> {
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

    /// Ends the search where the settings name a source of a password and no provider
    /// that reads it is left to be asked. One that is not of the tier for that may have nothing.
    pub(super) fn check_answered(
        &self,
        entry: Option<(&AuthEntry, &AuthSettings)>,
        to_come: &[Link],
    ) -> Result<(), AuthError> {
        let Some((entry, settings)) = entry else {
            return Ok(());
        };
        let is_read = match &settings.source {
            AuthSource::Keyring => true,
            AuthSource::Provider(name) => {
                self.is_forgiving
                    || self.provider(name).is_some_and(|named| {
                        let mut links = to_come.iter();
                        links.any(|link| link.provider.name() == named.name())
                    })
            }
            source => {
                let reads = |link: &Link| link.provider.reads() == source.kind();
                let may_have_nothing = |link: &Link| reads(link) && link.tier != Tier::Configured;
                let is_to_come = |link: &Link| reads(link) || link.tier == Tier::Configured;
                self.links.iter().any(may_have_nothing) || to_come.iter().any(is_to_come)
            }
        };
        if is_read {
            return Ok(());
        }
        Err(AuthError::Unanswered {
            file: entry.file.clone(),
            key: entry.key.clone(),
            provider: settings.provider().map(str::to_owned),
        })
    }

    /// Returns why a provider is not asked, if it is not.
    pub(super) fn skipped(&self, link: &Link, query: &CredentialRequest) -> Option<ProviderReply> {
        let patterns = link.provider.registries();
        let is_its = |pattern: &String| pattern::matches(pattern, &query.registry);
        if !patterns.iter().any(is_its) {
            return Some(ProviderReply::OtherRegistries);
        }
        let settings = self.valid_entry(&query.registry);
        if settings.is_some_and(|settings| settings.provider().is_some())
            && !self.is_named(link, &query.registry)
        {
            return Some(ProviderReply::AnotherNamed);
        }
        let is_set = settings.is_some_and(|settings| {
            settings.source != AuthSource::Keyring || link.reads(AuthSourceKind::Keyring)
        });
        (link.tier == Tier::Configured && !is_set).then_some(ProviderReply::NothingSet)
    }

    /// Returns whether an error of a provider ends the search.
    pub(super) fn is_the_end(&self, link: &Link, registry: &str, error: &ProviderError) -> bool {
        !link.is_forgiven && (self.is_named(link, registry) || link.stops_at(error))
    }

    /// Returns whether the user should hear that a provider does not work. That the system has no
    /// store of credentials only matters to a user who has put something there.
    pub(super) fn is_news(&self, registry: &str, link: &Link) -> bool {
        let is_keyring = |settings: &AuthSettings| settings.source == AuthSource::Keyring;
        !link.reads(AuthSourceKind::Keyring)
            || link.tier != Tier::Ambient
            || self.valid_entry(registry).is_some_and(is_keyring)
    }

    /// Returns whether the settings name this provider for a registry: it answers, or the search ends.
    fn is_named(&self, link: &Link, registry: &str) -> bool {
        let settings = self.valid_entry(registry);
        let named = settings.and_then(|settings| self.provider(settings.provider()?));
        named.is_some_and(|named| named.name() == link.provider.name())
    }

    fn valid_entry(&self, registry: &str) -> Option<&AuthSettings> {
        self.settings.get(registry)?.content.as_ref().ok()
    }
}

/// Returns the reply for the reader of the keyring, where it has nothing although the settings say that
/// it has.
pub(super) fn promised(
    entry: Option<(&AuthEntry, &AuthSettings)>,
    link: &Link,
) -> Option<ProviderReply> {
    let (entry, settings) = entry?;
    if settings.source != AuthSource::Keyring || !link.reads(AuthSourceKind::Keyring) {
        return None;
    }
    Some(ProviderReply::Failed {
        message: format!(
            "it has nothing for this registry, although `{}` in `{}` says so",
            entry.key,
            entry.file.display()
        ),
        hint: None,
        stops: false,
        is_news: true,
    })
}
