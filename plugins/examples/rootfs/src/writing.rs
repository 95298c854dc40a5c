//! From an image to its filesystem.

use msb_plugin::{Error, StoredImage};

/// What the archive has no room for.
pub(crate) const LOST: &str =
    "a root filesystem holds neither the configuration of the image nor its names";

/// Returns the layers of the only image.
pub(crate) fn layers(images: &[StoredImage]) -> Result<Vec<u32>, Error> {
    let [image] = images else {
        return Err(Error::Unsupported(format!(
            "an archive of the format rootfs holds one image, not {}",
            images.len()
        )));
    };
    Ok(image.layers.iter().map(|layer| layer.number).collect())
}
