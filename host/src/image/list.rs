//! `images`: what there is.

use serde::Serialize;

use crate::digest::Digest;
use crate::platform::Platform;
use crate::reference::Reference;
use crate::store::{ImageRecord, Store, StoreError};

/// What stands in a list in place of a reference.
pub const NO_REFERENCE: &str = "<none>";

/// An image in a list.
#[derive(Clone, Debug)]
pub struct ImageSummary {
    /// The references that lead to it, sorted. None if another image took the last one.
    pub references: Vec<Reference>,
    /// The digest of its manifest.
    pub digest: Digest,
    /// The digest of its configuration, which people call the image's ID.
    pub config_digest: Digest,
    /// What it runs on.
    pub platform: Platform,
    /// The number of its layers.
    pub layer_count: usize,
    /// Bytes of its layers as its manifest has them, which is compressed or not.
    pub size_bytes: u64,
    /// When the store first had it, RFC 3339 in UTC.
    pub created_at: String,
}

/// A line of a list: an image under one of its references.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImageRow {
    /// The processor architecture.
    pub architecture: String,
    /// When the store first had the image, RFC 3339 in UTC.
    pub created_at: String,
    /// The digest of its manifest.
    pub digest: String,
    /// The digest of its configuration.
    pub id: String,
    /// The number of its layers.
    pub layer_count: usize,
    /// The operating system.
    pub os: String,
    /// The reference as people write it, or `<none>`.
    pub reference: String,
    /// Bytes of its layers as its manifest has them.
    pub size_bytes: u64,
}

/// The images of a store.
#[derive(Debug)]
pub struct ImageList {
    /// The images, the newest first.
    pub images: Vec<ImageSummary>,
    /// Why there may be others as well: the catalogue is damaged, or has lost images.
    pub incomplete: Option<StoreError>,
}

/// Returns the images of the store. What is damaged does not keep the others.
pub fn list(store: &Store) -> Result<ImageList, StoreError> {
    let (images, mut damaged) = store.listing()?;
    let incomplete = match damaged.pop() {
        Some(row) => Some(row.into()),
        None => store.check_complete().err(),
    };
    Ok(ImageList {
        images: images.into_iter().map(ImageSummary::from).collect(),
        incomplete,
    })
}

impl ImageSummary {
    /// Returns the lines of a list for this image: one for each reference, or one without any.
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
            vec![row(NO_REFERENCE.to_owned())]
        } else {
            self.references
                .iter()
                .map(|reference| row(reference.familiar()))
                .collect()
        }
    }
}

impl From<ImageRecord> for ImageSummary {
    fn from(image: ImageRecord) -> Self {
        Self {
            layer_count: image.layers.len(),
            size_bytes: size(&image),
            references: image.references,
            digest: image.digest,
            config_digest: image.config_digest,
            platform: image.platform,
            created_at: image.created_at,
        }
    }
}

/// Returns the bytes of an image's layers as its manifest has them.
pub(super) fn size(image: &ImageRecord) -> u64 {
    image
        .layers
        .iter()
        .fold(0, |size, layer| size.saturating_add(layer.compressed_size))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::store::tests::TestStore;

    #[test]
    fn a_list_has_a_line_for_each_reference_and_one_for_an_image_without() {
        let store = TestStore::new();
        store.add("old", &["a"], &["app"]);
        store.add("new", &["a", "b"], &["app", "ghcr.io/org/app:v1"]);
        let rows: Vec<ImageRow> = list(&store.store)
            .unwrap()
            .images
            .iter()
            .flat_map(ImageSummary::rows)
            .collect();
        let references: Vec<&str> = rows.iter().map(|row| row.reference.as_str()).collect();
        assert_eq!(references, ["app:latest", "ghcr.io/org/app:v1", "<none>"]);
        assert_eq!(rows[0].size_bytes, 200);
        assert_eq!(rows[0].layer_count, 2);
        let json = serde_json::to_value(&rows[0]).unwrap();
        let mut keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(
            keys,
            [
                "architecture",
                "created_at",
                "digest",
                "id",
                "layer_count",
                "os",
                "reference",
                "size_bytes"
            ]
        );
        assert!(rows[0].created_at.parse::<jiff::Timestamp>().is_ok());
    }

    #[test]
    fn a_store_without_images_gives_an_empty_list() {
        assert!(list(&TestStore::new().store).unwrap().images.is_empty());
    }
}
