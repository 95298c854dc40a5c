//! `images`: what the store has.

use serde::Serialize;

use crate::platform::Platform;
use crate::reference::Reference;
use crate::store::{ImageRecord, Store, StoreError};

/// An image in a list.
#[derive(Clone, Debug)]
pub struct ImageSummary {
    /// The references that lead to it, sorted.
    pub references: Vec<Reference>,
    /// The digest of its manifest.
    pub digest: crate::digest::Digest,
    /// The digest of its configuration.
    pub config_digest: crate::digest::Digest,
    /// What it runs on.
    pub platform: Platform,
    /// Its number of layers.
    pub layer_count: usize,
    /// Bytes of its layers' blobs together.
    pub size_bytes: u64,
    /// When the store first had it, RFC 3339 in UTC.
    pub created_at: String,
}

/// One line of a list: an image under one of its references.
#[derive(Clone, Debug, Serialize)]
pub struct ImageRow {
    /// Architecture.
    pub architecture: String,
    /// When the store first had it, RFC 3339 in UTC.
    pub created_at: String,
    /// The digest of its manifest.
    pub digest: String,
    /// The digest of its configuration.
    pub id: String,
    /// Its number of layers.
    pub layer_count: usize,
    /// Operating system.
    pub os: String,
    /// The reference as people write it, or `<none>`.
    pub reference: String,
    /// Bytes of its layers' blobs together.
    pub size_bytes: u64,
}

/// What stands in a list in place of a reference.
pub const NO_REFERENCE: &str = "<none>";

/// Returns all images, the newest first.
pub fn list(store: &Store) -> Result<Vec<ImageSummary>, StoreError> {
    Ok(store
        .images()?
        .into_iter()
        .map(ImageSummary::from)
        .collect())
}

impl ImageSummary {
    /// Returns the lines of the image in a list: one for each reference, one where it has none.
    pub fn rows(&self) -> Vec<ImageRow> {
        let row = |reference: String| ImageRow {
            architecture: self.platform.architecture.clone(),
            created_at: self.created_at.clone(),
            digest: self.digest.to_string(),
            id: self.config_digest.to_string(),
            layer_count: self.layer_count,
            os: self.platform.os.clone(),
            reference,
            size_bytes: self.size_bytes,
        };
        if self.references.is_empty() {
            return vec![row(NO_REFERENCE.to_owned())];
        }
        self.references
            .iter()
            .map(|reference| row(reference.familiar()))
            .collect()
    }
}

impl From<ImageRecord> for ImageSummary {
    fn from(image: ImageRecord) -> Self {
        Self {
            size_bytes: size_bytes(&image),
            references: image.references,
            digest: image.digest,
            config_digest: image.config_digest,
            platform: image.platform,
            layer_count: image.layers.len(),
            created_at: image.created_at,
        }
    }
}

/// Returns the bytes of an image's blobs together.
pub(super) fn size_bytes(image: &ImageRecord) -> u64 {
    image.layers.iter().map(|layer| layer.compressed_size).sum()
}
