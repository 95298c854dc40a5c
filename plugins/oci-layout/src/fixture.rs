//! Images of a store, built from text.

#![allow(clippy::unwrap_used, reason = "tests")]

use msb_plugin::oci::media_type;
use msb_plugin::{Attributes, ImageReference, StoredImage, StoredLayer, sha256};
use serde_json::{Value, json};

/// An image with the layers of these numbers, that came with layer blobs in the given form: `tar`
/// is stored as it came, `tar+gzip` is not.
pub(crate) fn image(name: &str, layers: &[u32], form: &str) -> StoredImage {
    let stored: Vec<StoredLayer> = layers
        .iter()
        .map(|number| StoredLayer {
            number: *number,
            diff_id: sha256(format!("layer {number}").as_bytes()),
            size: 7,
        })
        .collect();
    let descriptors: Vec<Value> = stored
        .iter()
        .map(|layer| match form {
            "tar" => json!({
                "mediaType": media_type::LAYER,
                "digest": layer.diff_id,
                "size": layer.size,
            }),
            _ => json!({
                "mediaType": format!("application/vnd.oci.image.layer.v1.{form}"),
                "digest": sha256(format!("{form} {}", layer.number).as_bytes()),
                "size": 5,
                "urls": ["https://example.com"],
                "annotations": {
                    "com.example.kept": "yes",
                    "io.github.containers.zstd-chunked.manifest-checksum": "sha256:ab",
                },
            }),
        })
        .collect();
    let config = json!({"architecture": "arm", "variant": "v7", "os": "linux", "name": name});
    let config = config.to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "x-unknown": {"z": 1, "a": [1.5, 12_345_678_901_234_567_890_u64]},
        "layers": descriptors,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
                   "digest": sha256(&config), "size": config.len()},
        "annotations": {"org.opencontainers.image.title": "ä <b>"},
    });
    let mut manifest = manifest.to_string();
    manifest.push('\n');
    StoredImage {
        manifest_digest: sha256(manifest.as_bytes()),
        manifest: manifest.into_bytes(),
        manifest_media_type: media_type::MANIFEST.to_owned(),
        config_digest: sha256(&config),
        config,
        layers: stored,
        references: Vec::new(),
        attributes: Attributes::new(),
    }
}

/// The same image under references such as `python:3.12`.
pub(crate) fn named(mut image: StoredImage, references: &[&str]) -> StoredImage {
    image.references = references
        .iter()
        .map(|reference| {
            let (familiar, tag) = reference.rsplit_once(':').unwrap();
            ImageReference {
                name: format!("docker.io/library/{familiar}"),
                familiar: familiar.to_owned(),
                tag: tag.to_owned(),
            }
        })
        .collect();
    image
}
