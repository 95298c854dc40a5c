//! The archive that is being read.

use serde::de::DeserializeOwned;

use crate::bindings::msb::plugin::source;
use crate::{Entry, EntryKind, Error};

/// How many entries are fetched at a time.
const PAGE: u32 = 4096;

/// The most that the host returns per read.
const CHUNK: u32 = 1 << 20;

/// An archive: an index of entries, and small reads. See `wit/source.wit`.
pub trait Archive {
    /// Returns all entries in the order of the archive.
    fn entries(&self) -> Box<dyn Iterator<Item = Entry> + '_>;

    /// Returns the entry at a path, following links inside the archive.
    fn find(&self, path: &str) -> Option<Entry>;

    /// Returns up to `length` bytes of an entry from `offset` on; at most 1 MiB.
    fn read(&self, index: u32, offset: u64, length: u32) -> Result<Vec<u8>, Error>;
}

impl dyn Archive + '_ {
    /// Returns the one entry that an input is seen as which is not a tar archive. `not-mine` says that there
    /// are others, or that it is not a file.
    pub fn only_file(&self) -> Result<Entry, Error> {
        let mut entries = self.entries();
        match (entries.next(), entries.next()) {
            (Some(entry), None) if entry.kind == EntryKind::File => Ok(entry),
            _ => Err(Error::NotMine(
                "it is an archive of another kind".to_owned(),
            )),
        }
    }

    /// Returns all of a file, which is to be no longer than `limit` bytes.
    ///
    /// `too-large` names the file and the limit; `malformed` says that it is not a file.
    pub fn read_all(&self, entry: &Entry, limit: u64) -> Result<Vec<u8>, Error> {
        if entry.kind != EntryKind::File {
            return Err(Error::Malformed(format!("{} is not a file", entry.path)));
        }
        if entry.size > limit {
            return Err(Error::TooLarge(format!(
                "{} is {} bytes long, and documents of its kind are limited to {limit} bytes",
                entry.path, entry.size
            )));
        }
        let mut bytes = Vec::new();
        loop {
            let offset = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            let rest = entry.size.saturating_sub(offset);
            if rest == 0 {
                return Ok(bytes);
            }
            let length = u32::try_from(rest).map_or(CHUNK, |rest| rest.min(CHUNK));
            let chunk = self.read(entry.index, offset, length)?;
            if chunk.is_empty() {
                return Err(Error::Malformed(format!(
                    "{} ends after {offset} of {} bytes",
                    entry.path, entry.size
                )));
            }
            bytes.extend_from_slice(&chunk);
        }
    }

    /// Returns a file of at most `limit` bytes, read as JSON. `malformed` names the file, line and
    /// column.
    pub fn read_json<T: DeserializeOwned>(&self, entry: &Entry, limit: u64) -> Result<T, Error> {
        let bytes = self.read_all(entry, limit)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Error::Malformed(format!("{} is not valid: {error}", entry.path)))
    }
}

/// The archive that the host shows.
#[derive(Debug)]
pub struct Source;

impl Archive for Source {
    fn entries(&self) -> Box<dyn Iterator<Item = Entry> + '_> {
        let count = source::count();
        let pages = (0..count).step_by(PAGE as usize);
        Box::new(pages.flat_map(|first| source::entries(first, PAGE)))
    }

    fn find(&self, path: &str) -> Option<Entry> {
        source::find(path)
    }

    fn read(&self, index: u32, offset: u64, length: u32) -> Result<Vec<u8>, Error> {
        source::read(index, offset, length)
    }
}
