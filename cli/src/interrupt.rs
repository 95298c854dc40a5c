//! Ctrl-C and SIGTERM: the first asks the operation to stop and clean up, the second ends msb.
//!
//! Only long operations listen. Everything else dies of the signal at once, as it should.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use msb_host::progress::Progress;
use msb_host::{Cancel, Context};

use crate::error::{CommandError, Exit};
use crate::hidden;

/// How long the operation may take to stop by itself. It may be held up by something that no flag
/// can wake, such as a disk that does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// An operation that listens to signals.
#[derive(Debug)]
pub(crate) struct Interrupt {
    cancel: Cancel,
    /// No operation is under way: a signal ends msb at once.
    is_idle: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens from now on. Where no handler can be set, signals do what they always do.
    pub(crate) fn watch() -> Self {
        let cancel = Cancel::default();
        let is_idle = Arc::new(AtomicBool::new(false));
        let (raised, idle) = (cancel.clone(), Arc::clone(&is_idle));
        let _ = ctrlc::set_handler(move || {
            if idle.load(Ordering::Relaxed) || raised.is_cancelled() {
                leave();
            }
            raised.cancel();
            // Where there is no thread to be had, there is the second signal.
            let _ = thread::Builder::new().spawn(|| {
                thread::sleep(PATIENCE);
                leave();
            });
        });
        Self { cancel, is_idle }
    }

    /// Lets signals end msb at once while the user is asked something, or not any more.
    pub(crate) fn idle(&self, is_idle: bool) {
        self.is_idle.store(is_idle, Ordering::Relaxed);
    }

    /// Returns the flag that the first signal raises.
    pub(crate) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// Returns what an operation is given that reports to `progress`.
    pub(crate) fn context(&self, progress: &Arc<dyn Progress>) -> Context {
        Context {
            progress: Arc::clone(progress),
            cancel: self.cancel.clone(),
        }
    }

    /// Returns the result of the operation as that of the command. Whatever went wrong after the
    /// user wanted to stop went wrong because of that: a pipe broke, a plugin was halted.
    pub(crate) fn settle<T, E: Into<CommandError>>(
        &self,
        result: Result<T, E>,
    ) -> Result<T, CommandError> {
        result.map_err(|error| {
            if self.cancel.is_cancelled() {
                CommandError::interrupted()
            } else {
                error.into()
            }
        })
    }
}

/// Ends the process where it stands. Nothing is lost: the store shows only what is complete, and
/// the next prune removes the rest. Nothing is written either: the one who blocks may be the reader
/// of stderr.
#[expect(
    clippy::exit,
    reason = "the user insists, and the operation does not react"
)]
fn leave() -> ! {
    hidden::restore_terminal();
    std::process::exit(i32::from(Exit::Interrupted.code()));
}

#[cfg(test)]
mod tests {
    use msb_host::store::StoreError;

    use super::*;

    #[test]
    fn an_error_after_the_wish_to_stop_is_an_interruption() {
        let interrupt = Interrupt {
            cancel: Cancel::default(),
            is_idle: Arc::default(),
        };
        let failed = || Err::<(), _>(StoreError::NotFound("x".to_owned()));
        let exit = |result: Result<(), CommandError>| result.map_err(|error| error.exit());
        assert_eq!(exit(interrupt.settle(failed())), Err(Exit::NotFound));
        interrupt.cancel.cancel();
        assert_eq!(exit(interrupt.settle(failed())), Err(Exit::Interrupted));
        assert_eq!(exit(interrupt.settle(Ok::<_, StoreError>(()))), Ok(()));
    }
}
