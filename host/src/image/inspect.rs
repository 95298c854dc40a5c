//! `image inspect`: all that is known of one image.

use std::path::PathBuf;

use serde::Serialize;

use super::ImageConfig;
use super::list::{NO_REFERENCE, size_bytes};
use crate::digest::Digest;
use crate::store::{FoundImage, Store, StoreError};

/// All that is known of an image. Its JSON form is part of the command line's contract.
#[derive(Clone, Debug, Serialize)]
pub struct ImageDetails {
    /// The reference that was asked for, or the first one, or `<none>`.
    pub reference: String,
    /// All references.
    pub references: Vec<String>,
    /// The digest of its manifest.
    pub digest: String,
    /// The digest of its configuration.
    pub id: String,
    /// The media type of its manifest.
    pub media_type: String,
    /// Bytes of its layers' blobs together.
    pub size_bytes: u64,
    /// Architecture.
    pub architecture: String,
    /// Operating system.
    pub os: String,
    /// Variant of the architecture.
    pub variant: Option<String>,
    /// Number of layers.
    pub layer_count: usize,
    /// When the store first had it, RFC 3339 in UTC.
    pub created_at: String,
    /// How a container of it runs.
    pub config: ImageConfig,
    /// Its layers, the bottom one first.
    pub layers: Vec<LayerDetails>,
    /// The sandboxes that use it.
    pub used_by: Vec<String>,
}

/// All that is known of a layer of an image.
#[derive(Clone, Debug, Serialize)]
pub struct LayerDetails {
    /// The digest of its contents.
    pub diff_id: Digest,
    /// The digest of its blob, as this image's manifest has it.
    pub blob_digest: Digest,
    /// The media type of its blob.
    pub media_type: String,
    /// The length of its blob.
    pub compressed_size_bytes: u64,
    /// The length of its EROFS image; `null` when that is missing or damaged.
    pub erofs_size_bytes: Option<u64>,
    /// Where its EROFS image is; `null` when it is missing or damaged.
    pub erofs_path: Option<PathBuf>,
    /// Its place, 0 being the bottom.
    pub position: usize,
}

/// Returns all that is known of the image that `selector` names.
pub fn inspect(store: &Store, selector: &str) -> Result<ImageDetails, StoreError> {
    let FoundImage { image, reference } = store.find(selector)?;
    let bytes = store.blob(&image.config_digest)?;
    let id = image.config_digest.to_string();
    let config =
        ImageConfig::parse(id.clone(), &bytes).map_err(|_| StoreError::Damaged(id.clone()))?;
    let mut layers = Vec::new();
    for (position, layer) in image.layers.iter().enumerate() {
        let stored = store.layer(&layer.diff_id)?;
        layers.push(LayerDetails {
            diff_id: layer.diff_id.clone(),
            blob_digest: layer.blob_digest.clone(),
            media_type: layer.media_type.clone(),
            compressed_size_bytes: layer.compressed_size,
            erofs_size_bytes: stored.as_ref().map(|stored| stored.erofs_size),
            erofs_path: stored.map(|stored| stored.erofs_path),
            position,
        });
    }
    let first = reference.as_ref().or_else(|| image.references.first());
    Ok(ImageDetails {
        reference: first.map_or_else(|| NO_REFERENCE.to_owned(), ToString::to_string),
        references: image.references.iter().map(ToString::to_string).collect(),
        digest: image.digest.to_string(),
        id,
        media_type: image.media_type.clone(),
        size_bytes: size_bytes(&image),
        architecture: image.platform.architecture.clone(),
        os: image.platform.os.clone(),
        variant: image.platform.variant.clone(),
        layer_count: image.layers.len(),
        created_at: image.created_at.clone(),
        config,
        layers,
        used_by: store.users(&image.digest)?,
    })
}
