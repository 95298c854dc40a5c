//! A plain tar archive in a file: indexed by its headers, its contents read in place.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use super::directory::read_at;
use super::streamed::index_entry;
use super::{ArchiveError, ArchiveSource, EntryKind, Index};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::limits::Limits;
use crate::tar::{FileRange, TarReader};

/// A tar file that was indexed.
#[derive(Debug)]
pub(super) struct SeekableArchive {
    name: String,
    file: Arc<File>,
    index: Index,
    offsets: Vec<u64>,
}

impl SeekableArchive {
    /// Reads the headers of an archive and skips its contents.
    pub(super) fn open(
        name: String,
        file: File,
        limits: &Limits,
        cancel: &Cancel,
    ) -> Result<Self, ArchiveError> {
        let mut archive = Self {
            name,
            file: Arc::new(file),
            index: Index::default(),
            offsets: Vec::new(),
        };
        let length = archive
            .file
            .metadata()
            .map_err(|source| archive.read_error(source))?
            .len();
        if length == 0 {
            return Err(ArchiveError::Empty { name: archive.name });
        }
        let range = FileRange::new(Arc::clone(&archive.file), 0, length);
        let mut reader = TarReader::new(range, limits);
        loop {
            cancel.check()?;
            let entry = match reader.next_entry() {
                Ok(Some(entry)) => entry,
                Ok(None) => break,
                Err(source) => {
                    return Err(super::streamed::tar_error(
                        &archive.name,
                        archive.offsets.is_empty(),
                        source,
                    ));
                }
            };
            let offset = entry.data_offset;
            let entry = index_entry(&archive.name, &entry)?;
            if offset.saturating_add(entry.size) > length {
                return Err(archive.read_error(io::ErrorKind::UnexpectedEof.into()));
            }
            archive.index.push(entry, limits.archive_entries)?;
            archive.offsets.push(offset);
        }
        Ok(archive)
    }

    fn extent(&self, number: u32) -> Result<(u64, u64), ArchiveError> {
        let entry = self
            .index
            .get(number)
            .ok_or(ArchiveError::NoSuchEntry { number })?;
        let offset = usize::try_from(number)
            .ok()
            .and_then(|number| self.offsets.get(number));
        match (entry.kind, offset) {
            (EntryKind::File, Some(offset)) => Ok((*offset, entry.size)),
            _ => Err(ArchiveError::NotReadable {
                path: entry.path.clone(),
                reason: "it is not a regular file",
            }),
        }
    }

    fn read_error(&self, source: io::Error) -> ArchiveError {
        ArchiveError::Read {
            name: self.name.clone(),
            source,
        }
    }
}

impl ArchiveSource for SeekableArchive {
    fn index(&self) -> &Index {
        &self.index
    }

    fn readable(&self, number: u32) -> bool {
        self.extent(number).is_ok()
    }

    fn digest(&self, _number: u32) -> Option<&Digest> {
        None
    }

    fn read(&self, number: u32, offset: u64, length: u32) -> Result<Vec<u8>, ArchiveError> {
        let (start, size) = self.extent(number)?;
        let length = u64::from(length).min(size.saturating_sub(offset));
        read_at(&self.file, start.saturating_add(offset), length)
            .map_err(|source| self.read_error(source))
    }

    fn open(&self, number: u32) -> Result<Box<dyn Read + Send>, ArchiveError> {
        let (start, size) = self.extent(number)?;
        Ok(Box::new(FileRange::new(
            Arc::clone(&self.file),
            start,
            size,
        )))
    }
}
