//! From the bytes of a component to something that can be instantiated again and again.
//!
//! Owns compiling, linking and calling. What a plugin may reach is decided here: the imports that
//! the linker defines, and nothing else.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use wasmtime::component::{HasSelf, Instance, InstancePre, Linker};
use wasmtime::{Engine, Store};

use super::bindings::Plugin;
use super::bindings::exports::msb::plugin::{archive, credentials, layers};
use super::compiled::Kept;
use super::engine::MAX_STACK;
use super::error::{Failure, PluginError};
use super::format::CallContext;
use super::guest::Guest;
use super::inspect;
use super::limits::{Meter, PluginBudget, Stopped};
use super::runtime::{Runtime, Unanswered};
use super::wasi;
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::progress::{Event, LogLevel, PluginWork};

/// A component, compiled and linked.
pub(super) struct Component {
    runtime: Runtime,
    pre: InstancePre<Guest>,
    budget: PluginBudget,
    archive: Option<archive::GuestIndices>,
    layers: Option<layers::GuestIndices>,
    credentials: Option<credentials::GuestIndices>,
}

impl Component {
    /// Compiles a component, or takes the compiled code from the cache.
    pub(super) fn compile(
        runtime: &Runtime,
        engine: &Engine,
        bytes: Bytes,
        budget: PluginBudget,
        call_context: &CallContext<'_>,
    ) -> Result<Self, Failure> {
        let started = Instant::now();
        let component = ready(runtime, engine, bytes, call_context)?;
        let mismatch = |error: wasmtime::Error| Failure::Mismatch(format!("{error:#}"));
        let mut linker = Linker::new(engine);
        Plugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest).map_err(mismatch)?;
        let kind = component.component_type();
        let imports = |prefix: &str| {
            kind.imports(engine)
                .any(|(name, _)| name.starts_with(prefix))
        };
        let wasi = imports("wasi:");
        if wasi {
            wasi::link(&mut linker, imports("wasi:http/")).map_err(mismatch)?;
        }
        let pre = linker.instantiate_pre(&component).map_err(|error| {
            let imports = kind.imports(engine).map(|(name, _)| name);
            inspect::unlinked(imports, &error)
        })?;
        call_context.progress.report(Event::PluginWork {
            plugin: call_context.plugin,
            work: PluginWork::Prepare,
            took: started.elapsed(),
            in_host: Duration::ZERO,
            host_calls: 0,
        });
        Ok(Self {
            runtime: runtime.clone(),
            budget,
            archive: archive::GuestIndices::new(&pre).ok(),
            layers: layers::GuestIndices::new(&pre).ok(),
            credentials: credentials::GuestIndices::new(&pre).ok(),
            pre,
        })
    }

    /// Makes a fresh instance with a state that `prepare` has filled.
    pub(super) fn start(
        self: &Arc<Self>,
        call_context: &CallContext<'_>,
        prepare: impl FnOnce(&mut Guest),
    ) -> Result<Running, Failure> {
        let meter = Meter::new(self.budget.clone(), call_context.cancel.clone());
        let progress = Arc::clone(call_context.progress);
        let mut guest = Guest::new(meter, Arc::clone(call_context.plugin), progress);
        guest.access.environment = self.runtime.environment();
        prepare(&mut guest);
        let mut store = Store::new(self.pre.engine(), guest);
        store.limiter(|guest| &mut guest.meter);
        store.set_hostcall_fuel(self.budget.transfer);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| {
            context.data_mut().meter.check()?;
            Ok(wasmtime::UpdateDeadline::Continue(1))
        });
        let mut running = Running {
            component: Arc::clone(self),
            store,
            instance: None,
        };
        let pre = &self.pre;
        let instance = running.wait(PluginWork::Start, async |store| {
            pre.instantiate_async(store).await
        })?;
        running.instance = Some(instance);
        Ok(running)
    }

    /// Runs one call in a fresh instance, and returns what it answered together with the state.
    pub(super) fn run<T>(
        self: &Arc<Self>,
        call_context: &CallContext<'_>,
        function: &'static str,
        prepare: impl FnOnce(&mut Guest),
        call: impl AsyncFnOnce(&mut Exports<'_>) -> wasmtime::Result<T>,
    ) -> Result<(T, Guest), Failure> {
        let mut running = self.start(call_context, prepare)?;
        let answer = running.call(function, call)?;
        Ok((answer, running.store.into_data()))
    }

    /// Returns whether it makes layers itself.
    pub(super) fn makes_layers(&self) -> bool {
        self.layers.is_some()
    }
}

/// An instance that can be called.
pub(super) struct Running {
    component: Arc<Component>,
    store: Store<Guest>,
    instance: Option<Instance>,
}

/// What an instance exports, while it is being called.
pub(super) struct Exports<'a> {
    component: &'a Component,
    instance: Instance,
    pub(super) store: &'a mut Store<Guest>,
}

impl Running {
    /// Calls a function of the instance. Its time runs anew.
    pub(super) fn call<T>(
        &mut self,
        function: &'static str,
        call: impl AsyncFnOnce(&mut Exports<'_>) -> wasmtime::Result<T>,
    ) -> Result<T, Failure> {
        let Some(instance) = self.instance.take() else {
            return Err(Failure::Answer("it has failed before".to_owned()));
        };
        self.store.data_mut().meter.begin_call();
        let component = Arc::clone(&self.component);
        let answer = self.wait(PluginWork::Call(function), async |store| {
            call(&mut Exports {
                component: &component,
                instance,
                store,
            })
            .await
        })?;
        // An instance that has trapped or was left in the middle is not called again.
        self.instance = Some(instance);
        Ok(answer)
    }

    /// Returns the state of the instance.
    pub(super) fn guest(&mut self) -> &mut Guest {
        self.store.data_mut()
    }

    fn wait<T>(
        &mut self,
        work: PluginWork,
        call: impl AsyncFnOnce(&mut Store<Guest>) -> wasmtime::Result<T>,
    ) -> Result<T, Failure> {
        let guest = self.store.data();
        let cancel = guest.meter.cancel().clone();
        let wall = guest.meter.budget().wall;
        // What is neither computing nor the host's own work is sleep, and has a limit as well.
        let idle = wall.unwrap_or(guest.meter.budget().compute);
        let runtime = self.component.runtime.clone();
        let started = Instant::now();
        let answer = runtime.wait(&cancel, wall, idle, call(&mut self.store));
        let guest = self.store.data_mut();
        guest.progress.report(Event::PluginWork {
            plugin: &guest.plugin,
            work,
            took: started.elapsed(),
            in_host: guest.meter.in_host(),
            host_calls: guest.meter.host_calls(),
        });
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(failure(&error, guest)),
            Err(Unanswered::Late(limit)) => {
                Err(Failure::Stopped(guest.meter.stop(Stopped::Wall(limit))))
            }
            Err(Unanswered::Cancelled(cancelled)) => {
                Err(Failure::Stopped(guest.meter.stop(cancelled.into())))
            }
            Err(Unanswered::Setup(source)) => Err(Failure::Setup(source)),
        }
    }
}

/// Returns a component whose code was kept, or compiles it and keeps the code.
fn ready(
    runtime: &Runtime,
    engine: &Engine,
    bytes: Bytes,
    call_context: &CallContext<'_>,
) -> Result<wasmtime::component::Component, Failure> {
    let log = |message: String| {
        call_context.progress.report(Event::Log {
            level: LogLevel::Info,
            message: &message,
        });
    };
    let Some(code) = runtime.compiled_code(engine, &**call_context.progress) else {
        return compiled(engine, bytes, call_context.cancel);
    };
    let digest = Digest::of(&bytes);
    match code.find(engine, &digest) {
        Kept::Code(component) => return Ok(component),
        Kept::Refused(path, why) => log(format!(
            "plugin `{}` is compiled again: its code in `{}` is not used, for {why}",
            call_context.plugin,
            path.display()
        )),
        Kept::Nothing => {}
    }
    let component = compiled(engine, bytes, call_context.cancel)?;
    if let Err(error) = code.keep(&digest, &component) {
        log(format!(
            "the compiled code of plugin `{}` is not kept: {error}",
            call_context.plugin
        ));
    }
    Ok(component)
}

/// Compiles on a thread of its own, which is left behind when the user does not want to wait.
fn compiled(
    engine: &Engine,
    bytes: Bytes,
    cancel: &Cancel,
) -> Result<wasmtime::component::Component, Failure> {
    let (done, answer) = mpsc::channel();
    let engine = engine.clone();
    thread::Builder::new()
        .name("plugin-compiler".to_owned())
        .stack_size(COMPILER_STACK)
        .spawn(move || {
            let _ = done.send(wasmtime::component::Component::from_binary(&engine, &bytes));
        })
        .map_err(Failure::Setup)?;
    loop {
        cancel
            .check()
            .map_err(|cancelled| Failure::Stopped(cancelled.into()))?;
        match answer.recv_timeout(LOOK) {
            Ok(component) => {
                return component.map_err(|error| Failure::Unusable(format!("{error:#}")));
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Err(Failure::Unusable(
                    "the compiler has failed at it".to_owned(),
                ));
            }
        }
    }
}

/// How often somebody who waits for the compiler looks whether the user still wants that.
const LOOK: Duration = Duration::from_millis(20);
/// What the compiler has for calls within itself: as much as the thread that a process begins with.
const COMPILER_STACK: usize = 8 << 20;

fn missing(interface: &str) -> wasmtime::Error {
    wasmtime::Error::msg(format!("it exports no `msb:plugin/{interface}`"))
}

impl Exports<'_> {
    pub(super) fn archive(&mut self) -> wasmtime::Result<archive::Guest> {
        let indices = self
            .component
            .archive
            .as_ref()
            .ok_or_else(|| missing("archive"))?;
        indices.load(&mut *self.store, &self.instance)
    }

    pub(super) fn layers(&mut self) -> wasmtime::Result<layers::Guest> {
        let indices = self
            .component
            .layers
            .as_ref()
            .ok_or_else(|| missing("layers"))?;
        indices.load(&mut *self.store, &self.instance)
    }

    pub(super) fn credentials(&mut self) -> wasmtime::Result<credentials::Guest> {
        let indices = self
            .component
            .credentials
            .as_ref()
            .ok_or_else(|| missing("credentials"))?;
        indices.load(&mut *self.store, &self.instance)
    }
}

/// Finds the cause of a trap: the host's own decision first, then the guest's last words.
fn failure(error: &wasmtime::Error, guest: &mut Guest) -> Failure {
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

#[cfg(test)]
#[path = "component_tests.rs"]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
