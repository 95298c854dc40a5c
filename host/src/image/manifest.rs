//! Manifests: reading them, checking them against the configuration, composing one.
//!
//! Owns what msb needs to know of a manifest. Its bytes are kept as they came; nothing here is ever
//! written back, except a manifest for archives that have none.

use msb_documents::{Descriptor, DocumentError};
#[cfg(feature = "registry")]
use oci_spec::OciSpecError;
#[cfg(feature = "registry")]
use oci_spec::image::{DescriptorBuilder, ImageManifestBuilder, MediaType};
use serde::de::Error as _;

use super::ImageError;
use super::document::Config;
use crate::digest::Digest;
use crate::store::{LayerKey, NewImage, NewImageLayer};

#[cfg(feature = "registry")]
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The manifest of an image.
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
#[derive(Clone, Debug)]
pub(super) struct LayerDescriptor {
    /// The media type, empty if the manifest does not say it.
    pub(super) media_type: String,
    pub(super) digest: Digest,
    /// The length of the blob, where the manifest says it.
    pub(super) size: Option<u64>,
    /// Where a layer can be had that registries may not hand on.
    pub(super) urls: Vec<String>,
}

impl LayerDescriptor {
    /// Returns the length of the blob, 0 where it is not known.
    pub(super) fn length(&self) -> u64 {
        self.size.unwrap_or_default()
    }
}

impl Manifest {
    /// Refuses a configuration that is not the one of this manifest.
    pub(super) fn check_config(&self, config: &Config) -> Result<(), ImageError> {
        if self.config != config.digest {
            return Err(ImageError::OtherConfig {
                manifest: self.digest.clone(),
                stated: self.config.clone(),
                actual: config.digest.clone(),
            });
        }
        if self.layers.len() != config.diff_ids.len() {
            return Err(ImageError::LayerCount {
                config: config.digest.clone(),
                diff_ids: config.diff_ids.len(),
                layers: self.layers.len(),
                holder: "manifest",
            });
        }
        Ok(())
    }

    /// Reads a manifest whose digest was checked. `called` is what others call it.
    ///
    /// # Errors
    /// It is not the manifest of an image for everybody who reads it, or of something that msb does
    /// not keep: [`ImageError::is_of_another_kind`] tells the latter.
    pub(super) fn of(
        bytes: Vec<u8>,
        digest: Digest,
        called: Option<&str>,
    ) -> Result<Self, ImageError> {
        match msb_documents::Document::read(&bytes, called) {
            Ok(msb_documents::Document::Manifest(manifest)) => {
                Self::from_document(bytes, digest, manifest)
            }
            Ok(msb_documents::Document::Index(_)) => Err(ImageError::Manifest {
                manifest: digest,
                reason: DocumentError::Index,
            }),
            Err(DocumentError::Json(source)) => Err(not_understood(&digest, source)),
            Err(reason) => Err(ImageError::Manifest {
                manifest: digest,
                reason,
            }),
        }
    }

    /// Returns the manifest of an image out of one that was read.
    ///
    /// # Errors
    /// Those of [`Manifest::of`].
    pub(super) fn from_document(
        bytes: Vec<u8>,
        digest: Digest,
        manifest: msb_documents::Manifest,
    ) -> Result<Self, ImageError> {
        if let Err(reason) = manifest.check_is_image() {
            return Err(ImageError::NotAnImage {
                manifest: digest,
                reason,
            });
        }
        let parsed = |descriptor: &Descriptor, place: &str| {
            descriptor.digest.parse().map_err(|error| {
                not_understood(
                    &digest,
                    serde_json::Error::custom(format_args!("`digest` in {place}: {error}")),
                )
            })
        };
        let layers = manifest.layers.into_iter().enumerate();
        Ok(Self {
            config: parsed(&manifest.config, "`config`")?,
            config_size: manifest.config.size,
            layers: layers
                .map(|(number, layer)| {
                    Ok(LayerDescriptor {
                        digest: parsed(&layer, &format!("item {number} of `layers`"))?,
                        media_type: layer.media_type,
                        size: layer.size,
                        urls: layer.urls,
                    })
                })
                .collect::<Result<_, ImageError>>()?,
            bytes,
            digest,
            media_type: manifest.media_type,
        })
    }

    /// Composes the manifest of an image that came without one. Equal configurations and layers
    /// give equal bytes, so loading an archive twice gives one image.
    #[cfg(feature = "registry")]
    pub(super) fn compose(
        config: &Config,
        layers: Vec<LayerDescriptor>,
    ) -> Result<Self, OciSpecError> {
        Self::compose_for(&config.digest, config.bytes.len(), layers)
    }

    /// As [`compose`](Self::compose), for a configuration of this digest and length.
    #[cfg(feature = "registry")]
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
                        descriptor(media_type, &layer.digest, layer.length())
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

    /// Returns what the store records of an image with this manifest and these layers, whose blobs
    /// have these lengths.
    pub(super) fn record(
        self,
        config: &Config,
        layers: impl IntoIterator<Item = (LayerKey, u64)>,
    ) -> NewImage {
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
                .zip(layers)
                .map(|(layer, (key, size))| NewImageLayer {
                    key,
                    blob_digest: layer.digest,
                    media_type: layer.media_type,
                    compressed_size: layer.size.unwrap_or(size),
                })
                .collect(),
            indexes: Vec::new(),
            supersedes: Vec::new(),
        }
    }
}

fn not_understood(digest: &Digest, source: serde_json::Error) -> ImageError {
    ImageError::Document {
        what: "manifest",
        digest: digest.clone(),
        source,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(field: &str, value: Value) -> Result<Manifest, ImageError> {
        let mut manifest = json!({
            "schemaVersion": 2,
            "config": {"digest": Digest::of(b"config").to_string(), "size": 6},
            "layers": [],
        });
        manifest[field] = value;
        let bytes = serde_json::to_vec(&manifest).unwrap();
        let digest = Digest::of(&bytes);
        Manifest::of(bytes, digest, None)
    }

    #[test]
    fn what_a_manifest_leaves_out_is_not_known() {
        let digest = Digest::of(b"layer").to_string();
        let manifest = read("layers", json!([{"digest": digest, "size": -1}])).unwrap();
        let layer = &manifest.layers[0];
        assert_eq!((&*layer.media_type, layer.size), ("", None));
        assert_eq!(manifest.config_size, Some(6));
    }

    #[test]
    fn what_is_no_manifest_of_an_image_is_told_apart() {
        let layer = json!([{"digest": "sha256:../x"}]);
        let error = read("layers", layer).unwrap_err();
        assert!(matches!(error, ImageError::Document { .. }), "{error}");
        assert!(!error.is_of_another_kind());
        let error = read("manifests", json!([])).unwrap_err();
        assert!(matches!(error, ImageError::Manifest { .. }), "{error}");
        assert!(!error.is_of_another_kind());
        let error = read("layers", json!([{"mediaType": "application/wasm"}])).unwrap_err();
        assert!(error.is_of_another_kind(), "{error}");
    }
}
