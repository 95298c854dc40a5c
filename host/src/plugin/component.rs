//! From the bytes of a component to something that can be instantiated again and again.
//!
//! Owns compiling and linking. What a plugin may reach is decided here: the imports that the
//! linker defines, and nothing else.

use std::sync::Arc;

use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Engine, Store};

use super::bindings::{Format, FormatPre};
use super::error::{Failure, PluginError};
use super::guest::Guest;
use super::limits::{Budget, Meter, Stopped};
use crate::cancel::Cancel;
use crate::progress::Progress;

/// A component of the world `format`, compiled and linked.
pub(super) struct FormatComponent {
    engine: Engine,
    pre: FormatPre<Guest>,
    budget: Budget,
}

impl FormatComponent {
    /// Compiles a component, or takes the compiled code from the cache.
    pub(super) fn compile(engine: &Engine, bytes: &[u8], budget: Budget) -> Result<Self, Failure> {
        let component = Component::from_binary(engine, bytes)
            .map_err(|error| Failure::Unusable(format!("{error:#}")))?;
        let mut linker = Linker::new(engine);
        Format::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest)
            .map_err(|error| Failure::Mismatch(format!("{error:#}")))?;
        let pre = linker
            .instantiate_pre(&component)
            .and_then(FormatPre::new)
            .map_err(|error| Failure::Mismatch(format!("{error:#}")))?;
        Ok(Self {
            engine: engine.clone(),
            pre,
            budget,
        })
    }

    /// Runs `call` in a fresh instance with a state that `prepare` has filled, and returns what
    /// the call answered together with the state.
    pub(super) fn run<T>(
        &self,
        plugin: &Arc<str>,
        progress: &Arc<dyn Progress>,
        cancel: &Cancel,
        prepare: impl FnOnce(&mut Guest),
        call: impl FnOnce(&Format, &mut Store<Guest>) -> wasmtime::Result<T>,
    ) -> Result<(T, Guest), Failure> {
        let meter = Meter::new(self.budget.clone(), cancel.clone());
        let mut guest = Guest::new(meter, Arc::clone(plugin), Arc::clone(progress));
        prepare(&mut guest);
        let mut store = Store::new(&self.engine, guest);
        store.limiter(|guest| &mut guest.meter);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| {
            context.data_mut().meter.check()?;
            Ok(wasmtime::UpdateDeadline::Continue(1))
        });
        let answer = self
            .pre
            .instantiate(&mut store)
            .and_then(|instance| call(&instance, &mut store));
        let guest = store.into_data();
        match answer {
            Ok(answer) => Ok((answer, guest)),
            Err(error) => Err(failure(&error, guest)),
        }
    }
}

/// Finds the cause of a trap: the host's own decision first, then the guest's last words.
fn failure(error: &wasmtime::Error, guest: Guest) -> Failure {
    if let Some(stopped) = error
        .downcast_ref::<Stopped>()
        .or_else(|| guest.meter.stopped())
    {
        return Failure::Stopped(stopped.clone());
    }
    let frames = error
        .downcast_ref::<wasmtime::WasmBacktrace>()
        .map(|backtrace| symbolised(backtrace.frames()))
        .unwrap_or_default();
    let message =
        guest
            .last_words
            .unwrap_or_else(|| match error.downcast_ref::<wasmtime::Trap>() {
                Some(trap) => trap.to_string(),
                None => error.root_cause().to_string(),
            });
    Failure::Crashed { message, frames }
}

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

impl PluginError {
    /// Names the plugin that a failure belongs to.
    pub(super) fn new(plugin: &str, version: Option<&str>, failure: impl Into<Failure>) -> Self {
        Self {
            plugin: plugin.to_owned(),
            version: version.map(str::to_owned),
            failure: Box::new(failure.into()),
        }
    }
}
