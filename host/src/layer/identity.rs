//! What the image of a layer is known by: a UUID that follows from its `diff_id`.
//!
//! It says which layer an image is meant to be. That it is whole, [`check`](super::check) knows.

use std::fs::File;
use std::path::Path;

use msb_erofs::Image;
use uuid::Uuid;

use crate::digest::Digest;

/// Layers have UUIDs of their own namespace: version 5, of the URL namespace and this name.
const LAYER_NAMESPACE: &str = "msb:layer";

/// Returns the UUID of the image of a layer that is the same over all others.
pub fn layer_uuid(diff_id: &Digest) -> [u8; 16] {
    uuid(diff_id, None)
}

/// Returns whether a file is the image of a layer as msb writes it: the one that is the same over all others,
/// or the one over those that a chain ID names.
pub fn is_layer_image(path: &Path, diff_id: &Digest, chain: Option<&Digest>) -> bool {
    let image = File::open(path).ok().map(Image::open);
    matches!(image, Some(Ok(image)) if image.superblock().uuid == uuid(diff_id, chain))
}

/// Returns the UUID of an image: one for each layer, and for each place where it is another one.
pub(super) fn uuid(diff_id: &Digest, chain: Option<&Digest>) -> [u8; 16] {
    let namespace = Uuid::new_v5(&Uuid::NAMESPACE_URL, LAYER_NAMESPACE.as_bytes());
    let name = match chain {
        None => diff_id.to_string(),
        Some(chain) => format!("{diff_id} {chain}"),
    };
    *Uuid::new_v5(&namespace, name.as_bytes()).as_bytes()
}
