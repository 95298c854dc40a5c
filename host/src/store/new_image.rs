//! An image that is to be recorded: its documents, and its layers, which are published.

use std::sync::Arc;

use super::layer_record::LayerKey;
use crate::digest::Digest;
use crate::platform::Platform;

/// An image whose layers are published.
#[derive(Clone, Debug)]
pub struct NewImage {
    /// Its manifest, as it came.
    pub manifest: Vec<u8>,
    /// The digest of the manifest.
    pub manifest_digest: Digest,
    /// The media type of the manifest.
    pub manifest_media_type: String,
    /// Its configuration, as it came.
    pub config: Vec<u8>,
    /// The digest of the configuration.
    pub config_digest: Digest,
    /// What it runs on, by its configuration.
    pub platform: Platform,
    /// Its layers, the bottom one first.
    pub layers: Vec<NewImageLayer>,
    /// The indexes that led to it, each before those that it led to.
    pub indexes: Vec<NewImageIndex>,
    /// Images that this one takes the place of: the same configuration and layers under a manifest
    /// that was made up for want of one. What names and uses them is handed on to it.
    pub supersedes: Vec<Digest>,
}

/// An index that led to an image.
#[derive(Clone, Debug)]
pub struct NewImageIndex {
    /// Its bytes, as they came. Many images may share them.
    pub bytes: Arc<[u8]>,
    /// Their digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
}

/// A layer of an image as its manifest has it.
#[derive(Clone, Debug)]
pub struct NewImageLayer {
    /// The key of the layer in the store.
    pub key: LayerKey,
    /// The digest of its blob.
    pub blob_digest: Digest,
    /// The media type of its blob.
    pub media_type: String,
    /// The length of its blob in bytes.
    pub compressed_size: u64,
}
