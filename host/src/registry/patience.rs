//! How long msb waits for one thing from one endpoint: silence, and bytes that come too slowly.
//!
//! Owns both measures. Only time that is spent waiting for the network counts, never the time that
//! the reader of the bytes takes.

use crate::hosts::RetryPolicy;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Connections that share a line, at most: with more of them the least rate of all stays the same.
const MAX_SHARING: u64 = 4;

/// The bytes that all connections of a client receive.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    bytes: AtomicU64,
    readers: AtomicUsize,
}

/// One connection that is counted in a [`Traffic`] as long as this lives.
#[derive(Debug)]
pub(super) struct Reader(Arc<Traffic>);

/// The patience with one thing at one endpoint, over all attempts at it.
#[derive(Debug)]
pub(super) struct Patience {
    /// How long nothing may come, and the time over which the rate is taken.
    limit: Duration,
    /// The fewest bytes per second.
    least: u64,
    traffic: Arc<Traffic>,
    spent: Mutex<Spent>,
}

#[derive(Debug, Default)]
struct Spent {
    /// The time since something came.
    silent: Duration,
    /// The time over which the rate is being taken.
    waited: Duration,
    /// What came in it.
    bytes: u64,
    /// What all connections had received when it began.
    before: u64,
    /// How often in a row the bytes came too slowly.
    slow: u32,
}

/// Too few bytes came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooSlow {
    /// How many.
    pub(super) bytes: u64,
    /// In which time.
    pub(super) during: Duration,
}

impl Traffic {
    /// Counts a connection.
    pub(super) fn reader(self: &Arc<Self>) -> Reader {
        self.readers.fetch_add(1, Ordering::Relaxed);
        Reader(Arc::clone(self))
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Patience {
    /// Returns fresh patience: `limit` of silence, and the least rate of a policy.
    pub(super) fn new(limit: Duration, policy: &RetryPolicy, traffic: &Arc<Traffic>) -> Self {
        Self {
            limit,
            least: policy.least_rate,
            traffic: Arc::clone(traffic),
            spent: Mutex::new(Spent {
                before: traffic.bytes(),
                ..Spent::default()
            }),
        }
    }

    /// Returns how much silence is left to be borne.
    pub(super) fn left(&self) -> Duration {
        self.limit.saturating_sub(self.silent())
    }

    /// Returns how long nothing has come.
    pub(super) fn silent(&self) -> Duration {
        self.lock().silent
    }

    /// Takes note of time in which nothing came of what is wanted.
    pub(super) fn spend(&self, waited: Duration) {
        self.lock().silent += waited;
    }

    /// Takes note of bytes of what is wanted and of how long they were waited for; of none where
    /// the wait was for nothing.
    ///
    /// # Errors
    /// When too few came for too long. A slow line that several connections share is none of their
    /// faults: what all of them receive counts then.
    pub(super) fn receive(&self, bytes: u64, waited: Duration) -> Result<(), TooSlow> {
        let all = self.traffic.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let mut spent = self.lock();
        if bytes == 0 {
            spent.silent += waited;
        } else {
            spent.silent = Duration::ZERO;
        }
        spent.bytes += bytes;
        spent.waited += waited;
        if spent.waited < self.limit {
            return Ok(());
        }
        let least = self.least_in(spent.waited);
        let readers = self.traffic.readers.load(Ordering::Relaxed) as u64;
        let sharing = readers.clamp(1, MAX_SHARING);
        let is_slow =
            spent.bytes < least && all.saturating_sub(spent.before) < least.saturating_mul(sharing);
        let found = TooSlow {
            bytes: spent.bytes,
            during: spent.waited,
        };
        *spent = Spent {
            silent: spent.silent,
            before: all,
            slow: if is_slow { spent.slow + 1 } else { 0 },
            ..Spent::default()
        };
        if is_slow { Err(found) } else { Ok(()) }
    }

    /// Returns whether bytes come fast enough so far.
    pub(super) fn keeps_pace(&self) -> bool {
        let spent = self.lock();
        spent.bytes >= self.least_in(spent.waited)
    }

    /// Returns how often in a row they came too slowly.
    pub(super) fn times_slow(&self) -> u32 {
        self.lock().slow
    }

    fn least_in(&self, time: Duration) -> u64 {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.least.saturating_mul(millis) / 1000
    }

    fn lock(&self) -> MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn patience(traffic: &Arc<Traffic>) -> Patience {
        let policy = RetryPolicy {
            least_rate: 1000,
            ..RetryPolicy::default()
        };
        Patience::new(SECOND * 10, &policy, traffic)
    }

    /// Lets bytes come each second, and returns what came of it after so many seconds.
    fn stream(patience: &Patience, per_second: u64, seconds: u32) -> Result<(), TooSlow> {
        (0..seconds).try_for_each(|_| patience.receive(per_second, SECOND))
    }

    #[test]
    fn silence_adds_up_until_something_comes() {
        let patience = patience(&Arc::default());
        patience.spend(SECOND * 4);
        patience.spend(SECOND * 3);
        assert_eq!(patience.left(), SECOND * 3);
        patience.receive(1, SECOND).unwrap();
        assert_eq!(
            (patience.left(), patience.silent()),
            (SECOND * 10, Duration::ZERO)
        );
        patience.spend(SECOND * 40);
        assert_eq!(patience.left(), Duration::ZERO);
    }

    #[test]
    fn a_drip_is_too_slow_and_a_slow_line_is_not() {
        let drip = patience(&Arc::default());
        let slow = TooSlow {
            bytes: 9990,
            during: SECOND * 10,
        };
        assert_eq!(stream(&drip, 999, 10), Err(slow));
        assert_eq!(stream(&drip, 999, 10), Err(slow));
        assert_eq!(drip.times_slow(), 2);
        stream(&drip, 1000, 10).unwrap();
        assert_eq!(drip.times_slow(), 0);
        stream(&patience(&Arc::default()), 1000, 100).unwrap();
    }

    #[test]
    fn connections_that_share_a_line_are_as_slow_as_all_of_them() {
        let traffic = Arc::default();
        let all = [0; 4].map(|_| (patience(&traffic), traffic.reader()));
        // One gets next to nothing, and the line is good all the same.
        for _ in 0..30 {
            for ((patience, _), bytes) in all.iter().zip([10, 1500, 1600, 1700]) {
                patience.receive(bytes, SECOND).unwrap();
            }
        }
        // All of them drip.
        let mut slow = 0;
        for _ in 0..30 {
            for (patience, _) in &all {
                slow += u32::from(patience.receive(900, SECOND).is_err());
            }
        }
        assert!(slow >= 8, "{slow}");
    }

    #[test]
    fn what_comes_in_a_rush_after_a_drip_is_no_pace() {
        let patience = patience(&Arc::default());
        stream(&patience, 100, 9).unwrap();
        assert!(!patience.keeps_pace());
        patience.receive(20_000, Duration::ZERO).unwrap();
        assert!(patience.keeps_pace());
    }
}
