//! A repository at all the places that have it: mirrors first, the registry last.
//!
//! Owns the order of places, and trying again. What is fetched is read elsewhere.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::client::Client;
use super::credentials::{Access, Credentials};
use super::exchange::{Asking, Place};
use super::failure::Extent;
use super::hosts::{Endpoint, MirrorUsage};
use super::incoming::Waiter;
use super::patience::Patience;
use super::retry::{Attempts, Retry};
use super::{RegistryError, RetryPolicy};
use crate::cancel::Cancel;
use crate::progress::{Progress, Silent};

/// Attempts at a mirror: there is always another place.
const MIRROR_ATTEMPTS: u32 = 2;
/// Attempts at a place that cannot be connected to: most likely there is none.
const CONNECT_ATTEMPTS: u32 = 2;
/// How long a mirror may make us wait, where another place can be asked at once.
const MIRROR_WAIT: Duration = Duration::from_secs(5);

/// A repository of images.
pub struct Repository {
    client: Arc<Client>,
    pub(super) places: Vec<Place>,
    access: Access,
    credentials: Arc<dyn Credentials>,
    progress: Arc<dyn Progress>,
}

/// Who is told of attempts that failed.
pub(super) type OnRetry<'a> = &'a (dyn Fn(&Retry<'_>) + Sync);

impl Repository {
    pub(super) fn new(
        client: Arc<Client>,
        endpoints: Vec<Endpoint>,
        access: Access,
        credentials: Arc<dyn Credentials>,
    ) -> Self {
        let places = endpoints.into_iter();
        let places = places.map(|endpoint| Place::new(&client.hosts, endpoint));
        Self {
            places: places.collect(),
            client,
            access,
            credentials,
            progress: Arc::new(Silent),
        }
    }

    /// Tells of requests, and of waiting for answers, while they go on. Without this nobody hears
    /// of them.
    #[must_use]
    pub fn telling(self, progress: Arc<dyn Progress>) -> Self {
        Self { progress, ..self }
    }

    /// Returns what registries want users to know; untrusted text.
    pub fn notices(&self) -> Vec<String> {
        self.client.notices()
    }

    pub(super) fn asking<'a>(
        &'a self,
        patience: &'a Arc<Patience>,
        attempt: u32,
        cancel: &'a Cancel,
    ) -> Asking<'a> {
        Asking {
            client: &self.client,
            credentials: self.credentials.as_ref(),
            access: self.access,
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

    /// Returns how patient we are with a place, after so much silence of others at the same thing.
    /// A mirror has half of all patience, and so has what has failed before in the same operation.
    pub(super) fn attempts(&self, place: &Place, silence_before: Duration) -> Attempts {
        let policy = self.client.policy;
        let endpoint = &place.endpoint;
        let half = policy.give_up_after / 2;
        let rest = policy.give_up_after.saturating_sub(silence_before);
        let (attempts, give_up_after) = if endpoint.is_mirror {
            (policy.attempts.min(MIRROR_ATTEMPTS), half)
        } else if self.client.health.has_failed(&endpoint.host) {
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

    /// Returns the first place from a number on that is worth asking; the last one always is.
    pub(super) fn next_place(&self, from: usize) -> usize {
        let last = self.places.len().saturating_sub(1);
        let places = self.places.iter().enumerate().skip(from);
        let mut worth = places.filter(|(_, place)| !self.is_passed_over(place));
        worth.next().map_or(last, |(number, _)| number.min(last))
    }

    fn is_passed_over(&self, place: &Place) -> bool {
        place.endpoint.is_mirror
            && (place.is_passed_over.load(Ordering::Relaxed)
                || self.client.health.has_failed(&place.endpoint.host))
    }

    /// Waits before another attempt, if there shall be one, and returns whether there shall.
    pub(super) fn wait_for_another(
        &self,
        place: &Place,
        attempts: &mut Attempts,
        error: &RegistryError,
        on_retry: OnRetry<'_>,
        cancel: &Cancel,
    ) -> Result<bool, RegistryError> {
        let is_mirror = place.endpoint.is_mirror;
        if is_mirror && error.is_out_of_reach() {
            return Ok(false);
        }
        let Some(after) = attempts.after(error) else {
            return Ok(false);
        };
        if is_mirror && after > MIRROR_WAIT {
            return Ok(false);
        }
        let hopeless = matches!(error, RegistryError::Connect { .. })
            && attempts.failed() >= CONNECT_ATTEMPTS
            && !attempts.had_progress();
        if hopeless {
            return Ok(false);
        }
        on_retry(&Retry { error, after });
        self.waiter(cancel).sleep(after)?;
        Ok(true)
    }

    /// Asks place after place, each as often as it deserves.
    pub(super) fn at_each_place<T>(
        &self,
        by_digest: bool,
        on_retry: OnRetry<'_>,
        cancel: &Cancel,
        ask: impl Fn(&Place, Asking<'_>) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let mut last = None;
        let mut silence = Duration::ZERO;
        for place in &self.places {
            let is_of_no_use = !by_digest && place.endpoint.usage == MirrorUsage::DigestOnly;
            if is_of_no_use || self.is_passed_over(place) {
                continue;
            }
            let mut attempts = self.attempts(place, silence);
            let error = loop {
                let asking = self.asking(&attempts.patience, attempts.number(), cancel);
                match ask(place, asking) {
                    Ok(answer) => {
                        self.answered(place);
                        return Ok(answer);
                    }
                    Err(error) if !error.is_of_the_place() => return Err(error),
                    Err(error) => {
                        if !self.wait_for_another(place, &mut attempts, &error, on_retry, cancel)? {
                            break error;
                        }
                    }
                }
            };
            silence += attempts.patience.silent();
            self.give_up(place, &error);
            last = Some(error);
        }
        Err(last.unwrap_or_else(|| RegistryError::Setup {
            host: "none".to_owned(),
            source: "no place is configured for the repository".into(),
        }))
    }

    /// Takes note of a registry that answers. A mirror that has failed is not asked again, whatever
    /// else was on its way from it.
    pub(super) fn answered(&self, place: &Place) {
        if !place.endpoint.is_mirror {
            self.client.health.recover(&place.endpoint.host);
        }
    }

    /// Takes note of a place that has failed. The user hears once of a mirror that does not work,
    /// and then it is asked no more; that it has not everything is no news.
    pub(super) fn give_up(&self, place: &Place, error: &RegistryError) {
        let host = &place.endpoint.host;
        if !place.endpoint.is_mirror {
            if error.is_out_of_reach() {
                self.client.health.fail(host);
            }
            return;
        }
        let (is_news, how_long) = match error.extent() {
            Extent::Host => (self.client.health.fail(host), " from here on"),
            Extent::Repository => {
                let before = place.is_passed_over.swap(true, Ordering::Relaxed);
                (!before, " for this image")
            }
            Extent::Content => (!matches!(error, RegistryError::NotFound { .. }), ""),
        };
        if is_news {
            let text = format!("mirror passed over{how_long}: {error}");
            self.client.notices.add(text);
        }
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Repository")
            .field("places", &self.places)
            .field("access", &self.access)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}
