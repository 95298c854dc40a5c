//! The manifest of an image whose layers are stored without compression.

use msb_plugin::oci::media_type;
use msb_plugin::{Error, StoredImage, sha256};
use serde_json::{Map, Value, json};

/// Annotations of layers that speak of the compressed blob, by the beginning of their keys:
/// eStargz and zstd:chunked keep checksums and positions of their tables of contents there.
const ABOUT_COMPRESSION: [&str; 3] = [
    "containerd.io/snapshot/stargz/",
    "io.containers.estargz.",
    "io.github.containers.zstd-chunked.",
];

/// A manifest as it is written.
#[derive(Debug)]
pub(crate) struct Manifest {
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// Their digest.
    pub(crate) digest: String,
}

/// Returns the manifest to write for an image.
///
/// These are the bytes of the store where every layer descriptor names the uncompressed layer
/// already. Else the layer descriptors are replaced, and all else stays as and where it is.
pub(crate) fn of(image: &StoredImage) -> Result<Manifest, Error> {
    let malformed =
        |what: &str| Error::Malformed(format!("the manifest {} {what}", image.manifest_digest));
    let mut manifest: Map<String, Value> = serde_json::from_slice(&image.manifest)
        .map_err(|error| malformed(&format!("is not valid: {error}")))?;
    let layers = match manifest.get_mut("layers") {
        Some(Value::Array(layers)) => layers.as_mut_slice(),
        Some(Value::Null) | None => &mut [],
        Some(_) => return Err(malformed("has layers that are no list")),
    };
    if layers.len() != image.layers.len() {
        return Err(malformed(&format!(
            "has {} layers, and the image has {}",
            layers.len(),
            image.layers.len()
        )));
    }
    let pairs = || layers.iter().zip(&image.layers);
    if pairs().all(|(descriptor, layer)| descriptor["digest"] == layer.diff_id.as_str()) {
        return Ok(Manifest {
            bytes: image.manifest.clone(),
            digest: image.manifest_digest.clone(),
        });
    }
    let layer_type = if media_type::is_docker(&image.manifest_media_type) {
        media_type::DOCKER_LAYER
    } else {
        media_type::LAYER
    };
    for (descriptor, layer) in layers.iter_mut().zip(&image.layers) {
        if descriptor["digest"] != layer.diff_id.as_str() {
            let annotations = remaining_annotations(descriptor);
            *descriptor = json!({
                "mediaType": layer_type,
                "digest": layer.diff_id,
                "size": layer.size,
            });
            if let Some(annotations) = annotations {
                descriptor["annotations"] = annotations;
            }
        }
    }
    let bytes = Value::Object(manifest).to_string().into_bytes();
    Ok(Manifest {
        digest: sha256(&bytes),
        bytes,
    })
}

fn remaining_annotations(descriptor: &mut Value) -> Option<Value> {
    let Value::Object(mut annotations) = descriptor.get_mut("annotations")?.take() else {
        return None;
    };
    annotations.retain(|key, _| {
        !ABOUT_COMPRESSION
            .iter()
            .any(|prefix| key.starts_with(prefix))
    });
    (!annotations.is_empty()).then_some(Value::Object(annotations))
}
