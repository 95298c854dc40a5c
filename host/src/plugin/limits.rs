//! How much a plugin may use, and the books kept while it runs.
//!
//! Owns the budgets and the reasons for stopping a guest. Knows nothing of what the guest does.

use std::time::{Duration, Instant};

use wasmtime::ResourceLimiter;

use crate::cancel::{Cancel, Cancelled};

/// What one operation of a plugin may use.
#[derive(Clone, Debug)]
pub struct PluginBudget {
    /// Bytes of all its linear memories together.
    pub memory: usize,
    /// Time spent in the guest's own code, calls into the host not counted.
    pub compute: Duration,
    /// Calls into the host.
    pub host_calls: u64,
    /// Elements of all its tables together.
    pub table_elements: usize,
    /// Time by the clock for one call, waiting in the host included; `None` for as long as the
    /// host's own work takes.
    pub wall: Option<Duration>,
    /// Bytes that it may hand to the host at once, in one answer or one call.
    pub transfer: usize,
    /// Bytes that it makes itself: of one layer, or of the files of one archive that it writes.
    pub made: u64,
}

impl PluginBudget {
    /// The budget of an archive format: 256 MiB, 60 s, 4,000,000 calls, 16 GiB that it makes itself.
    pub const FORMAT: Self = Self {
        memory: 256 << 20,
        compute: Duration::from_mins(1),
        host_calls: 4_000_000,
        table_elements: 1_000_000,
        wall: None,
        transfer: 64 << 20,
        made: 16 << 30,
    };

    /// The budget of a credential provider: 64 MiB, 10 s of computing and 30 s by the clock per
    /// call, 100,000 calls.
    pub const CREDENTIAL: Self = Self {
        memory: 64 << 20,
        compute: Duration::from_secs(10),
        host_calls: 100_000,
        table_elements: 100_000,
        wall: Some(Duration::from_secs(30)),
        transfer: 4 << 20,
        made: 0,
    };

    /// The budget of a description: what an unknown component may use to say what it is.
    pub const DESCRIPTION: Self = Self {
        memory: 64 << 20,
        compute: Duration::from_secs(5),
        host_calls: 1_000,
        table_elements: 100_000,
        wall: Some(Duration::from_secs(10)),
        transfer: 1 << 20,
        made: 0,
    };
}

/// Why the host stopped a guest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Stopped {
    /// It asked for more memory than its budget.
    #[error("it asked for more than its {} MiB of memory", .0 >> 20)]
    Memory(usize),
    /// It computed for longer than its budget.
    #[error("it computed for longer than its {} s", .0.as_secs_f64())]
    Time(Duration),
    /// A call took longer than its budget.
    #[error("it did not answer within its {} s", .0.as_secs_f64())]
    Wall(Duration),
    /// It handed the host more bytes at once than its budget.
    #[error("it gave more than its {} MiB in one answer or call", .0 >> 20)]
    Transfer(usize),
    /// It made more bytes than its budget.
    #[error("it made more than {} MiB of a layer or an archive", .0 >> 20)]
    Made(u64),
    /// It kept more bytes of secrets than it may.
    #[error("it held on to more than {} MiB of secrets", .0 >> 20)]
    Secrets(usize),
    /// It called the host more often than its budget.
    #[error("it called the host more than {0} times")]
    HostCalls(u64),
    /// Its tables grew beyond its budget.
    #[error("it asked for more than {0} table elements")]
    TableElements(usize),
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl Stopped {
    /// Returns the name of the setting that raises the limit, below `plugins.limits.<plugin>`, if
    /// there is one.
    pub fn setting(&self) -> Option<&'static str> {
        match self {
            Self::Memory(_) => Some("memory_mib"),
            Self::Time(_) => Some("compute_secs"),
            Self::Wall(_) => Some("wall_secs"),
            Self::HostCalls(_) => Some("host_calls"),
            Self::Made(_) => Some("made_mib"),
            Self::Transfer(_) | Self::Secrets(_) | Self::TableElements(_) | Self::Cancelled(_) => {
                None
            }
        }
    }
}

/// Instances of core modules in one component. Languages with a runtime of their own need some
/// dozens.
const MAX_INSTANCES: usize = 256;
/// Tables in one component.
const MAX_TABLES: usize = 256;
/// Linear memories in one component.
const MAX_MEMORIES: usize = 16;

/// How long a login may take that the user waits at: codes that a server gives out live for 15 minutes,
/// seldom for 30.
const LOGIN: Duration = Duration::from_mins(30);

/// The books of one operation.
#[derive(Debug)]
pub(super) struct Meter {
    budget: PluginBudget,
    cancel: Cancel,
    started: Instant,
    in_host: Duration,
    host_calls: u64,
    made: u64,
    /// How long one step of a call may take that the user waits at.
    step: Option<Duration>,
    /// Since when no call is under way, if none is.
    paused: Option<Instant>,
    memory: usize,
    table_elements: usize,
    stopped: Option<Stopped>,
}

impl Meter {
    /// Opens the books; the time runs from here.
    pub(super) fn new(budget: PluginBudget, cancel: Cancel) -> Self {
        Self {
            budget,
            cancel,
            started: Instant::now(),
            in_host: Duration::ZERO,
            host_calls: 0,
            made: 0,
            step: None,
            paused: None,
            memory: 0,
            table_elements: 0,
            stopped: None,
        }
    }

    /// Begins the operation that an instance was made for: its time runs from here.
    pub(super) fn begin_call(&mut self) {
        self.started = Instant::now();
        self.in_host = Duration::ZERO;
        self.paused = None;
    }

    /// Gives the call as much time by the clock as a user may need to log in. What it waits for in the host
    /// has as much time as before.
    pub(super) fn wait_for_user(&mut self) {
        if let Some(wall) = &mut self.budget.wall {
            self.step = Some(*wall);
            *wall = (*wall).max(LOGIN);
        }
    }

    /// Notes that a call has come back. Until the next one, no time runs.
    pub(super) fn pause(&mut self) {
        self.paused = Some(Instant::now());
    }

    /// Begins another call of the same operation, which counts, and goes on with its time.
    pub(super) fn go_on(&mut self) -> Result<(), Stopped> {
        if let Some(paused) = self.paused.take() {
            self.started += paused.elapsed();
        }
        let now = self.enter_host()?;
        self.leave_host(now);
        self.check()
    }

    /// Notes bytes that the guest has made.
    pub(super) fn add_made(&mut self, bytes: usize) -> Result<(), Stopped> {
        self.made = self.made.saturating_add(bytes as u64);
        if self.made > self.budget.made {
            return Err(self.stop(Stopped::Made(self.budget.made)));
        }
        Ok(())
    }

    /// Returns how long the operation may go on by the clock.
    pub(super) fn wall_left(&self) -> Option<Duration> {
        let wall = self.budget.wall?;
        Some(wall.saturating_sub(self.started.elapsed()))
    }

    /// Returns what stops the guest before its time.
    pub(super) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// Returns how long the host has been at work for the guest, in this call.
    pub(super) fn in_host(&self) -> Duration {
        self.in_host
    }

    /// Returns how often the guest has called the host.
    pub(super) fn host_calls(&self) -> u64 {
        self.host_calls
    }

    /// Returns how much the guest may use.
    pub(super) fn budget(&self) -> &PluginBudget {
        &self.budget
    }

    /// Returns when what the call waits for in the host has to be over, by the clock.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let deadline = self.started + self.budget.wall?;
        Some(match self.step {
            Some(step) => deadline.min(Instant::now() + step),
            None => deadline,
        })
    }

    /// Notes that the guest has called the host.
    pub(super) fn enter_host(&mut self) -> Result<Instant, Stopped> {
        self.host_calls += 1;
        if self.host_calls > self.budget.host_calls {
            return Err(self.stop(Stopped::HostCalls(self.budget.host_calls)));
        }
        Ok(Instant::now())
    }

    /// Notes that the host goes back to the guest.
    pub(super) fn leave_host(&mut self, entered: Instant) {
        self.in_host += entered.elapsed();
    }

    /// Returns why the guest must not go on, if so. Called at every tick of the clock.
    pub(super) fn check(&mut self) -> Result<(), Stopped> {
        if let Err(cancelled) = self.cancel.check() {
            return Err(self.stop(cancelled.into()));
        }
        if self.started.elapsed().saturating_sub(self.in_host) > self.budget.compute {
            return Err(self.stop(Stopped::Time(self.budget.compute)));
        }
        self.check_wall()
    }

    /// Returns an error when the call has taken too long by the clock.
    pub(super) fn check_wall(&mut self) -> Result<(), Stopped> {
        match self.budget.wall {
            Some(wall) if self.started.elapsed() > wall => Err(self.stop(Stopped::Wall(wall))),
            _ => Ok(()),
        }
    }

    /// Returns why the guest was stopped, if it was: a trap that follows has this cause.
    pub(super) fn stopped(&self) -> Option<&Stopped> {
        self.stopped.as_ref()
    }

    /// Keeps the first reason for stopping.
    pub(super) fn stop(&mut self, reason: Stopped) -> Stopped {
        self.stopped.get_or_insert(reason).clone()
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.memory.saturating_sub(current).saturating_add(desired);
        if total > self.budget.memory {
            self.stop(Stopped::Memory(self.budget.memory));
            return Ok(false);
        }
        self.memory = total;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self
            .table_elements
            .saturating_sub(current)
            .saturating_add(desired);
        if total > self.budget.table_elements {
            self.stop(Stopped::TableElements(self.budget.table_elements));
            return Ok(false);
        }
        self.table_elements = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }
}
