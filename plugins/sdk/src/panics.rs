//! What a plugin leaves behind when it panics.

use std::sync::Once;

use crate::bindings::msb::plugin::log;

/// Hands the message of a panic to the host. To be called first by every export.
///
/// A component without WASI has no standard error: without this hook the host would learn of a
/// panic only that `unreachable` was executed.
pub(crate) fn report() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| log::last_words(&panic.to_string())));
    });
}
