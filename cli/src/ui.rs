//! The one place that writes: data to stdout, everything else to stderr.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use console::Style;
use msb_host::progress::LogLevel;
use serde::Serialize;

use crate::error::CommandError;
use crate::escape::escaped;
use crate::size;

/// Faster work needs no stop watch.
const WORTH_TELLING: Duration = Duration::from_millis(500);

/// The terminal, or what stands in its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ui {
    verbosity: LogLevel,
    colour: bool,
}

#[expect(
    clippy::unused_self,
    reason = "whoever writes needs the Ui, whether or not the line depends on it"
)]
impl Ui {
    pub(crate) fn new(verbosity: LogLevel) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            verbosity,
            colour: wanted && io::stderr().is_terminal(),
        }
    }

    /// Returns how important a notice must be to be shown.
    pub(crate) fn verbosity(self) -> LogLevel {
        self.verbosity
    }

    /// Writes lines of data. A reader that has gone away is no error worth a message.
    pub(crate) fn data<'a>(
        self,
        lines: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), CommandError> {
        let mut stdout = io::stdout().lock();
        for line in lines {
            writeln!(stdout, "{line}").map_err(stdout_error)?;
        }
        stdout.flush().map_err(stdout_error)
    }

    /// Writes data as JSON for programs and people alike.
    pub(crate) fn json(self, data: &impl Serialize) -> Result<(), CommandError> {
        let text = serde_json::to_string_pretty(data)
            .map_err(|error| CommandError::new(format!("could not write JSON: {error}")))?;
        self.data([text.as_str()])
    }

    /// Writes a line about what goes on.
    pub(crate) fn status(self, line: &str) {
        // There is nobody to tell when stderr is closed.
        let _ = writeln!(io::stderr(), "{line}");
    }

    /// Writes the line of something that was done.
    pub(crate) fn success(self, verb: &str, target: &str, note: &str, took: Duration) {
        let mark = self.style(&Style::new().green(), "✓");
        let mut suffix = note.to_owned();
        if took > WORTH_TELLING {
            suffix = format!("{suffix} ({})", size::seconds(took));
        }
        let suffix = self.style(&Style::new().dim(), &suffix);
        self.status(&format!("   {mark} {verb:<12} {}{suffix}", escaped(target)));
    }

    /// Writes something the user should know.
    pub(crate) fn notice(self, text: &str) {
        let label = self.style(&Style::new().yellow(), "note:");
        self.status(&format!("{label} {}", escaped(text)));
    }

    /// Writes an error: what failed, why, what to do.
    pub(crate) fn error(self, error: &CommandError) {
        let label = self.style(&Style::new().red().bold(), "error:");
        self.status(&format!("{label} {}", escaped(error.message())));
        for cause in error.causes() {
            self.status(&format!("  caused by: {}", escaped(cause)));
        }
        for hint in error.hints() {
            let label = self.style(&Style::new().cyan(), "hint:");
            self.status(&format!("{label} {}", escaped(hint)));
        }
    }

    fn style(self, style: &Style, text: &str) -> String {
        if self.colour {
            style.clone().force_styling(true).apply_to(text).to_string()
        } else {
            text.to_owned()
        }
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err takes"
)]
fn stdout_error(error: io::Error) -> CommandError {
    let message = format!("could not write to standard output: {error}");
    let failed = CommandError::new(message);
    if error.kind() == io::ErrorKind::BrokenPipe {
        failed.hint("the reader of the output has gone away")
    } else {
        failed
    }
}
