//! Questions whose answer the terminal does not show, and the state in which they leave it.
//!
//! A process that a signal ends, or that ends while another thread still asks, does not drop its values.
//! So the state of the terminal is kept in a place from which every end of msb restores it.

use std::fs::File;
use std::io;
use std::sync::{Mutex, PoisonError};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// The terminal of the process, which the question is read from.
const TERMINAL: &str = "/dev/tty";

/// What the terminal was like before the question that is being asked.
static BEFORE: Mutex<Option<(File, Termios)>> = Mutex::new(None);

/// Reads a line from the terminal without showing it.
///
/// # Errors
///
/// `Interrupted` for Ctrl-C; others if the terminal cannot be read.
pub(crate) fn read_line() -> io::Result<String> {
    let terminal = File::open(TERMINAL)?;
    let before = tcgetattr(&terminal)?;
    *lock() = Some((terminal, before));
    let line = rpassword::read_password();
    lock().take();
    line
}

/// Makes the terminal what it was before a question that is still being asked.
pub(crate) fn restore_terminal() {
    if let Some((terminal, before)) = lock().take() {
        // Without a terminal there is nothing to restore.
        let _ = tcsetattr(terminal, OptionalActions::Now, &before);
    }
}

fn lock() -> std::sync::MutexGuard<'static, Option<(File, Termios)>> {
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}
