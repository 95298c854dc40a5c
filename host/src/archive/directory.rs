//! An unpacked archive: a directory on disk, as an OCI layout is often kept.

use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use walkdir::WalkDir;

use super::{ArchiveEntry, ArchiveEntryKind, ArchiveError, ArchiveSource, Index};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::fs;
use crate::limits::{Budget, Limits};

/// A directory opened as an archive. Links are resolved within it only: the index follows them,
/// and files are opened without following any.
#[derive(Debug)]
pub(super) struct DirectoryArchive {
    root: PathBuf,
    index: Index,
}

impl DirectoryArchive {
    /// Walks the directory and takes note of its entries.
    pub(super) fn open(
        root: &Path,
        limits: &Limits,
        budget: &Budget,
        cancel: &Cancel,
    ) -> Result<Self, ArchiveError> {
        let mut index = Index::within(budget);
        for entry in WalkDir::new(root).min_depth(1).sort_by_file_name() {
            cancel.check()?;
            let entry = entry.map_err(|error| ArchiveError::Read {
                name: error.path().unwrap_or(root).display().to_string(),
                source: error.into(),
            })?;
            let read = |source| ArchiveError::Read {
                name: entry.path().display().to_string(),
                source,
            };
            // A path that is not UTF-8 cannot be part of an image archive; it is left out.
            let Some(path) = entry
                .path()
                .strip_prefix(root)
                .ok()
                .and_then(|path| std::str::from_utf8(path.as_os_str().as_bytes()).ok())
            else {
                continue;
            };
            let file_type = entry.file_type();
            let (kind, size, target) = if file_type.is_dir() {
                (ArchiveEntryKind::Directory, 0, None)
            } else if file_type.is_symlink() {
                let target = fs::read_link(entry.path()).map_err(|error| read(error.source))?;
                let target = target.to_string_lossy().into();
                (ArchiveEntryKind::Symlink, 0, Some(target))
            } else if file_type.is_file() {
                let metadata = entry.metadata().map_err(|error| read(error.into()))?;
                (ArchiveEntryKind::File, metadata.len(), None)
            } else {
                (ArchiveEntryKind::Other, 0, None)
            };
            let entry = ArchiveEntry {
                path: path.into(),
                kind,
                size,
                target,
            };
            index.push(entry, limits.archive_entries)?;
        }
        Ok(Self {
            root: root.to_owned(),
            index,
        })
    }

    fn file(&self, number: u32) -> Result<(File, &ArchiveEntry), ArchiveError> {
        let entry = self
            .index
            .get(number)
            .ok_or(ArchiveError::NoSuchEntry { number })?;
        if entry.kind != ArchiveEntryKind::File {
            return Err(ArchiveError::NotReadable {
                path: entry.path.to_string(),
                reason: "it is not a regular file",
            });
        }
        let path = self.root.join(&*entry.path);
        let file = rustix::fs::open(
            &path,
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|source| ArchiveError::Open {
            path,
            source: source.into(),
        })?;
        Ok((file.into(), entry))
    }
}

impl ArchiveSource for DirectoryArchive {
    fn index(&self) -> &Index {
        &self.index
    }

    fn readable(&self, number: u32) -> bool {
        self.index
            .get(number)
            .is_some_and(|entry| entry.kind == ArchiveEntryKind::File)
    }

    fn digest(&self, _number: u32) -> Option<&Digest> {
        None
    }

    fn read(&self, number: u32, offset: u64, length: u32) -> Result<Vec<u8>, ArchiveError> {
        let (file, entry) = self.file(number)?;
        read_at(&file, offset, u64::from(length)).map_err(|source| ArchiveError::Read {
            name: entry.path.to_string(),
            source,
        })
    }

    fn open(&self, number: u32) -> Result<Box<dyn Read + Send>, ArchiveError> {
        let (file, _) = self.file(number)?;
        Ok(Box::new(file))
    }
}

/// Returns up to `length` bytes from `offset` on, fewer only at the end of the file.
pub(super) fn read_at(file: &File, offset: u64, length: u64) -> std::io::Result<Vec<u8>> {
    let left = file.metadata()?.len().saturating_sub(offset);
    let mut bytes = vec![0; usize::try_from(length.min(left)).unwrap_or(0)];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}
