//! What the user gets to see of an error.

use std::error::Error;
use std::io;

use msb_host::auth::{AuthError, LoginError};
use msb_host::hosts::HostsError;
use msb_host::image::{ImageError, PullError, SaveError};
use msb_host::installed::InstalledError;
use msb_host::platform::ParsePlatformError;
use msb_host::plugin::FormatError;
use msb_host::reference::ParseReferenceError;
use msb_host::registry::RegistryError;
use msb_host::settings::SettingsError;
use msb_host::store::StoreError;

use msb_plugin_kit::conformance::ConformanceError;
use msb_plugin_kit::scaffold::ScaffoldError;

pub(crate) use crate::exit::Exit;
use crate::hints;

/// Why a command has ended early.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// Something failed that the user should hear of.
    Failed(Box<Failure>),
    /// Nothing failed: there is something that was asked about, such as an update.
    Available,
    /// Nothing failed: there is nothing of what was asked about.
    No,
    /// Whoever reads the output has seen enough, as in `msb images | head -1`.
    OutputClosed,
}

/// An error as it is shown: what failed, why, and what to do.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) causes: Vec<String>,
    pub(crate) hints: Vec<String>,
    pub(crate) exit: Exit,
}

impl CommandError {
    /// Returns an error of the command line itself.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::Failed(Box::new(Failure {
            message: message.into(),
            causes: Vec::new(),
            hints: Vec::new(),
            exit: Exit::Failure,
        }))
    }

    /// Returns an error with what led to it.
    pub(crate) fn of(error: &dyn Error) -> Self {
        let shown = Self::new(error.to_string());
        match error.source() {
            Some(source) => shown.because(source),
            None => shown,
        }
    }

    /// Returns the error of an operation that the user has stopped.
    pub(crate) fn interrupted() -> Self {
        Self::new("interrupted").exiting(Exit::Interrupted)
    }

    /// Returns the error of a command whose output has nowhere to go.
    pub(crate) fn closed_stdout() -> Self {
        Self::new("could not write to standard output")
            .because(&io::Error::other("it is closed"))
            .hint("redirect it to a file, a pipe or /dev/null instead of closing it")
    }

    /// Adds an error, and what led to it, as the cause.
    #[must_use]
    pub(crate) fn because(self, error: &(dyn Error + 'static)) -> Self {
        self.with(|failure| {
            for error in chain(error) {
                failure.push_cause(error.to_string());
            }
        })
    }

    /// Adds what the user can do.
    #[must_use]
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        self.with(|failure| failure.hints.push(hint.into()))
    }

    /// Changes how the process ends.
    #[must_use]
    pub(crate) fn exiting(self, exit: Exit) -> Self {
        self.with(|failure| failure.exit = exit)
    }

    /// Returns how the process ends.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Failed(failure) => failure.exit,
            Self::Available => Exit::Available,
            Self::No => Exit::Failure,
            Self::OutputClosed => Exit::Success,
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Failure)) -> Self {
        if let Self::Failed(failure) = &mut self {
            change(failure);
        }
        self
    }
}

impl Failure {
    /// Adds a cause, unless the line above says it already: some errors carry the message of their
    /// source within their own.
    fn push_cause(&mut self, cause: String) {
        let above = self.causes.last().unwrap_or(&self.message);
        if !above.ends_with(&cause) {
            self.causes.push(cause);
        }
    }
}

impl From<ConformanceError> for CommandError {
    fn from(error: ConformanceError) -> Self {
        Self::of(&error)
    }
}

impl From<ScaffoldError> for CommandError {
    fn from(error: ScaffoldError) -> Self {
        let shown = Self::of(&error);
        match hints::for_scaffold(&error) {
            Some(hint) => shown.hint(hint),
            None => shown,
        }
    }
}

impl From<msb_host::Error> for CommandError {
    fn from(error: msb_host::Error) -> Self {
        Self::of(&error).with(|failure| {
            failure.causes.extend(hints::causes(&error));
            failure.hints.extend(hints::hints(&error));
            failure.exit = Exit::of(&error);
        })
    }
}

macro_rules! from_host {
    ($($error:ty),+) => {
        $(impl From<$error> for CommandError {
            fn from(error: $error) -> Self {
                msb_host::Error::from(error).into()
            }
        })+
    };
}

from_host!(
    AuthError,
    FormatError,
    HostsError,
    InstalledError,
    LoginError,
    ImageError,
    ParsePlatformError,
    ParseReferenceError,
    PullError,
    RegistryError,
    SaveError,
    SettingsError,
    StoreError
);

/// Returns an error and everything that led to it.
pub(crate) fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Returns the kind of the failure of the operating system that an error comes from, if it does.
pub(crate) fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    chain(error)
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .map(io::Error::kind)
        .last()
}

/// Returns the number of the failure of the operating system that an error comes from, if it does.
pub(crate) fn errno(error: &(dyn Error + 'static)) -> Option<i32> {
    chain(error)
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .filter_map(io::Error::raw_os_error)
        .last()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use msb_host::archive::ArchiveError;
    use msb_host::plugin::{PluginError, Refusal};

    use super::*;

    fn failure(error: impl Into<CommandError>) -> Failure {
        match error.into() {
            CommandError::Failed(failure) => *failure,
            CommandError::Available | CommandError::No | CommandError::OutputClosed => {
                panic!("not a failure")
            }
        }
    }

    #[test]
    fn what_is_no_failure_ends_as_such() {
        assert_eq!(CommandError::OutputClosed.exit(), Exit::Success);
        assert_eq!(CommandError::No.exit(), Exit::Failure);
        assert_eq!(CommandError::interrupted().exit(), Exit::Interrupted);
    }

    #[test]
    fn the_whole_chain_of_causes_is_kept() {
        let error = failure(ImageError::from(ArchiveError::Read {
            name: "x.tar".to_owned(),
            source: io::ErrorKind::PermissionDenied.into(),
        }));
        assert_eq!(error.message, "could not read `x.tar`");
        assert_eq!(error.causes, ["permission denied"]);
        assert_eq!(error.exit, Exit::Failure);
    }

    #[test]
    fn a_cause_that_the_line_above_ends_with_is_not_said_twice() {
        let said = "could not read `a`: it broke";
        let error = failure(CommandError::new(said).because(&io::Error::other("it broke")));
        assert_eq!(error.causes, Vec::<String>::new());
    }

    #[test]
    fn what_every_plugin_said_is_shown_when_none_knows_the_archive() {
        let said = |plugin: &str| PluginError {
            plugin: plugin.to_owned(),
            version: None,
            failure: Box::new(Refusal::NotMine(format!("{plugin} misses a file")).into()),
        };
        let error = failure(FormatError::Unrecognised {
            said: vec![said("one"), said("two")],
            contents: None,
        });
        let [one, two] = error.causes.as_slice() else {
            panic!("{:?}", error.causes);
        };
        assert!(one.contains("`one`") && one.ends_with("one misses a file"));
        assert!(two.contains("`two`") && two.ends_with("two misses a file"));
    }

    #[test]
    fn the_innermost_failure_of_the_system_counts() {
        let error = io::Error::other(StoreError::Io {
            operation: "write",
            path: "/x".into(),
            source: io::ErrorKind::StorageFull.into(),
        });
        assert_eq!(io_kind(&error), Some(io::ErrorKind::StorageFull));
        assert_eq!(io_kind(&StoreError::NotFound("x".to_owned())), None);
    }
}
