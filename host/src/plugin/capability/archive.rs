//! The archive that is read or written: what format plugins are there for.
//!
//! A failure of the host is kept whole, so that it need not survive the way through the guest's
//! own words.

use crate::archive::{ArchiveEntry, ArchiveEntryKind, ArchiveError, ArchiveOutput, ArchiveSource};
use crate::plugin::bindings::msb::plugin::{sink, sink_merged, source, types};
use crate::plugin::guest::Guest;

/// Entries in one answer of `source.entries`.
const MAX_PAGE: u32 = 4096;
/// Bytes in one answer of `source.read`.
const MAX_READ: u32 = 1 << 20;
/// Bytes of one `sink.put-file`.
const MAX_FILE: usize = 16 << 20;

impl Guest {
    /// Runs one import that writes to the output.
    fn write(
        &mut self,
        call: impl FnOnce(&mut dyn ArchiveOutput) -> Result<(), ArchiveError>,
    ) -> wasmtime::Result<Result<(), types::Error>> {
        self.host(|guest| {
            let Some(output) = guest.output.as_deref_mut() else {
                return Err(types::Error::Unsupported(
                    "there is no output in this operation".to_owned(),
                ));
            };
            call(output).map_err(|error| guest.fail(error))
        })
    }

    /// Keeps a failure of the host and gives the guest a sentence about it.
    pub(super) fn fail(&mut self, error: ArchiveError) -> types::Error {
        let message = error.to_string();
        match error {
            ArchiveError::OutputPath { .. } | ArchiveError::Definition { .. } => {
                types::Error::Malformed(message)
            }
            ArchiveError::NotReadable { .. } => types::Error::Unsupported(message),
            error @ ArchiveError::Consumed { .. } => {
                self.passed = Some(error);
                types::Error::Unsupported(message)
            }
            ArchiveError::NoSuchEntry { .. } | ArchiveError::NoSuchLayer { .. } => {
                types::Error::Missing(message)
            }
            error => {
                self.failure.get_or_insert(error);
                types::Error::Io(message)
            }
        }
    }

    fn entry(source: &dyn ArchiveSource, number: u32, entry: &ArchiveEntry) -> source::Entry {
        source::Entry {
            index: number,
            path: entry.path.to_string(),
            kind: match entry.kind {
                ArchiveEntryKind::File => source::EntryKind::File,
                ArchiveEntryKind::Directory => source::EntryKind::Directory,
                ArchiveEntryKind::Symlink => source::EntryKind::Symlink,
                ArchiveEntryKind::Hardlink => source::EntryKind::Hardlink,
                ArchiveEntryKind::Other => source::EntryKind::Other,
            },
            size: entry.size,
            target: entry.target.as_deref().map(str::to_owned),
            readable: source.readable(number),
            digest: source.digest(number).map(std::string::ToString::to_string),
        }
    }
}

impl source::Host for Guest {
    fn count(&mut self) -> wasmtime::Result<u32> {
        self.host(|guest| {
            guest
                .source
                .as_ref()
                .map_or(0, |source| source.index().entries().len())
                .try_into()
                .unwrap_or(u32::MAX)
        })
    }

    fn entries(&mut self, first: u32, limit: u32) -> wasmtime::Result<Vec<source::Entry>> {
        self.host(|guest| {
            let Some(source) = guest.source.as_deref() else {
                return Vec::new();
            };
            let last = first.saturating_add(limit.min(MAX_PAGE));
            (first..last)
                .map_while(|number| {
                    let entry = source.index().get(number)?;
                    Some(Self::entry(source, number, entry))
                })
                .collect()
        })
    }

    fn find(&mut self, path: String) -> wasmtime::Result<Option<source::Entry>> {
        self.host(|guest| {
            let source = guest.source.as_deref()?;
            let number = source.index().find(&path)?;
            Some(Self::entry(source, number, source.index().get(number)?))
        })
    }

    fn read(
        &mut self,
        index: u32,
        offset: u64,
        length: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, types::Error>> {
        self.host(|guest| {
            let Some(source) = guest.source.clone() else {
                return Err(types::Error::Unsupported(
                    "there is no input in this operation".to_owned(),
                ));
            };
            source
                .read(index, offset, length.min(MAX_READ))
                .map_err(|error| guest.fail(error))
        })
    }
}

impl sink::Host for Guest {
    fn put_directory(&mut self, path: String) -> wasmtime::Result<Result<(), types::Error>> {
        self.write(|output| output.put_directory(&path))
    }

    fn put_file(
        &mut self,
        path: String,
        contents: Vec<u8>,
    ) -> wasmtime::Result<Result<(), types::Error>> {
        if contents.len() > MAX_FILE {
            return Ok(Err(types::Error::TooLarge(format!(
                "`{path}` is longer than the {} MiB of one put-file",
                MAX_FILE >> 20
            ))));
        }
        self.meter.add_made(contents.len())?;
        self.write(|output| output.put_file(&path, &contents))
    }

    fn put_symlink(
        &mut self,
        path: String,
        target: String,
    ) -> wasmtime::Result<Result<(), types::Error>> {
        self.write(|output| output.put_symlink(&path, &target))
    }

    fn put_layer(
        &mut self,
        path: String,
        layer: u32,
    ) -> wasmtime::Result<Result<(), types::Error>> {
        self.write(|output| output.put_layer(&path, layer))
    }
}

impl sink_merged::Host for Guest {
    fn put_merged(
        &mut self,
        prefix: String,
        layers: Vec<u32>,
    ) -> wasmtime::Result<Result<(), types::Error>> {
        self.write(|output| output.put_merged(&prefix, &layers))
    }
}
