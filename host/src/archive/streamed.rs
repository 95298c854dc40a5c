//! An archive that comes through a pipe, once and in order.
//!
//! Owns the decision what to do with an entry before anybody knows what it is for: what looks like
//! a layer is converted as it passes, small documents are kept, the rest is discarded.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::sync::Arc;

use super::entry_paths::Paths;
use super::metadata::MetadataTable;
use super::{ArchiveEntryKind, ArchiveError, ArchiveSource, EntryMetadata, Index};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::layer::looks_like_layer;
use crate::limits::{Account, Budget, Limits, Purpose};
use crate::tar::{Expanded, Step, TAR_BLOCK, TarError, TarReader};

/// Bytes read from a pipe at a time.
const BUFFER: usize = 256 << 10;

/// Takes layers off a stream.
pub trait StreamedLayers {
    /// Reads `bytes` to their end and converts them. `None` when they turned out to be no layer.
    ///
    /// # Errors
    /// Those that end the whole operation; a broken layer is not among them, since it may belong
    /// to no image.
    fn layer(
        &mut self,
        entry: u32,
        name: &str,
        size: u64,
        bytes: &mut (dyn Read + Send),
    ) -> Result<Option<StreamedLayer>, ArchiveError>;

    /// Returns an empty file if all of the stream is to be kept on disk, and no entry taken for a
    /// layer as it passes.
    fn spool(&mut self) -> Result<Option<File>, ArchiveError> {
        Ok(None)
    }

    /// Returns whether an input that is not a tar archive is of use, as a whole.
    fn takes_any(&self) -> bool {
        false
    }

    /// Returns an empty file for such an input that comes as a stream.
    ///
    /// # Errors
    /// That none can be had.
    fn scratch(&mut self) -> Result<File, ArchiveError> {
        tempfile::tempfile().map_err(|source| ArchiveError::Write {
            name: "a temporary file".to_owned(),
            source,
        })
    }
}

/// A layer that was taken off a stream.
#[derive(Clone, Debug)]
pub struct StreamedLayer {
    /// The digest of its bytes as they stood in the archive.
    pub digest: Digest,
}

/// An archive that has passed.
#[derive(Debug)]
pub(super) struct StreamedArchive {
    index: Index,
    metadata: MetadataTable,
    contents: Vec<Contents>,
    /// What the kept contents take.
    documents: Account,
}

#[derive(Debug)]
enum Contents {
    None,
    Kept(Arc<[u8]>),
    Layer(Digest),
    /// Why it was not kept.
    Discarded(&'static str),
}

const LARGE: &str = "it is too large to be kept (limit `config_bytes`)";
const LARGE_TOGETHER: &str =
    "it and the small files before it are too large to be kept (limit `kept_bytes`)";
const NO_LAYER: &str = "it looked like a layer, and is none";

/// The bytes of an archive.
pub(super) struct Stream {
    /// The bytes, without a compression around them.
    pub(super) reader: Box<dyn Read + Send>,
    /// Whether there was a compression, whose own end has to be checked.
    pub(super) compressed: bool,
}

/// Reads a stream: to its end, or to that of the archive where nothing is to be checked behind it.
pub(super) fn read(
    name: String,
    Stream { reader, compressed }: Stream,
    layers: &mut dyn StreamedLayers,
    limits: &Limits,
    budget: &Budget,
    cancel: &Cancel,
) -> Result<StreamedArchive, ArchiveError> {
    let mut archive = StreamedArchive {
        index: Index::within(budget),
        metadata: MetadataTable::within(budget),
        contents: Vec::new(),
        documents: budget.account(),
    };
    let mut reader = TarReader::new(BufReader::with_capacity(BUFFER, reader), limits, budget);
    let mut kept = 0;
    let mut paths = Paths::default();
    let failed = |archive: &StreamedArchive, error| match error {
        TarError::Read { source, .. } => read_error(&name, name.clone(), compressed, source),
        error => tar_error(&name, archive.contents.is_empty(), error),
    };
    loop {
        cancel.check()?;
        let mut entry = match reader.step() {
            Ok(Some(Step::Entry(entry))) => *entry,
            Ok(Some(Step::Extension)) => continue,
            Ok(None) => break,
            Err(source) => return Err(failed(&archive, source)),
        };
        let indexed = paths.entry(&entry);
        let (kind, size, path) = (indexed.kind, indexed.size, Arc::clone(&indexed.path));
        let sparse = entry.sparse.take().map(Arc::new);
        let names = paths.names(&entry);
        archive.metadata.push(entry, names)?;
        let number = archive.index.push(indexed, limits.archive_entries)?;
        let contents = if kind == ArchiveEntryKind::File {
            let read = |source| read_error(&name, format!("{name}: {path}"), compressed, source);
            let mut start = Vec::new();
            let mut data = Expanded::new(reader.data(), sparse);
            (&mut data)
                .take(TAR_BLOCK)
                .read_to_end(&mut start)
                .map_err(read)?;
            let mut data = data.within(limits);
            if looks_like_layer(&start) {
                let mut bytes = Cursor::new(start).chain(data);
                match layers.layer(number, &path, size, &mut bytes)? {
                    Some(layer) => Contents::Layer(layer.digest),
                    None => Contents::Discarded(NO_LAYER),
                }
            } else if size > limits.config_bytes {
                Contents::Discarded(LARGE)
            } else if kept + size > limits.kept_bytes {
                Contents::Discarded(LARGE_TOGETHER)
            } else {
                archive.documents.take(Purpose::Documents, size)?;
                data.read_to_end(&mut start).map_err(read)?;
                kept += size;
                Contents::Kept(start.into())
            }
        } else {
            Contents::None
        };
        archive.contents.push(contents);
    }
    if archive.contents.is_empty() && reader.position() == 0 {
        return Err(ArchiveError::Empty { name });
    }
    // The checksum of a compression is behind the archive. Without a look at it, an archive that
    // was cut there or has other bytes than it was made with would pass.
    let mut rest = vec![0; if compressed { BUFFER } else { 0 }];
    while compressed
        && reader
            .read_trailing(&mut rest)
            .map_err(|error| failed(&archive, error))?
            > 0
    {
        cancel.check()?;
    }
    Ok(archive)
}

/// Returns the error of a read that failed. What the system has no number for is the compression's.
pub(super) fn read_error(
    archive: &str,
    name: String,
    compressed: bool,
    source: io::Error,
) -> ArchiveError {
    let is_decoders =
        source.kind() != io::ErrorKind::UnexpectedEof && source.raw_os_error().is_none();
    if compressed && is_decoders {
        let name = archive.to_owned();
        return ArchiveError::Decompress { name, source };
    }
    ArchiveError::Read { name, source }
}

impl StreamedArchive {
    fn contents(&self, number: u32) -> Option<&Contents> {
        self.contents.get(usize::try_from(number).ok()?)
    }

    fn kept(&self, number: u32) -> Result<&Arc<[u8]>, ArchiveError> {
        let entry = self
            .index
            .get(number)
            .ok_or(ArchiveError::NoSuchEntry { number })?;
        let path = entry.path.to_string();
        Err(match self.contents(number) {
            Some(Contents::Kept(bytes)) => return Ok(bytes),
            Some(Contents::Layer(_)) => ArchiveError::Consumed {
                path,
                reason: "it was converted as a layer while it passed",
            },
            Some(Contents::Discarded(reason)) => ArchiveError::Consumed { path, reason },
            _ => ArchiveError::NotReadable {
                path,
                reason: "it is not a regular file",
            },
        })
    }
}

impl ArchiveSource for StreamedArchive {
    fn index(&self) -> &Index {
        &self.index
    }

    fn readable(&self, number: u32) -> bool {
        self.kept(number).is_ok()
    }

    fn digest(&self, number: u32) -> Option<&Digest> {
        match self.contents(number)? {
            Contents::Layer(digest) => Some(digest),
            _ => None,
        }
    }

    fn metadata(&self, number: u32) -> Option<EntryMetadata> {
        self.metadata.get(number)
    }

    fn read(&self, number: u32, offset: u64, length: u32) -> Result<Vec<u8>, ArchiveError> {
        let bytes = self.kept(number)?;
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let end = start.saturating_add(length as usize).min(bytes.len());
        Ok(bytes.get(start..end).unwrap_or_default().to_vec())
    }

    fn open(&self, number: u32) -> Result<Box<dyn Read + Send>, ArchiveError> {
        Ok(Box::new(Cursor::new(Arc::clone(self.kept(number)?))))
    }
}

/// Tells a file that never was a tar from one that ends too early.
pub(super) fn tar_error(name: &str, first: bool, source: TarError) -> ArchiveError {
    if let TarError::Overdrawn(overdrawn) = source {
        return overdrawn.into();
    }
    if first && source.is_not_a_tar() {
        return ArchiveError::NotAnArchive {
            name: name.to_owned(),
            foreign: None,
        };
    }
    ArchiveError::Tar {
        name: name.to_owned(),
        source,
    }
}
