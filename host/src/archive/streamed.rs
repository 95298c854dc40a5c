//! An archive that comes through a pipe, once and in order.
//!
//! Owns the decision what to do with an entry before anybody knows what it is for: what looks like
//! a layer goes down the layer road as it passes, small documents are kept, the rest is let go.

use std::io::{BufReader, Cursor, Read};
use std::sync::Arc;

use super::{ArchiveError, ArchiveSource, Entry, EntryKind, Index, normal_path};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::layer::looks_like_layer;
use crate::limits::Limits;
use crate::tar::{self, TAR_BLOCK, TarError, TarReader};

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
    contents: Vec<Contents>,
}

#[derive(Debug)]
enum Contents {
    None,
    Kept(Arc<[u8]>),
    Layer(Digest),
    LetGo,
}

/// Reads a stream to its end.
pub(super) fn read(
    name: String,
    reader: Box<dyn Read + Send>,
    layers: &mut dyn StreamedLayers,
    limits: &Limits,
    cancel: &Cancel,
) -> Result<StreamedArchive, ArchiveError> {
    let mut archive = StreamedArchive {
        index: Index::default(),
        contents: Vec::new(),
    };
    let mut reader = TarReader::new(BufReader::with_capacity(BUFFER, reader), limits);
    let mut kept = 0;
    loop {
        cancel.check()?;
        let entry = match reader.next_entry() {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(source) => return Err(tar_error(&name, archive.contents.is_empty(), source)),
        };
        let entry = index_entry(&name, &entry)?;
        let (kind, size, path) = (entry.kind, entry.size, entry.path.clone());
        let number = archive.index.push(entry, limits.archive_entries)?;
        let contents = if kind == EntryKind::File {
            let read = |source| ArchiveError::Read {
                name: format!("{name}: {path}"),
                source,
            };
            let mut start = Vec::new();
            reader
                .data()
                .take(TAR_BLOCK)
                .read_to_end(&mut start)
                .map_err(read)?;
            if looks_like_layer(&start) {
                let mut bytes = Cursor::new(start).chain(reader.data());
                match layers.layer(number, &path, size, &mut bytes)? {
                    Some(layer) => Contents::Layer(layer.digest),
                    None => Contents::LetGo,
                }
            } else if size <= limits.config_bytes && kept + size <= limits.kept_bytes {
                reader.data().read_to_end(&mut start).map_err(read)?;
                kept += size;
                Contents::Kept(start.into())
            } else {
                Contents::LetGo
            }
        } else {
            Contents::None
        };
        archive.contents.push(contents);
    }
    if archive.contents.is_empty() && reader.position() == 0 {
        return Err(ArchiveError::Empty { name });
    }
    Ok(archive)
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
        let path = entry.path.clone();
        Err(match self.contents(number) {
            Some(Contents::Kept(bytes)) => return Ok(bytes),
            Some(Contents::Layer(_)) => ArchiveError::Passed {
                path,
                reason: "it was converted as a layer while it passed",
            },
            Some(Contents::LetGo) => ArchiveError::Passed {
                path,
                reason: "it is too large to be kept",
            },
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

/// Turns a tar entry into one of the index.
pub(super) fn index_entry(archive: &str, entry: &tar::Entry) -> Result<Entry, ArchiveError> {
    let text = String::from_utf8_lossy(&entry.path).into_owned();
    let Some(path) = normal_path(&text) else {
        return Err(ArchiveError::PathEscape {
            name: archive.to_owned(),
            path: text,
        });
    };
    let target = || Some(String::from_utf8_lossy(&entry.link).into_owned());
    let (kind, size, target) = match entry.kind {
        tar::EntryKind::File => (EntryKind::File, entry.size, None),
        tar::EntryKind::Directory => (EntryKind::Directory, 0, None),
        tar::EntryKind::Symlink => (EntryKind::Symlink, 0, target()),
        tar::EntryKind::Hardlink => (EntryKind::Hardlink, 0, target()),
        _ => (EntryKind::Other, 0, None),
    };
    Ok(Entry {
        path,
        kind,
        size,
        target,
    })
}

/// Tells a file that never was a tar from one that ends too early.
pub(super) fn tar_error(name: &str, first: bool, source: TarError) -> ArchiveError {
    if first && source.is_not_a_tar() {
        return ArchiveError::NotAnArchive {
            name: name.to_owned(),
        };
    }
    ArchiveError::Tar {
        name: name.to_owned(),
        source,
    }
}
