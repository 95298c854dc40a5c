//! Manifests and configurations: reading them, checking them against each other, composing one.
//!
//! Owns what msb needs to know of these documents. Their bytes are kept as they came; nothing here
//! is ever written back, except a manifest for archives that have none.

use std::sync::Arc;

use oci_spec::OciSpecError;
use oci_spec::image::{DescriptorBuilder, ImageManifestBuilder, MediaType};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::LoadError;
use crate::archive::ArchiveSource;
use crate::digest::Digest;
use crate::limits::Limits;
use crate::platform::Platform;
use crate::plugin::{Document, PlannedImage};
use crate::registry::is_manifest;
use crate::store::{ImageRecord, LayerKey, NewImage, NewImageLayer};

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

/// A configuration that was read.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: Digest,
    pub(super) platform: Platform,
    pub(super) diff_ids: Vec<Digest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManifestFields {
    media_type: Option<String>,
    config: ConfigDescriptor,
    layers: Vec<LayerDescriptor>,
    /// What an index has.
    manifests: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct ConfigDescriptor {
    digest: Digest,
    #[serde(default)]
    size: Option<u64>,
}

#[derive(Deserialize)]
struct ConfigFields {
    #[serde(default)]
    os: Option<String>,
    #[serde(default)]
    architecture: Option<String>,
    #[serde(default)]
    variant: Option<String>,
    #[serde(default)]
    rootfs: Option<RootFsFields>,
}

#[derive(Deserialize)]
struct RootFsFields {
    #[serde(default)]
    diff_ids: Option<Vec<Digest>>,
}

impl ConfigFields {
    /// Returns what the image runs on; where it does not say so, on Linux and machines like this.
    fn platform(&self) -> Platform {
        let os = self.os.as_deref().unwrap_or("linux");
        match &self.architecture {
            Some(architecture) => Platform::new(os, architecture, self.variant.as_deref()),
            None => Platform::new(os, &Platform::host().architecture, self.variant.as_deref()),
        }
    }
}

impl Config {
    /// Reads and checks the configuration of a planned image.
    pub(super) fn read(
        source: &Arc<dyn ArchiveSource>,
        image: &PlannedImage,
        limits: &Limits,
    ) -> Result<Self, LoadError> {
        const WHAT: &str = "configuration";
        let limit = (limits.config_bytes, "config_bytes");
        let bytes = read_document(source, &image.config, WHAT, limit)?;
        let digest = checked_digest(&bytes, image.config_digest.as_ref(), WHAT)?;
        Self::of(bytes, digest, image.layers.len(), "archive")
    }

    /// Reads a configuration whose digest was checked, of an image with so many layers by its
    /// `holder`.
    pub(super) fn of(
        bytes: Vec<u8>,
        digest: Digest,
        layers: usize,
        holder: &'static str,
    ) -> Result<Self, LoadError> {
        let fields: ConfigFields =
            serde_json::from_slice(&bytes).map_err(|source| LoadError::Document {
                what: "configuration",
                digest: digest.clone(),
                source,
            })?;
        let platform = fields.platform();
        let diff_ids = fields
            .rootfs
            .and_then(|rootfs| rootfs.diff_ids)
            .unwrap_or_default();
        if diff_ids.is_empty() {
            return Err(LoadError::NoLayers {
                config: digest,
                os: platform.os,
                architecture: platform.architecture,
            });
        }
        if diff_ids.len() != layers {
            return Err(LoadError::LayerCount {
                config: digest,
                diff_ids: diff_ids.len(),
                layers,
                holder,
            });
        }
        Ok(Self {
            bytes,
            digest,
            platform,
            diff_ids,
        })
    }
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
                &config.digest,
                config.bytes.len() as u64,
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
            config: config.digest.clone(),
            config_size: Some(config.bytes.len() as u64),
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
        }
    }
}

/// Returns what the catalogue has of an image that its documents do not say, or say otherwise.
pub(super) fn contradiction(image: &ImageRecord, manifest: &[u8], config: &[u8]) -> Option<String> {
    let Ok(manifest) = serde_json::from_slice::<ManifestFields>(manifest) else {
        return Some("it calls something a manifest that is none".to_owned());
    };
    let Ok(config) = serde_json::from_slice::<ConfigFields>(config) else {
        return Some("it calls something a configuration that is none".to_owned());
    };
    let other_type = match manifest.media_type.filter(|own| !own.is_empty()) {
        Some(own) => own != image.media_type,
        None => !is_manifest(&image.media_type),
    };
    // What is not stated was that of the machine that loaded the image.
    let other_platform = config.architecture.is_some() && config.platform() != image.platform;
    let diff_ids = config.rootfs.and_then(|rootfs| rootfs.diff_ids);
    let own = image.layers.iter().map(|layer| &layer.key.diff_id);
    if manifest.config.digest != image.config_digest {
        Some("it has another configuration for the image than the manifest".to_owned())
    } else if other_type {
        Some("it has another type for the manifest than the manifest itself".to_owned())
    } else if other_platform {
        Some("it has another platform for the image than the configuration".to_owned())
    } else if !own.eq(diff_ids.iter().flatten()) {
        Some("it has other layers for the image than the configuration".to_owned())
    } else if manifest.layers.len() != image.layers.len() {
        Some("it has another number of layers for the image than the manifest".to_owned())
    } else {
        let mut pairs = image.layers.iter().zip(&manifest.layers);
        let other = pairs.find(|(own, stated)| {
            own.blob_digest != stated.digest
                || own.compressed_size != stated.size
                || own.media_type != stated.media_type
        })?;
        let digest = &other.1.digest;
        Some(format!(
            "it says otherwise than the manifest of layer {digest}"
        ))
    }
}

fn read_document(
    source: &Arc<dyn ArchiveSource>,
    document: &Document,
    what: &'static str,
    (limit, setting): (u64, &'static str),
) -> Result<Vec<u8>, LoadError> {
    let too_large = |size| LoadError::DocumentTooLarge {
        what,
        size,
        limit,
        setting,
    };
    match document {
        Document::Bytes(bytes) if bytes.len() as u64 > limit => Err(too_large(bytes.len() as u64)),
        Document::Bytes(bytes) => Ok(bytes.clone()),
        Document::Entry(number) => {
            let size = source.index().get(*number).map_or(0, |entry| entry.size);
            if size > limit {
                return Err(too_large(size));
            }
            let length = u32::try_from(size).map_err(|_| too_large(size))?;
            Ok(source.read(*number, 0, length)?)
        }
    }
}

fn checked_digest(
    bytes: &[u8],
    stated: Option<&Digest>,
    what: &'static str,
) -> Result<Digest, LoadError> {
    let actual = match stated {
        Some(stated) => {
            let mut hasher = crate::digest::Hasher::new(stated.algorithm());
            hasher.update(bytes);
            hasher.finish()
        }
        None => Digest::of(bytes),
    };
    match stated {
        Some(stated) if *stated != actual => Err(LoadError::DocumentDigest {
            what,
            stated: stated.clone(),
            actual,
        }),
        _ => Ok(actual),
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
