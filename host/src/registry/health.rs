//! What a client has learnt of hosts, for the rest of its work: which have failed, and of which the
//! user knows already that msb waits for them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::patience::Traffic;

/// How long the user is not told again that msb waits for the same host.
const BETWEEN_WORDS: Duration = Duration::from_secs(20);

/// What is known of hosts.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// What all connections receive.
    pub(super) traffic: Arc<Traffic>,
    failed: Mutex<BTreeSet<String>>,
    words: Mutex<HashMap<String, Instant>>,
}

impl Health {
    /// Takes note of a host that has failed, and returns whether that is news.
    pub(super) fn fail(&self, host: &str) -> bool {
        lock(&self.failed).insert(host.to_owned())
    }

    /// Takes note of a host that has answered.
    pub(super) fn recover(&self, host: &str) {
        lock(&self.failed).remove(host);
    }

    /// Returns whether a host has failed.
    pub(super) fn has_failed(&self, host: &str) -> bool {
        lock(&self.failed).contains(host)
    }

    /// Returns whether the user is to be told now that msb waits for a host. Of several threads
    /// that wait for one, one tells.
    pub(super) fn may_tell(&self, host: &str, now: Instant) -> bool {
        let mut words = lock(&self.words);
        let is_due = words
            .get(host)
            .is_none_or(|last| now.saturating_duration_since(*last) >= BETWEEN_WORDS);
        if is_due {
            words.insert(host.to_owned(), now);
        }
        is_due
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_news_once() {
        let health = Health::default();
        assert!(health.fail("a"));
        assert!(!health.fail("a"));
        assert!(health.has_failed("a") && !health.has_failed("b"));
        health.recover("a");
        assert!(!health.has_failed("a"));
    }

    #[test]
    fn one_wait_is_told_once() {
        let (health, now) = (Health::default(), Instant::now());
        assert!(health.may_tell("a", now));
        assert!(!health.may_tell("a", now + Duration::from_secs(1)));
        assert!(health.may_tell("b", now));
        assert!(health.may_tell("a", now + BETWEEN_WORDS));
    }
}
