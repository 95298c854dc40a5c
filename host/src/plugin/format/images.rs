//! Images of the store as a format plugin gets them, to write an archive.

use crate::digest::Digest;
use crate::plugin::bindings::exports::msb::plugin::archive as wit;

/// A reference under which an image is saved.
#[derive(Clone, Debug)]
pub struct SavedReference {
    /// `docker.io/library/python`
    pub name: String,
    /// `python`
    pub familiar: String,
    /// `latest`
    pub tag: String,
}

/// A layer that is to be saved.
#[derive(Clone, Debug)]
pub struct StoredLayer {
    /// What [`ArchiveOutput::put_layer`](crate::archive::ArchiveOutput::put_layer) takes.
    pub number: u32,
    /// The digest of its tar.
    pub diff_id: Digest,
    /// The length of its tar.
    pub size: u64,
}

/// An image that is to be saved.
#[derive(Clone, Debug)]
pub struct StoredImage {
    /// The manifest as the store keeps it.
    pub manifest: Vec<u8>,
    /// Its digest.
    pub manifest_digest: Digest,
    /// Its media type.
    pub manifest_media_type: String,
    /// The configuration as the store keeps it.
    pub config: Vec<u8>,
    /// Its digest.
    pub config_digest: Digest,
    /// The layers, the bottom one first.
    pub layers: Vec<StoredLayer>,
    /// What to save it as.
    pub references: Vec<SavedReference>,
}

impl From<&StoredImage> for wit::StoredImage {
    fn from(image: &StoredImage) -> Self {
        Self {
            manifest: image.manifest.clone(),
            manifest_digest: image.manifest_digest.to_string(),
            manifest_media_type: image.manifest_media_type.clone(),
            config: image.config.clone(),
            config_digest: image.config_digest.to_string(),
            layers: image
                .layers
                .iter()
                .map(|layer| wit::StoredLayer {
                    number: layer.number,
                    diff_id: layer.diff_id.to_string(),
                    size: layer.size,
                })
                .collect(),
            references: image
                .references
                .iter()
                .map(|reference| wit::ImageReference {
                    name: reference.name.clone(),
                    familiar: reference.familiar.clone(),
                    tag: reference.tag.clone(),
                })
                .collect(),
            attributes: Vec::new(),
        }
    }
}
