//! Layers that a format plugin makes itself: the interface `layers`.
//!
//! Owns the stream of such a layer, which an instance of its own makes while it is read. To the
//! rest of the host a made layer is one more entry of the archive.

use std::io::{self, Read};
use std::sync::Arc;

use super::component::{Component, Running};
use super::error::{Failure, PluginError};
use super::format::{CallContext, LayerData, Plan};
use crate::archive::{ArchiveError, ArchiveSource, EntryMetadata, Index};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::progress::Progress;

/// Bytes that a plugin is asked for at a time.
const CHUNK: u32 = 1 << 20;

/// What makes the layers of one archive.
#[derive(Clone)]
pub(super) struct Maker {
    pub(super) component: Arc<Component>,
    pub(super) plugin: Arc<str>,
    pub(super) version: Option<String>,
    pub(super) source: Arc<dyn ArchiveSource>,
    pub(super) progress: Arc<dyn Progress>,
    pub(super) cancel: Cancel,
}

impl Plan {
    /// Gives the layers that the plugin makes itself a place after the entries of the archive:
    /// `source` has them from then on, and the plan names nothing else. Before them are those that
    /// the plugin has defined, `defined` of them.
    pub(super) fn number_made_layers(
        &mut self,
        maker: Maker,
        defined: usize,
    ) -> Arc<dyn ArchiveSource> {
        let source = Arc::clone(&maker.source);
        let first = source.index().entries().len().saturating_add(defined);
        let first = u32::try_from(first).unwrap_or(u32::MAX);
        let mut names: Vec<String> = Vec::new();
        for layer in self.images.iter_mut().flat_map(|image| &mut image.layers) {
            let LayerData::Generated(name) = &layer.data else {
                continue;
            };
            let place = names
                .iter()
                .position(|other| other == name)
                .unwrap_or_else(|| {
                    names.push(name.clone());
                    names.len() - 1
                });
            let place = u32::try_from(place).unwrap_or(u32::MAX);
            layer.data = LayerData::Entry(first.saturating_add(place));
        }
        if names.is_empty() {
            return source;
        }
        Arc::new(WithMadeLayers {
            maker,
            first,
            names,
        })
    }
}

/// An archive together with the layers that a plugin makes of it.
struct WithMadeLayers {
    maker: Maker,
    first: u32,
    names: Vec<String>,
}

impl WithMadeLayers {
    fn made(&self, number: u32) -> Option<&str> {
        let place = number.checked_sub(self.first)?;
        self.names
            .get(usize::try_from(place).ok()?)
            .map(String::as_str)
    }
}

impl ArchiveSource for WithMadeLayers {
    fn index(&self) -> &Index {
        self.maker.source.index()
    }

    fn readable(&self, number: u32) -> bool {
        self.made(number).is_none() && self.maker.source.readable(number)
    }

    fn digest(&self, number: u32) -> Option<&Digest> {
        self.maker.source.digest(number)
    }

    fn metadata(&self, number: u32) -> Option<EntryMetadata> {
        self.maker.source.metadata(number)
    }

    fn read(&self, number: u32, offset: u64, length: u32) -> Result<Vec<u8>, ArchiveError> {
        self.maker.source.read(number, offset, length)
    }

    fn open(&self, number: u32) -> Result<Box<dyn Read + Send>, ArchiveError> {
        let Some(name) = self.made(number) else {
            return self.maker.source.open(number);
        };
        let made = MadeLayer::open(self.maker.clone(), name).map_err(|failure| match failure {
            Failure::Host(error) => error,
            failure => ArchiveError::Made {
                layer: name.to_owned(),
                source: self.maker.blame(failure).into(),
            },
        })?;
        Ok(Box::new(made))
    }

    fn name(&self, number: u32) -> String {
        match self.made(number) {
            Some(name) => format!("{name} (made by plugin `{}`)", self.maker.plugin),
            None => self.maker.source.name(number),
        }
    }
}

impl std::fmt::Debug for WithMadeLayers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("WithMadeLayers")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl Maker {
    fn blame(&self, failure: Failure) -> PluginError {
        PluginError::new(&self.plugin, self.version.as_deref(), failure)
    }
}

/// A layer while it is made.
struct MadeLayer {
    maker: Maker,
    running: Running,
    ready: Vec<u8>,
    taken: usize,
    ended: bool,
}

impl MadeLayer {
    fn open(maker: Maker, name: &str) -> Result<Self, Failure> {
        let source = Arc::clone(&maker.source);
        let call_context = CallContext {
            plugin: &maker.plugin,
            progress: &maker.progress,
            cancel: &maker.cancel,
        };
        let mut running = maker
            .component
            .start(&call_context, |guest| guest.source = Some(source))?;
        let opened = running.call("open", async |exports| {
            let layers = exports.layers()?;
            layers.call_open(&mut *exports.store, name).await
        })?;
        let mut made = Self {
            maker,
            running,
            ready: Vec::new(),
            taken: 0,
            ended: false,
        };
        made.checked(opened)?;
        Ok(made)
    }

    fn next(&mut self) -> Result<Vec<u8>, Failure> {
        let answer = self.running.call_on("next", async |exports| {
            let layers = exports.layers()?;
            layers.call_next(&mut *exports.store, CHUNK).await
        })?;
        let bytes = self.checked(answer)?;
        if bytes.len() > CHUNK as usize {
            return Err(Failure::Answer(format!(
                "it gave {} bytes of a layer where {CHUNK} were asked for",
                bytes.len()
            )));
        }
        let meter = &mut self.running.guest().meter;
        meter.add_made(bytes.len()).map_err(Failure::Stopped)?;
        Ok(bytes)
    }

    /// Prefers what has failed in the host over the guest's words about it.
    fn checked<T>(
        &mut self,
        answer: Result<T, super::bindings::msb::plugin::types::Error>,
    ) -> Result<T, Failure> {
        let guest = self.running.guest();
        if let Some(failure) = guest.failure.take() {
            return Err(Failure::Host(failure));
        }
        let passed = guest.passed.take();
        answer.map_err(|error| match passed {
            Some(passed) => Failure::Host(passed),
            None => Failure::Refused(error.into()),
        })
    }
}

impl Read for MadeLayer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.taken == self.ready.len() {
            if self.ended {
                return Ok(0);
            }
            // Whatever comes of it, this instance is asked no more after an end or an error.
            self.ended = true;
            self.taken = 0;
            self.ready.clear();
            self.ready = self
                .next()
                .map_err(|failure| io::Error::other(self.maker.blame(failure)))?;
            self.ended = self.ready.is_empty();
        }
        let rest = self.ready.get(self.taken..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.taken += length;
        Ok(length)
    }
}

#[cfg(test)]
#[path = "generated_tests.rs"]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
