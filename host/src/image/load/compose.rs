//! What the store records of an image of an archive: its manifest, its layers and what is known of
//! their blobs.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::convert::BlobFacts;
use super::super::manifest::{LayerDescriptor, Manifest};
use super::super::placement::{NamedLayer, Placement};
use super::super::select::SelectedImage;
use super::super::{ImageError, same};
use super::indexes::Indexes;
use super::{check_size, contradicts};
use crate::archive::ArchiveSource;
use crate::blob::Compression;
use crate::plugin::{LayerData, PlannedLayer};
use crate::store::{LayerKey, NewImage, Store};

/// Images of an archive whose layers are there, on their way into the store.
pub(super) struct Composer<'a> {
    pub(super) store: &'a Store,
    pub(super) source: Arc<dyn ArchiveSource>,
    pub(super) placement: Placement<'a>,
    /// What the entries that were looked at hold.
    pub(super) blobs: HashMap<u32, BlobFacts>,
    pub(super) indexes: Indexes,
}

impl Composer<'_> {
    /// Puts together what the store records of an image, and keeps the layers that were made for it.
    pub(super) fn compose(&mut self, image: &SelectedImage) -> Result<NewImage, ImageError> {
        let named: Vec<_> = image
            .layers
            .iter()
            .zip(&image.config.diff_ids)
            .map(|(layer, diff_id)| NamedLayer {
                diff_id,
                name: match layer.data {
                    LayerData::Entry(entry) => self.name(entry),
                    LayerData::Absent | LayerData::Generated(_) => diff_id.to_string(),
                },
            })
            .collect();
        let keys = self.placement.place(&named)?;
        let config = &image.config;
        let Some(manifest) = &image.manifest else {
            let manifest = match same::known_manifest(self.store, config, &image.references)? {
                Some(known) => known,
                None => self.compose_manifest(image, &keys)?,
            };
            self.placement.keep(&keys);
            let layers = self.with_lengths(image, keys)?;
            return Ok(manifest.record(config, layers));
        };
        for (layer, stated) in image.layers.iter().zip(&manifest.layers) {
            self.check_blob(layer, stated)?;
        }
        self.placement.keep(&keys);
        let layers = self.with_lengths(image, keys)?;
        let mut new = manifest.clone().record(config, layers);
        new.indexes = self.indexes.leading_to(&new.manifest_digest);
        new.supersedes = same::composed(self.store, &config.digest)?;
        Ok(new)
    }

    /// Returns the layers of an image with the lengths that their blobs have here, for manifests that
    /// do not state them.
    fn with_lengths(
        &self,
        image: &SelectedImage,
        keys: Vec<LayerKey>,
    ) -> Result<Vec<(LayerKey, u64)>, ImageError> {
        let length = |(layer, key): (&PlannedLayer, LayerKey)| {
            let length = match layer.data {
                LayerData::Entry(entry) => self.length(entry),
                LayerData::Absent | LayerData::Generated(_) => {
                    self.placement.tar_size(&key)?.unwrap_or_default()
                }
            };
            Ok((key, length))
        };
        image.layers.iter().zip(keys).map(length).collect()
    }

    /// Composes the manifest of an image in an archive without manifests.
    fn compose_manifest(
        &self,
        image: &SelectedImage,
        keys: &[LayerKey],
    ) -> Result<Manifest, ImageError> {
        let descriptors = image
            .layers
            .iter()
            .zip(keys)
            .map(|(layer, key)| self.describe_blob(layer, key, image))
            .collect::<Result<_, _>>()?;
        Manifest::compose(&image.config, descriptors).map_err(|source| ImageError::Compose {
            config: image.config.digest.clone(),
            source,
        })
    }

    /// Refuses a layer whose bytes are known and are not those that the manifest names.
    fn check_blob(&self, layer: &PlannedLayer, stated: &LayerDescriptor) -> Result<(), ImageError> {
        let LayerData::Entry(entry) = layer.data else {
            return Ok(());
        };
        if let Some(found) = self.source.index().get(entry) {
            check_size(&self.name(entry), stated.size, found.size)?;
        }
        match self.blobs.get(&entry) {
            Some(blob) if contradicts(&blob.digest, &stated.digest) => {
                Err(ImageError::LayerDigest {
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
        image: &SelectedImage,
    ) -> Result<LayerDescriptor, ImageError> {
        let missing = || ImageError::MissingLayer {
            config: image.config.digest.clone(),
            diff_id: key.diff_id.clone(),
        };
        let blob = match layer.data {
            // Every entry was converted or looked at.
            LayerData::Entry(entry) => self.blobs.get(&entry).cloned().ok_or_else(missing)?,
            LayerData::Absent | LayerData::Generated(_) => BlobFacts {
                digest: key.diff_id.clone(),
                size: self.placement.tar_size(key)?.ok_or_else(missing)?,
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

/// Returns the media type of a layer by how it is compressed. Source: OCI image-spec, `layer.md`.
fn media_type(compression: Compression) -> &'static str {
    match compression {
        Compression::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
        Compression::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        // The specification has no types for these two; a name that says so does no harm.
        Compression::Bzip2 => "application/vnd.oci.image.layer.v1.tar+bzip2",
        Compression::Xz => "application/vnd.oci.image.layer.v1.tar+xz",
        Compression::None => "application/vnd.oci.image.layer.v1.tar",
    }
}
