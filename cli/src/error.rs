//! What the user gets to see of an error, and what the shell gets.

use std::process::ExitCode;

use msb_host::cancel::Cancelled;
use msb_host::image::{LoadError, SaveError};
use msb_host::platform::ParsePlatformError;
use msb_host::plugin::FormatError;
use msb_host::reference::ParseReferenceError;
use msb_host::store::StoreError;

use crate::hints;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything was done.
    Success,
    /// Something was not.
    Failure,
    /// The user stopped it; the shell's number for a death by SIGINT.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        // 2 is what clap exits with when the arguments make no sense.
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::Interrupted => 130,
        })
    }
}

/// An error on its way to the user: what failed, why, and what to do.
#[derive(Debug)]
pub(crate) struct CommandError {
    message: String,
    causes: Vec<String>,
    hints: Vec<String>,
    exit: Exit,
}

impl CommandError {
    /// Returns an error of the command line itself.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            causes: Vec::new(),
            hints: Vec::new(),
            exit: Exit::Failure,
        }
    }

    /// Adds what the user can do.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn causes(&self) -> &[String] {
        &self.causes
    }

    pub(crate) fn hints(&self) -> &[String] {
        &self.hints
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
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
    LoadError,
    SaveError,
    StoreError,
    FormatError,
    ParseReferenceError,
    ParsePlatformError
);

impl From<msb_host::Error> for CommandError {
    fn from(error: msb_host::Error) -> Self {
        let mut causes = Vec::new();
        let mut exit = Exit::Failure;
        let mut last = error.to_string();
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(error) = next {
            if error.is::<Cancelled>() || last == Cancelled.to_string() {
                exit = Exit::Interrupted;
            }
            let text = error.to_string();
            if text != last {
                causes.push(text.clone());
                last = text;
            }
            next = error.source();
        }
        Self {
            message: error.to_string(),
            causes,
            hints: hints::for_error(&error),
            exit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interruption_exits_as_shells_expect_it() {
        let error = CommandError::from(StoreError::from(Cancelled));
        assert_eq!(error.exit(), Exit::Interrupted);
        assert_eq!(error.causes(), &[] as &[String]);
    }

    #[test]
    fn the_chain_of_causes_is_kept_without_repetitions() {
        let error = CommandError::from(StoreError::Io {
            operation: "write",
            path: "/x".into(),
            source: std::io::ErrorKind::StorageFull.into(),
        });
        assert_eq!(error.message(), "could not write `/x`");
        assert_eq!(error.causes(), ["no storage space"]);
        assert_eq!(error.exit(), Exit::Failure);
        assert!(error.hints()[0].contains("free"), "{:?}", error.hints());
    }
}
