//! From the layers of an archive to staged layers: which ones are needed, several side by side.
//!
//! Owns the order of locks and the division of work. The road of a single layer is
//! [`crate::layer`]'s.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::LoadError;
use crate::archive::{ArchiveError, ArchiveSource, StreamedLayer, StreamedLayers};
use crate::blob::Compression;
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::layer::{self, ConvertOptions, Converted, LayerError};
use crate::limits::Limits;
use crate::progress::{Event, LayerNumber, Progress};
use crate::store::{LayerFacts, StagedLayer, Staging};

/// What is known of a layer's bytes as they stand in an archive.
#[derive(Clone, Debug)]
pub(super) struct BlobFacts {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) compression: Compression,
}

/// A layer that was converted and not published yet.
#[derive(Debug)]
pub(super) struct ConvertedLayer {
    pub(super) staged: StagedLayer,
    pub(super) facts: LayerFacts,
    pub(super) blob: BlobFacts,
}

/// A layer that has to be converted.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) entry: u32,
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) diff_id: Digest,
    pub(super) blob: Option<(Digest, Option<u64>)>,
}

/// What conversions of one operation have in common.
#[derive(Clone)]
pub(super) struct Workshop<'a> {
    pub(super) staging: &'a Staging,
    pub(super) limits: &'a Limits,
    pub(super) progress: &'a Arc<dyn Progress>,
    pub(super) cancel: &'a Cancel,
}

impl Workshop<'_> {
    /// Converts the layers of an archive that can be read at any place, as many at a time as
    /// there are processors. The first failure ends the others.
    pub(super) fn convert_all(
        &self,
        source: &Arc<dyn ArchiveSource>,
        jobs: &[Job],
    ) -> Result<BTreeMap<Digest, ConvertedLayer>, LoadError> {
        let workers = std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(jobs.len());
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Ok(BTreeMap::new()));
        let cancel = self.cancel.child();
        let workshop = Workshop {
            cancel: &cancel,
            ..self.clone()
        };
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(job) = jobs.get(index).filter(|_| !cancel.is_cancelled()) else {
                    return;
                };
                let result = workshop.convert_job(source, job, LayerNumber(index));
                let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                match (result, &mut *done) {
                    (Ok(layer), Ok(layers)) => {
                        layers.insert(job.diff_id.clone(), layer);
                    }
                    (Err(error), Ok(_)) => {
                        *done = Err(error);
                        cancel.cancel();
                    }
                    (_, Err(_)) => {}
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..workers {
                scope.spawn(work);
            }
            work();
        });
        self.cancel.check()?;
        done.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn convert_job(
        &self,
        source: &Arc<dyn ArchiveSource>,
        job: &Job,
        number: LayerNumber,
    ) -> Result<ConvertedLayer, LoadError> {
        let input = source.open(job.entry)?;
        self.progress.report(Event::LayerStarted {
            layer: number,
            name: &job.name,
            size: Some(job.size),
        });
        let layer = self
            .convert(input, number, job.blob.clone(), Some(job.diff_id.clone()))
            .map_err(|error| match error {
                ConvertError::Store(error) => LoadError::Archive(error),
                ConvertError::Layer(source) => named(&job.name, source),
            })?;
        self.progress.report(Event::LayerFinished {
            layer: number,
            diff_id: &layer.facts.diff_id,
            already_present: false,
        });
        Ok(layer)
    }

    /// Sends one layer down the road, into files of the staging directory.
    fn convert(
        &self,
        input: impl Read + Send,
        number: LayerNumber,
        expected_blob: Option<(Digest, Option<u64>)>,
        expected_diff_id: Option<Digest>,
    ) -> Result<ConvertedLayer, ConvertError> {
        let staged = self
            .staging
            .create_layer()
            .map_err(|error| ConvertError::Store(error.into()))?;
        let (erofs, recipe) = staged
            .files()
            .map_err(|error| ConvertError::Store(error.into()))?;
        let progress = self.progress;
        let advanced = |bytes| {
            progress.report(Event::LayerAdvanced {
                layer: number,
                bytes,
            });
        };
        let options = ConvertOptions {
            limits: self.limits,
            cancel: self.cancel,
            advanced: &advanced,
            expected_blob,
            expected_diff_id,
        };
        let converted =
            layer::convert(input, erofs, recipe, &options).map_err(ConvertError::Layer)?;
        for notice in &converted.notices {
            progress.report(Event::Notice(notice));
        }
        Ok(converted_layer(staged, converted))
    }
}

enum ConvertError {
    Store(ArchiveError),
    Layer(LayerError),
}

fn converted_layer(staged: StagedLayer, converted: Converted) -> ConvertedLayer {
    ConvertedLayer {
        staged,
        facts: LayerFacts {
            diff_id: converted.diff_id,
            tar_size: converted.tar_size,
            entries: converted.entries,
        },
        blob: BlobFacts {
            digest: converted.blob_digest,
            size: converted.blob_size,
            compression: converted.compression,
        },
    }
}

/// Gives an error of the layer road the layer's name, and the two digests that users look for a
/// variant of their own.
pub(super) fn named(name: &str, error: LayerError) -> LoadError {
    let name = name.to_owned();
    match error {
        LayerError::BlobDigest { expected, actual } => LoadError::LayerDigest {
            name,
            stated: expected,
            actual,
        },
        LayerError::DiffId { expected, actual } => LoadError::DiffId {
            name,
            stated: expected,
            actual,
        },
        LayerError::Cancelled(cancelled) => cancelled.into(),
        source => LoadError::Layer { name, source },
    }
}

/// Takes layers off a pipe as they pass. Which of them an image uses is known only at the end.
pub(super) struct PipeLayers<'a> {
    workshop: Workshop<'a>,
    taken: HashMap<u32, Result<ConvertedLayer, LayerError>>,
}

impl<'a> PipeLayers<'a> {
    pub(super) fn new(workshop: Workshop<'a>) -> Self {
        Self {
            workshop,
            taken: HashMap::new(),
        }
    }

    /// Returns what became of each entry that looked like a layer.
    pub(super) fn into_taken(self) -> HashMap<u32, Result<ConvertedLayer, LayerError>> {
        self.taken
    }
}

impl StreamedLayers for PipeLayers<'_> {
    fn layer(
        &mut self,
        entry: u32,
        name: &str,
        size: u64,
        bytes: &mut (dyn Read + Send),
    ) -> Result<Option<StreamedLayer>, ArchiveError> {
        let number = LayerNumber(self.taken.len());
        let progress = self.workshop.progress;
        progress.report(Event::LayerStarted {
            layer: number,
            name,
            size: Some(size),
        });
        match self.workshop.convert(bytes, number, None, None) {
            Ok(layer) => {
                progress.report(Event::LayerFinished {
                    layer: number,
                    diff_id: &layer.facts.diff_id,
                    already_present: false,
                });
                let digest = layer.blob.digest.clone();
                self.taken.insert(entry, Ok(layer));
                Ok(Some(StreamedLayer { digest }))
            }
            Err(ConvertError::Store(error)) => Err(error),
            Err(ConvertError::Layer(LayerError::Cancelled(cancelled))) => Err(cancelled.into()),
            Err(ConvertError::Layer(source)) if source.is_output() => Err(ArchiveError::Convert {
                path: name.to_owned(),
                source,
            }),
            // It only looked like a layer, or it is a broken one: that matters once an image
            // turns out to use it.
            Err(ConvertError::Layer(error)) => {
                self.taken.insert(entry, Err(error));
                Ok(None)
            }
        }
    }
}
