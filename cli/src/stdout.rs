//! Whether there was a standard output when the process began.
//!
//! The runtime of Rust opens `/dev/null` in the place of a standard stream that is closed. What is
//! written then is gone, and nothing says so: `msb save IMAGE >&-` would be a success. So this looks
//! before the runtime does.

use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};

static CLOSED: AtomicBool = AtomicBool::new(false);

/// Called by the loader, before the runtime.
#[used]
#[allow(
    unsafe_code,
    reason = "a section that the loader runs has no safe form"
)]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    // Only what is open can be cloned.
    let is_closed = std::io::stdout().as_fd().try_clone_to_owned().is_err();
    CLOSED.store(is_closed, Ordering::Relaxed);
}

/// Returns whether standard output was closed when the process began.
pub(crate) fn was_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}
