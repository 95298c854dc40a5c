//! What a benchmark has found: printed as it comes and, with `--write`, put into the document.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::command::{Result, answer};

/// The document, from the root of the repository.
const DOCUMENT: &str = "docs/performance.md";

/// Text with tables, about one machine on one day.
#[derive(Debug)]
pub(super) struct Report {
    text: String,
}

impl Report {
    /// Begins a report: what command measured, where and when.
    pub(super) fn begin(command: &str) -> Self {
        let mut report = Self {
            text: String::new(),
        };
        report.add(&format!("`{command}`: {}.\n", machine()));
        report
    }

    /// Prints text and keeps it.
    pub(super) fn add(&mut self, text: &str) {
        println!("{text}");
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// Replaces what the document has between `<!-- measured: NAME -->` and `<!-- end -->`.
    pub(super) fn write(&self, root: &Path, name: &str) -> Result<()> {
        let path = root.join(DOCUMENT);
        let document = fs::read_to_string(&path)?;
        let written = replaced(&document, name, &self.text)
            .ok_or_else(|| format!("{DOCUMENT} has no place for `{name}`"))?;
        fs::write(&path, written)?;
        println!("written to {DOCUMENT}");
        Ok(())
    }
}

fn replaced(document: &str, name: &str, text: &str) -> Option<String> {
    let (before, rest) = document.split_once(&format!("<!-- measured: {name} -->\n"))?;
    let (_, after) = rest.split_once("<!-- end -->")?;
    Some(format!(
        "{before}<!-- measured: {name} -->\n\n{}\n\n<!-- end -->{after}",
        text.trim()
    ))
}

/// Says what was measured on: processor, memory, kernel, what else there was to do, and the day.
fn machine() -> String {
    let first = |path: &str, key: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let memory = first("/proc/meminfo", "MemTotal");
    let memory: u64 = memory
        .split(' ')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let of_proc = |path: &str, word: usize| {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace()
            .nth(word)
            .unwrap_or("unknown")
            .to_owned()
    };
    let day = answer(Command::new("date").args(["-u", "+%F"])).unwrap_or_default();
    format!(
        "{cores} cores ({}), {} GiB, Linux {}, load {} at the start, {}",
        first("/proc/cpuinfo", "model name"),
        memory.div_ceil(1 << 20),
        of_proc("/proc/sys/kernel/osrelease", 0),
        of_proc("/proc/loadavg", 0),
        day.trim(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_before_is_replaced_and_nothing_else() {
        let document = "a\n<!-- measured: load -->\nold\n<!-- end -->\nb\n\
                        <!-- measured: save -->\nold\n<!-- end -->\nc\n";
        assert_eq!(
            replaced(document, "load", "new\n").as_deref(),
            Some(
                "a\n<!-- measured: load -->\n\nnew\n\n<!-- end -->\nb\n\
                 <!-- measured: save -->\nold\n<!-- end -->\nc\n"
            )
        );
        assert_eq!(replaced(document, "pull", "new"), None);
    }
}
