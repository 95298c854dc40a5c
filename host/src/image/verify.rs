//! `image verify`: whether the store still holds what was put into it.
//!
//! Owns the list of what belongs to an image, and what is done about a part that is damaged. How each
//! part is checked is in the modules below.

mod catalogue;
mod documents;
mod layer_files;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::list::NO_REFERENCE;
use super::merge_error::MergeError;
use super::merged::Layered;
use super::verified::{Damage, VerifiedImage, VerifyReport};
use crate::cancel::Cancel;
use crate::context::Context;
use crate::digest::Digest;
use crate::home::Home;
use crate::limits::Limits;
use crate::progress::{Event, LayerNumber, Progress};
use crate::reference::Reference;
use crate::store::{ImageRecord, LayerKey, Store, StoreError};

/// How to verify.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Remove damaged files, which the next load restores, and rebuild a damaged or lost
    /// catalogue.
    pub repair: bool,
    /// Remove damaged layers even if sandboxes use them.
    pub force: bool,
}

/// Checks the images that `selectors` name, or all of them and the catalogue where there are none,
/// in the store of a home.
///
/// # Errors
/// An image that is not there, and without [`VerifyOptions::repair`] a catalogue that cannot be
/// opened. What else is damaged is in the report.
pub fn verify(
    home: &Home,
    selectors: &[String],
    options: VerifyOptions,
    limits: &Limits,
    context: &Context,
) -> Result<VerifyReport, StoreError> {
    let Context { progress, cancel } = context;
    let mut report = VerifyReport::default();
    let store = if options.repair {
        let (store, restored) = Store::open_and_restore(home, progress.as_ref(), cancel)?;
        if let Some((error, restored)) = restored {
            let what = match error {
                StoreError::DamagedCatalogue { what, .. } => what,
                error => error.to_string(),
            };
            report
                .store
                .extend(catalogue::of_restored(&store, vec![what], &restored));
        }
        store
    } else {
        Store::open(home)?
    };
    if selectors.is_empty() && report.store.is_empty() {
        report.store = catalogue::check(&store, options, progress, cancel)?;
    }
    // The layers are pinned while nothing is removed; then a prune need not wait for all of them.
    let lease = store.lease(progress.as_ref(), cancel)?;
    let images = select(&store, selectors)?;
    let layers = images.iter().flat_map(|(image, _)| &image.layers);
    let diff_ids: BTreeSet<&Digest> = layers.map(|layer| &layer.key.diff_id).collect();
    let _pins = store.pin_layers(diff_ids, progress.as_ref(), cancel)?;
    drop(lease);
    let check = Check {
        store: &store,
        options,
        limits,
        context,
        progress,
        cancel,
    };
    check.images(&images, &mut report)?;
    Ok(report)
}

/// Finds the images, each once.
fn select(
    store: &Store,
    selectors: &[String],
) -> Result<Vec<(ImageRecord, Option<Reference>)>, StoreError> {
    if selectors.is_empty() {
        let images = store.images()?.into_iter();
        return Ok(images.map(|image| (image, None)).collect());
    }
    let mut known = BTreeSet::new();
    let mut images = Vec::new();
    for selector in selectors {
        let found = store.find(selector)?;
        if known.insert(found.image.digest.clone()) {
            images.push((found.image, found.reference));
        }
    }
    Ok(images)
}

struct Check<'a> {
    store: &'a Store,
    options: VerifyOptions,
    limits: &'a Limits,
    context: &'a Context,
    progress: &'a Arc<dyn Progress>,
    cancel: &'a Cancel,
}

impl Check<'_> {
    /// Checks images, each layer of them once.
    fn images(
        &self,
        images: &[(ImageRecord, Option<Reference>)],
        report: &mut VerifyReport,
    ) -> Result<(), StoreError> {
        let mut wanted: BTreeMap<&LayerKey, Vec<&Digest>> = BTreeMap::new();
        for (image, _) in images {
            for layer in &image.layers {
                wanted.entry(&layer.key).or_default().push(&image.digest);
            }
        }
        self.progress.report(Event::Layers(wanted.len()));
        let mut layers = BTreeMap::new();
        for (number, (key, images)) in wanted.into_iter().enumerate() {
            self.cancel.check()?;
            let (damage, bytes) = self.layer(key, &images, LayerNumber(number))?;
            report.layers += 1;
            report.bytes = report.bytes.saturating_add(bytes);
            layers.insert(key, damage);
        }
        for (image, reference) in images {
            self.cancel.check()?;
            // Rows go before files: what was removed meanwhile is not damaged, and nothing is removed
            // while its documents are looked at.
            let lease = self.store.lease(self.progress.as_ref(), self.cancel)?;
            if !self.store.has_image(&image.digest)? {
                continue;
            }
            let mut damage = self.documents(image)?;
            damage.extend(self.names(image)?);
            drop(lease);
            damage.extend(self.merged(image)?);
            let own: BTreeSet<&LayerKey> = image.layers.iter().map(|layer| &layer.key).collect();
            for key in own {
                damage.extend(layers.get(key).into_iter().flatten().cloned());
            }
            let reference = reference.as_ref().or_else(|| image.references.first());
            let mut unproven = Vec::new();
            for layer in &image.layers {
                // What is wrong with a row or a file is told elsewhere.
                let stored = self.store.recorded_layer(&layer.key);
                if matches!(stored, Ok(Some(stored)) if stored.is_adopted()) {
                    unproven.push(layer.key.diff_id.clone());
                }
            }
            report.images.push(VerifiedImage {
                unproven,
                reference: reference.map_or_else(|| NO_REFERENCE.to_owned(), Reference::familiar),
                digest: image.digest.clone(),
                id: image.config_digest.clone(),
                sound: damage.is_empty(),
                damage,
            });
        }
        Ok(())
    }

    /// Checks the merged root filesystem of an image, if there is one.
    fn merged(&self, image: &ImageRecord) -> Result<Vec<Damage>, StoreError> {
        let found = self.store.merged_candidates(&image.digest)?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let selector = image.digest.to_string();
        let layered = match Layered::find(self.store, &selector, self.context) {
            Ok(layered) => layered,
            // What is wrong with the layers is told elsewhere.
            Err(MergeError::MissingLayer { .. } | MergeError::Store(StoreError::NotFound(_))) => {
                return Ok(Vec::new());
            }
            Err(error) => return stopped(&error).map(|_| Vec::new()),
        };
        let mut damage = Vec::new();
        for (path, file) in found {
            let (what, unreadable) = match layered.fault(&path, &file, self.limits, self.cancel) {
                Ok(None) => continue,
                Ok(Some(what)) => (what, false),
                Err(error) => (stopped(&error)?, true),
            };
            let mut found = Damage {
                unreadable,
                ..Damage::of(&path, what)
            };
            if self.options.repair && !unreadable {
                found.in_use_by = self.users(&[&image.digest])?;
                found.dropped = found.in_use_by.is_empty();
                if found.dropped {
                    self.store.drop_merged(&path)?;
                }
            }
            damage.push(found);
        }
        Ok(damage)
    }

    /// Checks one layer of some images, and returns how much of its tar it gave back.
    fn layer(
        &self,
        key: &LayerKey,
        images: &[&Digest],
        number: LayerNumber,
    ) -> Result<(Vec<Damage>, u64), StoreError> {
        let of_row = |what| Damage {
            diff_id: Some(key.diff_id.clone()),
            ..Damage::of(&self.store.catalogue_path(), what)
        };
        let stored = match self.store.recorded_layer(key) {
            Ok(Some(stored)) => stored,
            Ok(None) => {
                let what = format!("nothing is recorded of layer {}", key.diff_id);
                return Ok((vec![of_row(what)], 0));
            }
            Err(StoreError::DamagedCatalogue { what, .. }) => return Ok((vec![of_row(what)], 0)),
            Err(error) => return Err(error),
        };
        self.progress.report(Event::LayerStarted {
            layer: number,
            name: &key.diff_id.to_string(),
            size: Some(stored.facts.tar_size),
        });
        let identity = stored.identity();
        let faults = self.faults(&stored, number)?;
        self.progress.report(Event::LayerFinished {
            layer: number,
            diff_id: &key.diff_id,
            already_present: true,
        });
        // What cannot be read now may be sound, and be read the next time.
        let is_proven = faults.iter().any(|fault| fault.is_proven);
        let mut damage: Vec<Damage> = faults
            .into_iter()
            .map(|fault| Damage {
                diff_id: Some(key.diff_id.clone()),
                unreadable: !fault.is_proven,
                ..Damage::of(fault.file, fault.what)
            })
            .collect();
        if self.options.repair && is_proven {
            let users = self.users(images)?;
            let dropped =
                users.is_empty() && self.store.drop_layer(&stored, identity, self.cancel)?;
            for damage in &mut damage {
                damage.dropped = dropped;
                damage.in_use_by.clone_from(&users);
            }
        }
        Ok((damage, stored.facts.tar_size))
    }

    /// Returns the sandboxes that keep a layer of some images from being dropped.
    fn users(&self, images: &[&Digest]) -> Result<Vec<String>, StoreError> {
        let mut users = BTreeSet::new();
        if !self.options.force {
            for image in images {
                users.extend(self.store.users(image)?);
            }
        }
        Ok(users.into_iter().collect())
    }
}

/// Returns what kept a merged filesystem from being compared, unless the user asked to stop.
fn stopped(error: &MergeError) -> Result<String, StoreError> {
    if let MergeError::Cancelled(cancelled) = error {
        return Err((*cancelled).into());
    }
    let mut what = format!("it cannot be compared: {error}");
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        what = format!("{what}: {source}");
        cause = source;
    }
    Ok(what)
}
