//! `image diff`: in what the files of two images differ.
//!
//! Two walks side by side, each name once. Contents are read only where two files have the same length
//! and are not the same file of the same layer.

use std::cmp::Ordering;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::sync::Arc;

use msb_erofs::InodeId;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::FilesError;
use super::file_entry::FileEntry;
use super::rootfs::Rootfs;
use crate::cancel::Cancel;
use crate::context::Context;
use crate::layer::{LayerError, MergedFile, MergedWalk};
use crate::limits::Limits;
use crate::store::Store;

/// Bytes of two files that are compared at a time.
const BUFFER: usize = 256 << 10;

/// How to compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiffOptions {
    /// Leave out what differs in its time alone.
    pub ignore_times: bool,
}

/// A path that is not the same in two images. Its JSON form is part of the command line's contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Only the second image has it.
    Added(FileEntry),
    /// Only the first image has it.
    Removed(FileEntry),
    /// Both have it.
    Changed {
        /// As the first image has it.
        before: FileEntry,
        /// As the second one has it.
        after: FileEntry,
        /// What differs; at least one.
        differences: Vec<Difference>,
    },
}

/// What of a path differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// A file is a directory now, or the like.
    Type,
    /// Permission, setuid, setgid or sticky bits.
    Mode,
    /// Owner or group.
    Owner,
    /// The length of a file.
    Size,
    /// The bytes of a file, which are as many as before.
    Contents,
    /// The target of a symbolic link.
    Target,
    /// The number of a device.
    Device,
    /// Extended attributes.
    Xattrs,
    /// Which path it is another name of.
    HardLink,
    /// The time of its last change.
    Time,
}

impl Difference {
    /// Returns the word for it, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Mode => "mode",
            Self::Owner => "owner",
            Self::Size => "size",
            Self::Contents => "contents",
            Self::Target => "target",
            Self::Device => "device",
            Self::Xattrs => "xattrs",
            Self::HardLink => "hard-link",
            Self::Time => "time",
        }
    }
}

impl Change {
    /// Returns what it is that changed: as it is now, or as it was.
    pub fn entry(&self) -> &FileEntry {
        match self {
            Self::Added(entry) | Self::Removed(entry) | Self::Changed { after: entry, .. } => entry,
        }
    }
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (word, before, after, differences): (_, _, _, &[Difference]) = match self {
            Self::Added(after) => ("added", None, Some(after), &[]),
            Self::Removed(before) => ("removed", Some(before), None, &[]),
            Self::Changed {
                before,
                after,
                differences,
            } => ("changed", Some(before), Some(after), differences),
        };
        let mut map = serializer.serialize_map(None)?;
        let path = String::from_utf8_lossy(&self.entry().path);
        map.serialize_entry("path", &format!("/{path}"))?;
        map.serialize_entry("change", word)?;
        map.serialize_entry("differences", differences)?;
        map.serialize_entry("before", &before)?;
        map.serialize_entry("after", &after)?;
        map.end()
    }
}

/// Shows each path in which the second image differs from the first, until `visit` breaks. Directories
/// come before what is in them, names in the order of their bytes.
pub fn diff(
    store: &Store,
    [first, second]: [&str; 2],
    options: DiffOptions,
    limits: &Limits,
    context: &Context,
    visit: &mut dyn FnMut(Change) -> ControlFlow<()>,
) -> Result<(), FilesError> {
    let cancel = &context.cancel;
    let first = Rootfs::open(store, first, limits, context)?;
    let second = Rootfs::open(store, second, limits, context)?;
    let mut before = Side::new(&first)?;
    let mut after = Side::new(&second)?;
    loop {
        let order = match (&before.next, &after.next) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(before), Some(after)) => in_walk(&before.path, &after.path),
        };
        cancel.check()?;
        let change = match order {
            Ordering::Less => before
                .advance()?
                .map(|node| Change::Removed(node.entry(&first))),
            Ordering::Greater => after
                .advance()?
                .map(|node| Change::Added(node.entry(&second))),
            Ordering::Equal => match (before.advance()?, after.advance()?) {
                (Some(old), Some(new)) => {
                    changed((&first, &old), (&second, &new), options, cancel)?
                }
                _ => None,
            },
        };
        if change.is_some_and(|change| visit(change).is_break()) {
            return Ok(());
        }
    }
}

/// An image on the way through it.
struct Side<'a> {
    rootfs: &'a Rootfs,
    walk: MergedWalk<'a>,
    next: Option<Node>,
}

struct Node {
    path: Vec<u8>,
    link_to: Option<Arc<[u8]>>,
    id: InodeId,
}

impl<'a> Side<'a> {
    fn new(rootfs: &'a Rootfs) -> Result<Self, FilesError> {
        let mut side = Self {
            rootfs,
            walk: rootfs.tree.walk(b"", InodeId::ROOT, &rootfs.budget),
            next: None,
        };
        side.advance()?;
        Ok(side)
    }

    /// Returns the next one, and goes on.
    fn advance(&mut self) -> Result<Option<Node>, FilesError> {
        let next = self.walk.advance();
        let next = next.map_err(|error| self.rootfs.failed(error))?;
        let next = next.map(|node| Node {
            path: node.path.to_owned(),
            link_to: node.link_to,
            id: node.id,
        });
        Ok(std::mem::replace(&mut self.next, next))
    }
}

impl Node {
    fn entry(&self, rootfs: &Rootfs) -> FileEntry {
        FileEntry::of(&rootfs.tree, &self.path, self.link_to.as_deref(), self.id)
    }
}

/// Returns which of two paths a walk comes to first.
fn in_walk(left: &[u8], right: &[u8]) -> Ordering {
    let slash = |byte: &u8| *byte == b'/';
    left.split(slash).cmp(right.split(slash))
}

/// Returns in what a path differs that both images have.
fn changed(
    (first, old): (&Rootfs, &Node),
    (second, new): (&Rootfs, &Node),
    options: DiffOptions,
    cancel: &Cancel,
) -> Result<Option<Change>, FilesError> {
    let is_same = is_same_inode((first, old.id), (second, new.id));
    if is_same && old.link_to == new.link_to {
        return Ok(None);
    }
    let (before, after) = (old.entry(first), new.entry(second));
    let mut differences = compared(&before, &after);
    if !is_same
        && before.size_bytes == after.size_bytes
        && let Some(ours) = first.tree.open(old.id)
        && let Some(theirs) = second.tree.open(new.id)
    {
        let same = same_contents(ours, theirs, cancel).map_err(|(is_first, error)| {
            let rootfs = if is_first { first } else { second };
            rootfs.failed(error)
        })?;
        if !same {
            let is_time = differences.last() == Some(&Difference::Time);
            differences.insert(
                differences.len() - usize::from(is_time),
                Difference::Contents,
            );
        }
    }
    if options.ignore_times {
        differences.retain(|difference| *difference != Difference::Time);
    }
    Ok((!differences.is_empty()).then_some(Change::Changed {
        before,
        after,
        differences,
    }))
}

/// Returns whether two images have the very same inode of the same layer.
fn is_same_inode((first, old): (&Rootfs, InodeId), (second, new): (&Rootfs, InodeId)) -> bool {
    let (Some(old), Some(new)) = (first.tree.origin(old), second.tree.origin(new)) else {
        return false;
    };
    let layer = first.keys.get(usize::from(old.layer));
    old.nid == new.nid && layer.is_some() && layer == second.keys.get(usize::from(new.layer))
}

/// Returns in what two entries differ, contents aside; the time last.
fn compared(old: &FileEntry, new: &FileEntry) -> Vec<Difference> {
    let is_file = |entry: &FileEntry| entry.link_target.is_none();
    let size_counts = is_file(old) && is_file(new);
    [
        (old.kind != new.kind, Difference::Type),
        (old.permissions != new.permissions, Difference::Mode),
        ((old.uid, old.gid) != (new.uid, new.gid), Difference::Owner),
        (
            size_counts && old.kind == new.kind && old.size_bytes != new.size_bytes,
            Difference::Size,
        ),
        (
            old.kind == new.kind && old.link_target != new.link_target,
            Difference::Target,
        ),
        (
            old.kind == new.kind && old.device != new.device,
            Difference::Device,
        ),
        (old.xattrs != new.xattrs, Difference::Xattrs),
        (old.hard_link_to != new.hard_link_to, Difference::HardLink),
        (old.mtime != new.mtime, Difference::Time),
    ]
    .into_iter()
    .filter_map(|(differs, difference)| differs.then_some(difference))
    .collect()
}

/// Compares the bytes of two files of the same length. An error says whether it is of the first one.
fn same_contents(
    mut old: MergedFile<'_>,
    mut new: MergedFile<'_>,
    cancel: &Cancel,
) -> Result<bool, (bool, LayerError)> {
    let mut left = old.size();
    let size = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
    let (mut ours, mut theirs) = (vec![0; size], vec![0; size]);
    while left > 0 {
        cancel.check().map_err(|error| (true, error.into()))?;
        let count = usize::try_from(left).unwrap_or(size).min(size);
        let (Some(ours), Some(theirs)) = (ours.get_mut(..count), theirs.get_mut(..count)) else {
            return Ok(false);
        };
        old.read_exact(ours)
            .map_err(|error| (true, LayerError::Read(error)))?;
        new.read_exact(theirs)
            .map_err(|error| (false, LayerError::Read(error)))?;
        if ours != theirs {
            return Ok(false);
        }
        left -= count as u64;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_in_the_order_of_a_walk() {
        let mut paths = ["", "a", "a/b", "a/b/c", "a/c", "a-b", "a.d/x", "ab", "b"];
        let expected = paths;
        paths.reverse();
        paths.sort_by(|left, right| in_walk(left.as_bytes(), right.as_bytes()));
        assert_eq!(paths, expected);
    }
}
