//! What an archive says of its entries besides path and contents: owners, modes, times, extended
//! attributes, devices, and names that are not UTF-8.
//!
//! Owns the table of all entries and what it costs. Knows nothing of where the contents are.

use std::sync::Arc;

use msb_erofs::{Device, Timestamp};

use super::ArchiveError;
use crate::limits::{Account, Budget, Purpose};
use crate::tar::{self, EntryKind};

/// Bytes of memory that an entry takes, and an extended attribute besides its text.
const ENTRY: u64 = 96;
const XATTR: u64 = 64;

/// What an entry is in a filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Another name of an entry.
    Hardlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// What has no place in a filesystem, or leads outside of the archive.
    Other,
}

/// Extended attributes by full name, each once.
pub type EntryXattrs = Arc<Vec<(Arc<[u8]>, Arc<[u8]>)>>;

/// What an archive says of an entry besides path and contents.
#[derive(Clone, Debug)]
pub struct EntryMetadata {
    /// What it is.
    pub kind: NodeKind,
    /// Permission, setuid, setgid and sticky bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last change.
    pub mtime: Timestamp,
    /// Device number; 0:0 for anything that is not a device.
    pub device: Device,
    /// Extended attributes.
    pub xattrs: EntryXattrs,
    /// Path and target as bytes. Only where one of them is not UTF-8.
    pub exact: Option<Arc<ExactNames>>,
}

/// The names of an entry as bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExactNames {
    /// The path in normal form.
    pub path: Vec<u8>,
    /// Where a link leads, as written.
    pub target: Vec<u8>,
}

/// What the names of an entry are.
#[derive(Debug)]
pub(super) enum Names {
    /// They lead outside of the archive, or are too long for any file.
    Outside,
    /// UTF-8, as the index has them.
    Text,
    /// Bytes that are not UTF-8.
    Exact(Arc<ExactNames>),
}

/// The metadata of all entries of an archive, in their order.
#[derive(Debug)]
pub(super) struct MetadataTable {
    entries: Vec<EntryMetadata>,
    account: Account,
}

impl MetadataTable {
    /// Returns a table without entries, whose memory is taken from a budget.
    pub(super) fn within(budget: &Budget) -> Self {
        Self {
            entries: Vec::new(),
            account: budget.account(),
        }
    }

    /// Adds what a tar says of an entry with these names.
    pub(super) fn push(&mut self, entry: tar::Entry, names: Names) -> Result<(), ArchiveError> {
        let kind = match entry.kind {
            _ if matches!(names, Names::Outside) => NodeKind::Other,
            EntryKind::File => NodeKind::File,
            EntryKind::Directory => NodeKind::Directory,
            EntryKind::Symlink => NodeKind::Symlink,
            EntryKind::Hardlink => NodeKind::Hardlink,
            EntryKind::CharDevice => NodeKind::CharDevice,
            EntryKind::BlockDevice => NodeKind::BlockDevice,
            EntryKind::Fifo => NodeKind::Fifo,
            EntryKind::Other(_) => NodeKind::Other,
        };
        let exact = match names {
            Names::Exact(names) => Some(names),
            Names::Outside | Names::Text => None,
        };
        let is_shared = |last: &EntryMetadata| Arc::ptr_eq(&last.xattrs, &entry.xattrs);
        let xattrs = if self.entries.last().is_some_and(is_shared) {
            0
        } else {
            entry.xattrs.iter().fold(0, |sum, (name, value)| {
                sum + XATTR + (name.len() + value.len()) as u64
            })
        };
        let exact_names = exact.as_deref().map_or(0, |exact| {
            XATTR + (exact.path.len() + exact.target.len()) as u64
        });
        self.account
            .take(Purpose::ArchiveEntries, ENTRY + exact_names + xattrs)?;
        self.entries.push(EntryMetadata {
            kind,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
            device: entry.device,
            xattrs: entry.xattrs,
            exact,
        });
        Ok(())
    }

    /// Returns the metadata of an entry.
    pub(super) fn get(&self, number: u32) -> Option<EntryMetadata> {
        self.entries.get(usize::try_from(number).ok()?).cloned()
    }
}
