//! From the bytes of a component to something that can be instantiated again and again.
//!
//! Owns compiling, linking and calling. What a plugin may reach is decided here: the imports that
//! the linker defines, and nothing else.

mod crash;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use wasmtime::component::{HasSelf, Instance, InstancePre, Linker};
use wasmtime::{Engine, Store};

use self::crash::failure;
use super::bindings::Plugin;
use super::bindings::exports::msb::plugin::{archive, credentials, layers};
use super::compiled::{self, Kept};
use super::compiler;
use super::error::{Failure, PluginError};
use super::format::CallContext;
use super::guest::Guest;
use super::inspect;
use super::limits::{Meter, PluginBudget, Stopped};
use super::package::Origin;
use super::runtime::{Runtime, Unanswered};
use super::structure::Structure;
use super::wasi;
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
        bytes: &Bytes,
        origin: Origin,
        budget: PluginBudget,
        call_context: &CallContext<'_>,
    ) -> Result<Self, Failure> {
        let started = Instant::now();
        let component = ready(runtime, engine, bytes, origin, call_context)?;
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
    /// Calls the function that the instance was made for. Its time runs from here.
    pub(super) fn call<T>(
        &mut self,
        function: &'static str,
        call: impl AsyncFnOnce(&mut Exports<'_>) -> wasmtime::Result<T>,
    ) -> Result<T, Failure> {
        self.store.data_mut().meter.begin_call();
        self.called(function, call)
    }

    /// Calls another function of the instance for the same operation: all calls of it have one budget
    /// together.
    pub(super) fn call_on<T>(
        &mut self,
        function: &'static str,
        call: impl AsyncFnOnce(&mut Exports<'_>) -> wasmtime::Result<T>,
    ) -> Result<T, Failure> {
        self.store
            .data_mut()
            .meter
            .go_on()
            .map_err(Failure::Stopped)?;
        self.called(function, call)
    }

    fn called<T>(
        &mut self,
        function: &'static str,
        call: impl AsyncFnOnce(&mut Exports<'_>) -> wasmtime::Result<T>,
    ) -> Result<T, Failure> {
        let Some(instance) = self.instance.take() else {
            return Err(Failure::Answer("it has failed before".to_owned()));
        };
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
        let wall = guest.meter.wall_left();
        // What is neither computing nor the host's own work is sleep, and has a limit as well.
        let idle = wall.unwrap_or(guest.meter.budget().compute);
        let runtime = self.component.runtime.clone();
        let started = Instant::now();
        let answer = runtime.wait(&cancel, wall, idle, call(&mut self.store));
        let guest = self.store.data_mut();
        guest.meter.pause();
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
                let limit = guest.meter.budget().wall.unwrap_or(limit);
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
    bytes: &Bytes,
    origin: Origin,
    call_context: &CallContext<'_>,
) -> Result<wasmtime::component::Component, Failure> {
    let log = |message: String| {
        call_context.progress.report(Event::Log {
            level: LogLevel::Info,
            message: &message,
        });
    };
    let kept = runtime.compiled_code(engine, &**call_context.progress);
    let digest = Digest::of(bytes);
    match kept.map_or(Kept::Nothing, |code| code.find(engine, &digest)) {
        Kept::Code(component) => return Ok(component),
        Kept::Refused(path, why) => log(format!(
            "plugin `{}` is compiled again: its code in `{}` is not used, for {why}",
            call_context.plugin,
            path.display()
        )),
        Kept::Nothing => {}
    }
    let not_kept = |error: std::io::Error| {
        log(format!(
            "the compiled code of plugin `{}` is not kept: {error}",
            call_context.plugin
        ));
    };
    let cancel = call_context.cancel;
    let in_thread = |limit| compiler::in_thread(engine, bytes.clone(), limit, cancel);
    let component = match (origin, runtime.compiler()) {
        (Origin::Builtin, _) => in_thread(None)?,
        (Origin::Author, None) => {
            Structure::of(bytes)?;
            in_thread(Some(PATIENCE))?
        }
        (Origin::Author, Some(executable)) => {
            let structure = Structure::of(bytes)?;
            let made = {
                let compute = runtime.compile_time(call_context.plugin);
                compiler::in_process(executable, bytes.clone(), structure, compute, cancel)?
            };
            let adopted = match kept {
                Some(code) => code.adopt(engine, &digest, &made, not_kept),
                None => compiled::adopt_unkept(engine, &digest, &made),
            };
            return adopted.map_err(|error| Failure::Unusable(format!("{error:#}")));
        }
    };
    if let Some(Err(error)) = kept.map(|code| code.keep(&digest, &component)) {
        not_kept(error);
    }
    Ok(component)
}

/// How long a program that has no process for it waits for the compiler.
const PATIENCE: Duration = Duration::from_mins(1);

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
