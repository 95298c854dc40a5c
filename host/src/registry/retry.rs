//! When to try again, and how long to wait before.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::patience::{Patience, Traffic};
use super::{RegistryError, RegistryErrorKind};
use crate::hosts::RetryPolicy;

/// The longest time between two attempts that is not asked for.
const MAX_DELAY: Duration = Duration::from_secs(30);
/// The longest time that a registry may ask us to wait before we give up instead.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(2);
/// Bytes that are enough progress to restart the count.
const PROGRESS: u64 = 64 << 10;
/// Attempts at something that comes too slowly, of which each takes as long as patience lasts.
const SLOW_ATTEMPTS: u32 = 2;

/// An attempt that failed, and the next one to come.
#[derive(Clone, Copy, Debug)]
pub struct Retry<'a> {
    /// Why it failed.
    pub error: &'a RegistryError,
    /// How long until the next attempt.
    pub after: Duration,
}

/// The attempts at one thing.
#[derive(Debug)]
pub(super) struct Attempts {
    policy: RetryPolicy,
    /// What is left of the patience.
    pub(super) patience: Arc<Patience>,
    failed: u32,
    /// How often something else came than what was wanted.
    wrong: u32,
    bytes: u64,
    had_progress: bool,
}

impl Attempts {
    pub(super) fn new(policy: RetryPolicy, traffic: &Arc<Traffic>) -> Self {
        let patience = Patience::new(policy.give_up_after, &policy, traffic);
        Self {
            policy,
            patience: Arc::new(patience),
            failed: 0,
            wrong: 0,
            bytes: 0,
            had_progress: false,
        }
    }

    /// Returns how many attempts have failed without progress.
    pub(super) fn failed(&self) -> u32 {
        self.failed
    }

    /// Returns whether anything came at all.
    pub(super) fn had_progress(&self) -> bool {
        self.had_progress
    }

    /// Returns the number of the attempt that is under way, or comes next.
    pub(super) fn number(&self) -> u32 {
        self.failed + self.wrong + 1
    }

    /// Takes note of bytes that came. Enough of them at a good pace allow as many attempts again.
    pub(super) fn progress(&mut self, bytes: u64) {
        self.had_progress = true;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes >= PROGRESS && self.patience.keeps_pace() {
            self.bytes = 0;
            self.failed = 0;
        }
    }

    /// Returns how long to wait before the next attempt; `None` when there shall be none.
    pub(super) fn after(&mut self, error: &RegistryError) -> Option<Duration> {
        // What was altered on its way may come whole the next time; twice is not an accident.
        if error.is_wrong_answer() {
            self.wrong += 1;
            return (self.wrong == 1 && self.policy.attempts > 1).then_some(Duration::ZERO);
        }
        self.failed += 1;
        if !error.is_transient() || self.failed >= self.policy.attempts {
            return None;
        }
        if matches!(error.kind, RegistryErrorKind::Slow { .. }) {
            self.bytes = 0;
            let is_last = self.patience.times_slow() >= SLOW_ATTEMPTS;
            return (!is_last).then_some(Duration::ZERO);
        }
        if let Some(asked) = error.retry_after() {
            return (asked <= MAX_RETRY_AFTER).then(|| asked.max(self.delay()));
        }
        self.delay_within_patience()
    }

    /// The same for something that may come right by itself, whatever it was.
    pub(super) fn after_fault(&mut self) -> Option<Duration> {
        self.failed += 1;
        if self.failed >= self.policy.attempts || self.patience.times_slow() >= SLOW_ATTEMPTS {
            return None;
        }
        self.delay_within_patience()
    }

    fn delay_within_patience(&self) -> Option<Duration> {
        let delay = self.delay();
        (delay < self.patience.left()).then(|| {
            self.patience.spend(delay);
            delay
        })
    }

    fn delay(&self) -> Duration {
        let doubled = 1u32.checked_shl(self.failed - 1).unwrap_or(u32::MAX);
        let delay = self.policy.delay.saturating_mul(doubled).min(MAX_DELAY);
        // Those who failed together shall not come back together.
        delay.mul_f64(0.75 + 0.5 * fastrand::f64())
    }
}

/// Returns how long the registry wants us to wait: seconds or a date. Source: RFC 9110 section
/// 10.2.3.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::registry::RegistryOperation;

    fn error(kind: RegistryErrorKind) -> RegistryError {
        RegistryError::new("h", RegistryOperation::Prepare, kind)
    }

    fn broken() -> RegistryError {
        error(RegistryErrorKind::Broken {
            elsewhere: None,
            source: None,
        })
    }

    fn attempts(number: u32) -> Attempts {
        let policy = RetryPolicy {
            attempts: number,
            ..RetryPolicy::default()
        };
        Attempts::new(policy, &Arc::default())
    }

    #[test]
    fn the_time_between_attempts_doubles_with_some_jitter() {
        let mut attempts = attempts(4);
        for expected in [0.5, 1.0, 2.0] {
            let after = attempts.after(&broken()).unwrap().as_secs_f64();
            assert!((expected * 0.7..expected * 1.3).contains(&after), "{after}");
        }
        assert_eq!(attempts.after(&broken()), None);
    }

    #[test]
    fn progress_renews_the_patience_and_a_trickle_does_not() {
        let mut attempts = attempts(2);
        for _ in 0..5 {
            assert!(attempts.after(&broken()).is_some());
            attempts.progress(PROGRESS);
        }
        assert!(attempts.after(&broken()).is_some());
        attempts.progress(1);
        assert_eq!(attempts.after(&broken()), None);
    }

    #[test]
    fn silence_ends_the_attempts_and_what_comes_begins_them_again() {
        let mut attempts = attempts(9);
        attempts.patience.spend(Duration::from_secs(40));
        assert!(attempts.after(&broken()).is_some());
        attempts.patience.spend(Duration::from_secs(40));
        assert_eq!(attempts.after(&broken()), None);
        attempts.patience.receive(1, Duration::ZERO).unwrap();
        assert!(attempts.after(&broken()).is_some());
    }

    #[test]
    fn what_will_not_get_better_is_not_tried_again() {
        let missing = error(RegistryErrorKind::NotFound { message: None });
        assert_eq!(attempts(5).after(&missing), None);
    }

    #[test]
    fn wrong_bytes_are_asked_for_once_more() {
        let digest = crate::digest::Digest::of(b"x");
        let wrong = error(RegistryErrorKind::Digest {
            stated: digest.clone(),
            actual: digest,
        });
        let mut attempts = attempts(5);
        assert_eq!(attempts.after(&wrong), Some(Duration::ZERO));
        assert_eq!(attempts.after(&wrong), None);
    }

    #[test]
    fn the_registry_says_how_long_to_wait_within_reason() {
        let limited = |seconds| {
            error(RegistryErrorKind::RateLimited {
                retry_after: Some(Duration::from_secs(seconds)),
                message: None,
            })
        };
        assert_eq!(attempts(5).after(&limited(7)), Some(Duration::from_secs(7)));
        assert_eq!(attempts(5).after(&limited(86_400)), None);
        let busy = |seconds| {
            error(RegistryErrorKind::Status {
                status: 503,
                retry_after: Some(Duration::from_secs(seconds)),
                message: None,
            })
        };
        assert_eq!(attempts(5).after(&busy(7)), Some(Duration::from_secs(7)));
        assert_eq!(attempts(5).after(&busy(86_400)), None);
        // Nothing at all is not a wait that anybody wants.
        assert!(attempts(5).after(&busy(0)) > Some(Duration::from_millis(300)));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (text, expected) in [
            ("120", Some(120)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            let after = retry_after(&headers, now).map(|after| after.as_secs());
            assert_eq!(after, expected, "{text}");
        }
    }
}
