//! The one place that writes: data to stdout, everything else to stderr.
//!
//! Owns streams, colours and the forms of lines. Knows nothing of commands and images.

mod stream;

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use console::Term;
use msb_host::auth::LoginInstruction;
use msb_host::progress::LogLevel;
use serde::Serialize;

pub(crate) use self::stream::Role;
use self::stream::Stream;
use crate::error::CommandError;
use crate::escape::{escaped, line};
use crate::progress::{self, ProgressForm};
use crate::table::Table;
use crate::{json, size, stdout};

/// What took less needs no stop watch.
const WORTH_TELLING: Duration = Duration::from_millis(500);

/// The two output streams, and what the user wants to see on them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ui {
    level: Option<LogLevel>,
    quiet: bool,
    form: ProgressForm,
    /// Layers that are done are not told.
    is_brief: bool,
    stdout: Stream,
    stderr: Stream,
}

impl Ui {
    /// Looks at the streams. `level` is how important a notice must be to be shown, where the
    /// user said so.
    pub(crate) fn new(level: Option<LogLevel>) -> Self {
        Self {
            level,
            quiet: false,
            form: ProgressForm::Auto,
            is_brief: false,
            stdout: Stream::new(io::stdout().is_terminal()),
            stderr: Stream::new(io::stderr().is_terminal()),
        }
    }

    /// Returns the same streams without status lines, for `--quiet`.
    #[must_use]
    pub(crate) fn quiet(self, quiet: bool) -> Self {
        Self { quiet, ..self }
    }

    /// Returns the same streams with progress in a form.
    #[must_use]
    pub(crate) fn progress(self, form: ProgressForm) -> Self {
        Self { form, ..self }
    }

    /// Returns the form of progress; without any for `--quiet`.
    pub(crate) fn form(self) -> ProgressForm {
        match self.form {
            ProgressForm::Json => ProgressForm::Json,
            _ if self.quiet => ProgressForm::Plain,
            form => form,
        }
    }

    /// Returns the same streams without a line for each layer.
    #[must_use]
    pub(crate) fn without_layers(self) -> Self {
        Self {
            is_brief: true,
            ..self
        }
    }

    /// Returns the right to draw moving pictures, whatever stderr is.
    pub(crate) fn any_animation(self) -> Animation {
        Animation {
            colour: self.stderr.colour,
        }
    }

    /// Writes a line of JSON to stderr, for programs that read progress.
    #[expect(clippy::unused_self, reason = "every writer needs the Ui")]
    pub(crate) fn json_line(self, value: &serde_json::Value) {
        write_stderr(&json::line(value));
    }

    /// Returns whether stderr is for a program.
    fn is_json(self) -> bool {
        self.form == ProgressForm::Json
    }

    /// Returns whether moving pictures may be drawn on stderr, and in colour.
    pub(crate) fn animation(self) -> Option<Animation> {
        let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        (self.stderr.terminal && !dumb && !self.quiet).then_some(Animation {
            colour: self.stderr.colour,
        })
    }

    /// Returns how many columns data may have: those of the terminal that it goes to, if it does.
    fn columns(self) -> Option<usize> {
        let (_, columns) = Term::stdout()
            .size_checked()
            .filter(|_| self.stdout.terminal)?;
        Some(usize::from(columns))
    }

    /// Writes data, whole lines that are safe to print.
    ///
    /// # Errors
    /// [`CommandError::OutputClosed`] when its reader has closed it.
    #[expect(clippy::unused_self, reason = "every writer needs the Ui")]
    pub(crate) fn data(self, text: &str) -> Result<(), CommandError> {
        if stdout::was_closed() {
            return Err(CommandError::closed_stdout());
        }
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush())
            .map_err(|error| match error.kind() {
                io::ErrorKind::BrokenPipe => CommandError::OutputClosed,
                _ => CommandError::new("could not write to standard output").because(&error),
            })
    }

    /// Returns data, which is safe to print, in the colour that it has on a terminal.
    pub(crate) fn coloured(self, role: Role, text: &str) -> Cow<'_, str> {
        self.stdout.paint(role, text)
    }

    /// Writes data as JSON.
    pub(crate) fn json(self, data: &impl Serialize) -> Result<(), CommandError> {
        let text = json::pretty(data)
            .map_err(|error| CommandError::new("could not write JSON").because(&error))?;
        self.data(&text)
    }

    /// Writes a table, cut to the terminal that it goes to.
    pub(crate) fn table(self, table: Table<'_>) -> Result<(), CommandError> {
        self.table_lines(&table.lines(self.columns()))
    }

    /// Writes lines of a table, the first of which is its header.
    pub(crate) fn table_lines(self, lines: &[String]) -> Result<(), CommandError> {
        let mut text = String::new();
        for (number, line) in lines.iter().enumerate() {
            match number {
                0 => text.push_str(&self.stdout.paint(Role::Heading, line)),
                _ => text.push_str(line),
            }
            text.push('\n');
        }
        self.data(&text)
    }

    /// Writes what a check has found, as data.
    pub(crate) fn finding(
        self,
        state: &str,
        area: &str,
        message: &str,
        cures: &[String],
    ) -> Result<(), CommandError> {
        let (mark, role) = match state {
            "ok" => ("✓", Role::Done),
            "warning" => ("!", Role::Warning),
            _ => ("✗", Role::Error),
        };
        let mark = self.stdout.paint(role, mark);
        let mut text = format!("{mark} {area:<12} {}\n", line(message));
        for cure in cures {
            let label = self.stdout.paint(Role::Hint, "hint:");
            text.extend(["    ", &label, " ", &line(cure), "\n"]);
        }
        self.data(&text)
    }

    /// Writes a line about what goes on; nothing with `--quiet`.
    pub(crate) fn status(self, text: &str) {
        if !self.quiet && !self.is_json() && !self.is_brief {
            write_stderr(&format!("{}\n", escaped(text)));
        }
    }

    /// Writes the line of something that was done to a target; nothing with `--quiet`.
    pub(crate) fn success(self, verb: &str, target: &str, aside: &str, took: Duration) {
        if self.quiet || self.is_json() {
            return;
        }
        let mark = self.stderr.paint(Role::Done, "✓");
        let mut line = format!("   {mark} {verb:<12} {}", escaped(target));
        if !aside.is_empty() {
            line += &self
                .stderr
                .paint(Role::Aside, &format!(" ({})", escaped(aside)));
        }
        if took > WORTH_TELLING {
            let took = format!(" ({})", size::duration(took));
            line += &self.stderr.paint(Role::Aside, &took);
        }
        write_stderr(&(line + "\n"));
    }

    /// Writes the line of something that could not be done to a target; nothing with `--quiet`.
    pub(crate) fn failure(self, verb: &str, target: &str) {
        if !self.quiet && !self.is_json() {
            let mark = self.stderr.paint(Role::Error, "✗");
            write_stderr(&format!("   {mark} {verb:<12} {}\n", escaped(target)));
        }
    }

    /// Writes something the user should know.
    pub(crate) fn note(self, text: &str) {
        self.log_as(LogLevel::Warn, "note", text);
    }

    /// Writes a line of a log, if it is important enough.
    pub(crate) fn log(self, level: LogLevel, text: &str) {
        let label = match level {
            LogLevel::Trace => "trace",
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warning",
            LogLevel::Error => "error",
        };
        self.log_as(level, label, text);
    }

    /// Writes an error: what failed, why, what to do. Also with `--quiet`.
    pub(crate) fn error(self, error: &CommandError) {
        if let (true, CommandError::Failed(failure)) = (self.is_json(), error) {
            return self.json_line(&serde_json::json!({
                "event": "error",
                "message": failure.message,
                "causes": failure.causes,
                "hints": failure.hints,
                "exit_code": failure.exit.code(),
            }));
        }
        write_stderr(&self.rendered(error));
    }

    /// Writes a question and leaves the cursor after it. Also with `--quiet`.
    #[expect(clippy::unused_self, reason = "every writer needs the Ui")]
    pub(crate) fn prompt(self, question: &str) {
        write_stderr(question);
    }

    /// Writes what a plugin wants the user to do at a login. Also with `--quiet`.
    pub(crate) fn instruction(self, plugin: &str, instruction: &LoginInstruction) {
        let label = format!("plugin `{}`:", escaped(plugin));
        let label = self.stderr.paint(Role::Heading, &label);
        let mut text = format!("{label} {}\n", line(&instruction.text));
        for (name, value) in [("page", &instruction.url), ("code", &instruction.code)] {
            if let Some(value) = value {
                let name = self
                    .stderr
                    .paint(Role::Aside, &format!("{name}:"))
                    .into_owned();
                text.extend(["    ", &name, " ", &line(value), "\n"]);
            }
        }
        write_stderr(&text);
    }

    /// Returns whether lines of a log that are this important are shown.
    pub(crate) fn shows(self, level: LogLevel) -> bool {
        let threshold = match (self.level, self.quiet) {
            (Some(level), _) => level,
            (None, true) => LogLevel::Error,
            (None, false) => LogLevel::Warn,
        };
        level >= threshold
    }

    fn log_as(self, level: LogLevel, label: &str, text: &str) {
        if self.shows(level) && self.is_json() {
            let level = progress::word(level);
            let message = text;
            self.json_line(
                &serde_json::json!({"event": "log", "level": level, "message": message}),
            );
        } else if self.shows(level) {
            let role = match level {
                LogLevel::Error => Role::Error,
                LogLevel::Warn => Role::Warning,
                _ => Role::Aside,
            };
            let label = format!("{label}:");
            let label = self.stderr.paint(role, &label);
            write_stderr(&format!("{label} {}\n", line(text)));
        }
    }

    fn rendered(self, error: &CommandError) -> String {
        let CommandError::Failed(failure) = error else {
            return String::new();
        };
        let label = self.stderr.paint(Role::Error, "error:");
        let mut text = format!("{label} {}\n", line(&failure.message));
        for cause in &failure.causes {
            text.extend(["  caused by: ", &line(cause), "\n"]);
        }
        for hint in &failure.hints {
            let label = self.stderr.paint(Role::Hint, "hint:");
            text.extend([&label, " ", &line(hint), "\n"]);
        }
        text
    }
}

/// The right to draw moving pictures on stderr.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Animation {
    /// Whether they may have colours.
    pub(crate) colour: bool,
}

fn write_stderr(text: &str) {
    // In one piece, so that lines of two threads never mix. When stderr is closed there is nobody
    // left to tell.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests;
