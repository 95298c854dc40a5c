//! What an archive says of its entries besides path and contents: owners, modes, times, extended
//! attributes, devices, and names that are not UTF-8.
//!
//! Owns the table of all entries and what it costs. Knows nothing of where the contents are.

use std::sync::Arc;

use msb_erofs::{Device, Timestamp};

use super::index::normal_bytes;
use super::{ArchiveEntry, ArchiveError};
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

    /// Adds what a tar says of an entry, which the index has as `indexed`.
    pub(super) fn push(
        &mut self,
        entry: tar::Entry,
        indexed: &ArchiveEntry,
    ) -> Result<(), ArchiveError> {
        let path = normal_bytes(&entry.path);
        let is_inside = normal_bytes(indexed.path.as_bytes()).is_some();
        let kind = match entry.kind {
            _ if !is_inside => NodeKind::Other,
            EntryKind::File => NodeKind::File,
            EntryKind::Directory => NodeKind::Directory,
            EntryKind::Symlink => NodeKind::Symlink,
            EntryKind::Hardlink => NodeKind::Hardlink,
            EntryKind::CharDevice => NodeKind::CharDevice,
            EntryKind::BlockDevice => NodeKind::BlockDevice,
            EntryKind::Fifo => NodeKind::Fifo,
            EntryKind::Other(_) => NodeKind::Other,
        };
        let is_text = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok();
        let exact = match path {
            Some(path) if is_inside && !(is_text(&path) && is_text(&entry.link)) => {
                Some(Arc::new(ExactNames {
                    path,
                    target: entry.link,
                }))
            }
            _ => None,
        };
        let is_shared = |last: &EntryMetadata| Arc::ptr_eq(&last.xattrs, &entry.xattrs);
        let xattrs = if self.entries.last().is_some_and(is_shared) {
            0
        } else {
            entry.xattrs.iter().fold(0, |sum, (name, value)| {
                sum + XATTR + (name.len() + value.len()) as u64
            })
        };
        let names = exact.as_deref().map_or(0, |exact| {
            XATTR + (exact.path.len() + exact.target.len()) as u64
        });
        self.account
            .take(Purpose::ArchiveEntries, ENTRY + names + xattrs)?;
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
