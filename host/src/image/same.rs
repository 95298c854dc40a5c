//! The same image by two ways: out of a registry, and out of an archive that has no manifests.
//!
//! Owns the question which image of the store that is, where several have its configuration. Which
//! layers an image has, the configuration says: one digest of a configuration is one image.

use super::ImageError;
use super::document::Config;
use super::manifest::{LayerDescriptor, Manifest};
use crate::digest::Digest;
use crate::reference::Reference;
use crate::store::{ImageRecord, Store, StoreError};

/// Returns the manifest of the image of the store that an image without a manifest is.
///
/// Of several ones it is the one that a name of the archive leads to, so that loading what was saved
/// changes nothing; else one that a registry knows; else the one that the store has had longest.
pub(super) fn known_manifest(
    store: &Store,
    config: &Config,
    references: &[Reference],
) -> Result<Option<Manifest>, ImageError> {
    let mut images = store.configured(&config.digest)?;
    images.retain(|image| {
        let diff_ids = image.layers.iter().map(|layer| &layer.key.diff_id);
        diff_ids.eq(&config.diff_ids)
    });
    images.sort_by_key(|image| {
        let is_named = image.references.iter().any(|own| references.contains(own));
        (!is_named, image.registry_digests.is_empty())
    });
    for image in images {
        // One whose manifest is damaged or lost cannot be told from any other.
        let Ok(bytes) = store.blob(&image.digest) else {
            continue;
        };
        let called = Some(image.media_type.as_str());
        if let Ok(manifest) = Manifest::of(bytes, image.digest.clone(), called) {
            return Ok(Some(manifest));
        }
    }
    Ok(None)
}

/// Returns the images with a configuration whose manifest was composed by msb for want of one.
pub(super) fn composed(store: &Store, config: &Digest) -> Result<Vec<Digest>, StoreError> {
    let images = store.configured(config)?;
    if images.is_empty() {
        return Ok(Vec::new());
    }
    let Ok(bytes) = store.blob(config) else {
        return Ok(Vec::new());
    };
    let is_composed = |image: &ImageRecord| {
        let layers = image.layers.iter().map(|layer| LayerDescriptor {
            media_type: layer.media_type.clone(),
            digest: layer.blob_digest.clone(),
            size: Some(layer.compressed_size),
            urls: Vec::new(),
        });
        Manifest::compose_for(config, bytes.len(), layers.collect())
            .is_ok_and(|composed| composed.digest == image.digest)
    };
    Ok(images
        .into_iter()
        .filter(is_composed)
        .map(|image| image.digest)
        .collect())
}
