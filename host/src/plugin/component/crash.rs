//! Why a call into a guest ended before its time.
//!
//! Owns which of several causes is the one to tell, and the names of the guest's functions.

use crate::plugin::engine::MAX_STACK;
use crate::plugin::error::Failure;
use crate::plugin::guest::Guest;
use crate::plugin::limits::Stopped;

/// Finds the cause of a trap: the host's own decision first, then the guest's last words.
pub(super) fn failure(error: &wasmtime::Error, guest: &mut Guest) -> Failure {
    let decided = error
        .downcast_ref::<Stopped>()
        .or_else(|| guest.meter.stopped());
    if let Some(stopped) = decided {
        return Failure::Stopped(stopped.clone());
    }
    let cause = error.root_cause().to_string();
    if cause.contains(TRANSFER_EXHAUSTED) {
        return Failure::Stopped(Stopped::Transfer(guest.meter.budget().transfer));
    }
    let frames = error
        .downcast_ref::<wasmtime::WasmBacktrace>()
        .map(|backtrace| symbolised(backtrace.frames()))
        .unwrap_or_default();
    let trap = error
        .downcast_ref::<wasmtime::Trap>()
        .map(|trap| match trap {
            wasmtime::Trap::StackOverflow => format!("{trap}, which holds {} KiB", MAX_STACK >> 10),
            trap => trap.to_string(),
        });
    let message = guest
        .last_words
        .take()
        .or_else(|| guest.wasi.as_ref()?.last_words())
        .or(trap)
        .unwrap_or(cause);
    let message = match guest.denied_request() {
        Some(denied) => format!("{denied}; {message}"),
        None => message,
    };
    Failure::Crashed { message, frames }
}

/// How the engine says that a guest gave more bytes at once than it may; it has no type for it.
const TRANSFER_EXHAUSTED: &str = "fuel allocated for hostcalls has been exhausted";

/// Returns the names of the functions that a guest was in, innermost first, without those that
/// only carry out a panic.
fn symbolised(frames: &[wasmtime::FrameInfo]) -> Vec<String> {
    const PANIC: [&str; 4] = [
        "__rustc::",
        "core::panicking::",
        "std::panicking::",
        "std::sys::",
    ];
    let mut names: Vec<String> = frames
        .iter()
        .map(|frame| {
            frame.func_name().map_or_else(
                || format!("function {}", frame.func_index()),
                |symbol| format!("{:#}", rustc_demangle::demangle(symbol)),
            )
        })
        .collect();
    let machinery = names
        .iter()
        .take_while(|name| PANIC.iter().any(|prefix| name.starts_with(prefix)))
        .count();
    names.drain(..machinery);
    names
}
