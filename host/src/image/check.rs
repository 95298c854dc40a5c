//! Layers of an archive that the store has already: their blobs are read all the same, since an
//! image that is recorded says of each what it holds.
//!
//! Owns the division of this work. It costs reading, hashing and inflating, and nothing is written.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::ImageError;
use super::convert::{BlobFacts, ConvertContext, LayerSource, named};
use super::plan::LayerJob;
use crate::layer::{self, ConvertOptions};
use crate::progress::{Event, LayerNumber};

impl ConvertContext<'_> {
    /// Checks the blobs of layers, so many at a time, and returns what they are in the order of the
    /// jobs, which are numbered from `first` on.
    ///
    /// # Errors
    /// The first failure that ends the others, as the source says.
    pub(super) fn check_all<S: LayerSource + ?Sized>(
        &self,
        source: &S,
        jobs: &[LayerJob],
        first: usize,
        workers: usize,
    ) -> Result<Vec<Result<BlobFacts, ImageError>>, ImageError> {
        let next = AtomicUsize::new(0);
        let cancel = self.cancel.child();
        let context = ConvertContext {
            cancel: &cancel,
            ..self.clone()
        };
        let found = Mutex::new(BTreeMap::new());
        let failure = Mutex::new(None);
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(job) = jobs.get(index).filter(|_| !cancel.is_cancelled()) else {
                    return;
                };
                match context.check_job(source, job, LayerNumber(first + index)) {
                    Err(error) if source.ends_all(&error) => {
                        let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                        failure.get_or_insert(error);
                        cancel.cancel();
                    }
                    result => {
                        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                        found.insert(index, result);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..workers.min(jobs.len()) {
                scope.spawn(work);
            }
            work();
        });
        self.cancel.check()?;
        if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(found.into_values().collect())
    }

    fn check_job<S: LayerSource + ?Sized>(
        &self,
        source: &S,
        job: &LayerJob,
        number: LayerNumber,
    ) -> Result<BlobFacts, ImageError> {
        let input = source.open(job, number, self.cancel)?;
        self.progress.report(Event::LayerStarted {
            layer: number,
            name: &job.name,
            size: Some(job.size),
        });
        let advanced = |bytes| {
            self.progress.report(Event::LayerAdvanced {
                layer: number,
                bytes,
            });
        };
        let share = self.budget.share();
        let options = ConvertOptions {
            limits: self.limits,
            budget: &share,
            cancel: self.cancel,
            advanced: &advanced,
            expected_blob: job.blob.clone(),
            expected_diff_id: Some(job.diff_id.clone()),
            chain: &|| Ok(None),
        };
        let blob = layer::inspect_blob(input, &options).map_err(|error| {
            share.give_back();
            named(&job.name, error)
        })?;
        self.progress.report(Event::LayerFinished {
            layer: number,
            diff_id: &job.diff_id,
            already_present: true,
        });
        Ok(BlobFacts {
            digest: blob.digest,
            size: blob.size,
            compression: blob.compression,
        })
    }
}
