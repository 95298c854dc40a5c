//! Waiting for the network: a tokio runtime with a thread of its own, for code that waits on the thread that it is on.
//!
//! Owns waiting. It may be done on any thread, also inside another runtime, where tokio's own
//! `block_on`, and dropping a runtime, panic. Knows nothing of what is waited for.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use tokio::time::Instant;

use crate::cancel::{Cancel, Cancelled};

/// Drives connections and timers on a thread of its own; a caller that wants an answer waits on its own.
#[derive(Debug)]
pub(crate) struct Reactor(Option<tokio::runtime::Runtime>);

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    Cancelled(Cancelled),
    Late,
}

impl Reactor {
    /// Starts a thread.
    pub(crate) fn new(thread_name: &str) -> io::Result<Self> {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(thread_name)
            .enable_all()
            .build()
            .map(|runtime| Self(Some(runtime)))
    }

    /// Waits for something on this thread.
    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let _entered = self.0.as_ref().map(tokio::runtime::Runtime::enter);
        // A task of another runtime may be waiting here. Its share of work must not be ours: when it
        // is used up, nothing would become ready any more.
        let mut future = pin!(tokio::task::unconstrained(future));
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(value) => return value,
                Poll::Pending => thread::park(),
            }
        }
    }

    /// Waits for something for a limited time.
    pub(crate) fn wait<T>(
        &self,
        limit: Duration,
        cancel: &Cancel,
        future: impl Future<Output = T>,
    ) -> Result<T, NoAnswer> {
        self.wait_telling(limit, cancel, (limit, &|_| {}), future)
    }

    /// Waits for something for a limited time, and tells after some of it that it waits, and how
    /// long already.
    pub(crate) fn wait_telling<T>(
        &self,
        limit: Duration,
        cancel: &Cancel,
        (before, tell): (Duration, &dyn Fn(Duration)),
        future: impl Future<Output = T>,
    ) -> Result<T, NoAnswer> {
        self.block_on(async {
            let mut future = pin!(future);
            let begun = Instant::now();
            if before < limit {
                let first = tokio::time::timeout_at(begun + before, future.as_mut());
                if let Ok(value) = until_cancelled(cancel, first).await? {
                    return Ok(value);
                }
                tell(begun.elapsed());
            }
            let rest = tokio::time::timeout_at(begun + limit, future);
            until_cancelled(cancel, rest)
                .await?
                .map_err(|_| NoAnswer::Late)
        })
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

async fn until_cancelled<T>(
    cancel: &Cancel,
    future: impl Future<Output = T>,
) -> Result<T, NoAnswer> {
    let done = cancel.token().run_until_cancelled(future).await;
    done.ok_or(NoAnswer::Cancelled(Cancelled))
}

/// Wakes a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn reactor() -> Reactor {
        Reactor::new("test").unwrap()
    }

    #[test]
    fn a_long_wait_is_told_once() {
        let reactor = reactor();
        let told = std::cell::Cell::new(0);
        let tell = |_| told.set(told.get() + 1);
        let wait = |limit: u64| {
            let never = std::future::pending::<()>();
            let limit = Duration::from_millis(limit);
            let word = (Duration::from_millis(20), &tell as &dyn Fn(Duration));
            reactor.wait_telling(limit, &Cancel::default(), word, never)
        };
        assert!(matches!(wait(10), Err(NoAnswer::Late)));
        assert_eq!(told.get(), 0);
        assert!(matches!(wait(250), Err(NoAnswer::Late)));
        assert_eq!(told.get(), 1);
    }

    #[test]
    fn waiting_ends_with_the_answer_the_limit_or_the_wish_to_stop() {
        let reactor = reactor();
        let cancel = Cancel::default();
        let long = Duration::from_mins(10);
        assert_eq!(reactor.wait(long, &cancel, async { 5 }).unwrap(), 5);
        let never = || std::future::pending::<()>();
        let late = reactor.wait(Duration::from_millis(1), &cancel, never());
        assert!(matches!(late, Err(NoAnswer::Late)));
        let later = cancel.clone();
        let stopped = thread::scope(|scope| {
            scope.spawn(move || {
                thread::sleep(Duration::from_millis(20));
                later.cancel();
            });
            reactor.wait(long, &cancel, never())
        });
        assert!(matches!(stopped, Err(NoAnswer::Cancelled(_))));
        let stopped = reactor.wait(long, &cancel, never());
        assert!(matches!(stopped, Err(NoAnswer::Cancelled(_))));
    }

    #[test]
    fn it_waits_and_ends_inside_of_another_runtime() {
        let outer = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let task = outer.spawn(async {
            let reactor = reactor();
            // More steps than a task may take before it has to let others go on.
            let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
            for number in 0..10_000 {
                sender.send(number).unwrap();
            }
            let sum = reactor.block_on(async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                let mut sum = 0;
                for _ in 0..10_000 {
                    sum += receiver.recv().await.unwrap();
                }
                sum
            });
            drop(reactor);
            sum
        });
        let waiting = reactor();
        assert_eq!(waiting.block_on(task).unwrap(), (0..10_000).sum::<i32>());
    }
}
