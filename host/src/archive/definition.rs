//! Layers put together from entries of an archive: what such a layer consists of.
//!
//! Owns the definition and its checks, and the way from an entry to the member of the layer. The
//! bytes are made by [`super::defined`].

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use msb_erofs::{Device, Timestamp};

use super::index::{MAX_PATH, normal_bytes};
use super::member::Member;
use super::{ArchiveError, ArchiveSource, EntryMetadata, EntryXattrs, NodeKind, normal_path};
use crate::excerpt::excerpt_of;
use crate::limits::{Account, Purpose};

/// Bytes of memory that a run of entries takes, and a change besides its texts.
const RUN: u64 = 8;
const CHANGE: u64 = 256;
/// Nanoseconds in a second.
const SECOND: u32 = 1_000_000_000;
/// The largest name of an extended attribute that Linux takes, and the largest value.
const MAX_XATTR_NAME: usize = 255;
const MAX_XATTR_VALUE: usize = 64 << 10;

/// What becomes of one entry in a layer. What is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct EntryChange {
    /// The path in the layer.
    pub path: Option<String>,
    /// The permissions.
    pub mode: Option<u32>,
    /// The owner.
    pub uid: Option<u32>,
    /// The group.
    pub gid: Option<u32>,
    /// The time of the last change.
    pub mtime: Option<Timestamp>,
    /// All extended attributes.
    pub xattrs: Option<EntryXattrs>,
}

/// A layer that consists of entries of an archive.
#[derive(Debug)]
pub struct LayerDefinition {
    /// Runs of entries: the number of the first, and how many.
    runs: Vec<(u32, u32)>,
    /// What the paths in the layer begin behind, in normal form.
    prefix: String,
    changes: BTreeMap<u32, EntryChange>,
    /// Entries with another path, by the one that they would have.
    renamed: HashMap<Vec<u8>, u32>,
    account: Account,
}

impl LayerDefinition {
    /// Checks a definition against the archive it is about.
    pub(super) fn new(
        source: &dyn ArchiveSource,
        runs: Vec<(u32, u32)>,
        prefix: &str,
        changes: Vec<(u32, EntryChange)>,
    ) -> Result<Self, ArchiveError> {
        let index = source.index();
        let mut account = index.budget().account();
        let count = index.entries().len() as u64;
        account.take(Purpose::ArchiveEntries, runs.len() as u64 * RUN)?;
        for (first, length) in &runs {
            if u64::from(*first) + u64::from(*length) > count {
                return Err(invalid(format!(
                    "it has {length} entries from {first} on, of an archive with {count}"
                )));
            }
        }
        let prefix = normal_path(prefix)
            .ok_or_else(|| invalid("its prefix leads outside of the archive".to_owned()))?;
        let mut definition = Self {
            runs,
            prefix,
            changes: BTreeMap::new(),
            renamed: HashMap::new(),
            account,
        };
        for (number, change) in changes {
            let size = change.check(number)?;
            definition
                .account
                .take(Purpose::ArchiveEntries, CHANGE + size)?;
            let entry = index
                .get(number)
                .ok_or_else(|| invalid(format!("it changes entry {number}, which is not there")))?;
            if change.path.is_some()
                && let Some(path) = definition.own_path(source, number)
            {
                definition.renamed.insert(path, number);
            }
            if definition.changes.insert(number, change).is_some() {
                return Err(invalid(format!("it changes `{}` twice", entry.path)));
            }
        }
        Ok(definition)
    }

    /// Returns the entries in their order.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        let runs = self.runs.iter();
        runs.flat_map(|(first, count)| *first..first.saturating_add(*count))
    }

    /// Returns the run at a position.
    pub(super) fn run(&self, position: usize) -> Option<(u32, u32)> {
        self.runs.get(position).copied()
    }

    /// Returns what an entry is in the layer; `None` if it has no place there.
    pub(super) fn member(
        &self,
        source: &dyn ArchiveSource,
        number: u32,
    ) -> Result<Option<Member>, ArchiveError> {
        let (Some(mut path), Some(metadata)) =
            (self.own_path(source, number), source.metadata(number))
        else {
            return Ok(None);
        };
        let change = self.changes.get(&number);
        if let Some(changed) = change.and_then(|change| change.path.as_ref()) {
            path = changed.clone().into_bytes();
        }
        let is_root = path.is_empty();
        if metadata.kind == NodeKind::Other || is_root && metadata.kind != NodeKind::Directory {
            return Ok(None);
        }
        let target = match metadata.kind {
            NodeKind::Symlink => written_target(source, number, &metadata),
            NodeKind::Hardlink => {
                let written = written_target(source, number, &metadata);
                self.linked_path(&written).ok_or_else(|| {
                    invalid(format!(
                        "the hard link `{}` leads to `{}`, which is not in the layer",
                        excerpt_of(&path),
                        excerpt_of(&written)
                    ))
                })?
            }
            _ => Vec::new(),
        };
        let change = change.cloned().unwrap_or_default();
        Ok(Some(Member {
            path,
            kind: metadata.kind,
            mode: change
                .mode
                .and_then(|mode| u16::try_from(mode).ok())
                .unwrap_or(metadata.mode),
            uid: change.uid.unwrap_or(metadata.uid),
            gid: change.gid.unwrap_or(metadata.gid),
            mtime: change.mtime.unwrap_or(metadata.mtime),
            device: match metadata.kind {
                NodeKind::CharDevice | NodeKind::BlockDevice => metadata.device,
                _ => Device::default(),
            },
            target,
            xattrs: change.xattrs.unwrap_or(metadata.xattrs),
        }))
    }

    /// Returns the path that an entry has without the prefix; `None` if it is not below it.
    fn own_path(&self, source: &dyn ArchiveSource, number: u32) -> Option<Vec<u8>> {
        let entry = source.index().get(number)?;
        let metadata = source.metadata(number)?;
        match &metadata.exact {
            Some(exact) => self.stripped(&exact.path),
            // What leads outside is as it was written.
            None => self.stripped(&normal_bytes(entry.path.as_bytes())?),
        }
    }

    fn stripped(&self, path: &[u8]) -> Option<Vec<u8>> {
        if self.prefix.is_empty() {
            return Some(path.to_vec());
        }
        match path.strip_prefix(self.prefix.as_bytes())? {
            [] => Some(Vec::new()),
            [b'/', rest @ ..] => Some(rest.to_vec()),
            _ => None,
        }
    }

    /// Returns the path in the layer of what a hard link leads to.
    fn linked_path(&self, target: &[u8]) -> Option<Vec<u8>> {
        let path = self.stripped(&normal_bytes(target)?)?;
        let changed = self.renamed.get(&path).and_then(|number| {
            let change = self.changes.get(number)?;
            change.path.clone().map(String::into_bytes)
        });
        Some(changed.unwrap_or(path))
    }
}

/// Returns where a link leads, as it was written.
fn written_target(source: &dyn ArchiveSource, number: u32, metadata: &EntryMetadata) -> Vec<u8> {
    if let Some(exact) = &metadata.exact {
        return exact.target.clone();
    }
    let entry = source.index().get(number);
    let target = entry.and_then(|entry| entry.target.as_deref());
    target.unwrap_or_default().as_bytes().to_vec()
}

impl EntryChange {
    /// Returns how many bytes of text it has.
    fn check(&self, number: u32) -> Result<u64, ArchiveError> {
        let refuse = |what: &str| Err(invalid(format!("the change of entry {number} has {what}")));
        if let Some(path) = &self.path
            && (path.len() > MAX_PATH
                || path.contains('\0')
                || normal_path(path).as_ref() != Some(path))
        {
            return refuse("a path that is not a plain relative one of at most 4096 bytes");
        }
        if self.mode.is_some_and(|mode| mode > 0o7777) {
            return refuse("a mode with more than the bits 07777");
        }
        // To the kernel this number means no one.
        if self.uid == Some(u32::MAX) || self.gid == Some(u32::MAX) {
            return refuse("an owner of the number 4294967295, which no user or group can have");
        }
        if self.mtime.is_some_and(|time| time.nanoseconds >= SECOND) {
            return refuse("a time with more nanoseconds than a second has");
        }
        let mut size = self.path.as_ref().map_or(0, String::len);
        for (name, value) in self.xattrs.iter().flat_map(|xattrs| xattrs.iter()) {
            if name.is_empty() || name.len() > MAX_XATTR_NAME || name.contains(&0) {
                return refuse("an extended attribute without a valid name");
            }
            if value.len() > MAX_XATTR_VALUE {
                return refuse("an extended attribute of more than 64 KiB");
            }
            size += name.len() + value.len() + 64;
        }
        Ok(size as u64)
    }
}

pub(super) fn invalid(problem: String) -> ArchiveError {
    ArchiveError::Definition { problem }
}

/// The layers that a plugin has defined so far, shared with the streams of their bytes.
pub(super) type Defined = Arc<LayerDefinition>;
