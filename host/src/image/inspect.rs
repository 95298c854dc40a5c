//! `image inspect`: all there is to know of one image.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

use super::config::ImageConfig;
use super::list::{self, NO_REFERENCE};
use super::merged::{self, MergedImage};
use super::runtime::RuntimeDetails;
use crate::digest::Digest;
use crate::reference::Reference;
use crate::store::{FoundImage, ImageIndex, ImageRecord, Store, StoreError};

/// An image in detail. Its JSON form is part of the command line's contract.
#[derive(Clone, Debug, Serialize)]
pub struct ImageDetails {
    /// The reference by which it was found, or else its first one, or `<none>`.
    pub reference: String,
    /// All references that lead to it, sorted, as people write them.
    pub references: Vec<String>,
    /// The digest of its manifest.
    pub digest: String,
    /// The digests of the indexes that led to it.
    pub index_digests: Vec<String>,
    /// What registries know it by, sorted: repositories with digests, to pin it. That of an index
    /// gives other machines the image for their platform.
    pub repo_digests: Vec<String>,
    /// The digest of its configuration, which people call the image's ID.
    pub id: String,
    /// The manifest's media type.
    pub media_type: String,
    /// Bytes of its layers as its manifest has them, which is compressed or not.
    pub size_bytes: u64,
    /// The processor architecture.
    pub architecture: String,
    /// The operating system.
    pub os: String,
    /// The variant of the architecture, where one matters.
    pub variant: Option<String>,
    /// The number of its layers.
    pub layer_count: usize,
    /// When the store first had it, RFC 3339 in UTC.
    pub created_at: String,
    /// What its configuration says.
    pub config: ImageConfig,
    /// Its layers, the bottom one first.
    pub layers: Vec<LayerDetails>,
    /// Its merged root filesystem, if that was made.
    pub merged: Option<MergedImage>,
    /// What a virtual machine needs to start from it; `None` for an image of several layers that has
    /// not been merged, or a layer that is missing.
    pub runtime: Option<RuntimeDetails>,
    /// The sandboxes that use it, sorted.
    pub used_by: Vec<String>,
}

/// A layer of an image in detail.
#[derive(Clone, Debug, Serialize)]
pub struct LayerDetails {
    /// The digest of its contents.
    pub diff_id: Digest,
    /// The chain ID, where the EROFS image is another one over these layers than over any others.
    pub chain_id: Option<Digest>,
    /// The digest of its blob, as the manifest has it.
    pub blob_digest: Digest,
    /// The media type of its blob.
    pub media_type: String,
    /// The length of its blob in bytes.
    pub compressed_size_bytes: u64,
    /// The length of its EROFS image in bytes; `None` if that is missing or damaged.
    pub erofs_size_bytes: Option<u64>,
    /// Where its EROFS image is; `None` if that is missing or damaged.
    #[serde(serialize_with = "lossy")]
    pub erofs_path: Option<PathBuf>,
    /// Its place in the image, from 0 at the bottom.
    pub position: usize,
}

/// Returns what the store knows of the image that `selector` names.
pub fn inspect(store: &Store, selector: &str) -> Result<ImageDetails, StoreError> {
    let found = store.find(selector)?;
    let digest = found.image.digest.clone();
    // What asks for the paths of layers is about to use them.
    store.touch(&digest);
    match details(store, found) {
        // Rows go before files: it was removed meanwhile.
        Err(StoreError::Io { .. }) if !store.has_image(&digest)? => {
            Err(StoreError::NotFound(selector.to_owned()))
        }
        details => details,
    }
}

fn details(store: &Store, found: FoundImage) -> Result<ImageDetails, StoreError> {
    let image = found.image;
    let mut layers = Vec::with_capacity(image.layers.len());
    for (position, layer) in image.layers.iter().enumerate() {
        let stored = store.readable_layer(&layer.key)?;
        layers.push(LayerDetails {
            diff_id: layer.key.diff_id.clone(),
            chain_id: layer.key.chain.clone(),
            blob_digest: layer.blob_digest.clone(),
            media_type: layer.media_type.clone(),
            compressed_size_bytes: layer.compressed_size,
            erofs_size_bytes: stored.as_ref().map(|stored| stored.erofs_size),
            erofs_path: stored.map(|stored| stored.erofs_path),
            position,
        });
    }
    let bytes = store.blob(&image.config_digest)?;
    let merged = merged::present(store, &image)?;
    Ok(ImageDetails {
        reference: found
            .reference
            .as_ref()
            .or_else(|| image.references.first())
            .map_or_else(|| NO_REFERENCE.to_owned(), Reference::familiar),
        runtime: runtime(merged.as_ref(), &layers),
        merged,
        used_by: store.users(&image.digest)?,
        size_bytes: list::size(&image),
        layer_count: layers.len(),
        layers,
        config: ImageConfig::read(&image.config_digest, &bytes),
        references: image.references.iter().map(Reference::familiar).collect(),
        repo_digests: repo_digests(store, &image),
        index_digests: proven_indexes(store, &image)
            .map(|index| index.digest.to_string())
            .collect(),
        digest: image.digest.to_string(),
        id: image.config_digest.to_string(),
        media_type: image.media_type,
        architecture: image.platform.architecture,
        os: image.platform.os,
        variant: image.platform.variant,
        created_at: image.created_at,
    })
}

fn runtime(merged: Option<&MergedImage>, layers: &[LayerDetails]) -> Option<RuntimeDetails> {
    match (merged, layers) {
        (Some(merged), _) => Some(RuntimeDetails::of_merged(merged)),
        (None, [layer]) => Some(RuntimeDetails::of_layer(
            layer.erofs_path.clone()?,
            layer.erofs_size_bytes?,
        )),
        (None, _) => None,
    }
}

/// Returns the indexes that are whole and lead to an image.
fn proven_indexes<'a>(
    store: &'a Store,
    image: &'a ImageRecord,
) -> impl Iterator<Item = &'a ImageIndex> {
    let indexes = image.indexes.iter();
    indexes.filter(|index| store.is_named_by(image, &index.digest))
}

/// Returns what the registries that an image was pulled from know it by. A registry that has an
/// index has what it lists as well.
fn repo_digests(store: &Store, image: &ImageRecord) -> Vec<String> {
    let pulled = image.references.iter().filter(|reference| {
        reference.digest().is_some() || image.registry_digests.contains_key(reference)
    });
    let digests = pulled.flat_map(|reference| {
        let known = store.registry_digest(image, reference);
        let name = reference.familiar_name();
        [known, image.digest.clone()].map(|digest| format!("{name}@{digest}"))
    });
    digests.collect::<BTreeSet<_>>().into_iter().collect()
}

/// JSON has no other text than UTF-8; a path may. What is not UTF-8 is replaced.
#[expect(
    clippy::ref_option,
    reason = "serde hands over a reference to the field"
)]
pub(super) fn lossy<S: Serializer>(
    path: &Option<PathBuf>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match path {
        Some(path) => serializer.serialize_some(&path.to_string_lossy()),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::store::tests::{TestStore, layer_file};

    #[test]
    fn all_that_is_known_of_an_image_is_told() {
        let store = TestStore::new();
        let image = store.add("app", &["a", "b"], &["app:1", "app"]);
        store.store.use_image("devbox", "app").unwrap();
        let details = inspect(&store.store, "docker.io/library/app:1").unwrap();
        assert_eq!(details.reference, "app:1");
        assert_eq!(details.references, ["app:1", "app:latest"]);
        assert_eq!(details.digest, image.manifest_digest.to_string());
        assert_eq!(details.id, image.config_digest.to_string());
        assert_eq!(details.config.labels["name"], "app");
        assert_eq!(details.used_by, ["devbox"]);
        assert_eq!(details.layers.len(), 2);
        assert_eq!(details.layers[1].position, 1);
        assert_eq!(details.layers[1].erofs_size_bytes, Some(10));
        let path = store.path("cache/layers").join(layer_file("b", "erofs"));
        assert_eq!(
            details.layers[1].erofs_path.as_deref(),
            Some(path.as_path())
        );
        let json = serde_json::to_value(&details).unwrap();
        assert_eq!(json["layers"][1]["erofs_path"], path.to_str().unwrap());
    }

    #[test]
    fn a_damaged_layer_is_told_as_missing() {
        let store = TestStore::new();
        store.add("app", &["a"], &["app"]);
        std::fs::write(
            store.path("cache/layers").join(layer_file("a", "erofs")),
            "",
        )
        .unwrap();
        let details = inspect(&store.store, "app").unwrap();
        assert_eq!(details.layers[0].erofs_size_bytes, None);
        assert_eq!(details.layers[0].erofs_path, None);
    }

    #[test]
    fn an_image_without_a_reference_is_told_by_its_id() {
        let store = TestStore::new();
        let image = store.add("app", &[], &[]);
        let details = inspect(&store.store, image.config_digest.short()).unwrap();
        assert_eq!(details.reference, "<none>");
        assert!(details.references.is_empty());
    }
}
