//! The bridge between the threads that convert layers and the asynchronous HTTP client.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::time::Instant;

use crate::cancel::{Cancel, Cancelled};

/// How often a thread that waits for the network checks for cancellation.
const LOOK: Duration = Duration::from_millis(50);

/// Drives connections on a thread of its own; whoever wants an answer waits on theirs.
#[derive(Debug)]
pub(super) struct Runtime(tokio::runtime::Runtime);

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    Cancelled(Cancelled),
    Late,
}

impl Runtime {
    pub(super) fn new() -> io::Result<Self> {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("msb-network")
            .enable_all()
            .build()
            .map(Self)
    }

    /// Waits for something for a limited time.
    pub(super) fn wait<T>(
        &self,
        limit: Duration,
        cancel: &Cancel,
        future: impl Future<Output = T>,
    ) -> Result<T, NoAnswer> {
        self.wait_telling(limit, cancel, (limit, &|_| {}), future)
    }

    /// Waits for something for a limited time, and tells after some of it that it waits, and how
    /// long already.
    pub(super) fn wait_telling<T>(
        &self,
        limit: Duration,
        cancel: &Cancel,
        (before, tell): (Duration, &dyn Fn(Duration)),
        future: impl Future<Output = T>,
    ) -> Result<T, NoAnswer> {
        self.0.block_on(async {
            tokio::pin!(future);
            let begun = Instant::now();
            let deadline = begun + limit;
            let mut is_told = before >= limit;
            loop {
                cancel.check().map_err(NoAnswer::Cancelled)?;
                if !is_told && begun.elapsed() >= before {
                    is_told = true;
                    tell(begun.elapsed());
                }
                let until = deadline.min(Instant::now() + LOOK);
                if let Ok(value) = tokio::time::timeout_at(until, &mut future).await {
                    return Ok(value);
                }
                if Instant::now() >= deadline {
                    return Err(NoAnswer::Late);
                }
            }
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_long_wait_is_told_once() {
        let runtime = Runtime::new().unwrap();
        let told = std::cell::Cell::new(0);
        let tell = |_| told.set(told.get() + 1);
        let wait = |limit: u64| {
            let never = std::future::pending::<()>();
            let limit = Duration::from_millis(limit);
            let word = (Duration::from_millis(20), &tell as &dyn Fn(Duration));
            runtime.wait_telling(limit, &Cancel::default(), word, never)
        };
        assert!(matches!(wait(10), Err(NoAnswer::Late)));
        assert_eq!(told.get(), 0);
        assert!(matches!(wait(250), Err(NoAnswer::Late)));
        assert_eq!(told.get(), 1);
    }

    #[test]
    fn waiting_ends_with_the_answer_the_limit_or_the_wish_to_stop() {
        let runtime = Runtime::new().unwrap();
        let cancel = Cancel::default();
        let long = Duration::from_mins(10);
        assert_eq!(runtime.wait(long, &cancel, async { 5 }).unwrap(), 5);
        let never = || std::future::pending::<()>();
        let late = runtime.wait(Duration::from_millis(1), &cancel, never());
        assert!(matches!(late, Err(NoAnswer::Late)));
        cancel.cancel();
        let stopped = runtime.wait(long, &cancel, never());
        assert!(matches!(stopped, Err(NoAnswer::Cancelled(_))));
    }
}
