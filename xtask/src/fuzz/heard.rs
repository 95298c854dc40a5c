//! What a fuzzer says while it runs: the log that is kept of it, and what of it matters.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, ExitStatus};

use crate::command::Result;

/// Lines of the fuzzer that are shown when it found something.
const LAST_LINES: usize = 30;

/// What a fuzzer said that matters.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) executions: Option<String>,
    pub(super) reproducer: Option<String>,
    /// The line that says where, and the one behind it that says what.
    pub(super) panic: Vec<String>,
}

impl Heard {
    fn line(&mut self, line: &str) {
        if line.contains(" panicked at ") || self.panic.len() == 1 {
            self.panic.push(line.to_owned());
        }
        if let Some(count) = line.strip_prefix("stat::number_of_executed_units:") {
            self.executions = Some(count.trim().to_owned());
        }
        if let Some((_, path)) = line.split_once("Test unit written to ") {
            self.reproducer = Some(path.trim().to_owned());
        }
    }
}

/// Runs a fuzzer and writes what it says to a file. Returns its last lines as well.
pub(super) fn listen(command: &mut Command, log: &Path) -> Result<(ExitStatus, Heard, String)> {
    let mut log = fs::File::create(log)?;
    let mut child = command.spawn()?;
    let mut heard = Heard::default();
    let mut last = VecDeque::new();
    if let Some(output) = child.stderr.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line?;
            log.write_all(&line)?;
            log.write_all(b"\n")?;
            let line = String::from_utf8_lossy(&line).into_owned();
            heard.line(&line);
            if last.len() == LAST_LINES {
                last.pop_front();
            }
            last.push_back(line);
        }
    }
    let last = Vec::from(last).join("\n");
    Ok((child.wait()?, heard, last))
}
