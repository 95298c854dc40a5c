//! The paths of tar entries, as the index of an archive has them.
//!
//! Owns what becomes of a path that leads outside, is too long or is not UTF-8.

use std::borrow::Cow;
use std::sync::Arc;

use super::index::{MAX_PATH, normal_bytes};
use super::metadata::Names;
use super::{ArchiveEntry, ArchiveEntryKind, ExactNames, normal_path};
use crate::excerpt::excerpt_of;
use crate::tar;

/// Turns tar entries into those of the index. The last path is remembered: a global one may stand
/// for very many entries.
#[derive(Default)]
pub(super) struct Paths {
    written: Vec<u8>,
    /// In normal form, or as written where it leads outside of the archive.
    path: Arc<str>,
    is_outside: bool,
    /// The path is not UTF-8.
    is_binary: bool,
    target: Arc<str>,
}

impl Paths {
    pub(super) fn entry(&mut self, entry: &tar::Entry) -> ArchiveEntry {
        // Nothing can name them, so nothing is lost with their contents.
        let unnamed = |path: Arc<str>| ArchiveEntry {
            path,
            kind: ArchiveEntryKind::Other,
            size: 0,
            target: None,
        };
        if entry.path.len() > MAX_PATH || entry.link.len() > MAX_PATH {
            return unnamed(format!("../{}", excerpt_of(&entry.path)).into());
        }
        if self.written != entry.path {
            let text = String::from_utf8_lossy(&entry.path);
            let path = normal_path(&text);
            self.is_outside = path.is_none();
            self.is_binary = matches!(text, Cow::Owned(_));
            self.path = path.map_or_else(|| text.into(), Arc::from);
            self.written.clone_from(&entry.path);
        }
        let path = Arc::clone(&self.path);
        if self.is_outside {
            return unnamed(path);
        }
        let size = entry.sparse.as_ref().map_or(entry.size, |map| map.length);
        let (kind, size, target) = match entry.kind {
            tar::EntryKind::File => (ArchiveEntryKind::File, size, None),
            tar::EntryKind::Directory => (ArchiveEntryKind::Directory, 0, None),
            tar::EntryKind::Symlink => {
                (ArchiveEntryKind::Symlink, 0, Some(self.target(&entry.link)))
            }
            tar::EntryKind::Hardlink => (
                ArchiveEntryKind::Hardlink,
                0,
                Some(self.target(&entry.link)),
            ),
            _ => (ArchiveEntryKind::Other, 0, None),
        };
        ArchiveEntry {
            path,
            kind,
            size,
            target,
        }
    }

    /// Returns what the names of an entry are, after [`entry`](Self::entry) was asked about it. Costs
    /// nothing that grows with a path that many entries share.
    pub(super) fn names(&self, entry: &tar::Entry) -> Names {
        if self.is_outside || entry.path.len() > MAX_PATH || entry.link.len() > MAX_PATH {
            return Names::Outside;
        }
        let is_link = matches!(
            entry.kind,
            tar::EntryKind::Symlink | tar::EntryKind::Hardlink
        );
        let is_text = !is_link || self.target.as_bytes() == entry.link;
        if !self.is_binary && is_text {
            return Names::Text;
        }
        Names::Exact(Arc::new(ExactNames {
            path: normal_bytes(&entry.path).unwrap_or_default(),
            target: entry.link.clone(),
        }))
    }

    fn target(&mut self, link: &[u8]) -> Arc<str> {
        if self.target.as_bytes() != link {
            self.target = String::from_utf8_lossy(link).into();
        }
        Arc::clone(&self.target)
    }
}
