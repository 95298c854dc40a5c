//! The index of an archive: what entries there are, where their bytes lie, and how links lead
//! from one to another.
//!
//! Owns path normalisation and link resolution inside an archive. Knows nothing of images.

use std::collections::HashMap;
use std::sync::Arc;

use super::ArchiveError;
use crate::limits::{Account, Budget, Limits, Purpose};

/// How many links may be followed from one path to its entry, as in Linux's path resolution.
const MAX_LINKS: usize = 40;
/// Bytes of a path or of a link's target. No system takes longer ones (`PATH_MAX`), so no tool has
/// made an archive of images with them.
pub(super) const MAX_PATH: usize = 4096;
/// Bytes of memory that an entry takes besides its path and target, and a path besides its text.
const ENTRY: u64 = 128;
const PATH: u64 = 80;

/// What an entry of an archive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveEntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A hard link to another entry.
    Hardlink,
    /// A device, a pipe, anything else.
    Other,
}

/// An entry of an archive.
#[derive(Clone, Debug)]
pub struct ArchiveEntry {
    /// Path in normal form: relative, without `.`, `..` or empty components. One that leads
    /// outside of the archive is as it was written; [`Index::find`] never leads there.
    pub path: Arc<str>,
    /// What it is.
    pub kind: ArchiveEntryKind,
    /// Bytes of contents; 0 unless it is a file.
    pub size: u64,
    /// Where a link leads, as written.
    pub target: Option<Arc<str>>,
}

/// The entries of an archive in their order, and the way from a path to its entry.
#[derive(Debug)]
pub struct Index {
    entries: Vec<ArchiveEntry>,
    by_path: HashMap<Arc<str>, u32>,
    account: Account,
}

impl Default for Index {
    fn default() -> Self {
        Self::within(&Budget::new(&Limits::default()))
    }
}

impl Index {
    /// Returns an index without entries, whose memory is taken from a budget.
    pub fn within(budget: &Budget) -> Self {
        Self {
            entries: Vec::new(),
            by_path: HashMap::new(),
            account: budget.account(),
        }
    }

    /// Returns another index without entries that is paid from the same budget.
    pub(super) fn beside(&self) -> Self {
        Self::within(self.account.budget())
    }

    /// Returns what the entries are paid from.
    pub(super) fn budget(&self) -> &Budget {
        self.account.budget()
    }

    /// Adds an entry and returns its number. Equal paths are kept once.
    ///
    /// # Errors
    /// [`ArchiveError::TooManyEntries`] once `limit` entries are there, and
    /// [`ArchiveError::Overdrawn`] when they take more memory than the budget has.
    pub fn push(&mut self, mut entry: ArchiveEntry, limit: u64) -> Result<u32, ArchiveError> {
        let number = u32::try_from(self.entries.len())
            .ok()
            .filter(|number| u64::from(*number) < limit)
            .ok_or(ArchiveError::TooManyEntries { limit })?;
        let mut size = ENTRY;
        if let Some(target) = &entry.target {
            let last = self.entries.last().and_then(|last| last.target.as_ref());
            if let Some(known) = last.filter(|last| *last == target) {
                entry.target = Some(Arc::clone(known));
            } else {
                size += PATH + target.len() as u64;
            }
        }
        if let Some((known, _)) = self.by_path.get_key_value(&entry.path) {
            entry.path = Arc::clone(known);
        } else {
            size += PATH + entry.path.len() as u64;
        }
        self.account.take(Purpose::ArchiveEntries, size)?;
        self.by_path.insert(Arc::clone(&entry.path), number);
        self.entries.push(entry);
        Ok(number)
    }

    /// Returns the entries in the order of the archive.
    pub fn entries(&self) -> &[ArchiveEntry] {
        &self.entries
    }

    /// Returns the path of the first entry that leads outside of the archive.
    pub fn outside(&self) -> Option<&str> {
        let paths = self.entries.iter().map(|entry| &*entry.path);
        paths.into_iter().find(|path| normal_path(path).is_none())
    }

    /// Returns an entry by its number.
    pub fn get(&self, number: u32) -> Option<&ArchiveEntry> {
        self.entries.get(usize::try_from(number).ok()?)
    }

    /// Returns the number of the entry that a path leads to, following links inside the archive.
    /// `None` where there is none, or where a link leads outside or in a circle.
    pub fn find(&self, path: &str) -> Option<u32> {
        let mut path = normal_path(path)?;
        for _ in 0..=MAX_LINKS {
            path = match self.step(&path) {
                Step::Found(number) => return Some(number),
                Step::Missing => return None,
                Step::Linked(next) => next,
            };
        }
        None
    }

    /// Follows the first link on the way along `path`.
    fn step(&self, path: &str) -> Step {
        let ends = path
            .match_indices('/')
            .map(|(position, _)| position)
            .chain(std::iter::once(path.len()));
        for end in ends {
            let Some(number) = path.get(..end).and_then(|prefix| self.by_path.get(prefix)) else {
                continue;
            };
            let Some(entry) = self.get(*number) else {
                return Step::Missing;
            };
            let base = match entry.kind {
                ArchiveEntryKind::Symlink => {
                    entry.path.rsplit_once('/').map_or("", |(parent, _)| parent)
                }
                ArchiveEntryKind::Hardlink => "",
                _ if end == path.len() => return Step::Found(*number),
                _ => continue,
            };
            let target = entry.target.as_deref().unwrap_or_default();
            let rest = path.get(end..).unwrap_or_default();
            let next = if target.starts_with('/') {
                format!("{target}{rest}")
            } else {
                format!("{base}/{target}{rest}")
            };
            return normal_path(&next).map_or(Step::Missing, Step::Linked);
        }
        Step::Missing
    }
}

enum Step {
    Found(u32),
    Linked(String),
    Missing,
}

/// Returns a path in normal form, or `None` when it leads above the root of the archive.
pub fn normal_path(path: &str) -> Option<String> {
    // Whole components of a text are text.
    String::from_utf8(normal_bytes(path.as_bytes())?).ok()
}

/// Returns the bytes of a path in normal form, as [`normal_path`].
pub(super) fn normal_bytes(path: &[u8]) -> Option<Vec<u8>> {
    let mut components: Vec<&[u8]> = Vec::new();
    for component in path.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                components.pop()?;
            }
            name => components.push(name),
        }
    }
    Some(components.join(&b'/'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn index(lines: &[&str]) -> Index {
        let mut index = Index::default();
        for line in lines {
            let (path, target) = line
                .split_once(" -> ")
                .map_or((*line, None), |(path, target)| (path, Some(target)));
            let (path, target, kind) = match (path.strip_suffix(" ="), target) {
                (Some(path), target) => (path, target, ArchiveEntryKind::Hardlink),
                (None, Some(target)) => (path, Some(target), ArchiveEntryKind::Symlink),
                (None, None) => (path, None, ArchiveEntryKind::File),
            };
            let entry = ArchiveEntry {
                path: path.into(),
                kind,
                size: 0,
                target: target.map(Arc::from),
            };
            index.push(entry, 100).unwrap();
        }
        index
    }

    #[test]
    fn a_path_is_found_in_any_spelling() {
        let index = index(&["a/b"]);
        for path in ["a/b", "./a/b", "/a/b", "a//b", "a/./b", "x/../a/b"] {
            assert_eq!(index.find(path), Some(0), "{path}");
        }
        assert_eq!(index.find("a"), None);
        assert_eq!(index.find("../a/b"), None);
    }

    #[test]
    fn links_are_followed_inside_the_archive() {
        let index = index(&[
            "one/layer.tar",
            "two/layer.tar -> ../one/layer.tar",
            "three -> /two",
            "hard = -> three/layer.tar",
        ]);
        for path in ["two/layer.tar", "three/layer.tar", "hard"] {
            assert_eq!(index.find(path), Some(0), "{path}");
        }
    }

    #[test]
    fn links_that_lead_outside_or_in_circles_find_nothing() {
        let index = index(&[
            "out -> ../../etc/passwd",
            "a -> b",
            "b -> a",
            "self -> self/x",
        ]);
        for path in ["out", "a", "b", "self"] {
            assert_eq!(index.find(path), None, "{path}");
        }
    }

    #[test]
    fn the_last_of_equal_paths_counts() {
        assert_eq!(index(&["a", "b", "a"]).find("a"), Some(2));
    }

    #[test]
    fn equal_paths_are_kept_once_and_others_taken_from_the_budget() {
        let limits = Limits {
            memory_bytes: 1 << 20,
            ..Limits::default()
        };
        let mut index = Index::within(&Budget::new(&limits));
        let entry = |path: String| ArchiveEntry {
            path: path.into(),
            kind: ArchiveEntryKind::File,
            size: 0,
            target: None,
        };
        for _ in 0..1000 {
            index.push(entry("a".repeat(4096)), 10_000).unwrap();
        }
        let mut paths = (0..1000).map(|number| format!("{number}{}", "a".repeat(4096)));
        let error = paths.find_map(|path| index.push(entry(path), 10_000).err());
        let error = error.unwrap().to_string();
        assert!(error.contains("entries of the archive"), "{error}");
        assert!(error.contains("`memory_bytes`"), "{error}");
    }

    #[test]
    fn more_entries_than_the_limit_are_refused() {
        let mut index = index(&["a", "b"]);
        let entry = index.entries()[0].clone();
        assert!(index.push(entry, 2).is_err());
    }
}
