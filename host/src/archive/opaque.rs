//! An input that is not a tar archive, for formats that read such: one entry, read at any place.
//!
//! Owns what the entry is called, and the copy of an input that comes as a stream. What the bytes are is
//! for the format to find out.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::directory::read_at;
use super::spooled::Copied;
use super::streamed::{Stream, read_error};
use super::{ArchiveEntry, ArchiveEntryKind, ArchiveError, ArchiveSource, Foreign, Index};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::limits::{Budget, Limits};
use crate::tar::{self, FileRange, TAR_BLOCK};

/// Bytes read from a stream at a time.
const BUFFER: usize = 256 << 10;
/// What the entry is called where the input has no name that a path can have.
const UNNAMED: &str = "input";

/// An input as one entry.
#[derive(Debug)]
pub(super) struct OpaqueArchive {
    name: String,
    file: Arc<File>,
    length: u64,
    index: Index,
}

impl OpaqueArchive {
    /// Takes a file as it is.
    pub(super) fn of(
        name: String,
        file: File,
        limits: &Limits,
        budget: &Budget,
    ) -> Result<Self, ArchiveError> {
        let metadata = file.metadata().map_err(|source| ArchiveError::Read {
            name: name.clone(),
            source,
        })?;
        let path = Path::new(&name).file_name();
        let path = path.map(|path| path.to_string_lossy());
        let mut index = Index::within(budget);
        let entry = ArchiveEntry {
            path: path.as_deref().unwrap_or(UNNAMED).into(),
            kind: ArchiveEntryKind::File,
            size: metadata.len(),
            target: None,
        };
        index.push(entry, limits.archive_entries)?;
        Ok(Self {
            name,
            file: Arc::new(file),
            length: metadata.len(),
            index,
        })
    }
}

/// Returns an error for every entry but the one.
fn check(number: u32) -> Result<(), ArchiveError> {
    match number {
        0 => Ok(()),
        number => Err(ArchiveError::NoSuchEntry { number }),
    }
}

/// Keeps a stream in `file`, which is empty.
pub(super) fn read(
    name: String,
    Stream { reader, compressed }: Stream,
    file: File,
    limits: &Limits,
    budget: &Budget,
    cancel: &Cancel,
) -> Result<OpaqueArchive, ArchiveError> {
    let kept = file.try_clone().map_err(|source| ArchiveError::Read {
        name: name.clone(),
        source,
    })?;
    let mut copied = Copied {
        reader,
        file: Arc::new(kept),
        budget: budget.clone(),
    };
    let mut buffer = vec![0; BUFFER];
    loop {
        cancel.check()?;
        match copied.read(&mut buffer) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(read_error(&name, name.clone(), compressed, source)),
        }
    }
    OpaqueArchive::of(name, file, limits, budget)
}

/// Returns whether an input that begins with these bytes is not a tar archive. One that is empty, or begins
/// with the zeros that end an archive, is none of another kind either.
pub(super) fn is_opaque(start: &[u8]) -> bool {
    start.iter().any(|byte| *byte != 0) && !tar::is_header(start)
}

/// Returns the error of an input that is not a tar archive and that no format knows.
pub(crate) fn not_an_archive(source: &Arc<dyn ArchiveSource>) -> ArchiveError {
    let length = u32::try_from(TAR_BLOCK).unwrap_or(u32::MAX);
    let start = source.read(0, 0, length).unwrap_or_default();
    ArchiveError::NotAnArchive {
        name: source.name(0),
        foreign: Foreign::sniff(&start),
    }
}

impl ArchiveSource for OpaqueArchive {
    fn index(&self) -> &Index {
        &self.index
    }

    fn readable(&self, number: u32) -> bool {
        number == 0
    }

    fn digest(&self, _number: u32) -> Option<&Digest> {
        None
    }

    fn read(&self, number: u32, offset: u64, length: u32) -> Result<Vec<u8>, ArchiveError> {
        check(number)?;
        let length = u64::from(length).min(self.length.saturating_sub(offset));
        read_at(&self.file, offset, length).map_err(|source| ArchiveError::Read {
            name: self.name.clone(),
            source,
        })
    }

    fn open(&self, number: u32) -> Result<Box<dyn Read + Send>, ArchiveError> {
        check(number)?;
        Ok(Box::new(FileRange::new(
            Arc::clone(&self.file),
            0,
            self.length,
        )))
    }

    fn is_opaque(&self) -> bool {
        true
    }

    fn name(&self, _number: u32) -> String {
        self.name.clone()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Write as _;

    use super::super::{Input, StreamedLayer, StreamedLayers};
    use super::*;

    /// A format that takes any input.
    struct Any;

    impl StreamedLayers for Any {
        fn layer(
            &mut self,
            _: u32,
            _: &str,
            _: u64,
            _: &mut (dyn Read + Send),
        ) -> Result<Option<StreamedLayer>, ArchiveError> {
            Ok(None)
        }

        fn takes_any(&self) -> bool {
            true
        }
    }

    fn read(input: Input, limits: &Limits) -> Result<Arc<dyn ArchiveSource>, ArchiveError> {
        let budget = Budget::new(limits);
        input.read(&mut Any, limits, &budget, &Cancel::default())
    }

    fn stream(bytes: &[u8]) -> Input {
        Input::Stream {
            name: "standard input".to_owned(),
            reader: Box::new(io::Cursor::new(bytes.to_vec())),
        }
    }

    #[test]
    fn what_is_no_tar_is_one_entry_that_is_read_anywhere() {
        let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&bytes).unwrap();
        let packed = packed.finish().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.cpio");
        std::fs::write(&path, &bytes).unwrap();
        let limits = Limits::default();
        for (input, name) in [
            (Input::Path(path), "root.cpio"),
            (stream(&bytes), "standard input"),
            (stream(&packed), "standard input"),
        ] {
            let source = read(input, &limits).unwrap();
            assert!(source.is_opaque());
            assert_eq!(source.index().entries().len(), 1);
            assert_eq!(&*source.index().get(0).unwrap().path, name);
            assert_eq!(source.read(0, 5, 7).unwrap(), &bytes[5..12]);
            assert_eq!(source.read(0, 399_999, 9).unwrap(), &bytes[399_999..]);
            assert!(source.read(0, 1 << 40, 9).unwrap().is_empty());
            source.read(1, 0, 1).unwrap_err();
            let mut all = Vec::new();
            source.open(0).unwrap().read_to_end(&mut all).unwrap();
            assert!(all == bytes);
        }
    }

    #[test]
    fn a_tar_and_nothing_at_all_are_what_they_were() {
        let mut tar = ::tar::Builder::new(Vec::new());
        let mut header = ::tar::Header::new_ustar();
        header.set_size(0);
        header.set_cksum();
        tar.append_data(&mut header, "a", io::empty()).unwrap();
        let tar = tar.into_inner().unwrap();
        let source = read(stream(&tar), &Limits::default()).unwrap();
        assert!(!source.is_opaque());
        let empty = read(stream(b""), &Limits::default()).unwrap_err();
        assert!(matches!(empty, ArchiveError::Empty { .. }), "{empty}");
    }

    #[test]
    fn a_stream_takes_no_more_of_the_disk_than_it_may() {
        let limits = Limits {
            image_bytes: 1 << 20,
            ..Limits::default()
        };
        read(stream(&vec![1; 2 << 20]), &limits).unwrap_err();
        read(stream(&vec![1; 1 << 19]), &limits).unwrap();
    }
}
