//! `ls`: the registries with credentials, and the provider that answers for each.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::attempt::{ProviderAttempt, ProviderReply};
use super::chain::Chain;
use super::error::AuthError;
use super::link::Link;
use super::login::login_request;
use super::pattern;
use crate::context::Context;
use crate::reference::canonical_host;
use crate::settings::{AuthEntry, AuthSource};

/// Credentials for a registry, and whether they would be used. No secret.
#[derive(Clone, Debug, Serialize)]
pub struct Registered {
    /// The registry.
    pub registry: String,
    /// The name. Untrusted text.
    pub username: Option<String>,
    /// What has them: `keyring`, `password_env`, `secret_name` or `provider` of the settings, else the
    /// provider's name.
    pub source: String,
    /// Where: the variable, the file, the place that the provider names. Untrusted text.
    pub place: Option<String>,
    /// When they end, RFC 3339.
    pub expires: Option<String>,
    /// The provider that answers for the registry.
    pub provider: Option<String>,
    /// Another one answers before these.
    pub shadowed: bool,
    /// What is wrong. Untrusted text.
    pub problem: Option<String>,
}

/// What all providers say of a registry.
struct Outlook {
    attempts: Vec<ProviderAttempt>,
}

/// Returns what is known, sorted by registry.
pub fn list(chain: &Chain, context: &Context) -> Result<Vec<Registered>, AuthError> {
    let mut rows = Vec::new();
    // The providers that look at what the settings name.
    let mut own = BTreeMap::new();
    for (registry, entry) in chain.settings() {
        let outlook = Outlook::of(chain, registry, context)?;
        let reader = reader(chain, entry);
        rows.push(outlook.of_settings(registry, entry, reader));
        own.insert(registry.clone(), reader);
    }
    for link in chain.links() {
        context.cancel.check()?;
        if !link.provider.operations().list {
            continue;
        }
        // What cannot be listed is told where it is asked for.
        let entries = link.provider.list(context).unwrap_or_default();
        let mut seen = BTreeSet::new();
        for entry in entries {
            let name = link.provider.name();
            let Some(registry) = canonical_host(&entry.registry) else {
                continue;
            };
            let is_own = own.get(&registry) == Some(&Some(name));
            if is_own || !is_its(link, &registry) || !seen.insert(registry.clone()) {
                continue;
            }
            let outlook = Outlook::of(chain, &registry, context)?;
            let winner = outlook.winner();
            rows.push(Registered {
                username: entry.username,
                source: name.to_owned(),
                place: entry.source,
                expires: entry.expires.and_then(time),
                shadowed: winner.is_some_and(|winner| winner.provider != name),
                provider: winner.map(|winner| winner.provider.clone()),
                problem: outlook.problem(name),
                registry,
            });
        }
    }
    rows.sort_by(|one, other| one.registry.cmp(&other.registry));
    Ok(rows)
}

impl Outlook {
    fn of(chain: &Chain, registry: &str, context: &Context) -> Result<Self, AuthError> {
        let attempts = chain.explain(&login_request(registry), context)?;
        Ok(Self { attempts })
    }

    /// Returns the provider that answers, unless one before it ends the search.
    fn winner(&self) -> Option<&ProviderAttempt> {
        let ends = |attempt: &&ProviderAttempt| {
            attempt.reply.is_answer()
                || matches!(attempt.reply, ProviderReply::Failed { stops: true, .. })
        };
        self.attempts
            .iter()
            .find(ends)
            .filter(|attempt| attempt.reply.is_answer())
    }

    fn attempt(&self, provider: &str) -> Option<&ProviderAttempt> {
        self.attempts
            .iter()
            .find(|attempt| attempt.provider == provider)
    }

    fn problem(&self, provider: &str) -> Option<String> {
        match &self.attempt(provider)?.reply {
            ProviderReply::Failed { message, .. } => Some(message.clone()),
            _ => None,
        }
    }

    fn of_settings(&self, registry: &str, entry: &AuthEntry, own: Option<&str>) -> Registered {
        let winner = self.winner();
        let mut row = Registered {
            registry: registry.to_owned(),
            username: None,
            source: "invalid".to_owned(),
            place: None,
            expires: None,
            provider: winner.map(|winner| winner.provider.clone()),
            shadowed: false,
            problem: None,
        };
        let settings = match &entry.content {
            Ok(settings) => settings,
            Err(problem) => {
                row.problem = Some(format!("`{}`: {problem}", entry.key));
                row.provider = None;
                return row;
            }
        };
        row.username.clone_from(&settings.username);
        (row.source, row.place) = match &settings.source {
            AuthSource::Keyring => ("keyring".to_owned(), None),
            AuthSource::PasswordEnv(name) => ("password_env".to_owned(), Some(name.clone())),
            AuthSource::SecretName(name) => ("secret_name".to_owned(), Some(name.clone())),
            AuthSource::Provider(name) => ("provider".to_owned(), Some(name.clone())),
        };
        let Some(own) = own else {
            return row;
        };
        row.shadowed = winner.is_some_and(|winner| winner.provider != own);
        row.problem = match self.attempt(own).map(|attempt| &attempt.reply) {
            Some(ProviderReply::Failed { message, .. }) => Some(message.clone()),
            Some(ProviderReply::Nothing(why)) => Some((*why).to_owned()),
            Some(ProviderReply::Answer { username, .. }) => {
                row.username = row.username.or_else(|| username.clone());
                None
            }
            _ => None,
        };
        row
    }
}

/// Returns the provider that looks at what an entry names.
fn reader<'a>(chain: &'a Chain, entry: &AuthEntry) -> Option<&'a str> {
    let settings = entry.content.as_ref().ok()?;
    let provider = match settings.provider() {
        Some(named) => chain.provider(named),
        None => chain.reader(settings.source.kind()?),
    };
    provider.map(|provider| provider.name())
}

fn is_its(link: &Link, registry: &str) -> bool {
    let patterns = link.provider.registries();
    patterns
        .iter()
        .any(|pattern| pattern::matches(pattern, registry))
}

fn time(time: std::time::SystemTime) -> Option<String> {
    let time = jiff::Timestamp::try_from(time).ok()?;
    Some(time.to_string())
}
