//! `image adopt`: images that microsandbox has pulled, as images of the store.
//!
//! Owns which images are meant, and what becomes of them. What is checked before one is believed is in
//! [`check`]: of a layer, nothing proves that it has the contents of its `diff_id`. So an adopted layer serves
//! the images that were adopted with it, and no other: the next pull or load makes it from its tar, and
//! proves it.

mod check;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use check::{check_layer, documents, layer_keys};
use serde::Serialize;

use super::ImageError;
use super::adopt_error::AdoptError;
use super::document::Config;
use super::manifest::Manifest;
use super::serve_microsandbox::layer_digest;
use crate::context::Context;
use crate::digest::Digest;
use crate::home::Home;
use crate::microsandbox::{self, ListedRecord};
use crate::reference::Reference;
use crate::store::{Foreign, LayerKey, NewImage, NewImageLayer, Store, StoreError};

/// What was adopted. Its JSON form is part of the command line's contract.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AdoptReport {
    /// Images that the store has from now on.
    pub adopted: Vec<AdoptedImage>,
    /// Images that it had.
    pub present: Vec<AdoptedImage>,
    /// Images that were not adopted.
    pub refused: Vec<RefusedImage>,
    /// Names that lead to another image in the store, and go on to do so.
    pub taken_names: Vec<String>,
}

/// An image of microsandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AdoptedImage {
    /// Its names, as far as they are known.
    pub references: Vec<String>,
    /// The digest of its manifest.
    pub digest: Digest,
    /// The digest of its configuration.
    pub id: Digest,
    /// The layers of which nothing proves that they have the contents of their `diff_id`s.
    pub unproven: Vec<Digest>,
}

/// An image of microsandbox that cannot be believed, or used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedImage {
    /// Its name, or where its record is.
    pub image: String,
    /// Why.
    pub reason: String,
}

/// Adopts the images that microsandbox has in a home: those of some names, or all of them.
///
/// # Errors
/// A name that microsandbox does not have, and a home on another filesystem than the store. What is wrong
/// with one of several images is in the report.
pub fn adopt(
    store: &Store,
    home: &Home,
    selectors: &[String],
    context: &Context,
) -> Result<AdoptReport, AdoptError> {
    let records = microsandbox::records(home)?;
    let names = names(home, &records)?;
    let chosen = choose(home, records, &names, selectors)?;
    let mut report = AdoptReport::default();
    let mut by_manifest: BTreeMap<String, Vec<(PathBuf, Option<Reference>)>> = BTreeMap::new();
    for record in chosen {
        let name = names.get(&record.path).cloned();
        let same = by_manifest.entry(record.manifest_digest).or_default();
        same.push((record.path, name));
    }
    for records in by_manifest.into_values() {
        context.cancel.check()?;
        let references: Vec<Reference> = records
            .iter()
            .filter_map(|(_, name)| name.clone())
            .collect();
        let Some((path, _)) = records.first() else {
            continue;
        };
        let mut adoption = Adoption {
            store,
            home,
            context,
            report: &mut report,
        };
        match adoption.image(path, references.clone()) {
            Ok(()) => {}
            Err(error) if !error.is_of_image() => return Err(error),
            Err(error) if selectors.len() == 1 => return Err(error),
            Err(error) => report.refused.push(RefusedImage {
                image: references
                    .first()
                    .map_or_else(|| path.display().to_string(), Reference::familiar),
                reason: words(&error),
            }),
        }
    }
    Ok(report)
}

/// Returns the names of records, by their paths. The name of a file is the digest of the reference, so a
/// reference is found by trying those that the database has.
fn names(
    home: &Home,
    records: &[ListedRecord],
) -> Result<BTreeMap<PathBuf, Reference>, AdoptError> {
    let known = Foreign::open(home)?.names()?;
    let marked = records.iter().filter_map(|record| record.msb.as_ref());
    let marked = marked.map(|mark| mark.reference.clone());
    let references = known.into_iter().chain(marked);
    let references = references.filter_map(|name| name.parse::<Reference>().ok());
    let at = |reference: Reference| (microsandbox::record_path(home, &reference), reference);
    Ok(references.map(at).collect())
}

/// Returns the records that are meant.
fn choose(
    home: &Home,
    records: Vec<ListedRecord>,
    names: &BTreeMap<PathBuf, Reference>,
    selectors: &[String],
) -> Result<Vec<ListedRecord>, AdoptError> {
    if selectors.is_empty() {
        return Ok(records);
    }
    let mut wanted = Vec::with_capacity(selectors.len());
    for selector in selectors {
        let path = selector
            .parse::<Reference>()
            .map(|reference| microsandbox::record_path(home, &reference));
        let is_meant = |record: &ListedRecord| {
            record.manifest_digest == *selector || path.as_ref().is_ok_and(|it| *it == record.path)
        };
        let before = wanted.len();
        wanted.extend(records.iter().filter(|record| is_meant(record)).cloned());
        if wanted.len() == before {
            return Err(AdoptError::NotFound {
                image: selector.clone(),
                home: home.root().to_owned(),
                has_names: !names.is_empty(),
            });
        }
    }
    wanted.sort_by(|one, other| one.path.cmp(&other.path));
    wanted.dedup_by(|one, other| one.path == other.path);
    Ok(wanted)
}

fn words(error: &AdoptError) -> String {
    let mut text = error.to_string();
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        text = format!("{text}: {source}");
        cause = source;
    }
    text
}

struct Adoption<'a> {
    store: &'a Store,
    home: &'a Home,
    context: &'a Context,
    report: &'a mut AdoptReport,
}

impl Adoption<'_> {
    /// Adopts the image of a record, under these names.
    fn image(&mut self, path: &Path, references: Vec<Reference>) -> Result<(), AdoptError> {
        let Context { progress, cancel } = self.context;
        let busy = || AdoptError::Busy {
            path: path.to_owned(),
        };
        let gate = path.with_extension("publication");
        let gate = microsandbox::share([path.to_owned(), gate], cancel)?.ok_or_else(busy)?;
        let record = microsandbox::read(path)?.ok_or_else(|| AdoptError::NotARecord {
            path: path.to_owned(),
        })?;
        let (manifest, config) = documents(&record)?;
        let keys = layer_keys(&record, &config);
        let names = keys.iter().map(|key| layer_digest(key).file_stem());
        let files: Vec<PathBuf> = names.map(|name| self.home.erofs(&name)).collect();
        let _leases = microsandbox::share(files.clone(), cancel)?.ok_or_else(busy)?;
        // Files that are there now stay; the record may be replaced.
        drop(gate);
        let mut unproven = Vec::new();
        let diff_ids = config.diff_ids.iter();
        let _pins = self.store.pin_layers(diff_ids, progress.as_ref(), cancel)?;
        for (key, file) in keys.iter().zip(&files) {
            cancel.check()?;
            let diff_id = &key.diff_id;
            if self.store.layer(key)?.is_some() || unproven.contains(diff_id) {
                continue;
            }
            if key.chain.is_some() {
                return Err(AdoptError::Layer {
                    diff_id: diff_id.clone(),
                    path: file.clone(),
                    what: "it depends on the layers below, and only msb makes such layers"
                        .to_owned(),
                });
            }
            let checked = check_layer(diff_id, file, self.context)?;
            self.store.adopt_layer(&checked, file)?;
            unproven.push(diff_id.clone());
        }
        let image = new_image(manifest, config, keys);
        let mut free = Vec::new();
        for reference in references {
            let found = self.store.referenced(&reference)?;
            if found.is_some_and(|found| found.digest != image.manifest_digest)
                || !self.store.may_name(&image, &reference)?
            {
                self.report.taken_names.push(reference.familiar());
            } else {
                free.push(reference);
            }
        }
        let recorded = self.store.record(&image, &free)?;
        let adopted = AdoptedImage {
            references: free.iter().map(Reference::familiar).collect(),
            digest: image.manifest_digest,
            id: image.config_digest,
            unproven,
        };
        if recorded.already_present {
            self.report.present.push(adopted);
        } else {
            self.report.adopted.push(adopted);
        }
        Ok(())
    }
}

fn new_image(manifest: Manifest, config: Config, keys: Vec<LayerKey>) -> NewImage {
    let layers = manifest.layers.into_iter().zip(keys);
    NewImage {
        layers: layers
            .map(|(layer, key)| NewImageLayer {
                key,
                compressed_size: layer.length(),
                blob_digest: layer.digest,
                media_type: layer.media_type,
            })
            .collect(),
        manifest: manifest.bytes,
        manifest_digest: manifest.digest,
        manifest_media_type: manifest.media_type,
        config: config.bytes,
        config_digest: config.digest,
        platform: config.platform,
        indexes: Vec::new(),
        supersedes: Vec::new(),
    }
}

impl AdoptError {
    /// Returns whether it is about one image, and others may be adopted all the same.
    fn is_of_image(&self) -> bool {
        match self {
            Self::Store(error) => matches!(error, StoreError::MissingLayer { .. }),
            Self::NotFound { .. } | Self::Cancelled(_) | Self::OtherFilesystem { .. } => false,
            _ => true,
        }
    }
}

impl From<ImageError> for AdoptError {
    fn from(error: ImageError) -> Self {
        Self::Document(Box::new(error))
    }
}
