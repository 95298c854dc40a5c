//! Manifests: reading them, checking them against the configuration, composing one.
//!
//! Owns what msb needs to know of a manifest. Its bytes are kept as they came; nothing here is ever
//! written back, except a manifest for archives that have none.

use std::sync::Arc;

use oci_spec::OciSpecError;
use oci_spec::image::{DescriptorBuilder, ImageManifestBuilder, MediaType};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::LoadError;
use super::document::{Config, checked_digest, read_document};
use crate::archive::ArchiveSource;
use crate::digest::Digest;
use crate::limits::Limits;
use crate::plugin::PlannedImage;
use crate::registry::is_manifest;
use crate::store::{LayerKey, NewImage, NewImageLayer};

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A manifest that was read.
#[derive(Clone, Debug)]
pub(super) struct Manifest {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: Digest,
    pub(super) media_type: String,
    pub(super) config: Digest,
    /// The length of the configuration, where the manifest says it.
    pub(super) config_size: Option<u64>,
    pub(super) layers: Vec<LayerDescriptor>,
}

/// A layer as a manifest names it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct LayerDescriptor {
    #[serde(rename = "mediaType")]
    pub(super) media_type: String,
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// Where a layer can be had that registries may not hand on.
    #[serde(default)]
    pub(super) urls: Option<Vec<String>>,
}

/// What a manifest says.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ManifestFields {
    pub(super) media_type: Option<String>,
    pub(super) config: ConfigDescriptor,
    pub(super) layers: Vec<LayerDescriptor>,
    /// What an index has.
    manifests: Option<IgnoredAny>,
}

/// The configuration as a manifest names it.
#[derive(Deserialize)]
pub(super) struct ConfigDescriptor {
    pub(super) digest: Digest,
    #[serde(default)]
    size: Option<u64>,
}

impl Manifest {
    /// Reads and checks the manifest of a planned image, if it has one.
    pub(super) fn read(
        source: &Arc<dyn ArchiveSource>,
        image: &PlannedImage,
        config: &Config,
        limits: &Limits,
    ) -> Result<Option<Self>, LoadError> {
        const WHAT: &str = "manifest";
        let Some(document) = &image.manifest else {
            return Ok(None);
        };
        let limit = (limits.manifest_bytes, "manifest_bytes");
        let bytes = read_document(source, document, WHAT, limit)?;
        let digest = checked_digest(&bytes, image.manifest_digest.as_ref(), WHAT)?;
        let manifest = Self::of(bytes, digest, None)?;
        if manifest.config != config.digest {
            return Err(LoadError::OtherConfig {
                manifest: manifest.digest,
                stated: manifest.config,
                actual: config.digest.clone(),
            });
        }
        if manifest.layers.len() != config.diff_ids.len() {
            return Err(LoadError::LayerCount {
                config: config.digest.clone(),
                diff_ids: config.diff_ids.len(),
                layers: manifest.layers.len(),
                holder: WHAT,
            });
        }
        Ok(Some(manifest))
    }

    /// Reads a manifest whose digest was checked. `media_type` is what it is where it does not say
    /// so itself.
    ///
    /// What others would read as an index is refused, although it has layers: the same digest must
    /// not be one image here and another one there. Source: OCI image-spec, `manifest.md`, and
    /// CVE-2021-41190.
    pub(super) fn of(
        bytes: Vec<u8>,
        digest: Digest,
        media_type: Option<String>,
    ) -> Result<Self, LoadError> {
        let fields: ManifestFields =
            serde_json::from_slice(&bytes).map_err(|source| LoadError::Document {
                what: "manifest",
                digest: digest.clone(),
                source,
            })?;
        if fields.manifests.is_some() {
            return Err(LoadError::ManifestAndIndex { manifest: digest });
        }
        // Go writes the empty text where it means none.
        let own = fields.media_type.filter(|own| !own.is_empty());
        if let Some(media_type) = own.as_ref().filter(|own| !is_manifest(own)) {
            return Err(LoadError::ManifestType {
                manifest: digest,
                media_type: media_type.clone(),
            });
        }
        Ok(Self {
            bytes,
            digest,
            media_type: own
                .or(media_type)
                .unwrap_or_else(|| OCI_MANIFEST.to_owned()),
            config: fields.config.digest,
            config_size: fields.config.size,
            layers: fields.layers,
        })
    }

    /// Composes the manifest of an image that came without one. Equal configurations and layers
    /// give equal bytes, so loading an archive twice gives one image.
    pub(super) fn compose(
        config: &Config,
        layers: Vec<LayerDescriptor>,
    ) -> Result<Self, OciSpecError> {
        Self::compose_for(&config.digest, config.bytes.len(), layers)
    }

    /// As [`compose`](Self::compose), for a configuration of this digest and length.
    pub(super) fn compose_for(
        config: &Digest,
        config_length: usize,
        layers: Vec<LayerDescriptor>,
    ) -> Result<Self, OciSpecError> {
        let descriptor = |media_type: MediaType, digest: &Digest, size: u64| {
            DescriptorBuilder::default()
                .media_type(media_type)
                .digest(digest.to_string().parse::<oci_spec::image::Digest>()?)
                .size(size)
                .build()
        };
        let manifest = ImageManifestBuilder::default()
            .schema_version(2u32)
            .media_type(MediaType::ImageManifest)
            .config(descriptor(
                MediaType::ImageConfig,
                config,
                config_length as u64,
            )?)
            .layers(
                layers
                    .iter()
                    .map(|layer| {
                        let media_type = MediaType::from(layer.media_type.as_str());
                        descriptor(media_type, &layer.digest, layer.size)
                    })
                    .collect::<Result<Vec<_>, _>>()?,
            )
            .build()?;
        let bytes = manifest.to_string()?.into_bytes();
        Ok(Self {
            digest: Digest::of(&bytes),
            bytes,
            media_type: OCI_MANIFEST.to_owned(),
            config: config.clone(),
            config_size: Some(config_length as u64),
            layers,
        })
    }

    /// Returns what the store records of an image with this manifest and these layers.
    pub(super) fn record(self, config: &Config, keys: Vec<LayerKey>) -> NewImage {
        NewImage {
            manifest: self.bytes,
            manifest_digest: self.digest,
            manifest_media_type: self.media_type,
            config: config.bytes.clone(),
            config_digest: self.config,
            platform: config.platform.clone(),
            layers: self
                .layers
                .into_iter()
                .zip(keys)
                .map(|(layer, key)| NewImageLayer {
                    key,
                    blob_digest: layer.digest,
                    media_type: layer.media_type,
                    compressed_size: layer.size,
                })
                .collect(),
            indexes: Vec::new(),
            supersedes: Vec::new(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    const INDEXES: [&str; 2] = [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    ];

    /// Reads a manifest with this field, of the type `stated` by who gave it.
    fn read(field: &str, value: Value, stated: Option<&str>) -> Result<Manifest, LoadError> {
        let mut manifest = json!({
            "schemaVersion": 2,
            "config": {"digest": Digest::of(b"config").to_string(), "size": 6},
            "layers": [],
        });
        manifest[field] = value;
        let bytes = serde_json::to_vec(&manifest).unwrap();
        let digest = Digest::of(&bytes);
        Manifest::of(bytes, digest, stated.map(str::to_owned))
    }

    #[test]
    fn the_type_of_a_manifest_is_its_own_else_the_stated_one() {
        for (own, stated, expected) in [
            (Value::Null, None, OCI_MANIFEST),
            (json!(""), None, OCI_MANIFEST),
            (json!(""), Some(DOCKER_MANIFEST), DOCKER_MANIFEST),
            (json!(OCI_MANIFEST), Some(DOCKER_MANIFEST), OCI_MANIFEST),
            (json!(DOCKER_MANIFEST), None, DOCKER_MANIFEST),
        ] {
            let manifest = read("mediaType", own, stated).unwrap();
            assert_eq!(manifest.media_type, expected);
        }
    }

    #[test]
    fn a_manifest_that_calls_itself_something_else_is_refused() {
        for own in INDEXES.into_iter().chain(["text/plain", " "]) {
            for stated in [None, Some(OCI_MANIFEST)] {
                let error = read("mediaType", json!(own), stated).unwrap_err();
                assert!(
                    matches!(&error, LoadError::ManifestType { media_type, .. } if media_type == own),
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn a_manifest_that_lists_others_is_refused() {
        for manifests in [json!([]), json!([{"digest": "x"}]), json!(7)] {
            let error = read("manifests", manifests, None).unwrap_err();
            assert!(
                matches!(error, LoadError::ManifestAndIndex { .. }),
                "{error}"
            );
        }
        assert!(read("manifests", Value::Null, None).is_ok());
    }
}
