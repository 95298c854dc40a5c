//! The runtime that all plugins share: one engine, started when the first plugin is called, and
//! the threads on which guests wait.
//!
//! The host is synchronous: a caller of a plugin waits on its own thread.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use wasmtime::Engine;

use super::access::{Environment, FakeSystem};
use super::compiled::CompiledCode;
use super::compiler;
use super::engine;
use super::error::{EngineError, Failure, PluginError};
use super::inspect;
use super::package::Inspection;
use super::plugin_state::PluginState;
use super::servers::Servers;
use crate::cancel::{Cancel, Cancelled};
use crate::home::Home;
use crate::progress::{Event, LogLevel, Progress};
use crate::reactor::Reactor;
use crate::settings::Settings;

/// The longest time that anybody waits for a call.
const LONGEST: Duration = Duration::from_hours(24 * 365);

/// What runs plugins. Clones are the same runtime.
#[derive(Clone)]
pub struct Runtime {
    inner: Arc<Inner>,
    /// What compiles in a process of its own.
    compiler: Option<Arc<Path>>,
    /// The processor's time that compiling may take.
    compile_time: Duration,
}

struct Inner {
    home: PathBuf,
    cache: PathBuf,
    /// The same as `compile_time`, where the user has set it for a plugin.
    compile_times: BTreeMap<String, Duration>,
    servers: Arc<Servers>,
    environment: Environment,
    engine: OnceLock<Engine>,
    compiled: OnceLock<Option<CompiledCode>>,
    reactor: OnceLock<Reactor>,
}

/// Why a call has no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// It took longer than this.
    Late(Duration),
    /// The user asked to stop.
    Cancelled(Cancelled),
    /// There are no threads to be had.
    Setup(io::Error),
}

impl Runtime {
    /// Returns a runtime that keeps compiled plugins in `home`. Starts nothing yet.
    pub fn new(home: &Home) -> Self {
        Self::with_settings(home, &Settings::default())
    }

    /// The same; servers are asked as `settings` says of registries.
    pub fn with_settings(home: &Home, settings: &Settings) -> Self {
        let limits = settings.plugins.limits.iter();
        let compile_times = limits
            .filter_map(|(plugin, limits)| Some((plugin.clone(), limits.compile?)))
            .collect();
        let servers = Servers::new(settings);
        Self::of(home, servers, compile_times, Environment::Process)
    }

    fn of(
        home: &Home,
        servers: Servers,
        compile_times: BTreeMap<String, Duration>,
        environment: Environment,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                home: home.root().to_owned(),
                cache: home.plugin_cache(),
                compile_times,
                servers: Arc::new(servers),
                environment,
                engine: OnceLock::new(),
                compiled: OnceLock::new(),
                reactor: OnceLock::new(),
            }),
            compiler: None,
            compile_time: compiler::COMPUTE,
        }
    }

    /// Returns a runtime that compiles what does not ship with msb in processes of this executable,
    /// which calls [`compile_if_asked`](super::compile_if_asked): for 10 s of the processor's time at
    /// most, or the setting `compile_secs` of the plugin, and in 512 MiB. Without one it is compiled in
    /// this process: a thread that takes longer than a minute is left behind, and memory is bounded by
    /// the sizes that a component may have.
    #[must_use]
    pub fn compiled_by(mut self, executable: Option<&Path>) -> Self {
        self.compiler = executable.map(Arc::from);
        self
    }

    /// Returns a runtime that lets compiling take this much of the processor's time, where the settings
    /// do not say otherwise.
    #[must_use]
    pub fn compiled_within(mut self, time: Duration) -> Self {
        self.compile_time = time;
        self
    }

    /// Returns how much of the processor's time compiling a plugin may take.
    pub(super) fn compile_time(&self, plugin: &str) -> Duration {
        let set = self.inner.compile_times.get(plugin);
        set.copied().unwrap_or(self.compile_time)
    }

    /// Returns what compiles in a process of its own.
    pub(super) fn compiler(&self) -> Option<&Path> {
        self.compiler.as_deref()
    }

    /// Says what a component is, and has it describe itself: under tight limits and without any
    /// grant. `name` is what it is called in errors.
    ///
    /// # Errors
    /// When the bytes are not a plugin for this msb; the error says in plain words what they are.
    pub fn inspect(
        &self,
        name: &str,
        bytes: &[u8],
        progress: &Arc<dyn Progress>,
        cancel: &Cancel,
    ) -> Result<Inspection, PluginError> {
        inspect::inspect(self, name, bytes, progress, cancel)
            .map_err(|failure| PluginError::new(name, None, failure))
    }

    pub(super) fn engine(&self) -> Result<&Engine, EngineError> {
        if let Some(engine) = self.inner.engine.get() {
            return Ok(engine);
        }
        let engine = engine::start()?;
        Ok(self.inner.engine.get_or_init(|| engine))
    }

    /// The same, for callers that report failures of one plugin.
    pub(super) fn engine_for_call(&self) -> Result<&Engine, Failure> {
        self.engine().map_err(Failure::Engine)
    }

    /// Returns the compiled plugins that are kept for the next start. `None` where that is not
    /// safe or not possible: every start compiles then, and `--info` says why.
    pub(super) fn compiled_code(
        &self,
        engine: &Engine,
        progress: &dyn Progress,
    ) -> Option<&CompiledCode> {
        self.inner
            .compiled
            .get_or_init(|| match CompiledCode::open(&self.inner.cache, engine) {
                Ok(code) => Some(code),
                Err(why) => {
                    progress.report(Event::Log {
                        level: LogLevel::Info,
                        message: &format!("compiled plugins are not kept: {why}"),
                    });
                    None
                }
            })
            .as_ref()
    }

    /// Returns what a plugin keeps from one run to the next. `None` where compiled plugins are not
    /// kept either.
    pub(super) fn plugin_state(
        &self,
        plugin: &str,
        progress: &dyn Progress,
    ) -> Option<PluginState> {
        let engine = self.engine().ok()?;
        self.compiled_code(engine, progress)?.state(plugin)
    }

    /// Returns the answers of a plugin that outlive a run. `None` where compiled plugins are not kept
    /// either.
    pub(super) fn plugin_answers(
        &self,
        plugin: &str,
        progress: &dyn Progress,
    ) -> Option<PluginState> {
        let engine = self.engine().ok()?;
        self.compiled_code(engine, progress)?.answers(plugin)
    }

    /// Returns the home of msb.
    pub fn home(&self) -> PathBuf {
        self.inner.home.clone()
    }

    /// Returns how servers are spoken to.
    pub(super) fn servers(&self) -> Arc<Servers> {
        Arc::clone(&self.inner.servers)
    }

    /// Returns the environment that plugins see parts of.
    pub(super) fn environment(&self) -> Environment {
        self.inner.environment.clone()
    }

    /// Returns a runtime whose plugins see a made-up environment.
    pub fn with_fake_system(home: &Home, fake: Arc<dyn FakeSystem>) -> Self {
        Self::with_environment(home, Environment::Fake(fake))
    }

    /// Returns a runtime whose plugins see another environment.
    pub(super) fn with_environment(home: &Home, environment: Environment) -> Self {
        Self::of(home, Servers::default(), BTreeMap::new(), environment)
    }

    /// Runs a call to its end on this thread: for `wall` by the clock at most, of which it may be
    /// idle for `idle`. A guest that computes is stopped by the engine's clock instead.
    pub(super) fn wait<T>(
        &self,
        cancel: &Cancel,
        wall: Option<Duration>,
        idle: Duration,
        call: impl Future<Output = T>,
    ) -> Result<T, Unanswered> {
        let reactor = self.reactor().map_err(Unanswered::Setup)?;
        let started = Instant::now();
        let wall = wall.unwrap_or(LONGEST).min(LONGEST);
        let busy = Cell::new(Duration::ZERO);
        let mut call = pin!(call);
        reactor.block_on(async {
            loop {
                let polled = poll_fn(|context| {
                    let entered = Instant::now();
                    let answer = call.as_mut().poll(context);
                    busy.set(busy.get() + entered.elapsed());
                    answer
                });
                // When it will have been idle for too long, unless it is at work until then.
                let idle_until = busy.get() + idle.min(LONGEST);
                let until = started + wall.min(idle_until);
                let answer = tokio::time::timeout_at(until.into(), polled);
                match cancel.token().run_until_cancelled(answer).await {
                    None => return Err(Unanswered::Cancelled(Cancelled)),
                    Some(Ok(answer)) => return Ok(answer),
                    Some(Err(_)) => {}
                }
                let elapsed = started.elapsed();
                if elapsed >= wall {
                    return Err(Unanswered::Late(wall));
                }
                if elapsed.saturating_sub(busy.get()) >= idle {
                    return Err(Unanswered::Late(idle));
                }
            }
        })
    }

    fn reactor(&self) -> io::Result<&Reactor> {
        if let Some(reactor) = self.inner.reactor.get() {
            return Ok(reactor);
        }
        let reactor = Reactor::new("msb-plugins")?;
        Ok(self.inner.reactor.get_or_init(|| reactor))
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Runtime")
            .field("cache", &self.inner.cache)
            .finish_non_exhaustive()
    }
}
