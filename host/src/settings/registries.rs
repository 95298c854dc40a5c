//! The `registries` object: how registries are asked, and what is known of single hosts.
//!
//! Owns its shape and what its values mean. No file that it names is looked at here.

mod auth;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use auth::{AuthFile, AuthFiles};

use super::SettingsError;
use super::shape::{Object, OneOrMany, TextOrObject};
use crate::hosts::{
    ClientFiles, HostSettings, Location, LocationError, MirrorSettings, NamedBy, NamedFile,
    RetryPolicy, Scheme,
};
use crate::reference::canonical_host;

pub(super) use auth::host_of;
pub use auth::{AuthEntry, AuthProblem, AuthSettings, AuthSource};

/// How registries are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistrySettings {
    /// How patient we are.
    pub retry: RetryPolicy,
    /// CA certificates for all hosts.
    pub ca_certs: Vec<NamedFile>,
    /// What is known of single hosts, by their canonical form.
    pub hosts: BTreeMap<String, HostSettings>,
    /// Where passwords for single hosts are, by the canonical form of the host.
    pub auth: BTreeMap<String, AuthEntry>,
}

/// What is wrong with a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistriesProblem {
    /// A key of `hosts` is not a host.
    #[error("it is not a host name, with a port or without")]
    NotAHost,
    /// Two keys of `hosts` mean the same host.
    #[error("it is the same host as `{other}`")]
    SameHost {
        /// The other key.
        other: String,
    },
    /// There is a key, and no certificate that it belongs to.
    #[error("a key needs a `client_cert` next to it")]
    KeyWithoutCertificate,
    /// A mirror is not a place.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// The address of a mirror says one thing, and `insecure` another.
    #[error("`insecure` contradicts the scheme of the location")]
    Contradiction,
}

#[derive(Default, Deserialize)]
pub(super) struct RegistriesFile {
    ca_certs: Option<OneOrMany>,
    attempts: Option<NonZeroU32>,
    retry_delay_ms: Option<u64>,
    stall_timeout_secs: Option<NonZeroU64>,
    give_up_after_secs: Option<NonZeroU64>,
    least_bytes_per_sec: Option<u64>,
    hosts: Option<BTreeMap<String, Object<HostFile>>>,
    auth: Option<AuthFiles>,
}

#[derive(Deserialize)]
struct HostFile {
    insecure: Option<bool>,
    tls_verify: Option<bool>,
    ca_certs: Option<OneOrMany>,
    client_cert: Option<String>,
    client_key: Option<String>,
    mirrors: Option<Vec<TextOrObject<MirrorFile>>>,
    auth: Option<Object<AuthFile>>,
}

#[derive(Deserialize)]
struct MirrorFile {
    location: String,
    insecure: Option<bool>,
    by_digest_only: Option<bool>,
}

/// What a value is resolved against.
pub(super) struct ResolveContext<'a> {
    /// The file of settings.
    pub(super) file: &'a Path,
    /// What `~` stands for.
    pub(super) home: Option<PathBuf>,
}

impl RegistriesFile {
    fn retry(&self) -> RetryPolicy {
        let defaults = RetryPolicy::default();
        let seconds = |seconds: NonZeroU64| Duration::from_secs(seconds.get());
        let stall_timeout = self
            .stall_timeout_secs
            .map_or(defaults.stall_timeout, seconds);
        RetryPolicy {
            attempts: self.attempts.map_or(defaults.attempts, NonZeroU32::get),
            delay: self
                .retry_delay_ms
                .map_or(defaults.delay, Duration::from_millis),
            stall_timeout,
            give_up_after: self
                .give_up_after_secs
                .map_or(stall_timeout.saturating_mul(2), seconds),
            least_rate: self.least_bytes_per_sec.unwrap_or(defaults.least_rate),
        }
    }

    pub(super) fn resolve(
        self,
        context: &ResolveContext<'_>,
    ) -> Result<RegistrySettings, SettingsError> {
        let retry = self.retry();
        let mut hosts = BTreeMap::new();
        let mut auth = BTreeMap::new();
        for (key, file) in self.auth.into_iter().flatten() {
            let at = format!("registries.auth.{key}");
            let Some(Object(file)) = file else { continue };
            let entry = AuthEntry::new(context.file.to_owned(), at, file);
            match canonical_host(&key) {
                Some(name) => entry.join(name, &mut auth),
                // It is told where its registry is asked, if there is one in it.
                None => {
                    if let Some(name) = host_of(&key) {
                        entry.misnamed().join(name, &mut auth);
                    }
                }
            }
        }
        let mut keys: BTreeMap<String, String> = BTreeMap::new();
        for (key, Object(mut host)) in self.hosts.into_iter().flatten() {
            let at = format!("registries.hosts.{key}");
            let name = context.host(&key, &at)?;
            if let Some(other) = keys.insert(name.clone(), key) {
                return Err(context.problem(&at, RegistriesProblem::SameHost { other }));
            }
            if let Some(Object(file)) = host.auth.take() {
                let at = format!("{at}.auth");
                AuthEntry::new(context.file.to_owned(), at, file).join(name.clone(), &mut auth);
            }
            hosts.insert(name, host.resolve(&at, context)?);
        }
        Ok(RegistrySettings {
            retry,
            ca_certs: context.files("registries.ca_certs", self.ca_certs),
            hosts,
            auth,
        })
    }
}

impl HostFile {
    fn resolve(
        self,
        at: &str,
        context: &ResolveContext<'_>,
    ) -> Result<HostSettings, SettingsError> {
        let key_at = format!("{at}.client_key");
        let client = match (self.client_cert, self.client_key) {
            (None, None) => None,
            (None, Some(_)) => {
                return Err(context.problem(&key_at, RegistriesProblem::KeyWithoutCertificate));
            }
            (Some(cert), key) => Some(ClientFiles {
                cert: context.named(&format!("{at}.client_cert"), &cert),
                key: key.map(|key| context.named(&key_at, &key)),
            }),
        };
        let mirror = |(number, mirror): (usize, TextOrObject<MirrorFile>)| {
            mirror
                .into_object(MirrorFile::at)
                .resolve()
                .map_err(|problem| context.problem(&format!("{at}.mirrors[{number}]"), problem))
        };
        let mirrors = self
            .mirrors
            .map(|mirrors| mirrors.into_iter().enumerate().map(mirror).collect())
            .transpose()?;
        Ok(HostSettings {
            insecure: self.insecure,
            tls_verify: self.tls_verify,
            ca_certs: context.files(&format!("{at}.ca_certs"), self.ca_certs),
            client,
            mirrors,
        })
    }
}

impl MirrorFile {
    fn at(location: String) -> Self {
        Self {
            location,
            insecure: None,
            by_digest_only: None,
        }
    }

    fn resolve(self) -> Result<MirrorSettings, RegistriesProblem> {
        let location: Location = self.location.parse()?;
        if matches!(
            (location.scheme, self.insecure),
            (Some(Scheme::Http), Some(false)) | (Some(Scheme::Https), Some(true))
        ) {
            return Err(RegistriesProblem::Contradiction);
        }
        Ok(MirrorSettings {
            location,
            insecure: self.insecure,
            by_digest_only: self.by_digest_only.unwrap_or(false),
        })
    }
}

impl ResolveContext<'_> {
    fn host(&self, key: &str, at: &str) -> Result<String, SettingsError> {
        canonical_host(key).ok_or_else(|| self.problem(at, RegistriesProblem::NotAHost))
    }

    fn problem(&self, key: &str, source: RegistriesProblem) -> SettingsError {
        SettingsError::Registries {
            path: self.file.to_owned(),
            key: key.to_owned(),
            source,
        }
    }

    fn files(&self, key: &str, paths: Option<OneOrMany>) -> Vec<NamedFile> {
        let paths = paths.map(|paths| paths.0).unwrap_or_default();
        paths.iter().map(|path| self.named(key, path)).collect()
    }

    fn named(&self, key: &str, path: &str) -> NamedFile {
        let at_home = path
            .strip_prefix("~/")
            .and_then(|rest| Some(self.home.as_ref()?.join(rest)));
        let path = at_home.unwrap_or_else(|| match self.file.parent() {
            Some(directory) => directory.join(path),
            None => PathBuf::from(path),
        });
        NamedFile {
            path,
            named_by: NamedBy::Settings {
                file: self.file.to_owned(),
                key: key.to_owned(),
            },
        }
    }
}
