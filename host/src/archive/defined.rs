//! Layers put together from entries of an archive: their bytes, as a tar, and their digests.
//!
//! Owns the tar and how much a plugin may have the host read for it. To the rest of the host such a
//! layer is one more entry of the archive.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;

use super::definition::{Defined, invalid};
use super::member::padding;
use super::{
    ArchiveError, ArchiveSource, EntryChange, EntryMetadata, Index, LayerDefinition, NodeKind,
};
use crate::cancel::Cancel;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::tar::TAR_BLOCK;

/// Layers that a plugin may define in one operation.
const MAX_LAYERS: usize = 1000;
/// Bytes that are hashed at a time.
const BUFFER: usize = 256 << 10;
/// What ends a tar.
const END: usize = 1024;

/// The layers that a plugin has defined, and what the host has read for it.
#[derive(Debug, Default)]
pub struct DefinedLayers {
    layers: Vec<Defined>,
    measured: HashMap<u32, Measured>,
    read: u64,
}

/// Digest and length of the contents of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The digest.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
}

impl DefinedLayers {
    /// Adds a layer of runs of entries, those below `prefix` without it, with changes. Returns the
    /// number that it has as an entry.
    pub fn define(
        &mut self,
        source: &Arc<dyn ArchiveSource>,
        runs: Vec<(u32, u32)>,
        prefix: &str,
        changes: Vec<(u32, EntryChange)>,
        cancel: &Cancel,
    ) -> Result<u32, ArchiveError> {
        if self.layers.len() == MAX_LAYERS {
            return Err(invalid(format!("there are {MAX_LAYERS} layers already")));
        }
        let definition = LayerDefinition::new(source.as_ref(), runs, prefix, changes)?;
        for number in definition.numbers() {
            cancel.check()?;
            // Each will be a header at least.
            self.spend(source.as_ref(), TAR_BLOCK)?;
            let member = definition.member(source.as_ref(), number)?;
            if member.is_some_and(|member| member.kind == NodeKind::File)
                && !source.readable(number)
            {
                // Says why.
                source.read(number, 0, 1)?;
            }
        }
        let number = source.index().entries().len() + self.layers.len();
        self.layers.push(Arc::new(definition));
        u32::try_from(number).map_err(|_| invalid("there are too many entries".to_owned()))
    }

    /// Returns digest and length of the contents of an entry or of a layer.
    pub fn measure(
        &mut self,
        source: &Arc<dyn ArchiveSource>,
        number: u32,
        cancel: &Cancel,
    ) -> Result<Measured, ArchiveError> {
        if let Some(known) = self.measured.get(&number) {
            return Ok(known.clone());
        }
        let whole = self.over(source);
        let mut contents = whole.open(number)?;
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let mut size = 0;
        let mut buffer = vec![0; BUFFER];
        loop {
            cancel.check()?;
            let count = match contents.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => {
                    return Err(ArchiveError::Read {
                        name: whole.name(number),
                        source,
                    });
                }
            };
            self.spend(source.as_ref(), count as u64)?;
            size += count as u64;
            hasher.update(buffer.get(..count).unwrap_or_default());
        }
        let measured = Measured {
            digest: hasher.finish(),
            size,
        };
        self.measured.insert(number, measured.clone());
        Ok(measured)
    }

    /// Returns how many layers there are.
    pub fn count(&self) -> usize {
        self.layers.len()
    }

    /// Returns the archive together with the layers.
    pub fn over(&self, source: &Arc<dyn ArchiveSource>) -> Arc<dyn ArchiveSource> {
        if self.layers.is_empty() {
            return Arc::clone(source);
        }
        let first = u32::try_from(source.index().entries().len()).unwrap_or(u32::MAX);
        Arc::new(WithDefinedLayers {
            source: Arc::clone(source),
            first,
            layers: self.layers.clone(),
        })
    }

    fn spend(&mut self, source: &dyn ArchiveSource, bytes: u64) -> Result<(), ArchiveError> {
        let limit = source.index().budget().limits().image_bytes;
        self.read = self.read.saturating_add(bytes);
        if self.read > limit {
            return Err(ArchiveError::TooMuchRead { limit });
        }
        Ok(())
    }
}

/// An archive together with the layers that were put together from its entries.
#[derive(Debug)]
struct WithDefinedLayers {
    source: Arc<dyn ArchiveSource>,
    first: u32,
    layers: Vec<Defined>,
}

impl WithDefinedLayers {
    fn layer(&self, number: u32) -> Option<&Defined> {
        let place = number.checked_sub(self.first)?;
        self.layers.get(usize::try_from(place).ok()?)
    }
}

impl ArchiveSource for WithDefinedLayers {
    fn index(&self) -> &Index {
        self.source.index()
    }

    fn readable(&self, number: u32) -> bool {
        self.source.readable(number)
    }

    fn digest(&self, number: u32) -> Option<&Digest> {
        self.source.digest(number)
    }

    fn metadata(&self, number: u32) -> Option<EntryMetadata> {
        self.source.metadata(number)
    }

    fn read(&self, number: u32, offset: u64, length: u32) -> Result<Vec<u8>, ArchiveError> {
        self.source.read(number, offset, length)
    }

    fn open(&self, number: u32) -> Result<Box<dyn Read + Send>, ArchiveError> {
        match self.layer(number) {
            Some(layer) => Ok(Box::new(LayerTar::new(
                Arc::clone(&self.source),
                Arc::clone(layer),
            ))),
            None => self.source.open(number),
        }
    }

    fn name(&self, number: u32) -> String {
        match self.layer(number) {
            Some(_) => format!(
                "layer {} of entries of the archive",
                u64::from(number - self.first) + 1
            ),
            None => self.source.name(number),
        }
    }
}

/// The tar of a layer while it is read.
struct LayerTar {
    source: Arc<dyn ArchiveSource>,
    layer: Defined,
    /// The run that comes next, and how many of its entries have gone.
    run: usize,
    gone: u32,
    /// Bytes that are ready, and how many of them are taken.
    ready: Vec<u8>,
    taken: usize,
    body: Option<Body>,
    ended: bool,
}

/// Contents of a member that are on their way.
struct Body {
    bytes: Box<dyn Read + Send>,
    left: u64,
    padding: u64,
}

impl LayerTar {
    fn new(source: Arc<dyn ArchiveSource>, layer: Defined) -> Self {
        Self {
            source,
            layer,
            run: 0,
            gone: 0,
            ready: Vec::new(),
            taken: 0,
            body: None,
            ended: false,
        }
    }

    fn next_number(&mut self) -> Option<u32> {
        loop {
            let (first, count) = self.layer.run(self.run)?;
            if self.gone < count {
                self.gone += 1;
                return Some(first + self.gone - 1);
            }
            self.run += 1;
            self.gone = 0;
        }
    }

    /// Makes the header of the next member ready, or what ends the tar.
    fn begin(&mut self) -> Result<(), ArchiveError> {
        while let Some(number) = self.next_number() {
            let Some(member) = self.layer.member(self.source.as_ref(), number)? else {
                continue;
            };
            if member.kind == NodeKind::File {
                let stored = self.source.open_stored(number)?;
                self.ready = member.header(stored.length, stored.sparse.as_deref());
                self.body = Some(Body {
                    bytes: stored.bytes,
                    left: stored.length,
                    padding: padding(stored.length),
                });
            } else {
                self.ready = member.header(0, None);
            }
            return Ok(());
        }
        self.ended = true;
        self.ready = vec![0; END];
        Ok(())
    }
}

impl Read for LayerTar {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let ready = self.ready.get(self.taken..).unwrap_or_default();
            if !ready.is_empty() || buffer.is_empty() {
                let length = ready.len().min(buffer.len());
                buffer[..length].copy_from_slice(&ready[..length]);
                self.taken += length;
                return Ok(length);
            }
            self.ready.clear();
            self.taken = 0;
            match &mut self.body {
                Some(body) if body.left > 0 => {
                    let left = usize::try_from(body.left).unwrap_or(usize::MAX);
                    let (target, _) = buffer.split_at_mut(left.min(buffer.len()));
                    let count = body.bytes.read(target)?;
                    if count == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    body.left -= count as u64;
                    return Ok(count);
                }
                Some(body) => {
                    self.ready = vec![0; usize::try_from(body.padding).unwrap_or(0)];
                    self.body = None;
                }
                None if self.ended => return Ok(0),
                None => self.begin().map_err(io::Error::other)?,
            }
        }
    }
}

#[cfg(test)]
#[path = "defined_tests.rs"]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
