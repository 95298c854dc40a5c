//! What an operation tells its caller while it runs. The host never prints: a caller that wants
//! bars, lines or nothing implements [`Progress`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::digest::Digest;
use crate::excerpt::excerpt;

/// A layer within one operation: its place in the order of their discovery, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayerNumber(pub usize);

/// Something that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The operation goes on to another step (`Reading archive`).
    Phase(&'a str),
    /// How many layers there will be became known.
    Layers(usize),
    /// How many bytes of layers there will be became known.
    Bytes(u64),
    /// Work on a layer began. `name` is what the layer is called where it comes from; `size` is
    /// how many bytes will be read or written, where known.
    LayerStarted {
        /// The number of the layer within the operation.
        layer: LayerNumber,
        /// Archive path or digest; untrusted text.
        name: &'a str,
        /// Bytes to go, if known.
        size: Option<u64>,
    },
    /// That many more bytes of a layer were read or written.
    LayerAdvanced {
        /// The number of the layer within the operation.
        layer: LayerNumber,
        /// Bytes since the last event.
        bytes: u64,
    },
    /// A layer is waiting for another process that works on the same one.
    LayerWaiting {
        /// The number of the layer within the operation.
        layer: LayerNumber,
        /// Its `diff_id`.
        diff_id: &'a Digest,
    },
    /// A layer is done.
    LayerFinished {
        /// The number of the layer within the operation.
        layer: LayerNumber,
        /// Its `diff_id`, if it turned out to be a layer.
        diff_id: &'a Digest,
        /// The store held it already.
        already_present: bool,
    },
    /// Something failed and is tried again. Untrusted text.
    Retrying {
        /// What happened.
        reason: &'a str,
        /// How long until the next attempt.
        after: Duration,
    },
    /// Something failed at a layer and is tried again. Untrusted text.
    LayerRetrying {
        /// The number of the layer within the operation.
        layer: LayerNumber,
        /// What happened.
        reason: &'a str,
        /// How long until the next attempt.
        after: Duration,
    },
    /// Nothing has come from a registry, or a server that it refers to, for a while, and the
    /// operation goes on waiting. Told once for a wait. Untrusted text.
    RegistryWaiting {
        /// Who is waited for.
        host: &'a str,
        /// What for.
        what: &'a str,
        /// How long already.
        since: Duration,
    },
    /// Something the user should know although the operation goes on. Untrusted text.
    Notice(&'a str),
    /// A line that a plugin logged. Untrusted text.
    PluginLog {
        /// The plugin's name.
        plugin: &'a str,
        /// How important the plugin thinks it is.
        level: LogLevel,
        /// What it says.
        message: &'a str,
    },
    /// A plugin did something, and took this long.
    PluginWork {
        /// The plugin's name.
        plugin: &'a str,
        /// What it did.
        work: PluginWork,
        /// How long it took by the clock.
        took: Duration,
        /// How much of it the host was at work for the plugin, or waited for something.
        in_host: Duration,
        /// How often the plugin has called the host, since its instance was made.
        host_calls: u64,
    },
    /// A line of the host's own log. Untrusted text.
    Log {
        /// How important it is.
        level: LogLevel,
        /// What happened.
        message: &'a str,
    },
    /// The operation waits for another process that holds the store.
    StoreBusy(&'a str),
}

/// What a plugin spends time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PluginWork {
    /// It was compiled, or its compiled code taken from the cache, and linked.
    Prepare,
    /// An instance of it was made.
    Start,
    /// This function of it was called.
    Call(&'static str),
}

impl fmt::Display for PluginWork {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prepare => formatter.write_str("making it ready"),
            Self::Start => formatter.write_str("making an instance"),
            Self::Call(function) => write!(formatter, "`{function}`"),
        }
    }
}

/// How important a line in a log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Every step.
    Trace,
    /// What helps to find a fault.
    Debug,
    /// What a user may want to know.
    Info,
    /// Something is wrong, and the work goes on.
    Warn,
    /// Something is wrong, and the work does not go on.
    Error,
}

/// Receives the events of one operation, possibly from several threads at once.
pub trait Progress: Send + Sync {
    /// Takes note of an event. Must return soon: the work waits for it.
    fn report(&self, event: Event<'_>);
}

/// Ignores every event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn report(&self, _event: Event<'_>) {}
}

/// Notices of one operation that a person would read.
const MOST_NOTICES: usize = 100;

/// Hands on what happens, of notices only the first ones, and at the end how many more there were.
struct FewNotices {
    progress: Arc<dyn Progress>,
    notices: AtomicUsize,
}

/// Returns a receiver for one operation on input of others, which may have a notice for each of its
/// entries. Long texts are cut.
pub(crate) fn few_notices(progress: &Arc<dyn Progress>) -> Arc<dyn Progress> {
    Arc::new(FewNotices {
        progress: Arc::clone(progress),
        notices: AtomicUsize::new(0),
    })
}

impl Progress for FewNotices {
    fn report(&self, event: Event<'_>) {
        match event {
            Event::Notice(text) => {
                if self.notices.fetch_add(1, Ordering::Relaxed) < MOST_NOTICES {
                    self.progress.report(Event::Notice(&excerpt(text)));
                }
            }
            other => self.progress.report(other),
        }
    }
}

impl Drop for FewNotices {
    fn drop(&mut self) {
        let more = self.notices.get_mut().saturating_sub(MOST_NOTICES);
        if more > 0 {
            let text = format!("and {more} more notices");
            self.progress.report(Event::Notice(&text));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);

    impl Progress for Lines {
        fn report(&self, event: Event<'_>) {
            if let Event::Notice(text) = event {
                self.0.lock().unwrap().push(text.to_owned());
            }
        }
    }

    #[test]
    fn a_flood_of_notices_ends_with_their_number() {
        let lines = Arc::new(Lines::default());
        let progress: Arc<dyn Progress> = Arc::clone(&lines) as _;
        let few = few_notices(&progress);
        for number in 0..200_000 {
            few.report(Event::Notice(&number.to_string()));
        }
        drop(few);
        let lines = lines.0.lock().unwrap();
        assert_eq!(lines.len(), MOST_NOTICES + 1);
        assert_eq!(lines.last().unwrap(), "and 199900 more notices");
    }

    #[test]
    fn a_long_notice_is_cut() {
        let lines = Arc::new(Lines::default());
        let progress: Arc<dyn Progress> = Arc::clone(&lines) as _;
        few_notices(&progress).report(Event::Notice(&"x".repeat(64 << 10)));
        assert!(lines.0.lock().unwrap()[0].len() < 2048);
    }
}
