//! Documents of images: their bytes and digests, what a configuration says, and whether the
//! catalogue says the same as both documents of an image.
//!
//! Knows of manifests only what [`super::manifest`] has read. The bytes of documents are kept as
//! they came.

use std::sync::Arc;

use serde::Deserialize;

use super::LoadError;
use super::manifest::ManifestFields;
use crate::archive::ArchiveSource;
use crate::digest::Digest;
use crate::limits::Limits;
use crate::platform::Platform;
use crate::plugin::{Document, PlannedImage};
use crate::registry::is_manifest;
use crate::store::ImageRecord;

/// A configuration that was read.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: Digest,
    pub(super) platform: Platform,
    pub(super) diff_ids: Vec<Digest>,
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

/// Returns the bytes of a document, which may be no longer than a limit.
pub(super) fn read_document(
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

/// Returns the digest of a document, which is to be the one that was stated.
pub(super) fn checked_digest(
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
