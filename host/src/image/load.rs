//! `load`: images out of an archive into the store.
//!
//! Owns the order of things: look at the archive, ask the plugins what is in it, pick the images
//! that suit, convert what the store does not have, and only then make anything visible. What is
//! wrong with one image keeps none of the others.

mod compose;
mod indexes;
mod layers;
mod planned;

use std::sync::Arc;

use self::compose::Composer;
use self::indexes::Indexes;
use self::layers::Layers;
use super::convert::{ConvertContext, named};
use super::pipe::PipeLayers;
use super::placement::Placement;
use super::select::{SelectedImage, select};
use super::{ImageError, budget, name};
use crate::archive::Input;
use crate::cancel::Cancel;
use crate::context::Context;
use crate::digest::Digest;
use crate::layer::LayerError;
use crate::limits::{Budget, Limits};
use crate::platform::Platform;
use crate::plugin::Formats;
use crate::progress::{Event, Progress, few_notices};
use crate::reference::Reference;
use crate::store::{LayerFacts, LayerKey, MovedReference, NewImage, StagedLayer, Store};

/// How to load.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// References for the first image, in addition to those in the archive.
    pub tags: Vec<Reference>,
    /// The platform to pick; the host's where none is given.
    pub platform: Option<Platform>,
    /// What an archive may cost.
    pub limits: Limits,
    /// Bytes of disk that all images may take together. The least used go to keep to it.
    pub max_bytes: Option<u64>,
}

/// What was loaded.
#[derive(Debug)]
pub struct LoadReport {
    /// The images in the order of the archive.
    pub images: Vec<LoadedImage>,
    /// Images whose layers are not in order. Nothing of them is in the store. What is wrong with the
    /// only image of an archive is the error of the load instead.
    pub failed: Vec<FailedImage>,
}

/// An image that could not be loaded with the others.
#[derive(Debug)]
pub struct FailedImage {
    /// The references that it has in the archive.
    pub references: Vec<Reference>,
    /// The digest of its configuration.
    pub config_digest: Digest,
    /// Why: [`ImageError::Image`], which names it.
    pub error: ImageError,
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
/// checked. Images whose layers are not in order are left out and [reported](LoadReport::failed). When
/// the user asks to stop while images are being recorded, those that are stay.
///
/// # Errors
/// The archive as such cannot be read to its end, it has no image for the platform, the only one is
/// not in order, or the store cannot take them. Then nothing was loaded.
pub fn load(
    store: &Store,
    formats: &Formats,
    input: Input,
    options: &LoadOptions,
    context: &Context,
) -> Result<LoadReport, ImageError> {
    let Context { progress, cancel } = context;
    if let Some(tag) = options.tags.iter().find(|tag| tag.digest().is_some()) {
        return Err(ImageError::DigestAsTag {
            tag: Box::new(tag.clone()),
        });
    }
    let progress = &few_notices(progress);
    // Before all that pins layers, and so dropped after it.
    let mut published = Published::of(store);
    let staging = store.staging(cancel)?;
    let budget = Budget::new(&options.limits);
    let context = ConvertContext {
        staging: &staging,
        limits: &options.limits,
        budget: &budget,
        progress,
        cancel,
    };
    let mut passed = PipeLayers::new(context.clone(), formats);
    progress.report(Event::Phase("Reading archive"));
    let source = input.read(&mut passed, &options.limits, &budget, cancel)?;
    if let Some(outside) = source.index().outside() {
        let notice = format!("skipped `{outside}`, which leads outside of the archive");
        progress.report(Event::Notice(&notice));
    }
    let (plan, source) = formats.read(&source, progress, cancel)?;
    for notice in &plan.notices {
        progress.report(Event::Notice(notice));
    }
    let mut documents = budget.account();
    let indexes = Indexes::read(&source, &plan.indexes, &context, &mut documents)?;
    let images = select(
        &source,
        plan.images,
        options,
        progress,
        &mut documents,
        cancel,
    )?;
    let mut layers = Layers::new(Arc::clone(&source), context.clone(), passed.into_taken());
    // The locks are kept until the images are recorded: a process that waits for a layer finds it whole.
    let wanted = images.iter().flat_map(|image| &image.config.diff_ids);
    let locks = context.lock_missing(store, wanted)?;
    layers.convert(&images, &locks)?;
    let failures: Vec<_> = images
        .iter()
        .map(|image| layers.failure(image, &locks))
        .collect();
    let (made, blobs) = layers.into_made();
    let composer = Composer {
        store,
        source,
        placement: Placement::new(store, context, made),
        blobs,
        indexes,
    };
    let loaded = Loaded::compose(composer, images, failures, cancel)?;
    progress.report(Event::Phase("Writing store"));
    let report = loaded.record(&mut published, options, progress.as_ref(), cancel)?;
    published.keep();
    Ok(report)
}

/// The images of an archive as far as they are in order, and the others.
struct Loaded {
    images: Vec<SelectedImage>,
    new: Vec<NewImage>,
    layers: Vec<(StagedLayer, LayerFacts)>,
    failed: Vec<FailedImage>,
    /// The first image of the archive is among those in order.
    has_first: bool,
}

impl Loaded {
    /// Puts the images together.
    ///
    /// # Errors
    /// What ends the load, and what the only image has failed of.
    fn compose(
        mut composer: Composer<'_>,
        images: Vec<SelectedImage>,
        failures: Vec<Option<Arc<ImageError>>>,
        cancel: &Cancel,
    ) -> Result<Self, ImageError> {
        let is_only_one = images.len() == 1;
        let mut loaded = Self {
            images: Vec::new(),
            new: Vec::new(),
            layers: Vec::new(),
            failed: Vec::new(),
            has_first: failures.first().is_some_and(Option::is_none),
        };
        for (number, (image, failure)) in images.into_iter().zip(failures).enumerate() {
            cancel.check()?;
            let error = match failure {
                Some(error) => error,
                None => match composer.compose(&image) {
                    Ok(new) => {
                        loaded.new.push(new);
                        loaded.images.push(image);
                        continue;
                    }
                    Err(error) if error.ends_all() => return Err(error),
                    Err(error) => Arc::new(error),
                },
            };
            loaded.has_first &= number > 0;
            loaded.failed.push(FailedImage::new(image, error));
        }
        match loaded.failed.pop() {
            Some(failed) if is_only_one => return Err(failed.into_error()),
            failed => loaded.failed.extend(failed),
        }
        loaded.layers = composer.placement.into_new();
        Ok(loaded)
    }

    /// Makes the images visible under their names.
    fn record(
        self,
        published: &mut Published<'_>,
        options: &LoadOptions,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<LoadReport, ImageError> {
        let store = published.store;
        let Self {
            mut images,
            new,
            layers,
            failed,
            has_first,
        } = self;
        let tags: &[Reference] = if has_first { &options.tags } else { &[] };
        name::settle(&mut images, tags, progress);
        for (image, new) in images.iter_mut().zip(&new) {
            name::keep_proven(store, image, new, progress)?;
        }
        let present = layers.is_empty();
        let all: Vec<&NewImage> = new.iter().collect();
        budget::keep(store, options.max_bytes, &layers, &all, progress, cancel)?;
        store.publish_unless(&layers, false, cancel)?;
        published.layers = layers.into_iter().map(|(_, facts)| facts.key).collect();
        let references = images.iter().map(|image| image.references.as_slice());
        let recorded = store.record_all(new.iter().zip(references), cancel)?;
        let loaded = images.into_iter().zip(new).zip(recorded);
        let images = loaded.map(|((image, new), recorded)| LoadedImage {
            references: image.references,
            manifest_digest: new.manifest_digest,
            config_digest: new.config_digest,
            platform: new.platform,
            already_present: present && recorded.already_present,
            moved: recorded.moved,
        });
        Ok(LoadReport {
            images: images.collect(),
            failed,
        })
    }
}

/// The layers that a load has published. They are withdrawn again, as far as no image needs them,
/// unless the load succeeds.
struct Published<'a> {
    store: &'a Store,
    layers: Vec<LayerKey>,
}

impl<'a> Published<'a> {
    fn of(store: &'a Store) -> Self {
        Self {
            store,
            layers: Vec::new(),
        }
    }

    fn keep(mut self) {
        self.layers.clear();
    }
}

impl Drop for Published<'_> {
    fn drop(&mut self) {
        if !self.layers.is_empty() {
            // Where that fails, the next prune does it.
            let _ = self.store.withdraw(&self.layers);
        }
    }
}

impl FailedImage {
    fn new(image: SelectedImage, error: Arc<ImageError>) -> Self {
        let SelectedImage {
            references, config, ..
        } = image;
        let name = references.first().map(Reference::familiar);
        Self {
            error: ImageError::Image {
                image: name.unwrap_or_else(|| config.digest.short().to_owned()),
                source: error,
            },
            references,
            config_digest: config.digest,
        }
    }

    /// Returns the error of an image that is the only one.
    fn into_error(self) -> ImageError {
        match self.error {
            ImageError::Image { image, source } => {
                Arc::try_unwrap(source).unwrap_or_else(|source| ImageError::Image { image, source })
            }
            error => error,
        }
    }
}

/// Refuses a blob that is shorter or longer than stated.
fn check_size(name: &str, stated: Option<u64>, actual: u64) -> Result<(), ImageError> {
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
