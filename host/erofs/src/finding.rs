//! What the check of an image reports.
//!
//! Owns the list of findings and its bound; it checks nothing itself.

use std::fmt;

use super::ErofsError;
use super::format::Nid;

/// How many findings a report lists; the others are only counted.
const LISTED: usize = 100;

/// What the check of an image has found.
#[derive(Clone, Debug, Default)]
pub struct FsckReport {
    /// How many inodes were reached.
    pub inodes: u64,
    /// The first findings.
    pub findings: Vec<Finding>,
    /// How many findings there are, listed or not.
    pub count: u64,
}

/// One rule that an image breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The inode, where it is one that breaks the rule.
    pub nid: Option<Nid>,
    /// The path that led there.
    pub path: Option<String>,
    /// What is wrong.
    pub what: &'static str,
}

impl FsckReport {
    /// Returns whether nothing was found.
    pub fn is_sound(&self) -> bool {
        self.count == 0
    }

    /// Counts a finding, and lists it if there is room.
    pub(super) fn add(&mut self, finding: impl FnOnce() -> Finding) {
        self.count += 1;
        if self.findings.len() < LISTED {
            self.findings.push(finding());
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(formatter, "`{path}`: ")?;
        }
        if let Some(nid) = self.nid {
            write!(formatter, "inode {nid}: ")?;
        }
        formatter.write_str(self.what)
    }
}

/// Returns what an error says of the image, or the error where it is about something else.
pub(super) fn rule(error: ErofsError) -> Result<(Option<Nid>, &'static str), ErofsError> {
    match error {
        ErofsError::Damaged { what } | ErofsError::Unsupported { what } => Ok((None, what)),
        ErofsError::DamagedInode { nid, what } => Ok((Some(nid), what)),
        error => Err(error),
    }
}
