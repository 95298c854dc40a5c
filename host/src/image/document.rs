//! Documents of images: their bytes and digests, what a configuration says, and whether the
//! catalogue says the same as both documents of an image.
//!
//! Knows of manifests only what [`super::manifest`] has read. How JSON is read is the matter of
//! [`msb_documents`]. The bytes of documents are kept as
//! they came.

use msb_documents::{CONFIG, media_type};
use serde::de::Error as _;

use super::ImageError;
use super::manifest::Manifest;
use crate::digest::Digest;
use crate::platform::Platform;
use crate::store::ImageRecord;

/// A configuration that was read.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: Digest,
    pub(super) platform: Platform,
    pub(super) diff_ids: Vec<Digest>,
    /// Whether it says the platform itself.
    states_platform: bool,
}

impl Config {
    /// Reads a configuration whose digest was checked, of an image with so many layers by its
    /// `holder`.
    pub(super) fn of(
        bytes: Vec<u8>,
        digest: Digest,
        layers: usize,
        holder: &'static str,
    ) -> Result<Self, ImageError> {
        let failed = |digest: &Digest, source| ImageError::Document {
            what: "configuration",
            digest: digest.clone(),
            source,
        };
        let fields: msb_documents::Config =
            msb_documents::parse(&bytes, &CONFIG).map_err(|error| failed(&digest, error))?;
        let diff_ids =
            digests(&fields.rootfs.diff_ids, "diff_ids").map_err(|error| failed(&digest, error))?;
        if diff_ids.len() != layers {
            return Err(ImageError::LayerCount {
                config: digest,
                diff_ids: diff_ids.len(),
                layers,
                holder,
            });
        }
        Ok(Self {
            bytes,
            digest,
            platform: platform(&fields),
            diff_ids,
            states_platform: !fields.architecture.is_empty(),
        })
    }
}

/// Returns what the image runs on; where it does not say so, on Linux and machines like this. Go
/// writes the empty text for what is not known.
fn platform(config: &msb_documents::Config) -> Platform {
    let stated = |text: &str, otherwise: &str| {
        let text = if text.is_empty() { otherwise } else { text };
        text.to_owned()
    };
    let host = Platform::host();
    Platform::new(
        &stated(&config.os, "linux"),
        &stated(&config.architecture, &host.architecture),
        Some(&config.variant),
    )
}

/// Returns digests out of a list of texts.
fn digests(texts: &[String], list: &str) -> Result<Vec<Digest>, serde_json::Error> {
    let digest = |(number, text): (usize, &String)| {
        text.parse().map_err(|error| {
            serde_json::Error::custom(format_args!("item {number} of `{list}`: {error}"))
        })
    };
    texts.iter().enumerate().map(digest).collect()
}

/// Returns what the catalogue has of an image that its documents do not say, or say otherwise.
pub(super) fn contradiction(image: &ImageRecord, manifest: &[u8], config: &[u8]) -> Option<String> {
    let called = Some(image.media_type.as_str());
    let Ok(manifest) = Manifest::of(manifest.to_vec(), image.digest.clone(), called) else {
        return Some("it calls something a manifest that is none".to_owned());
    };
    let layers = manifest.layers.len();
    let digest = image.config_digest.clone();
    let config = match Config::of(config.to_vec(), digest, layers, "manifest") {
        Ok(config) => config,
        Err(ImageError::LayerCount { .. }) => {
            return Some("the manifest has another number of layers than the configuration".into());
        }
        Err(_) => return Some("it calls something a configuration that is none".to_owned()),
    };
    let own = image.layers.iter().map(|layer| &layer.key.diff_id);
    if manifest.config != image.config_digest {
        Some("it has another configuration for the image than the manifest".to_owned())
    } else if media_type::essence(&manifest.media_type) != media_type::essence(&image.media_type) {
        Some("it has another type for the manifest than the manifest itself".to_owned())
    } else if config.states_platform && config.platform != image.platform {
        // What is not stated was that of the machine that loaded the image.
        Some("it has another platform for the image than the configuration".to_owned())
    } else if !own.eq(&config.diff_ids) {
        Some("it has other layers for the image than the configuration".to_owned())
    } else {
        let mut pairs = image.layers.iter().zip(&manifest.layers);
        let other = pairs.find(|(own, stated)| {
            own.blob_digest != stated.digest
                || stated.size.is_some_and(|size| own.compressed_size != size)
                || own.media_type != stated.media_type
        })?;
        let digest = &other.1.digest;
        Some(format!(
            "it says otherwise than the manifest of layer {digest}"
        ))
    }
}

/// Returns the digest of a document, which is to be the one that was stated.
pub(super) fn checked_digest(
    bytes: &[u8],
    stated: Option<&Digest>,
    what: &'static str,
) -> Result<Digest, ImageError> {
    let actual = match stated {
        Some(stated) => {
            let mut hasher = crate::digest::Hasher::new(stated.algorithm());
            hasher.update(bytes);
            hasher.finish()
        }
        None => Digest::of(bytes),
    };
    match stated {
        Some(stated) if *stated != actual => Err(ImageError::DocumentDigest {
            what,
            stated: stated.clone(),
            actual,
        }),
        _ => Ok(actual),
    }
}
