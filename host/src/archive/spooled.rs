//! An archive that comes through a pipe and is kept: on disk, until the operation ends.
//!
//! Owns the copy. What the archive says is found in it as it passes, so that something that is not
//! an archive is refused at its beginning.

use std::fs::File;
use std::io::{self, BufReader, Read, Write as _};
use std::sync::Arc;

use super::ArchiveError;
use super::seekable::SeekableArchive;
use super::streamed::{Stream, read_error, tar_error};
use crate::cancel::Cancel;
use crate::limits::{Budget, Limits};
use crate::tar::{TarError, TarReader};

/// Bytes read from a pipe at a time.
const BUFFER: usize = 256 << 10;

/// Reads a stream to the end of the archive, or to its own where it was compressed, and keeps it in
/// `file`, which is empty.
pub(super) fn read(
    name: String,
    Stream { reader, compressed }: Stream,
    file: File,
    limits: &Limits,
    budget: &Budget,
    cancel: &Cancel,
) -> Result<SeekableArchive, ArchiveError> {
    let file = Arc::new(file);
    let mut archive = SeekableArchive::empty(name.clone(), Arc::clone(&file), limits, budget);
    let copied = Copied {
        reader,
        file,
        budget: budget.clone(),
    };
    let mut reader = TarReader::new(BufReader::with_capacity(BUFFER, copied), limits, budget);
    let failed = |first, error| match error {
        TarError::Read { source, .. } => read_error(&name, name.clone(), compressed, source),
        error => tar_error(&name, first, error),
    };
    archive.index_all(&mut reader, None, &failed, cancel)?;
    if archive.is_empty() && reader.position() == 0 {
        return Err(ArchiveError::Empty { name });
    }
    // The checksum of a compression is behind the archive.
    let mut rest = vec![0; if compressed { BUFFER } else { 0 }];
    while compressed
        && reader
            .read_trailing(&mut rest)
            .map_err(|error| failed(false, error))?
            > 0
    {
        cancel.check()?;
    }
    Ok(archive)
}

/// Writes what is read to a file.
pub(super) struct Copied {
    pub(super) reader: Box<dyn Read + Send>,
    pub(super) file: Arc<File>,
    pub(super) budget: Budget,
}

impl Read for Copied {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.budget.write(count as u64).map_err(io::Error::other)?;
        self.file
            .as_ref()
            .write_all(buffer.get(..count).unwrap_or_default())?;
        Ok(count)
    }
}
