//! `load`: images out of an archive into the store.
//!
//! Owns the order of things: look at the archive, ask the plugins what is in it, pick the images
//! that suit, convert what the store does not have, and only then make anything visible.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::convert::{BlobFacts, ConvertedLayer, Job, Workshop, named, processors};
use super::jobs::Jobs;
use super::locks::Locks;
use super::manifest::{LayerDescriptor, Manifest};
use super::pipe::PipeLayers;
use super::place::{Named, Placement, made_of};
use super::select::{Selected, select};
use super::{LoadError, name, same};
use crate::archive::{ArchiveSource, Input};
use crate::blob::Compression;
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::layer::LayerError;
use crate::limits::{Budget, Limits};
use crate::platform::Platform;
use crate::plugin::{Formats, LayerData, PlannedLayer};
use crate::progress::{Event, Progress, few_notices};
use crate::reference::Reference;
use crate::store::{LayerKey, MovedReference, NewImage, Store};

/// How to load.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// A reference for the first image, beside those in the archive.
    pub tag: Option<Reference>,
    /// The platform to pick; the host's where none is given.
    pub platform: Option<Platform>,
    /// What an archive may cost.
    pub limits: Limits,
}

/// What was loaded.
#[derive(Clone, Debug)]
pub struct LoadReport {
    /// The images in the order of the archive.
    pub images: Vec<LoadedImage>,
}

/// An image that the store now has.
#[derive(Clone, Debug)]
pub struct LoadedImage {
    /// The references that name it now because of this archive.
    pub references: Vec<Reference>,
    /// The digest of its manifest.
    pub manifest_digest: Digest,
    /// The digest of its configuration, which people call the image's ID.
    pub config_digest: Digest,
    /// What it runs on.
    pub platform: Platform,
    /// The store had all of it before.
    pub already_present: bool,
    /// References that named another image before.
    pub moved: Vec<MovedReference>,
}

/// Loads the images of an archive that suit the platform.
///
/// Nothing is visible in the store until every layer of every image has been converted and
/// checked.
pub fn load(
    store: &Store,
    formats: &Formats,
    input: Input,
    options: &LoadOptions,
    progress: &Arc<dyn Progress>,
    cancel: &Cancel,
) -> Result<LoadReport, LoadError> {
    if let Some(tag) = options.tag.as_ref().filter(|tag| tag.digest().is_some()) {
        return Err(LoadError::DigestAsTag {
            tag: Box::new(tag.clone()),
        });
    }
    let progress = &few_notices(progress);
    let staging = store.staging(progress.as_ref(), cancel)?;
    let budget = Budget::new(&options.limits);
    let workshop = Workshop {
        staging: &staging,
        limits: &options.limits,
        budget: &budget,
        progress,
        cancel,
    };
    let mut passed = PipeLayers::new(workshop.clone());
    progress.report(Event::Phase("Reading archive"));
    let source = input.read(&mut passed, &options.limits, &budget, cancel)?;
    if let Some(outside) = source.index().outside() {
        let notice = format!("passed over `{outside}`, which leads outside of the archive");
        progress.report(Event::Notice(&notice));
    }
    let (plan, source) = formats.read(&source, progress, cancel)?;
    for notice in &plan.notices {
        progress.report(Event::Notice(notice));
    }
    let mut documents = budget.account();
    let mut images = select(
        &source,
        plan.images,
        options,
        progress,
        &mut documents,
        cancel,
    )?;
    let mut load = Load {
        source,
        workshop,
        passed: passed.into_taken(),
        blobs: HashMap::new(),
    };
    // The locks are kept until the images are recorded: whoever waits for a layer finds it whole.
    let wanted = images.iter().flat_map(|image| &image.config.diff_ids);
    let locks = load.workshop.lock_missing(store, wanted)?;
    let made = load.convert(&images, &locks)?;
    let mut placement = Placement::new(store, load.workshop.clone(), made);
    let mut new = Vec::with_capacity(images.len());
    for image in &mut images {
        let composed = load.compose(store, image, &mut placement)?;
        name::keep_proven(store, image, &composed, progress.as_ref())?;
        new.push(composed);
    }
    cancel.check()?;
    progress.report(Event::Phase("Writing store"));
    let layers = placement.into_new();
    let present = layers.is_empty();
    store.publish(&layers, false)?;
    let mut report = LoadReport { images: Vec::new() };
    for (image, new) in images.into_iter().zip(new) {
        let recorded = store.record(&new, &image.references)?;
        report.images.push(LoadedImage {
            references: image.references,
            manifest_digest: new.manifest_digest,
            config_digest: new.config_digest,
            platform: new.platform,
            already_present: present && recorded.already_present,
            moved: recorded.moved,
        });
    }
    Ok(report)
}

/// An archive on its way into the store.
struct Load<'a> {
    source: Arc<dyn ArchiveSource>,
    workshop: Workshop<'a>,
    passed: HashMap<u32, Result<ConvertedLayer, LayerError>>,
    blobs: HashMap<u32, BlobFacts>,
}

impl Load<'_> {
    /// Converts the layers that are locked, each once, or takes them from those that passed.
    fn convert(
        &mut self,
        images: &[Selected],
        locks: &Locks,
    ) -> Result<BTreeMap<LayerKey, ConvertedLayer>, LoadError> {
        let mut made = BTreeMap::new();
        let mut jobs = Jobs::default();
        // Which entry was found to have which contents, and which is still to be looked at.
        let mut checked = HashSet::new();
        let mut unchecked = Vec::new();
        for image in images {
            let mut above = jobs.image();
            for (layer, diff_id) in image.layers.iter().zip(&image.config.diff_ids) {
                let job = match layer.data {
                    LayerData::Absent | LayerData::Generated(_) => None,
                    LayerData::Entry(entry) => match self.take_passed(entry, layer, diff_id)? {
                        Some(passed) => {
                            checked.insert((entry, diff_id.clone()));
                            if locks.has(diff_id) {
                                made.insert(passed.facts.key.clone(), passed);
                            }
                            None
                        }
                        None => Some(self.job(entry, layer, diff_id)),
                    },
                };
                unchecked.extend(job.clone());
                let is_missing = locks.has(diff_id) && made_of(&made, diff_id).is_none();
                above = jobs.add(&above, diff_id, job.filter(|_| is_missing));
            }
        }
        // An entry that passed as a layer may serve a second one, whose diff_id differs: that one
        // has failed above. What is left and unlocked is dropped with the staging directory.
        let plan = jobs.into_plan();
        let converted = plan.jobs.iter().map(|job| (job.entry, job.diff_id.clone()));
        checked.extend(converted);
        // What the store has is no reason to believe what the archive has.
        unchecked.retain(|job| checked.insert((job.entry, job.diff_id.clone())));
        let layers = plan.jobs.len() + unchecked.len();
        self.workshop.progress.report(Event::Layers(layers));
        let workers = processors();
        let more = self.workshop.convert_all(&self.source, &plan, workers)?;
        let found = self
            .workshop
            .check_all(&self.source, &unchecked, plan.jobs.len(), workers)?;
        for (job, blob) in unchecked.into_iter().zip(found) {
            self.blobs.insert(job.entry, blob);
        }
        for (job, layer) in plan.jobs.into_iter().zip(more) {
            self.blobs.insert(job.entry, layer.blob.clone());
            made.insert(layer.facts.key.clone(), layer);
        }
        for image in images {
            for diff_id in &image.config.diff_ids {
                if locks.has(diff_id) && made_of(&made, diff_id).is_none() {
                    return Err(LoadError::MissingLayer {
                        config: image.config.digest.clone(),
                        diff_id: diff_id.clone(),
                    });
                }
            }
        }
        Ok(made)
    }

    /// Takes a layer that passed on a pipe, if that entry did.
    fn take_passed(
        &mut self,
        entry: u32,
        layer: &PlannedLayer,
        diff_id: &Digest,
    ) -> Result<Option<ConvertedLayer>, LoadError> {
        let Some(passed) = self.passed.remove(&entry) else {
            return Ok(None);
        };
        let name = self.name(entry);
        let passed = passed.map_err(|error| named(&name, error))?;
        if let Some(stated) = &layer.digest
            && contradicts(&passed.blob.digest, stated)
        {
            return Err(LoadError::LayerDigest {
                name,
                stated: stated.clone(),
                actual: passed.blob.digest,
            });
        }
        check_size(&name, layer.size, passed.blob.size)?;
        if passed.facts.key.diff_id != *diff_id {
            return Err(LoadError::DiffId {
                name,
                stated: diff_id.clone(),
                actual: passed.facts.key.diff_id,
            });
        }
        self.blobs.insert(entry, passed.blob.clone());
        Ok(Some(passed))
    }

    fn job(&self, entry: u32, layer: &PlannedLayer, diff_id: &Digest) -> Job {
        Job {
            entry,
            name: self.name(entry),
            size: self.length(entry),
            diff_id: diff_id.clone(),
            blob: layer.digest.clone().map(|digest| (digest, layer.size)),
            place: None,
        }
    }

    /// Puts together what the store records of an image.
    fn compose(
        &mut self,
        store: &Store,
        image: &Selected,
        placement: &mut Placement<'_>,
    ) -> Result<NewImage, LoadError> {
        let named: Vec<_> = image
            .layers
            .iter()
            .zip(&image.config.diff_ids)
            .map(|(layer, diff_id)| Named {
                diff_id,
                name: match layer.data {
                    LayerData::Entry(entry) => self.name(entry),
                    LayerData::Absent | LayerData::Generated(_) => diff_id.to_string(),
                },
            })
            .collect();
        let keys = placement.place(&named)?;
        let config = &image.config;
        let Some(manifest) = &image.manifest else {
            let manifest = match same::known_manifest(store, config, &image.references)? {
                Some(known) => known,
                None => self.compose_manifest(image, &keys, placement)?,
            };
            let layers = self.with_lengths(image, keys, placement)?;
            return Ok(manifest.record(config, layers));
        };
        for (layer, stated) in image.layers.iter().zip(&manifest.layers) {
            self.check_blob(layer, stated)?;
        }
        let layers = self.with_lengths(image, keys, placement)?;
        let mut new = manifest.clone().record(config, layers);
        new.supersedes = same::composed(store, &config.digest)?;
        Ok(new)
    }

    /// Returns the layers of an image with the lengths that their blobs have here, for manifests that
    /// do not state them.
    fn with_lengths(
        &self,
        image: &Selected,
        keys: Vec<LayerKey>,
        placement: &Placement<'_>,
    ) -> Result<Vec<(LayerKey, u64)>, LoadError> {
        let length = |(layer, key): (&PlannedLayer, LayerKey)| {
            let length = match layer.data {
                LayerData::Entry(entry) => self.length(entry),
                LayerData::Absent | LayerData::Generated(_) => {
                    placement.tar_size(&key)?.unwrap_or_default()
                }
            };
            Ok((key, length))
        };
        image.layers.iter().zip(keys).map(length).collect()
    }

    /// Composes the manifest of an image in an archive without manifests.
    fn compose_manifest(
        &self,
        image: &Selected,
        keys: &[LayerKey],
        placement: &Placement<'_>,
    ) -> Result<Manifest, LoadError> {
        let descriptors = image
            .layers
            .iter()
            .zip(keys)
            .map(|(layer, key)| self.describe_blob(layer, key, placement, image))
            .collect::<Result<_, _>>()?;
        Manifest::compose(&image.config, descriptors).map_err(|source| LoadError::Compose {
            config: image.config.digest.clone(),
            source,
        })
    }

    /// Refuses a layer whose bytes are known and are not those that the manifest names.
    fn check_blob(&self, layer: &PlannedLayer, stated: &LayerDescriptor) -> Result<(), LoadError> {
        let LayerData::Entry(entry) = layer.data else {
            return Ok(());
        };
        if let Some(found) = self.source.index().get(entry) {
            check_size(&self.name(entry), stated.size, found.size)?;
        }
        match self.blobs.get(&entry) {
            Some(blob) if contradicts(&blob.digest, &stated.digest) => {
                Err(LoadError::LayerDigest {
                    name: self.name(entry),
                    stated: stated.digest.clone(),
                    actual: blob.digest.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Returns the descriptor of a layer in an archive without manifests.
    fn describe_blob(
        &self,
        layer: &PlannedLayer,
        key: &LayerKey,
        placement: &Placement<'_>,
        image: &Selected,
    ) -> Result<LayerDescriptor, LoadError> {
        let missing = || LoadError::MissingLayer {
            config: image.config.digest.clone(),
            diff_id: key.diff_id.clone(),
        };
        let blob = match layer.data {
            // Every entry was converted or looked at.
            LayerData::Entry(entry) => self.blobs.get(&entry).cloned().ok_or_else(missing)?,
            LayerData::Absent | LayerData::Generated(_) => BlobFacts {
                digest: key.diff_id.clone(),
                size: placement.tar_size(key)?.ok_or_else(missing)?,
                compression: Compression::None,
            },
        };
        Ok(LayerDescriptor {
            media_type: media_type(blob.compression).to_owned(),
            digest: blob.digest,
            size: Some(blob.size),
            urls: Vec::new(),
        })
    }

    fn length(&self, entry: u32) -> u64 {
        self.source.index().get(entry).map_or(0, |entry| entry.size)
    }

    fn name(&self, entry: u32) -> String {
        self.source.name(entry)
    }
}

/// Refuses a blob that is shorter or longer than stated.
fn check_size(name: &str, stated: Option<u64>, actual: u64) -> Result<(), LoadError> {
    match stated {
        Some(expected) if actual > expected => {
            Err(named(name, LayerError::BlobTooLong { expected }))
        }
        Some(expected) if actual < expected => {
            Err(named(name, LayerError::BlobSize { expected, actual }))
        }
        _ => Ok(()),
    }
}

/// Returns whether a digest shows that bytes are not those of another one. Of two hash functions
/// neither says anything about the other; the `diff_id` is checked in any case.
fn contradicts(actual: &Digest, stated: &Digest) -> bool {
    actual.algorithm() == stated.algorithm() && actual != stated
}

/// Returns the media type of a layer by how it is compressed. Source: OCI image-spec, `layer.md`.
fn media_type(compression: Compression) -> &'static str {
    match compression {
        Compression::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
        Compression::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        // The specification has no types for these two; a name that says so harms nobody.
        Compression::Bzip2 => "application/vnd.oci.image.layer.v1.tar+bzip2",
        Compression::Xz => "application/vnd.oci.image.layer.v1.tar+xz",
        Compression::None => "application/vnd.oci.image.layer.v1.tar",
    }
}
