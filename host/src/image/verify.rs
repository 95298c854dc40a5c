//! `image verify`: whether the store still holds what was put into it.
//!
//! Owns the list of what belongs to an image, and what is done about a part that is damaged. The
//! check of a layer to the last bit is [`crate::layer`]'s.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::document;
use super::list::NO_REFERENCE;
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::layer::{self, Known, LayerError};
use crate::progress::{Event, LayerNumber, Progress};
use crate::reference::Reference;
use crate::store::{ImageRecord, LayerKey, Store, StoreError, StoredLayer};

/// How to verify.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Drop what is damaged, so that the next load makes it anew.
    pub repair: bool,
}

/// What was found. Its JSON form is part of the command line's contract.
#[derive(Clone, Debug, Default, Serialize)]
pub struct VerifyReport {
    /// The images that were looked at.
    pub images: Vec<VerifiedImage>,
    /// What is wrong with the store as a whole.
    pub store: Vec<Damage>,
    /// How many layers were looked at; images share them.
    pub layers: usize,
    /// How many bytes of tar they gave back.
    pub bytes: u64,
}

/// An image that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct VerifiedImage {
    /// The reference by which it was found, or else its first one, or `<none>`.
    pub reference: String,
    /// The digest of its manifest.
    pub digest: Digest,
    /// The digest of its configuration.
    pub id: Digest,
    /// Nothing is wrong with it.
    pub sound: bool,
    /// What is.
    pub damage: Vec<Damage>,
}

/// A part of the store that is damaged.
#[derive(Clone, Debug, Serialize)]
pub struct Damage {
    /// The file.
    #[serde(serialize_with = "lossy")]
    pub file: PathBuf,
    /// The layer that it belongs to, if it belongs to one.
    pub diff_id: Option<Digest>,
    /// What is wrong with it.
    pub what: String,
    /// It was dropped.
    pub dropped: bool,
}

impl VerifyReport {
    /// Returns whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.store.is_empty() && self.images.iter().all(|image| image.sound)
    }
}

/// Checks the images that `selectors` name, or all of them and the catalogue where there are none.
///
/// # Errors
/// An image that is not there. What is damaged is in the report.
pub fn verify(
    store: &Store,
    selectors: &[String],
    options: VerifyOptions,
    progress: &Arc<dyn Progress>,
    cancel: &Cancel,
) -> Result<VerifyReport, StoreError> {
    // Nothing is collected while it is looked at.
    let _lease = store.lease(progress.as_ref(), cancel)?;
    let images = select(store, selectors)?;
    let mut report = VerifyReport::default();
    if selectors.is_empty() {
        let catalogue = store.check_catalogue()?;
        report
            .store
            .extend(catalogue.into_iter().map(|what| Damage {
                file: store.catalogue_path(),
                diff_id: None,
                what,
                dropped: false,
            }));
    }
    let keys: BTreeSet<&LayerKey> = images
        .iter()
        .flat_map(|(image, _)| image.layers.iter().map(|layer| &layer.key))
        .collect();
    progress.report(Event::Layers(keys.len()));
    let check = Check {
        store,
        options,
        progress,
        cancel,
    };
    let mut layers = BTreeMap::new();
    for (number, key) in keys.into_iter().enumerate() {
        cancel.check()?;
        let (damage, bytes) = check.layer(key, LayerNumber(number))?;
        report.layers += 1;
        report.bytes = report.bytes.saturating_add(bytes);
        layers.insert(key, damage);
    }
    for (image, reference) in &images {
        let mut damage = check.documents(image)?;
        damage.extend(check.names(image)?);
        let own: BTreeSet<&LayerKey> = image.layers.iter().map(|layer| &layer.key).collect();
        for key in own {
            damage.extend(layers.get(key).into_iter().flatten().cloned());
        }
        let reference = reference.as_ref().or_else(|| image.references.first());
        report.images.push(VerifiedImage {
            reference: reference.map_or_else(|| NO_REFERENCE.to_owned(), Reference::familiar),
            digest: image.digest.clone(),
            id: image.config_digest.clone(),
            sound: damage.is_empty(),
            damage,
        });
    }
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
    progress: &'a Arc<dyn Progress>,
    cancel: &'a Cancel,
}

impl Check<'_> {
    /// Checks one layer, and returns how much of its tar it gave back.
    fn layer(&self, key: &LayerKey, number: LayerNumber) -> Result<(Vec<Damage>, u64), StoreError> {
        let Some(stored) = self.store.recorded_layer(key)? else {
            let text = format!("layer {} is not recorded", key.diff_id);
            return Err(StoreError::Damaged(text));
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
            .map(|FileFault { file, what, .. }| Damage {
                file: file.to_owned(),
                diff_id: Some(key.diff_id.clone()),
                what,
                dropped: false,
            })
            .collect();
        if self.options.repair && is_proven {
            let dropped = self.store.drop_layer(&stored, identity, self.cancel)?;
            for damage in &mut damage {
                damage.dropped = dropped;
            }
        }
        Ok((damage, stored.facts.tar_size))
    }

    fn faults<'s>(
        &self,
        stored: &'s StoredLayer,
        layer: LayerNumber,
    ) -> Result<Vec<FileFault<'s>>, StoreError> {
        let (image, recipe) = (&*stored.erofs_path, &*stored.recipe_path);
        let sizes = [(image, stored.erofs_size), (recipe, stored.recipe_size)];
        let wrong: Vec<_> = sizes
            .into_iter()
            .filter_map(|(path, size)| wrong_size(path, size))
            .collect();
        if !wrong.is_empty() {
            return Ok(wrong);
        }
        let known = Known {
            diff_id: &stored.facts.key.diff_id,
            rest: &stored.facts.rest,
            recipe_digest: &stored.facts.recipe_digest,
        };
        let advanced = |bytes| self.progress.report(Event::LayerAdvanced { layer, bytes });
        let files = (stored.open_erofs()?, stored.open_recipe()?);
        let faults = layer::check(&files.0, &files.1, &known, &advanced, self.cancel);
        let faults = faults.map_err(|error| match error {
            LayerError::Cancelled(cancelled) => StoreError::Cancelled(cancelled),
            error => StoreError::Damaged(error.to_string()),
        })?;
        let place = |fault: &layer::Fault| if fault.is_in_recipe() { recipe } else { image };
        Ok(faults
            .iter()
            .map(|fault| FileFault {
                file: place(fault),
                what: fault.to_string(),
                is_proven: !matches!(fault, layer::Fault::Unreadable { .. }),
            })
            .collect())
    }

    /// Checks manifest and configuration, and whether the catalogue has what they say.
    fn documents(&self, image: &ImageRecord) -> Result<Vec<Damage>, StoreError> {
        let mut damage = Vec::new();
        let manifest = self.document(&image.digest, &mut damage)?;
        let config = self.document(&image.config_digest, &mut damage)?;
        if let (Some(manifest), Some(config)) = (manifest, config)
            && let Some(what) = document::contradiction(image, &manifest, &config)
        {
            damage.push(Damage {
                file: self.store.catalogue_path(),
                diff_id: None,
                what,
                dropped: false,
            });
        }
        Ok(damage)
    }

    /// Checks that the indexes of an image are whole and lead to it, and that it has no name with a
    /// digest that is neither its own nor that of one of these.
    fn names(&self, image: &ImageRecord) -> Result<Vec<Damage>, StoreError> {
        let mut damage = Vec::new();
        let of_catalogue = |what| Damage {
            file: self.store.catalogue_path(),
            diff_id: None,
            what,
            dropped: self.options.repair,
        };
        for index in &image.indexes {
            let is_whole = self.document(&index.digest, &mut damage)?.is_some();
            if is_whole && !self.store.is_named_by(image, &index.digest) {
                damage.push(of_catalogue(format!(
                    "it says that index {} led to the image, which it does not",
                    index.digest
                )));
            }
        }
        for reference in &image.unproven {
            damage.push(of_catalogue(format!(
                "it calls the image {reference}, and nothing proves that digest"
            )));
        }
        if self.options.repair && !damage.is_empty() {
            self.store.forget_unproven(image)?;
        }
        Ok(damage)
    }

    fn document(
        &self,
        digest: &Digest,
        damage: &mut Vec<Damage>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let (file, what, is_proven) = match self.store.blob(digest) {
            Ok(bytes) => return Ok(Some(bytes)),
            Err(StoreError::DamagedBlob { path, actual }) => {
                (path, format!("it is another one: {actual}"), true)
            }
            Err(StoreError::Io { path, source, .. }) => {
                let is_gone = source.kind() == std::io::ErrorKind::NotFound;
                (path, format!("it cannot be read: {source}"), is_gone)
            }
            Err(error) => return Err(error),
        };
        let dropped = self.options.repair && is_proven;
        if dropped {
            self.store.drop_blob(digest)?;
        }
        damage.push(Damage {
            file,
            diff_id: None,
            what,
            dropped,
        });
        Ok(None)
    }
}

/// What is wrong with a file of a layer.
struct FileFault<'a> {
    file: &'a Path,
    what: String,
    /// It is known to be damaged, and not only out of reach at the moment.
    is_proven: bool,
}

/// Returns what is wrong with the length of a file.
fn wrong_size(file: &Path, expected: u64) -> Option<FileFault<'_>> {
    let (what, is_proven) = match std::fs::metadata(file) {
        Ok(metadata) if metadata.is_file() && metadata.len() == expected => return None,
        Ok(metadata) if metadata.is_file() => {
            let length = metadata.len();
            (format!("it is {length} bytes long, not {expected}"), true)
        }
        Ok(_) => ("it is not a file".to_owned(), true),
        Err(error) => {
            let is_gone = error.kind() == std::io::ErrorKind::NotFound;
            (format!("it cannot be read: {error}"), is_gone)
        }
    };
    Some(FileFault {
        file,
        what,
        is_proven,
    })
}

/// JSON has no other text than UTF-8; a path may. What is not UTF-8 is replaced.
fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}
