//! A plain tar archive in a file: indexed by its headers, its contents read in place.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use super::directory::read_at;
use super::entry_paths::Paths;
use super::metadata::MetadataTable;
use super::{ArchiveEntryKind, ArchiveError, ArchiveSource, EntryMetadata, Index, StoredContents};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::limits::{Budget, Limits};
use crate::tar::{Expanded, FileRange, SparseMap, Step, TarError, TarInput, TarReader};

/// A tar file that was indexed.
#[derive(Debug)]
pub(super) struct SeekableArchive {
    name: String,
    file: Arc<File>,
    index: Index,
    metadata: MetadataTable,
    extents: Vec<Extent>,
    limits: Limits,
}

/// Where the bytes of an entry lie in the file.
#[derive(Debug)]
struct Extent {
    offset: u64,
    /// Bytes in the file: all of the entry, unless it is sparse.
    stored: u64,
    sparse: Option<Sparse>,
}

/// The map of a sparse entry, prepared for reading anywhere.
#[derive(Debug)]
struct Sparse {
    map: Arc<SparseMap>,
    /// Where the data of each region begins among the stored bytes.
    starts: Vec<u64>,
}

impl SeekableArchive {
    /// Reads the headers of an archive and skips its contents.
    pub(super) fn open(
        name: String,
        file: File,
        limits: &Limits,
        budget: &Budget,
        cancel: &Cancel,
    ) -> Result<Self, ArchiveError> {
        let mut archive = Self::empty(name, Arc::new(file), limits, budget);
        let length = archive
            .file
            .metadata()
            .map_err(|source| archive.read_error(source))?
            .len();
        if length == 0 {
            return Err(ArchiveError::Empty { name: archive.name });
        }
        let range = FileRange::new(Arc::clone(&archive.file), 0, length);
        let mut reader = TarReader::new(range, limits, budget);
        let name = archive.name.clone();
        let failed = |first, error| super::streamed::tar_error(&name, first, error);
        archive.index_all(&mut reader, Some(length), &failed, cancel)?;
        Ok(archive)
    }

    /// Returns an archive in `file` of which no entry is known.
    pub(super) fn empty(name: String, file: Arc<File>, limits: &Limits, budget: &Budget) -> Self {
        Self {
            name,
            file,
            index: Index::within(budget),
            metadata: MetadataTable::within(budget),
            extents: Vec::new(),
            limits: limits.clone(),
        }
    }

    /// Returns whether no entry is known.
    pub(super) fn is_empty(&self) -> bool {
        self.extents.is_empty()
    }

    /// Takes note of all entries that a reader of the file finds. `length` is that of the file,
    /// where it is known before; `failed` makes an error of what stops the reader, and of whether
    /// that was at the first entry.
    pub(super) fn index_all<R: TarInput>(
        &mut self,
        reader: &mut TarReader<R>,
        length: Option<u64>,
        failed: &dyn Fn(bool, TarError) -> ArchiveError,
        cancel: &Cancel,
    ) -> Result<(), ArchiveError> {
        let mut regions = 0;
        let mut paths = Paths::default();
        loop {
            cancel.check()?;
            let mut entry = match reader.step() {
                Ok(Some(Step::Entry(entry))) => *entry,
                Ok(Some(Step::Extension)) => continue,
                Ok(None) => return Ok(()),
                Err(source) => return Err(failed(self.is_empty(), source)),
            };
            let (offset, stored) = (entry.data_offset, entry.size);
            let indexed = paths.entry(&entry);
            let sparse = entry.sparse.take().map(Sparse::new);
            if indexed.kind == ArchiveEntryKind::File
                && length.is_some_and(|length| offset.saturating_add(stored) > length)
            {
                return Err(self.read_error(io::ErrorKind::UnexpectedEof.into()));
            }
            // Regions take memory as entries do, and are counted like them.
            regions += sparse
                .as_ref()
                .map_or(0, |sparse| sparse.starts.len() as u64);
            let limit = self.limits.archive_entries;
            if regions > limit {
                return Err(ArchiveError::TooManyEntries { limit });
            }
            let names = paths.names(&entry);
            self.metadata.push(entry, names)?;
            self.index.push(indexed, limit)?;
            self.extents.push(Extent {
                offset,
                stored,
                sparse,
            });
        }
    }

    fn extent(&self, number: u32) -> Result<(&Extent, u64), ArchiveError> {
        let entry = self
            .index
            .get(number)
            .ok_or(ArchiveError::NoSuchEntry { number })?;
        let extent = usize::try_from(number)
            .ok()
            .and_then(|number| self.extents.get(number));
        match (entry.kind, extent) {
            (ArchiveEntryKind::File, Some(extent)) => Ok((extent, entry.size)),
            _ => Err(ArchiveError::NotReadable {
                path: entry.path.to_string(),
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
        let (extent, size) = self.extent(number)?;
        let length = u64::from(length).min(size.saturating_sub(offset));
        let read = match &extent.sparse {
            None => read_at(&self.file, extent.offset.saturating_add(offset), length),
            Some(sparse) => {
                let mut bytes = Vec::new();
                let part = sparse.reader(&self.file, extent, offset);
                part.take(length).read_to_end(&mut bytes).map(|_| bytes)
            }
        };
        read.map_err(|source| self.read_error(source))
    }

    fn metadata(&self, number: u32) -> Option<EntryMetadata> {
        self.metadata.get(number)
    }

    fn open_stored(&self, number: u32) -> Result<StoredContents, ArchiveError> {
        let (extent, _) = self.extent(number)?;
        let stored = FileRange::new(Arc::clone(&self.file), extent.offset, extent.stored);
        Ok(StoredContents {
            bytes: Box::new(stored),
            length: extent.stored,
            sparse: extent.sparse.as_ref().map(|it| Arc::clone(&it.map)),
        })
    }

    fn open(&self, number: u32) -> Result<Box<dyn Read + Send>, ArchiveError> {
        let (extent, _) = self.extent(number)?;
        let stored = FileRange::new(Arc::clone(&self.file), extent.offset, extent.stored);
        Ok(match &extent.sparse {
            None => Box::new(stored),
            Some(sparse) => {
                let map = Some(Arc::clone(&sparse.map));
                Box::new(Expanded::new(stored, map).within(&self.limits))
            }
        })
    }
}

impl Sparse {
    fn new(map: SparseMap) -> Self {
        let mut next = 0;
        let starts = map.regions.iter().map(|region| {
            let start = next;
            next += region.length;
            start
        });
        let starts = starts.collect();
        Self {
            map: Arc::new(map),
            starts,
        }
    }

    /// Returns a reader of the file from `position` on.
    fn reader(&self, file: &Arc<File>, extent: &Extent, position: u64) -> Expanded<FileRange> {
        let regions = &self.map.regions;
        let region = regions.partition_point(|region| region.end() <= position);
        let passed = match (regions.get(region), self.starts.get(region)) {
            (Some(next), Some(start)) => start + position.saturating_sub(next.offset),
            _ => extent.stored,
        };
        let stored = FileRange::new(
            Arc::clone(file),
            extent.offset.saturating_add(passed),
            extent.stored.saturating_sub(passed),
        );
        Expanded::from(stored, Arc::clone(&self.map), region, position)
    }
}
