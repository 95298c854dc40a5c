//! What became of the checks.
//!
//! Owns the form of a finding. Knows nothing of what is checked.

use msb_host::plugin::Inspection;
use msb_host::plugin::first_bytes;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckOutcome {
    /// The plugin does as it should.
    Passed,
    /// It does not.
    Failed,
    /// There was nothing to check, or what it takes was not given.
    Skipped,
}

impl CheckOutcome {
    /// Returns the word for it: `passed`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// One check and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What it is called, in every version of msb.
    pub name: &'static str,
    /// How it ended.
    pub outcome: CheckOutcome,
    /// What was done or found, or why it was not, in a few words. Untrusted text.
    pub summary: String,
    /// What went wrong, case by case, or what the author may want to know. Untrusted text.
    pub details: Vec<String>,
}

impl Check {
    /// Returns a check that ended well.
    pub(super) fn passed(name: &'static str, summary: impl Into<String>) -> Self {
        Self::ended(name, CheckOutcome::Passed, summary)
    }

    /// Returns a check that did not.
    pub(super) fn failed(name: &'static str, summary: impl Into<String>) -> Self {
        Self::ended(name, CheckOutcome::Failed, summary)
    }

    /// Returns a check that was left out.
    pub(super) fn skipped(name: &'static str, summary: impl Into<String>) -> Self {
        Self::ended(name, CheckOutcome::Skipped, summary)
    }

    /// Adds details.
    pub(super) fn with(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(details);
        self
    }

    fn ended(name: &'static str, outcome: CheckOutcome, summary: impl Into<String>) -> Self {
        Self {
            name,
            outcome,
            summary: summary.into(),
            details: Vec::new(),
        }
    }
}

/// What a plugin is and how it did.
#[derive(Clone, Debug)]
pub struct Report {
    /// What it says of itself; `None` where it could not even be asked.
    pub inspection: Option<Inspection>,
    /// The checks in the order in which they were made.
    pub checks: Vec<Check>,
}

impl Report {
    /// Returns how many checks ended so.
    pub fn count(&self, outcome: CheckOutcome) -> usize {
        let ended = |check: &&Check| check.outcome == outcome;
        self.checks.iter().filter(ended).count()
    }
}

/// Failures after which a check has seen enough: what is broken is mostly broken everywhere, and
/// each failure may have cost a whole budget.
const ENOUGH: usize = 3;

/// Bytes of a failure that are shown.
const SHOWN: usize = 500;

/// The cases of one check.
#[derive(Debug)]
pub(super) struct Cases {
    name: &'static str,
    what: &'static str,
    none: &'static str,
    made: usize,
    failed: Vec<String>,
    notes: Vec<String>,
}

impl Cases {
    /// Begins a check of several cases, which together are called `what`.
    pub(super) fn of(name: &'static str, what: &'static str) -> Self {
        Self {
            name,
            what,
            none: "there was nothing to check",
            made: 0,
            failed: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Says why there may be no case at all.
    pub(super) fn or_none(self, none: &'static str) -> Self {
        Self { none, ..self }
    }

    /// Takes note of a case.
    pub(super) fn note<E: std::fmt::Display>(&mut self, case: &str, ended: Result<(), E>) {
        self.made += 1;
        if let Err(why) = ended {
            self.failed
                .push(format!("{case}: {}", short(&why.to_string())));
        }
    }

    /// Returns the number of the next case, from 1.
    pub(super) fn next(&self) -> usize {
        self.made + 1
    }

    /// Records something that is not a failure.
    pub(super) fn remark(&mut self, remark: String) {
        if !self.notes.contains(&remark) {
            self.notes.push(remark);
        }
    }

    /// Returns whether further cases would tell nothing new.
    pub(super) fn are_enough(&self) -> bool {
        self.failed.len() >= ENOUGH
    }

    /// Ends the check.
    pub(super) fn end(self) -> Check {
        if !self.failed.is_empty() {
            let more = if self.are_enough() {
                ", and the rest was left out"
            } else {
                ""
            };
            let (sound, made) = (self.made - self.failed.len(), self.made);
            let summary = format!("{}: {sound} of {made}{more}", self.what);
            return Check::failed(self.name, summary).with(self.failed);
        }
        let summary = format!("{}: {}", self.what, self.made);
        match self.made {
            0 => Check::skipped(self.name, self.none).with(self.notes),
            _ => Check::passed(self.name, summary).with(self.notes),
        }
    }
}

/// Cuts what went wrong to a length that is read.
pub(super) fn short(why: &str) -> String {
    match first_bytes(why, SHOWN) {
        whole if whole.len() == why.len() => whole.to_owned(),
        // What stands at the end may be where something was kept.
        start => {
            let end = why.rfind(" (kept as ").filter(|&at| at >= start.len());
            format!(
                "{start}…{}",
                end.and_then(|at| why.get(at..)).unwrap_or_default()
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases(sound: usize, failed: usize) -> Check {
        let mut cases = Cases::of("name", "things done").or_none("there are none");
        cases.remark("by the way".to_owned());
        for number in 0..sound + failed {
            let ended = (number < sound).then_some(()).ok_or("x".repeat(1000));
            cases.note(&number.to_string(), ended);
        }
        cases.end()
    }

    #[test]
    fn a_check_without_cases_is_skipped_and_says_why() {
        let check = cases(0, 0);
        assert_eq!(check.outcome, CheckOutcome::Skipped);
        assert_eq!(check.summary, "there are none");
    }

    #[test]
    fn a_check_passes_with_all_of_its_cases() {
        let check = cases(3, 0);
        assert_eq!(check.outcome, CheckOutcome::Passed);
        assert_eq!(check.summary, "things done: 3");
        assert_eq!(check.details, ["by the way"]);
    }

    #[test]
    fn a_failed_case_is_named_and_cut_to_a_length_that_is_read() {
        let check = cases(2, 1);
        assert_eq!(check.outcome, CheckOutcome::Failed);
        assert_eq!(check.summary, "things done: 2 of 3");
        let [detail] = check.details.as_slice() else {
            unreachable!("{check:?}");
        };
        assert!(
            detail.starts_with("2: xxx") && detail.ends_with("x…"),
            "{detail}"
        );
        assert!(detail.len() < 2 * SHOWN, "{detail}");
        assert!(
            cases(0, 3)
                .summary
                .ends_with("0 of 3, and the rest was left out")
        );
    }
}
