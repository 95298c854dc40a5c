//! From the layers of an archive to staged layers, several in parallel.
//!
//! Owns the division of work, and who waits for whom: a layer is settled when those below it are
//! there. The data path of a single layer is [`crate::layer`]'s.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::ImageError;
use super::finished_layers::FinishedLayers;
use super::plan::{LayerJob, Plan};
use crate::archive::{ArchiveError, ArchiveSource};
use crate::blob::Compression;
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::layer::{self, ChainPosition, ConvertOptions, Converted, LayerError};
use crate::limits::{Budget, Limits};
use crate::progress::{Event, LayerNumber, Progress};
use crate::store::{LayerFacts, LayerKey, StagedLayer, Staging};

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

/// Where the bytes of layers come from.
pub(super) trait LayerSource: Sync {
    /// Returns the blob of a layer.
    fn open<'a>(
        &'a self,
        job: &'a LayerJob,
        number: LayerNumber,
        cancel: &'a Cancel,
    ) -> Result<Box<dyn Read + Send + 'a>, ImageError>;

    /// Asked when a layer could not be made: whether its bytes may be others the next time. Asked
    /// at most once for each layer.
    fn is_worth_another_try(
        &self,
        _job: &LayerJob,
        _number: LayerNumber,
        _error: &ImageError,
    ) -> bool {
        false
    }

    /// Returns whether the other layers need not be made either once one has failed of this.
    fn ends_all(&self, _error: &ImageError) -> bool {
        true
    }
}

impl LayerSource for Arc<dyn ArchiveSource> {
    fn open<'a>(
        &'a self,
        job: &'a LayerJob,
        _number: LayerNumber,
        _cancel: &'a Cancel,
    ) -> Result<Box<dyn Read + Send + 'a>, ImageError> {
        Ok(Box::new(self.as_ref().open(job.entry)?))
    }

    /// The layers of an archive may be those of several images.
    fn ends_all(&self, error: &ImageError) -> bool {
        error.ends_all()
    }
}

/// Returns how many layers of an archive are converted at once.
pub(super) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What all conversions of one operation share.
#[derive(Clone)]
pub(super) struct ConvertContext<'a> {
    pub(super) staging: &'a Staging,
    pub(super) limits: &'a Limits,
    pub(super) budget: &'a Budget,
    pub(super) progress: &'a Arc<dyn Progress>,
    pub(super) cancel: &'a Cancel,
}

impl ConvertContext<'_> {
    /// Converts layers, so many at a time, and returns what became of them in the order of the jobs.
    ///
    /// # Errors
    /// The first failure that ends the others, as the source says.
    pub(super) fn convert_all<S: LayerSource + ?Sized>(
        &self,
        source: &S,
        plan: &Plan,
        workers: usize,
    ) -> Result<Vec<Result<ConvertedLayer, ImageError>>, ImageError> {
        let jobs = &plan.jobs;
        let workers = workers.min(jobs.len());
        let next = AtomicUsize::new(0);
        let finished = FinishedLayers::new(plan, self.budget);
        let failure = Mutex::new(None);
        let cancel = self.cancel.child();
        let context = ConvertContext {
            cancel: &cancel,
            ..self.clone()
        };
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(job) = jobs.get(index).filter(|_| !cancel.is_cancelled()) else {
                    return;
                };
                let number = LayerNumber(index);
                let mut result = context.convert_job(source, job, number, &finished);
                if let Err(error) = &result
                    && !cancel.is_cancelled()
                    // The source is asked in any case: it may make room as well.
                    && (source.is_worth_another_try(job, number, error)
                        | (error.is_full() && self.staging.make_room()))
                {
                    result = context.convert_job(source, job, number, &finished);
                }
                match result {
                    Err(error) if source.ends_all(&error) => {
                        let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                        failure.get_or_insert(error);
                        cancel.cancel();
                        finished.wake();
                    }
                    result => finished.insert(index, result),
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
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(finished.into_ordered()),
        }
    }

    fn convert_job<S: LayerSource + ?Sized>(
        &self,
        source: &S,
        job: &LayerJob,
        number: LayerNumber,
        finished: &FinishedLayers<'_>,
    ) -> Result<ConvertedLayer, ImageError> {
        let input = source.open(job, number, self.cancel)?;
        self.progress.report(Event::LayerStarted {
            layer: number,
            name: &job.name,
            size: Some(job.size),
        });
        let chain = || match &job.position {
            Some(position) => finished.chain(position, self.cancel),
            None => Ok(None),
        };
        let request = ConvertRequest {
            number: Some(number),
            blob: job.blob.clone(),
            diff_id: Some(job.diff_id.clone()),
            chain: &chain,
        };
        let layer = self
            .convert(input, request)
            .map_err(|error| error.of_layer(&job.name))?;
        self.progress.report(Event::LayerFinished {
            layer: number,
            diff_id: &layer.facts.key.diff_id,
            already_present: false,
        });
        Ok(layer)
    }

    /// Rebuilds the tar of a layer and converts it once more, over known layers or by another `diff_id`.
    pub(super) fn convert_again(
        &self,
        (erofs, recipe): (&File, &File),
        diff_id: &Digest,
        name: &str,
        chain: Option<&ChainPosition>,
    ) -> Result<ConvertedLayer, ImageError> {
        let pipe = std::io::pipe().map_err(|error| named(name, LayerError::Read(error)));
        let (reader, mut writer) = pipe?;
        let chain = || Ok(chain.cloned());
        let request = ConvertRequest {
            number: None,
            blob: None,
            diff_id: Some(diff_id.clone()),
            chain: &chain,
        };
        std::thread::scope(|scope| {
            let (cancel, algorithm) = (self.cancel, diff_id.algorithm());
            let rebuilding =
                scope.spawn(move || layer::rebuild(erofs, recipe, algorithm, &mut writer, cancel));
            let converted = self.convert(reader, request);
            let rebuilt = rebuilding
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            match rebuilt {
                // The other end of the pipe has failed, and knows why.
                Ok(_) | Err(LayerError::Output(_)) => {
                    converted.map_err(|error| error.of_layer(name))
                }
                Err(error) => Err(named(name, error)),
            }
        })
    }

    /// Sends one layer through the data path, into files of the staging directory.
    pub(super) fn convert(
        &self,
        input: impl Read + Send,
        request: ConvertRequest<'_>,
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
            if let Some(layer) = request.number {
                progress.report(Event::LayerAdvanced { layer, bytes });
            }
        };
        let share = self.budget.share();
        let options = ConvertOptions {
            limits: self.limits,
            budget: &share,
            cancel: self.cancel,
            advanced: &advanced,
            expected_blob: request.blob,
            expected_diff_id: request.diff_id,
            chain: request.chain,
        };
        let converted = layer::convert(input, erofs, recipe, &options).map_err(|error| {
            // Nothing of it stays.
            share.give_back();
            // What is read back here is what was written here.
            if error.is_output() || matches!(error, LayerError::Image { .. }) {
                ConvertError::Output(staged.path().to_owned(), error)
            } else {
                ConvertError::Layer(error)
            }
        })?;
        for notice in &converted.notices {
            progress.report(Event::Notice(notice));
        }
        Ok(converted_layer(staged, converted))
    }
}

/// What one conversion is to make.
pub(super) struct ConvertRequest<'a> {
    /// Its number among the layers whose progress is reported; `None` when it is not.
    pub(super) number: Option<LayerNumber>,
    pub(super) blob: Option<(Digest, Option<u64>)>,
    pub(super) diff_id: Option<Digest>,
    pub(super) chain: &'a (dyn Fn() -> Result<Option<ChainPosition>, LayerError> + Sync),
}

/// Why a layer was not converted.
pub(super) enum ConvertError {
    /// The staging directory cannot be used.
    Store(ArchiveError),
    /// The directory where it is made cannot take it.
    Output(PathBuf, LayerError),
    Layer(LayerError),
}

impl ConvertError {
    fn of_layer(self, name: &str) -> ImageError {
        match self {
            Self::Store(error) => ImageError::Archive(error),
            Self::Output(path, source) => ImageError::Write {
                name: name.to_owned(),
                path,
                source,
            },
            Self::Layer(error) => named(name, error),
        }
    }
}

fn converted_layer(staged: StagedLayer, converted: Converted) -> ConvertedLayer {
    ConvertedLayer {
        staged,
        facts: LayerFacts {
            key: LayerKey {
                diff_id: converted.diff_id,
                chain: converted.chain,
            },
            tar_size: converted.tar_size,
            entries: converted.entries,
            dependence: converted.dependence,
            remainder: converted.remainder,
            recipe_digest: converted.recipe_digest,
        },
        blob: BlobFacts {
            digest: converted.blob_digest,
            size: converted.blob_size,
            compression: converted.compression,
        },
    }
}

/// Adds the layer's name to an error of the data path, and turns the two digests that users look for
/// into variants of their own.
pub(super) fn named(name: &str, error: LayerError) -> ImageError {
    let name = name.to_owned();
    match error {
        LayerError::BlobDigest { expected, actual } => ImageError::LayerDigest {
            name,
            stated: expected,
            actual,
        },
        LayerError::DiffId { expected, actual } => ImageError::DiffId {
            name,
            stated: expected,
            actual,
        },
        LayerError::Cancelled(cancelled) => cancelled.into(),
        source => ImageError::Layer { name, source },
    }
}
