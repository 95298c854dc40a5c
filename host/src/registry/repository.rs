//! A repository at all endpoints that have it: mirrors first, the registry last.
//!
//! Owns the order of endpoints, and trying again. What is fetched is read elsewhere.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::client::Client;
use super::endpoint::Endpoint;
use super::exchange::RequestContext;
use super::failure::Extent;
use super::incoming::Waiter;
use super::patience::Patience;
use super::retry::{Attempts, Retry};
use super::{RegistryError, RegistryErrorKind, RegistryOperation};
use crate::cancel::Cancel;
use crate::credential::{Action, Credentials};
use crate::hosts::RetryPolicy;
use crate::hosts::{EndpointConfig, MirrorUsage};
use crate::progress::{Progress, Silent};

/// Attempts at a mirror: there is always another endpoint.
const MIRROR_ATTEMPTS: u32 = 2;
/// Attempts at an endpoint that cannot be connected to: most likely there is none.
const CONNECT_ATTEMPTS: u32 = 2;
/// How long a mirror may make us wait, where another endpoint can be asked at once.
const MIRROR_WAIT: Duration = Duration::from_secs(5);

/// A repository of images.
pub struct Repository {
    client: Arc<Client>,
    pub(super) endpoints: Vec<Endpoint>,
    action: Action,
    credentials: Arc<dyn Credentials>,
    progress: Arc<dyn Progress>,
}

/// Who is told of attempts that failed.
pub(super) type OnRetry<'a> = &'a (dyn Fn(&Retry<'_>) + Sync);

impl Repository {
    pub(super) fn new(
        client: Arc<Client>,
        configs: Vec<EndpointConfig>,
        action: Action,
        credentials: Arc<dyn Credentials>,
    ) -> Self {
        let endpoints = configs.into_iter();
        let endpoints = endpoints.map(|config| Endpoint::new(&client.hosts, config));
        Self {
            endpoints: endpoints.collect(),
            client,
            action,
            credentials,
            progress: Arc::new(Silent),
        }
    }

    /// Tells of requests, and of waiting for answers, while they go on. Without this they go
    /// unreported.
    #[must_use]
    pub fn telling(self, progress: Arc<dyn Progress>) -> Self {
        Self { progress, ..self }
    }

    /// Returns what registries want users to know; untrusted text.
    pub fn notices(&self) -> Vec<String> {
        self.client.notices()
    }

    pub(super) fn context<'a>(
        &'a self,
        patience: &'a Arc<Patience>,
        attempt: u32,
        cancel: &'a Cancel,
    ) -> RequestContext<'a> {
        RequestContext {
            client: &self.client,
            credentials: self.credentials.as_ref(),
            action: self.action,
            cancel,
            progress: self.progress.as_ref(),
            patience,
            attempt,
        }
    }

    pub(super) fn waiter<'a>(&'a self, cancel: &'a Cancel) -> Waiter<'a> {
        Waiter {
            client: &self.client,
            cancel,
            progress: self.progress.as_ref(),
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Returns how patient we are with an endpoint, after so much silence of others at the same thing.
    /// A mirror has half of all patience, and so has what has failed before in the same operation.
    pub(super) fn attempts(&self, endpoint: &Endpoint, silence_before: Duration) -> Attempts {
        let policy = self.client.policy;
        let config = &endpoint.config;
        let half = policy.give_up_after / 2;
        let rest = policy.give_up_after.saturating_sub(silence_before);
        let (attempts, give_up_after) = if config.is_mirror {
            (policy.attempts.min(MIRROR_ATTEMPTS), half)
        } else if self.client.health.has_failed(&config.host) {
            (1, half)
        } else {
            (policy.attempts, rest.max(half))
        };
        let policy = RetryPolicy {
            attempts,
            give_up_after,
            ..policy
        };
        Attempts::new(policy, &self.client.health.traffic)
    }

    /// Returns the first endpoint from a number on that is worth asking; the last one always is.
    pub(super) fn next_endpoint(&self, from: usize) -> usize {
        let last = self.endpoints.len().saturating_sub(1);
        let endpoints = self.endpoints.iter().enumerate().skip(from);
        let mut worth = endpoints.filter(|(_, endpoint)| !self.is_skipped(endpoint));
        worth.next().map_or(last, |(number, _)| number.min(last))
    }

    fn is_skipped(&self, endpoint: &Endpoint) -> bool {
        endpoint.config.is_mirror
            && (endpoint.is_skipped.load(Ordering::Relaxed)
                || self.client.health.has_failed(&endpoint.config.host))
    }

    /// Waits before another attempt, if there shall be one, and returns whether there shall.
    pub(super) fn wait_for_another(
        &self,
        endpoint: &Endpoint,
        attempts: &mut Attempts,
        error: &RegistryError,
        on_retry: OnRetry<'_>,
        cancel: &Cancel,
    ) -> Result<bool, RegistryError> {
        let is_mirror = endpoint.config.is_mirror;
        if is_mirror && error.is_out_of_reach() {
            return Ok(false);
        }
        let Some(after) = attempts.after(error) else {
            return Ok(false);
        };
        if is_mirror && after > MIRROR_WAIT {
            return Ok(false);
        }
        let hopeless = matches!(error.kind, RegistryErrorKind::Connect { .. })
            && attempts.failed() >= CONNECT_ATTEMPTS
            && !attempts.had_progress();
        if hopeless {
            return Ok(false);
        }
        on_retry(&Retry { error, after });
        let waited = self.waiter(cancel).sleep(after);
        waited.map_err(|cancelled| endpoint.error(&error.what, cancelled))?;
        Ok(true)
    }

    /// Asks one endpoint after the other, each as often as it deserves.
    pub(super) fn at_each_endpoint<T>(
        &self,
        by_digest: bool,
        on_retry: OnRetry<'_>,
        cancel: &Cancel,
        ask: impl Fn(&Endpoint, RequestContext<'_>) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let mut last = None;
        let mut silence = Duration::ZERO;
        for endpoint in &self.endpoints {
            let is_of_no_use = !by_digest && endpoint.config.usage == MirrorUsage::DigestOnly;
            if is_of_no_use || self.is_skipped(endpoint) {
                continue;
            }
            let mut attempts = self.attempts(endpoint, silence);
            let error = loop {
                let context = self.context(&attempts.patience, attempts.number(), cancel);
                match ask(endpoint, context) {
                    Ok(answer) => {
                        self.answered(endpoint);
                        return Ok(answer);
                    }
                    Err(error) if !error.is_of_the_place() => return Err(error),
                    Err(error) => {
                        if !self.wait_for_another(
                            endpoint,
                            &mut attempts,
                            &error,
                            on_retry,
                            cancel,
                        )? {
                            break error;
                        }
                    }
                }
            };
            silence += attempts.patience.silent();
            self.give_up(endpoint, &error);
            last = Some(error);
        }
        Err(last.unwrap_or_else(|| no_endpoint(RegistryOperation::Prepare)))
    }

    /// Takes note of a registry that answers. A mirror that has failed is not asked again, whatever
    /// else was on its way from it.
    pub(super) fn answered(&self, endpoint: &Endpoint) {
        if !endpoint.config.is_mirror {
            self.client.health.recover(&endpoint.config.host);
        }
    }

    /// Takes note of an endpoint that has failed. The user hears once of a mirror that does not work,
    /// and then it is asked no more; that it does not have everything is expected.
    pub(super) fn give_up(&self, endpoint: &Endpoint, error: &RegistryError) {
        let host = &endpoint.config.host;
        if !endpoint.config.is_mirror {
            if error.is_out_of_reach() {
                self.client.health.fail(host);
            }
            return;
        }
        let (is_news, how_long) = match error.extent() {
            Extent::Host => (self.client.health.fail(host), " from here on"),
            Extent::Repository => {
                let before = endpoint.is_skipped.swap(true, Ordering::Relaxed);
                (!before, " for this image")
            }
            Extent::Content => (!error.is_not_found(), ""),
        };
        if is_news {
            let text = format!("mirror skipped{how_long}: {error}");
            self.client.notices.add(text);
        }
    }
}

/// Returns the error of a repository that has not even a registry.
pub(super) fn no_endpoint(what: RegistryOperation) -> RegistryError {
    let source = "no place is configured for the repository".into();
    RegistryError::new("none", what, RegistryErrorKind::Setup(source))
}

impl fmt::Debug for Repository {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Repository")
            .field("endpoints", &self.endpoints)
            .field("access", &self.action)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}
