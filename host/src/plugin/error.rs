//! What can go wrong with a plugin, always with its name and version.

use std::fmt;
use std::path::PathBuf;

use super::limits::Stopped;
use crate::auth::ProviderError;

/// An operation of a plugin that did not succeed.
#[derive(Debug)]
pub struct PluginError {
    /// The plugin's name.
    pub plugin: String,
    /// Its version, if it states one.
    pub version: Option<String>,
    /// What went wrong.
    pub failure: Box<Failure>,
}

/// What went wrong in a plugin or on the way to it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The bytes are not a component that this host can compile.
    #[error("it is not a usable WebAssembly component: {0}")]
    Unusable(String),
    /// Compiling the component takes more than a stranger's component may.
    #[error("compiling it takes {0}")]
    Compiling(CompileLimit),
    /// The file of the component cannot be read.
    #[error("could not read its file `{}`", path.display())]
    Component {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The file of the component has other bytes than were installed.
    #[error("its file `{}` is not what was installed, {expected}", path.display())]
    Changed {
        /// The path of the file.
        path: PathBuf,
        /// What was installed.
        expected: crate::digest::Digest,
    },
    /// The component lacks the interface, or wants what this host does not offer.
    #[error("it does not fit this msb: {0}")]
    Mismatch(String),
    /// The component was built for a later version of the contract, and needs what is new in it.
    #[error("it does not fit this msb: {0}")]
    TooNew(String),
    /// The component was built for a later version of WASI.
    #[error("it does not fit this msb: {0}")]
    NewerWasi(String),
    /// The plugin answered with a typed error.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The plugin panicked or trapped.
    #[error("it crashed: {message}{}", Frames(.frames))]
    Crashed {
        /// The plugin's last words, or what the trap was.
        message: String,
        /// The guest's calls, innermost first.
        frames: Vec<String>,
    },
    /// The host stopped the plugin.
    #[error("it was stopped")]
    Stopped(#[source] Stopped),
    /// The plugin's answer makes no sense.
    #[error("its answer is not valid: {0}")]
    Answer(String),
    /// The engine could not be started.
    #[error(transparent)]
    Engine(EngineError),
    /// The process that compiles what strangers have written could not be used.
    #[error("could not start the process that compiles plugins")]
    Compiler(#[source] std::io::Error),
    /// There are no threads to wait on.
    #[error("could not start the threads of plugins")]
    Setup(#[source] std::io::Error),
    /// The host could not do what the plugin asked for; the plugin is not to blame.
    #[error(transparent)]
    Host(#[from] crate::archive::ArchiveError),
}

/// What compiling a component took too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileLimit {
    /// Time of the processor.
    #[error("more than {} s of the processor's time", .0.as_secs())]
    Time(std::time::Duration),
    /// Time by the clock, where there is no process of its own.
    #[error("longer than {} s", .0.as_secs())]
    Wall(std::time::Duration),
    /// Memory.
    #[error("more than 512 MiB of memory")]
    Memory,
}

/// The typed errors of the contract (`msb:plugin/types`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The input is of another format.
    #[error("{0}")]
    NotMine(String),
    /// The input breaks the rules of its format.
    #[error("{0}")]
    Malformed(String),
    /// The input asks for something the plugin does not do.
    #[error("{0}")]
    Unsupported(String),
    /// The input refers to something that is not there.
    #[error("{0}")]
    Missing(String),
    /// A limit was reached.
    #[error("{0}")]
    TooLarge(String),
    /// Reading or writing failed.
    #[error("{0}")]
    Io(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// Why the runtime for plugins could not be started.
#[derive(Debug, thiserror::Error)]
#[error("could not start the plugin runtime: {message}")]
pub struct EngineError {
    /// What the runtime said.
    pub message: String,
}

impl PluginError {
    /// Returns the setting that raises the limit which the plugin has met, if it has met one that
    /// can be raised: `plugins.limits.<plugin>.memory_mib`.
    pub fn setting(&self) -> Option<String> {
        let Failure::Stopped(stopped) = &*self.failure else {
            return None;
        };
        let limit = stopped.setting()?;
        Some(format!("plugins.limits.{}.{limit}", self.plugin))
    }
}

impl fmt::Display for PluginError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "plugin `{}`", self.plugin)?;
        if let Some(version) = &self.version {
            write!(formatter, " {version}")?;
        }
        if let Some(setting) = self.setting() {
            return write!(formatter, " met its limit, `{setting}`");
        }
        formatter.write_str(match &*self.failure {
            Failure::Refused(Refusal::NotMine(_)) => " does not know this format",
            Failure::Refused(Refusal::Malformed(_)) => " found the input malformed",
            Failure::Refused(Refusal::Unsupported(_)) => " does not support this input",
            Failure::Refused(Refusal::Missing(_)) => " misses a part of the input",
            Failure::Refused(Refusal::TooLarge(_)) => " met a limit",
            Failure::Refused(Refusal::Io(_)) => " could not go on",
            Failure::Unusable(_)
            | Failure::Compiling(_)
            | Failure::Mismatch(_)
            | Failure::TooNew(_)
            | Failure::NewerWasi(_)
            | Failure::Component { .. }
            | Failure::Changed { .. } => " cannot be used",
            Failure::Answer(_) => " gave an answer that msb refuses",
            _ => " did not finish",
        })
    }
}

impl std::error::Error for PluginError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.failure)
    }
}

struct Frames<'a>(&'a [String]);

impl fmt::Display for Frames<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = " (in ";
        for frame in self.0.iter().take(6) {
            write!(formatter, "{separator}{frame}")?;
            separator = " < ";
        }
        if self.0.is_empty() {
            Ok(())
        } else {
            formatter.write_str(")")
        }
    }
}

impl From<PluginError> for ProviderError {
    fn from(error: PluginError) -> Self {
        Self::Broken(Box::new(error))
    }
}
