//! Opening an input: a directory, a file that can be read at any place, or a stream.
//!
//! Owns the choice between the three and the undoing of a compression around the whole archive.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::directory::DirectoryArchive;
use super::opaque::{self, OpaqueArchive};
use super::polled::Polled;
use super::seekable::SeekableArchive;
use super::spooled;
use super::streamed::{self, Stream, StreamedLayers};
use super::{ArchiveError, ArchiveSource, Foreign};
use crate::blob::{Compression, Decoder};
use crate::cancel::Cancel;
use crate::fs;
use crate::limits::{Budget, Limits};
use crate::tar::{self, TAR_BLOCK};

/// Where an archive comes from.
pub enum Input {
    /// A file or a directory.
    Path(PathBuf),
    /// A pipe, or whatever else is read in order.
    Pipe {
        /// What errors call it.
        name: String,
        /// Where the bytes come from.
        file: File,
    },
    /// Bytes that come once, in order. Who reads them cannot be interrupted while it waits for one.
    Stream {
        /// What errors call it.
        name: String,
        /// The bytes.
        reader: Box<dyn Read + Send>,
    },
}

impl Input {
    /// Returns an input that reads the process's standard input.
    pub fn stdin() -> Self {
        let name = "standard input".to_owned();
        match io::stdin().as_fd().try_clone_to_owned() {
            Ok(file) => Self::Pipe {
                name,
                file: file.into(),
            },
            Err(_) => Self::Stream {
                name,
                reader: Box::new(io::stdin()),
            },
        }
    }

    /// Reads as much of the input as it takes to know its entries. Of a stream that is all of it:
    /// entries that look like layers are then handed to `layers` as they pass. What is kept of the
    /// input is taken from the budget.
    pub fn read(
        self,
        layers: &mut dyn StreamedLayers,
        limits: &Limits,
        budget: &Budget,
        cancel: &Cancel,
    ) -> Result<Arc<dyn ArchiveSource>, ArchiveError> {
        let read = self.read_all(layers, limits, budget, cancel);
        // What else went wrong did so because of that.
        cancel.check()?;
        read
    }

    fn read_all(
        self,
        layers: &mut dyn StreamedLayers,
        limits: &Limits,
        budget: &Budget,
        cancel: &Cancel,
    ) -> Result<Arc<dyn ArchiveSource>, ArchiveError> {
        match self {
            Self::Path(path) => {
                let open = |source| ArchiveError::Open {
                    path: path.clone(),
                    source,
                };
                let metadata = fs::metadata(&path).map_err(|error| open(error.source))?;
                if metadata.is_dir() {
                    return Ok(Arc::new(DirectoryArchive::open(
                        &path, limits, budget, cancel,
                    )?));
                }
                let name = path.display().to_string();
                if metadata.file_type().is_fifo() {
                    let pipe = Polled::open(&path, cancel).map_err(open)?;
                    return read_stream(name, Box::new(pipe), layers, limits, budget, cancel);
                }
                let file = File::open(&path).map_err(open)?;
                if metadata.is_file() {
                    let start = start(&file, &name)?;
                    if sniff(&start) == Compression::None {
                        if layers.takes_any() && opaque::is_opaque(&start) {
                            let archive = OpaqueArchive::of(name, file, limits, budget)?;
                            return Ok(Arc::new(archive));
                        }
                        let archive = SeekableArchive::open(name, file, limits, budget, cancel)
                            .map_err(|error| error.explained(Foreign::sniff(&start)))?;
                        return Ok(Arc::new(archive));
                    }
                }
                let file = Polled::new(file, cancel);
                read_stream(name, Box::new(file), layers, limits, budget, cancel)
            }
            Self::Pipe { name, file } => {
                let pipe = Polled::new(file, cancel);
                read_stream(name, Box::new(pipe), layers, limits, budget, cancel)
            }
            Self::Stream { name, reader } => {
                let reader = Box::new(cancel.reader(reader));
                read_stream(name, reader, layers, limits, budget, cancel)
            }
        }
    }
}

fn start(file: &File, name: &str) -> Result<Vec<u8>, ArchiveError> {
    super::directory::read_at(file, 0, TAR_BLOCK).map_err(|source| ArchiveError::Read {
        name: name.to_owned(),
        source,
    })
}

fn read_stream(
    name: String,
    mut reader: Box<dyn Read + Send>,
    layers: &mut dyn StreamedLayers,
    limits: &Limits,
    budget: &Budget,
    cancel: &Cancel,
) -> Result<Arc<dyn ArchiveSource>, ArchiveError> {
    let mut start = Vec::new();
    (&mut reader)
        .take(TAR_BLOCK)
        .read_to_end(&mut start)
        .map_err(|source| ArchiveError::Read {
            name: name.clone(),
            source,
        })?;
    let compression = sniff(&start);
    let foreign = Foreign::sniff(&start);
    let whole = io::Cursor::new(start).chain(reader);
    let compressed = compression != Compression::None;
    let mut reader: Box<dyn Read + Send> = if compressed {
        let decoder = Decoder::new(whole, compression, limits).map_err(|source| {
            ArchiveError::Compression {
                name: name.clone(),
                source,
            }
        })?;
        Box::new(decoder.counted_by(budget.outer_inflation()))
    } else {
        Box::new(whole)
    };
    if layers.takes_any() {
        let mut start = Vec::new();
        let read = (&mut reader).take(TAR_BLOCK).read_to_end(&mut start);
        read.map_err(|source| streamed::read_error(&name, name.clone(), compressed, source))?;
        let is_opaque = opaque::is_opaque(&start);
        reader = Box::new(io::Cursor::new(start).chain(reader));
        if is_opaque {
            let file = layers.scratch()?;
            let stream = Stream { reader, compressed };
            let archive = opaque::read(name, stream, file, limits, budget, cancel)?;
            return Ok(Arc::new(archive));
        }
    }
    let stream = Stream { reader, compressed };
    if let Some(file) = layers.spool()? {
        let archive = spooled::read(name, stream, file, limits, budget, cancel)
            .map_err(|error| error.explained(foreign))?;
        return Ok(Arc::new(archive));
    }
    let archive = streamed::read(name, stream, layers, limits, budget, cancel)
        .map_err(|error| error.explained(foreign))?;
    Ok(Arc::new(archive))
}

/// Tells how an archive is compressed. The name of the first file of a tar may begin like anything.
fn sniff(start: &[u8]) -> Compression {
    if tar::is_header(start) {
        Compression::None
    } else {
        Compression::sniff(start)
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => formatter.debug_tuple("Path").field(path).finish(),
            Self::Pipe { name, .. } => formatter.debug_tuple("Pipe").field(name).finish(),
            Self::Stream { name, .. } => formatter.debug_tuple("Stream").field(name).finish(),
        }
    }
}
