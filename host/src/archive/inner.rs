//! An archive all of which lies in one folder, as `tar -c FOLDER` makes it: seen from inside.
//!
//! Owns the other paths of the same entries. Their bytes and numbers stay those of the archive.

use std::io::Read;
use std::sync::Arc;

use super::index::normal_bytes;
use super::{
    ArchiveEntry, ArchiveEntryKind, ArchiveError, ArchiveSource, EntryMetadata, ExactNames, Index,
    NodeKind, StoredContents,
};
use crate::digest::Digest;

/// An archive as it looks from the folder that has all of it.
#[derive(Debug)]
struct InFolder {
    outer: Arc<dyn ArchiveSource>,
    index: Index,
    /// Bytes of the folder's name and the slash after it.
    depth: usize,
}

/// How many folders may lie in each other.
const MAX_DEPTH: usize = 16;

/// Returns the innermost folder that has all entries of an archive, and the archive as it looks
/// from there. `None` where there is no such folder.
pub fn in_innermost_folder(
    outer: &Arc<dyn ArchiveSource>,
) -> Option<(String, Arc<dyn ArchiveSource>)> {
    let (mut path, mut innermost) = in_folder(outer)?;
    for _ in 1..MAX_DEPTH {
        let Some((folder, inner)) = in_folder(&innermost) else {
            break;
        };
        path = format!("{path}/{folder}");
        innermost = inner;
    }
    Some((path, innermost))
}

fn in_folder(outer: &Arc<dyn ArchiveSource>) -> Option<(String, Arc<dyn ArchiveSource>)> {
    let entries = outer.index().entries();
    let named = |entry: &&ArchiveEntry| !entry.path.is_empty() && !entry.path.starts_with("..");
    let folder = entries.iter().find(named)?.path.split('/').next()?;
    let is_inside = |entry: &ArchiveEntry| match entry.path.strip_prefix(folder) {
        Some("") => entry.kind == ArchiveEntryKind::Directory,
        Some(rest) => rest.starts_with('/'),
        None => false,
    };
    if !entries.iter().filter(named).all(is_inside) {
        return None;
    }
    let stripped = |path: &str| {
        let path = path.trim_start_matches("./");
        let rest = path.strip_prefix(folder)?.strip_prefix('/')?;
        Some(rest.to_owned())
    };
    let mut index = outer.index().beside();
    for entry in entries {
        let target = match (&entry.target, entry.kind) {
            // A hard link names its target from the root of the archive.
            (Some(target), ArchiveEntryKind::Hardlink) => {
                Some(stripped(target).map_or_else(|| Arc::clone(target), Arc::from))
            }
            (target, _) => target.clone(),
        };
        let inner = ArchiveEntry {
            path: stripped(&entry.path).unwrap_or_default().into(),
            kind: entry.kind,
            size: entry.size,
            target,
        };
        index.push(inner, u64::MAX).ok()?;
    }
    let inner = InFolder {
        outer: Arc::clone(outer),
        index,
        depth: folder.len() + 1,
    };
    Some((folder.to_owned(), Arc::new(inner)))
}

impl ArchiveSource for InFolder {
    fn index(&self) -> &Index {
        &self.index
    }

    fn readable(&self, number: u32) -> bool {
        self.outer.readable(number)
    }

    fn digest(&self, number: u32) -> Option<&Digest> {
        self.outer.digest(number)
    }

    fn metadata(&self, number: u32) -> Option<EntryMetadata> {
        let mut metadata = self.outer.metadata(number)?;
        if let Some(exact) = &metadata.exact {
            let inside = |path: &[u8]| path.get(self.depth..).unwrap_or_default().to_vec();
            let target = match metadata.kind {
                NodeKind::Hardlink => normal_bytes(&exact.target).map(|target| inside(&target)),
                _ => None,
            };
            metadata.exact = Some(Arc::new(ExactNames {
                path: inside(&exact.path),
                target: target.unwrap_or_else(|| exact.target.clone()),
            }));
        }
        Some(metadata)
    }

    fn open_stored(&self, number: u32) -> Result<StoredContents, ArchiveError> {
        self.outer.open_stored(number)
    }

    fn read(&self, number: u32, offset: u64, length: u32) -> Result<Vec<u8>, ArchiveError> {
        self.outer.read(number, offset, length)
    }

    fn open(&self, number: u32) -> Result<Box<dyn Read + Send>, ArchiveError> {
        self.outer.open(number)
    }

    fn name(&self, number: u32) -> String {
        self.outer.name(number)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Listed(Index);

    impl ArchiveSource for Listed {
        fn index(&self) -> &Index {
            &self.0
        }

        fn readable(&self, _: u32) -> bool {
            false
        }

        fn digest(&self, _: u32) -> Option<&Digest> {
            None
        }

        fn read(&self, number: u32, _: u64, _: u32) -> Result<Vec<u8>, ArchiveError> {
            Err(ArchiveError::NoSuchEntry { number })
        }

        fn open(&self, number: u32) -> Result<Box<dyn Read + Send>, ArchiveError> {
            Err(ArchiveError::NoSuchEntry { number })
        }
    }

    fn listed(entries: &[(&str, ArchiveEntryKind, Option<&str>)]) -> Arc<dyn ArchiveSource> {
        let mut index = Index::default();
        for (path, kind, target) in entries {
            let entry = ArchiveEntry {
                path: (*path).into(),
                kind: *kind,
                size: 0,
                target: target.map(Arc::from),
            };
            index.push(entry, 100).unwrap();
        }
        Arc::new(Listed(index))
    }

    #[test]
    fn what_lies_in_one_folder_is_found_without_it() {
        use ArchiveEntryKind::{Directory, File, Hardlink, Symlink};
        let outer = listed(&[
            ("", Directory, None),
            ("x", Directory, None),
            ("x/index.json", File, None),
            ("x/one", Symlink, Some("index.json")),
            ("x/two", Hardlink, Some("./x/index.json")),
        ]);
        let (folder, inner) = in_folder(&outer).unwrap();
        assert_eq!(folder, "x");
        for path in ["index.json", "one", "two"] {
            assert_eq!(inner.index().find(path), Some(2), "{path}");
        }
        assert_eq!(inner.name(2), "x/index.json");
    }

    #[test]
    fn the_innermost_folder_counts() {
        use ArchiveEntryKind::{Directory, File};
        let outer = listed(&[
            ("x", Directory, None),
            ("x/y/index.json", File, None),
            ("x/y/blobs/a", File, None),
        ]);
        let (folder, inner) = in_innermost_folder(&outer).unwrap();
        assert_eq!(folder, "x/y");
        assert_eq!(inner.index().find("blobs/a"), Some(2));
    }

    #[test]
    fn an_archive_of_more_than_one_folder_stays_as_it_is() {
        use ArchiveEntryKind::{Directory, File};
        for entries in [
            &[("x/a", File, None), ("y/a", File, None)][..],
            &[("x", File, None)],
            &[("x", Directory, None), ("xy/a", File, None)],
            &[("x/a", File, None), ("b", File, None)],
            &[],
        ] {
            assert!(in_folder(&listed(entries)).is_none(), "{entries:?}");
        }
    }
}
