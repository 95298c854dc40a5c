//! An unpacked archive: a directory on disk, as an OCI layout is often kept.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use msb_erofs::{Device, Timestamp};
use rustix::fs::{Mode, OFlags};
use walkdir::WalkDir;

use super::{
    ArchiveEntry, ArchiveEntryKind, ArchiveError, ArchiveSource, EntryMetadata, EntryXattrs,
    ExactNames, Index, NodeKind,
};
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
    /// The entries that are further names of a file, and its first path.
    links: HashMap<u32, Arc<str>>,
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
        let mut firsts: HashMap<(u64, u64), Arc<str>> = HashMap::new();
        let mut links = HashMap::new();
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
            let mut first = None;
            let (kind, size, target) = if file_type.is_dir() {
                (ArchiveEntryKind::Directory, 0, None)
            } else if file_type.is_symlink() {
                let target = fs::read_link(entry.path()).map_err(|error| read(error.source))?;
                let target = target.to_string_lossy().into();
                (ArchiveEntryKind::Symlink, 0, Some(target))
            } else if file_type.is_file() {
                let metadata = entry.metadata().map_err(|error| read(error.into()))?;
                if metadata.nlink() > 1 {
                    let inode = (metadata.dev(), metadata.ino());
                    let known = firsts.get(&inode).cloned();
                    first = known.or_else(|| firsts.insert(inode, path.into()));
                }
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
            let number = index.push(entry, limits.archive_entries)?;
            if let Some(first) = first {
                links.insert(number, first);
            }
        }
        Ok(Self {
            root: root.to_owned(),
            index,
            links,
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

    fn metadata(&self, number: u32) -> Option<EntryMetadata> {
        let entry = self.index.get(number)?;
        let path = self.root.join(&*entry.path);
        let metadata = crate::fs::link_metadata(&path).ok()?;
        let file_type = metadata.file_type();
        let first = self.links.get(&number);
        let target = match first {
            Some(first) => Some(first.as_bytes().to_vec()),
            None => crate::fs::read_link(&path)
                .ok()
                .map(|target| target.into_os_string().into_vec())
                .filter(|target| std::str::from_utf8(target).is_err()),
        };
        let kind = match entry.kind {
            ArchiveEntryKind::File if first.is_some() => NodeKind::Hardlink,
            ArchiveEntryKind::File => NodeKind::File,
            ArchiveEntryKind::Directory => NodeKind::Directory,
            ArchiveEntryKind::Symlink => NodeKind::Symlink,
            ArchiveEntryKind::Hardlink => NodeKind::Hardlink,
            ArchiveEntryKind::Other if file_type.is_char_device() => NodeKind::CharDevice,
            ArchiveEntryKind::Other if file_type.is_block_device() => NodeKind::BlockDevice,
            ArchiveEntryKind::Other if file_type.is_fifo() => NodeKind::Fifo,
            ArchiveEntryKind::Other => NodeKind::Other,
        };
        Some(EntryMetadata {
            kind,
            mode: u16::try_from(metadata.mode() & 0o7777).unwrap_or(0),
            uid: metadata.uid(),
            gid: metadata.gid(),
            mtime: Timestamp {
                seconds: metadata.mtime(),
                nanoseconds: u32::try_from(metadata.mtime_nsec()).unwrap_or(0),
            },
            device: Device {
                major: rustix::fs::major(metadata.rdev()),
                minor: rustix::fs::minor(metadata.rdev()),
            },
            xattrs: xattrs(&path),
            exact: target.map(|target| {
                Arc::new(ExactNames {
                    path: entry.path.as_bytes().to_vec(),
                    target,
                })
            }),
        })
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

/// Bytes that Linux gives as a list of names at most, and as a value.
const MAX_XATTR: usize = 64 << 10;

/// Returns the extended attributes of what is at a path; none where the filesystem has none.
fn xattrs(path: &Path) -> EntryXattrs {
    let mut names = vec![0; MAX_XATTR];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap_or(0);
    names.truncate(length);
    let mut value = vec![0; MAX_XATTR];
    let names = names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    let xattrs = names.filter_map(|name| {
        let length = rustix::fs::lgetxattr(path, name, &mut value[..]).ok()?;
        Some((Arc::from(name), Arc::from(value.get(..length)?)))
    });
    // In the order of their names, whatever the filesystem's is.
    let xattrs: BTreeMap<_, _> = xattrs.collect();
    Arc::new(xattrs.into_iter().collect())
}

/// Returns up to `length` bytes from `offset` on, fewer only at the end of the file.
pub(super) fn read_at(file: &File, offset: u64, length: u64) -> std::io::Result<Vec<u8>> {
    let left = file.metadata()?.len().saturating_sub(offset);
    let mut bytes = vec![0; usize::try_from(length.min(left)).unwrap_or(0)];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}
