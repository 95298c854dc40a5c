//! The layers of the images of an archive: each converted once, or checked where the store has it.
//!
//! Owns whose failure it is. An entry that is not what one image says of it takes that image out,
//! and no other: the same contents may be whole in another entry, and the same entry may be what
//! another image says of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::super::ImageError;
use super::super::convert::{BlobFacts, ConvertContext, ConvertedLayer, named, processors};
use super::super::locks::Locks;
use super::super::placement::made_of;
use super::super::plan::{LayerJob, PlanBuilder};
use super::super::select::SelectedImage;
use super::{check_size, contradicts};
use crate::archive::ArchiveSource;
use crate::digest::Digest;
use crate::layer::LayerError;
use crate::plugin::{LayerData, PlannedLayer};
use crate::progress::Event;
use crate::store::LayerKey;

/// What an image says of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Claim {
    entry: u32,
    diff_id: Digest,
    blob: Option<(Digest, Option<u64>)>,
}

/// An entry of a piped archive that was converted as a layer while it was read.
struct ConsumedLayer {
    blob: BlobFacts,
    diff_id: Digest,
    /// Taken by the first image that has a use for it.
    layer: Option<ConvertedLayer>,
}

/// The layers of the images of an archive on their way into the store.
pub(super) struct Layers<'a> {
    source: Arc<dyn ArchiveSource>,
    context: ConvertContext<'a>,
    passed: HashMap<u32, Result<ConsumedLayer, Arc<ImageError>>>,
    made: BTreeMap<LayerKey, ConvertedLayer>,
    blobs: HashMap<u32, BlobFacts>,
    /// What came of looking at an entry.
    looked_at: HashMap<Claim, Result<(), Arc<ImageError>>>,
    /// Contents that could not be converted, from whichever entry.
    failed: HashMap<Digest, Arc<ImageError>>,
}

/// What is to be done at once: layers to convert, and entries to check.
struct Round {
    jobs: PlanBuilder,
    checks: Vec<LayerJob>,
}

impl<'a> Layers<'a> {
    /// Returns the layers of an archive, with what became of those that passed on a pipe.
    pub(super) fn new(
        source: Arc<dyn ArchiveSource>,
        context: ConvertContext<'a>,
        passed: HashMap<u32, Result<ConvertedLayer, LayerError>>,
    ) -> Self {
        let passed = passed.into_iter().map(|(entry, layer)| {
            let passed = match layer {
                Ok(layer) => Ok(ConsumedLayer {
                    blob: layer.blob.clone(),
                    diff_id: layer.facts.key.diff_id.clone(),
                    layer: Some(layer),
                }),
                Err(error) => Err(Arc::new(named(&source.name(entry), error))),
            };
            (entry, passed)
        });
        Self {
            passed: passed.collect(),
            source,
            context,
            made: BTreeMap::new(),
            blobs: HashMap::new(),
            looked_at: HashMap::new(),
            failed: HashMap::new(),
        }
    }

    /// Converts the layers that are locked and checks all others, as far as they are in the archive.
    ///
    /// # Errors
    /// What ends the load of all images. What is wrong with one is told by
    /// [`failure`](Self::failure).
    pub(super) fn convert(
        &mut self,
        images: &[SelectedImage],
        locks: &Locks,
    ) -> Result<(), ImageError> {
        self.take_passed(images, locks);
        let workers = processors();
        let first = self.round(images, locks);
        let had_no_room = self.work(first, workers, images.len() > 1)?;
        // What one image has failed of may be whole in the entry of another one, and what had no
        // room next to others may have it alone.
        let second = self.round(images, locks);
        let workers = if had_no_room { 1 } else { workers };
        self.work(second, workers, false)?;
        Ok(())
    }

    /// Returns what an image has failed of, if it has.
    pub(super) fn failure(&self, image: &SelectedImage, locks: &Locks) -> Option<Arc<ImageError>> {
        if let Some(error) = self.own_failure(image) {
            return Some(error);
        }
        if let Err(error) = self.check_sizes(image) {
            return Some(Arc::new(error));
        }
        let mut diff_ids = image.config.diff_ids.iter();
        let missing = diff_ids.find(|diff_id| self.is_missing(diff_id, locks))?;
        let failed = self.failed.get(missing).cloned();
        Some(failed.unwrap_or_else(|| {
            Arc::new(ImageError::MissingLayer {
                config: image.config.digest.clone(),
                diff_id: missing.clone(),
            })
        }))
    }

    /// Returns the layers that were made, and what is known of the entries that were looked at.
    pub(super) fn into_made(self) -> (BTreeMap<LayerKey, ConvertedLayer>, HashMap<u32, BlobFacts>) {
        (self.made, self.blobs)
    }

    /// Returns what was wrong with an entry that an image has.
    fn own_failure(&self, image: &SelectedImage) -> Option<Arc<ImageError>> {
        image.claims().find_map(|claim| {
            let looked_at = self.looked_at.get(&claim)?;
            looked_at.as_ref().err().cloned()
        })
    }

    /// Checks the lengths that are stated without a digest.
    fn check_sizes(&self, image: &SelectedImage) -> Result<(), ImageError> {
        for layer in image.layers.iter().filter(|it| it.digest.is_none()) {
            if let LayerData::Entry(entry) = layer.data
                && let Some(blob) = self.blobs.get(&entry)
            {
                check_size(&self.source.name(entry), layer.size, blob.size)?;
            }
        }
        Ok(())
    }

    fn is_missing(&self, diff_id: &Digest, locks: &Locks) -> bool {
        locks.has(diff_id) && made_of(&self.made, diff_id).is_none()
    }

    /// Compares what passed on a pipe with what the images say of it.
    fn take_passed(&mut self, images: &[SelectedImage], locks: &Locks) {
        for claim in images.iter().flat_map(SelectedImage::claims) {
            if !self.passed.contains_key(&claim.entry) || self.looked_at.contains_key(&claim) {
                continue;
            }
            let outcome = self.take(&claim, locks);
            self.looked_at.insert(claim, outcome);
        }
    }

    /// Takes an entry that passed on a pipe, if it is what an image says of it.
    fn take(&mut self, claim: &Claim, locks: &Locks) -> Result<(), Arc<ImageError>> {
        let name = self.source.name(claim.entry);
        let passed = match self.passed.get_mut(&claim.entry) {
            Some(Ok(passed)) => passed,
            Some(Err(error)) => return Err(Arc::clone(error)),
            None => return Ok(()),
        };
        passed.check(claim, &name)?;
        // What no image uses is dropped with the staging directory.
        let is_wanted = locks.has(&claim.diff_id) && made_of(&self.made, &claim.diff_id).is_none();
        if passed.diff_id.algorithm() != claim.diff_id.algorithm() {
            // It was hashed before anything said how.
            let of_others =
                || made_of(&self.made, &passed.diff_id).and_then(|key| self.made.get(key));
            let Some(layer) = passed.layer.as_ref().or_else(of_others) else {
                return Ok(());
            };
            let (erofs, recipe) = layer.staged.open().map_err(ImageError::from)?;
            let files = (&erofs, &recipe);
            let again = self
                .context
                .convert_again(files, &claim.diff_id, &name, None)?;
            self.blobs.insert(claim.entry, passed.blob.clone());
            if is_wanted {
                self.made.insert(again.facts.key.clone(), again);
            }
            return Ok(());
        }
        self.blobs.insert(claim.entry, passed.blob.clone());
        if is_wanted && let Some(layer) = passed.layer.take() {
            self.made.insert(layer.facts.key.clone(), layer);
        }
        Ok(())
    }

    /// Returns what is to be done for the images that have not failed.
    fn round(&self, images: &[SelectedImage], locks: &Locks) -> Round {
        let mut round = Round {
            jobs: PlanBuilder::default(),
            checks: Vec::new(),
        };
        let mut planned = HashSet::new();
        for image in images {
            if self.own_failure(image).is_some() {
                continue;
            }
            let mut above = round.jobs.image();
            for (layer, diff_id) in image.layers.iter().zip(&image.config.diff_ids) {
                let claim = Claim::of(layer, diff_id);
                let job = claim.as_ref().map(|claim| self.job(claim));
                // That the store has a layer does not prove what the archive has.
                if let (Some(claim), Some(job)) = (claim, &job)
                    && !self.looked_at.contains_key(&claim)
                    && planned.insert(claim)
                {
                    round.checks.push(job.clone());
                }
                let job = job.filter(|_| self.is_missing(diff_id, locks));
                above = round.jobs.add(&above, diff_id, job);
            }
        }
        round
    }

    /// Does what is to be done. Returns whether a layer had no room and may be tried once more.
    fn work(&mut self, round: Round, workers: usize, again: bool) -> Result<bool, ImageError> {
        let plan = round.jobs.finish();
        let converted: HashSet<Claim> = plan.jobs.iter().map(Claim::of_job).collect();
        let mut checks = round.checks;
        checks.retain(|job| !converted.contains(&Claim::of_job(job)));
        let count = plan.jobs.len();
        if count == 0 && checks.is_empty() {
            return Ok(false);
        }
        let progress = self.context.progress;
        progress.report(Event::Layers(count + checks.len()));
        let made = self.context.convert_all(&self.source, &plan, workers)?;
        let found = self
            .context
            .check_all(&self.source, &checks, count, workers)?;
        let mut had_no_room = false;
        for (job, layer) in plan.jobs.iter().zip(made) {
            let outcome = match layer {
                Err(error) if again && error.is_want_of_room() => {
                    had_no_room = true;
                    continue;
                }
                Ok(layer) => {
                    self.blobs.insert(job.entry, layer.blob.clone());
                    self.made.insert(layer.facts.key.clone(), layer);
                    Ok(())
                }
                Err(error) => {
                    let error = Arc::new(error);
                    self.failed.insert(job.diff_id.clone(), Arc::clone(&error));
                    Err(error)
                }
            };
            self.looked_at.insert(Claim::of_job(job), outcome);
        }
        for (job, blob) in checks.iter().zip(found) {
            let outcome = match blob {
                Err(error) if again && error.is_want_of_room() => {
                    had_no_room = true;
                    continue;
                }
                Ok(blob) => {
                    self.blobs.insert(job.entry, blob);
                    Ok(())
                }
                Err(error) => Err(Arc::new(error)),
            };
            self.looked_at.insert(Claim::of_job(job), outcome);
        }
        Ok(had_no_room)
    }

    fn job(&self, claim: &Claim) -> LayerJob {
        let entry = self.source.index().get(claim.entry);
        LayerJob {
            entry: claim.entry,
            name: self.source.name(claim.entry),
            size: entry.map_or(0, |entry| entry.size),
            diff_id: claim.diff_id.clone(),
            blob: claim.blob.clone(),
            position: None,
        }
    }
}

impl SelectedImage {
    /// Returns what the image says of the entries that have its layers.
    fn claims(&self) -> impl Iterator<Item = Claim> + '_ {
        let layers = self.layers.iter().zip(&self.config.diff_ids);
        layers.filter_map(|(layer, diff_id)| Claim::of(layer, diff_id))
    }
}

impl Claim {
    fn of(layer: &PlannedLayer, diff_id: &Digest) -> Option<Self> {
        let LayerData::Entry(entry) = layer.data else {
            return None;
        };
        Some(Self {
            entry,
            diff_id: diff_id.clone(),
            blob: layer.digest.clone().map(|digest| (digest, layer.size)),
        })
    }

    fn of_job(job: &LayerJob) -> Self {
        Self {
            entry: job.entry,
            diff_id: job.diff_id.clone(),
            blob: job.blob.clone(),
        }
    }
}

impl ConsumedLayer {
    /// Refuses an entry that is not what an image says of it, as far as that is known by the hash functions
    /// that it passed.
    fn check(&self, claim: &Claim, name: &str) -> Result<(), ImageError> {
        if let Some((stated, size)) = &claim.blob {
            if contradicts(&self.blob.digest, stated) {
                return Err(ImageError::LayerDigest {
                    name: name.to_owned(),
                    stated: stated.clone(),
                    actual: self.blob.digest.clone(),
                });
            }
            check_size(name, *size, self.blob.size)?;
        }
        if contradicts(&self.diff_id, &claim.diff_id) {
            return Err(ImageError::DiffId {
                name: name.to_owned(),
                stated: claim.diff_id.clone(),
                actual: self.diff_id.clone(),
            });
        }
        Ok(())
    }
}
