//! The figures, as a table of Markdown.

use crate::check::{Finding, Wrong};

/// The figures of one command.
#[derive(Debug)]
pub(crate) struct Row {
    name: &'static str,
    /// Calls that touch files.
    pub(crate) calls: usize,
    /// Calls that were made to fail.
    pub(crate) faults: usize,
    /// Times that it was killed.
    pub(crate) kills: usize,
    /// Bits that were flipped.
    pub(crate) flips: usize,
    /// Commands that were run side by side.
    pub(crate) commands: usize,
    /// What is wrong, each with the point where.
    findings: Vec<(String, Finding)>,
}

/// The columns of what may be wrong.
const WRONG: [Wrong; 5] = [
    Wrong::Lost,
    Wrong::Unsound,
    Wrong::LeftOver,
    Wrong::Locked,
    Wrong::Words,
];

impl Row {
    pub(crate) fn of(name: &'static str) -> Self {
        Self {
            name,
            calls: 0,
            faults: 0,
            kills: 0,
            flips: 0,
            commands: 0,
            findings: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, point: &str, findings: Vec<Finding>) {
        let named = findings
            .into_iter()
            .map(|finding| (point.to_owned(), finding));
        self.findings.extend(named);
    }

    /// Returns how much is wrong.
    pub(crate) fn wrong(&self) -> usize {
        self.findings.len()
    }

    /// Returns the head of the table.
    pub(crate) fn head() -> String {
        let columns = ["command", "calls", "faults", "kills", "flips", "commands"];
        let wrong = WRONG.iter().map(ToString::to_string);
        let columns: Vec<String> = columns
            .map(str::to_owned)
            .into_iter()
            .chain(wrong)
            .collect();
        let rule = vec!["---"; columns.len()].join("|");
        format!("| {} |\n|{rule}|", columns.join(" | "))
    }

    /// Returns its line of the table.
    pub(crate) fn line(&self) -> String {
        let numbers = [
            self.calls,
            self.faults,
            self.kills,
            self.flips,
            self.commands,
        ];
        let wrong = WRONG.map(|wrong| {
            let of_it = self.findings.iter().filter(|(_, it)| it.wrong == wrong);
            of_it.count()
        });
        let numbers: Vec<String> = numbers
            .iter()
            .chain(&wrong)
            .map(ToString::to_string)
            .collect();
        format!("| {} | {} |", self.name, numbers.join(" | "))
    }

    /// Returns what is wrong, a paragraph each, and how to see it again.
    pub(crate) fn details(&self) -> Vec<String> {
        self.findings
            .iter()
            .map(|(point, finding)| {
                format!("{} {point}: {}: {}", self.name, finding.wrong, finding.what)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_counted_in_its_column() {
        let mut row = Row::of("load");
        row.calls = 7;
        row.add(
            "EIO:3",
            vec![Finding {
                wrong: Wrong::LeftOver,
                what: "a".to_owned(),
            }],
        );
        assert_eq!(
            row.line(),
            "| load | 7 | 0 | 0 | 0 | 0 | 0 | 0 | 1 | 0 | 0 |"
        );
        assert_eq!(row.details(), ["load EIO:3: left over: a"]);
        let columns = |line: &str| line.matches('|').count();
        let head = Row::head();
        assert_eq!(
            columns(head.lines().next().unwrap_or_default()),
            columns(&row.line())
        );
    }
}
