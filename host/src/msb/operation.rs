//! An operation before it runs, and while it runs.
//!
//! Owns threads: an operation works on one of its own while a future waits for it, or on the caller's.
//! Knows nothing of what the operations do.

use std::any::Any;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::thread;

use tokio::sync::oneshot;
use tokio_util::sync::DropGuard;

use super::Msb;
use crate::Error;
use crate::cancel::{Cancel, Cancelled};
use crate::context::Context;
use crate::progress::Progress;

/// Something that [`Msb`] can do, with its options. Sealed: the operations are those of msb.
pub trait Work: sealed::Sealed + Send + 'static {
    /// What it results in.
    type Output: Send + 'static;

    /// Does it.
    #[doc(hidden)]
    fn work(self, msb: &Msb, context: &Context) -> Result<Self::Output, Error>;
}

pub(super) mod sealed {
    /// Keeps other crates from having operations.
    pub trait Sealed {}
}

/// An operation that has not begun: more options can be set, and then it is awaited or
/// [`run`](Self::run).
///
/// Awaiting works in every asynchronous runtime: the operation has a thread of its own. Dropping the
/// future cancels the operation, which stops within a moment and leaves the store as it was.
#[must_use = "an operation does nothing until it is awaited or run"]
pub struct Operation<W> {
    pub(super) work: W,
    msb: Msb,
    context: Context,
}

/// An operation as a future. It begins when it is first polled.
#[must_use = "a future does nothing until it is awaited"]
pub struct Running<T>(State<T>);

enum State<T> {
    Ready(Box<dyn FnOnce() -> Result<State<T>, Error> + Send>),
    Working {
        result: oneshot::Receiver<Finished<T>>,
        _cancelled_when_dropped: DropGuard,
    },
    Over,
}

type Finished<T> = Result<Result<T, Error>, Box<dyn Any + Send>>;

impl<W> Operation<W> {
    pub(super) fn new(msb: &Msb, work: W) -> Self {
        Self {
            work,
            msb: msb.clone(),
            context: Context::default(),
        }
    }

    /// Reports what happens. The default is silence.
    pub fn progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.context.progress = progress;
        self
    }

    /// Can be stopped by this.
    pub fn cancel(mut self, cancel: &Cancel) -> Self {
        self.context.cancel = cancel.clone();
        self
    }
}

impl<W: Work> Operation<W> {
    /// Does it on this thread, and returns when it is done. Within an asynchronous task this blocks
    /// the thread of the runtime.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when it was cancelled, else why it could not be done.
    pub fn run(self) -> Result<W::Output, Error> {
        let result = self.work.work(&self.msb, &self.context);
        // What went wrong after the wish to stop went wrong because of that.
        match self.context.cancel.check() {
            Err(cancelled) if result.is_err() => Err(cancelled.into()),
            _ => result,
        }
    }
}

impl<W: Work> IntoFuture for Operation<W> {
    type Output = Result<W::Output, Error>;
    type IntoFuture = Running<W::Output>;

    fn into_future(mut self) -> Self::IntoFuture {
        let cancel = self.context.cancel.child();
        self.context.cancel = cancel.clone();
        Running(State::Ready(Box::new(move || {
            let (sender, result) = oneshot::channel();
            thread::Builder::new()
                .name("msb-operation".to_owned())
                .spawn(move || {
                    let finished = panic::catch_unwind(AssertUnwindSafe(|| self.run()));
                    // This fails only if the future was dropped.
                    let _ = sender.send(finished);
                })
                .map_err(Error::Thread)?;
            Ok(State::Working {
                result,
                _cancelled_when_dropped: cancel.token().clone().drop_guard(),
            })
        })))
    }
}

impl<T> Future for Running<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Self::Output> {
        if matches!(self.0, State::Ready(_))
            && let State::Ready(start) = std::mem::replace(&mut self.0, State::Over)
        {
            self.0 = start()?;
        }
        let State::Working { result, .. } = &mut self.0 else {
            return Poll::Ready(Err(Cancelled.into()));
        };
        let finished = task::ready!(Pin::new(result).poll(context));
        self.0 = State::Over;
        Poll::Ready(match finished {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => panic::resume_unwind(panic),
            Err(_) => Err(Cancelled.into()),
        })
    }
}

impl<W: fmt::Debug> fmt::Debug for Operation<W> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Operation")
            .field("work", &self.work)
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Running<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.0 {
            State::Ready(_) => "Running(not begun)",
            State::Working { .. } => "Running",
            State::Over => "Running(ended)",
        })
    }
}
