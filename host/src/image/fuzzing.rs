//! A way to the documents of images that needs neither archive nor store, for fuzzing alone.

use std::io::Read;
use std::sync::Arc;

use super::ImageError;
use super::config::ImageConfig;
use super::document::Config;
use super::manifest::{LayerDescriptor, Manifest};
use crate::archive::{ArchiveError, ArchiveSource, Index};
use crate::digest::Digest;
use crate::limits::Limits;
use crate::platform::Platform;
use crate::plugin::{Document, LayerData, PlannedImage, PlannedLayer};

/// What the documents of an image say.
#[derive(Clone, Debug)]
pub struct Documents {
    /// The bytes of the manifest, composed if there was none.
    pub manifest: Vec<u8>,
    /// Their digest.
    pub manifest_digest: Digest,
    /// The media type of the manifest.
    pub manifest_media_type: String,
    /// Media type, digest and length of each layer.
    pub layers: Vec<(String, Digest, Option<u64>)>,
    /// The digest of the configuration.
    pub config_digest: Digest,
    /// What the image runs on.
    pub platform: Platform,
    /// The digests of the contents of the layers.
    pub diff_ids: Vec<Digest>,
}

/// Reads a configuration, and a manifest or none, as those of an image with that many layers.
pub fn documents(
    config: &[u8],
    manifest: Option<&[u8]>,
    layers: usize,
) -> Result<Documents, ImageError> {
    let source: Arc<dyn ArchiveSource> = Arc::new(Nothing::default());
    let layer = PlannedLayer {
        data: LayerData::Absent,
        digest: None,
        size: None,
        media_type: None,
    };
    let image = PlannedImage {
        manifest: manifest.map(|bytes| Document::Bytes(bytes.to_vec())),
        manifest_digest: None,
        config: Document::Bytes(config.to_vec()),
        config_digest: None,
        layers: vec![layer; layers],
        references: Vec::new(),
        platform: None,
        indexes: Vec::new(),
    };
    let limits = Limits::default();
    let config = Config::read(&source, &image, &limits)?;
    ImageConfig::read(&config.digest, &config.bytes);
    let manifest = match Manifest::read(&source, &image, &limits)? {
        Some(manifest) => {
            manifest.check_config(&config)?;
            manifest
        }
        None => {
            let layers = config.diff_ids.iter().map(|digest| LayerDescriptor {
                media_type: "application/vnd.oci.image.layer.v1.tar".to_owned(),
                digest: digest.clone(),
                size: Some(config.bytes.len() as u64),
                urls: Vec::new(),
            });
            let composed = Manifest::compose(&config, layers.collect());
            composed.map_err(|source| ImageError::Compose {
                config: config.digest.clone(),
                source,
            })?
        }
    };
    Ok(Documents {
        manifest: manifest.bytes,
        manifest_digest: manifest.digest,
        manifest_media_type: manifest.media_type,
        layers: manifest
            .layers
            .into_iter()
            .map(|layer| (layer.media_type, layer.digest, layer.size))
            .collect(),
        config_digest: config.digest,
        platform: config.platform,
        diff_ids: config.diff_ids,
    })
}

/// An archive without entries.
#[derive(Debug, Default)]
struct Nothing(Index);

impl ArchiveSource for Nothing {
    fn index(&self) -> &Index {
        &self.0
    }

    fn readable(&self, _: u32) -> bool {
        false
    }

    fn digest(&self, _: u32) -> Option<&Digest> {
        None
    }

    fn read(&self, _: u32, _: u64, _: u32) -> Result<Vec<u8>, ArchiveError> {
        Ok(Vec::new())
    }

    fn open(&self, _: u32) -> Result<Box<dyn Read + Send>, ArchiveError> {
        Ok(Box::new(std::io::empty()))
    }
}
