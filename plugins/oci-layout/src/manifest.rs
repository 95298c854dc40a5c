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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::fixture::image;

    #[test]
    fn a_manifest_of_uncompressed_layers_is_kept_byte_for_byte() {
        let image = image("a", &[0, 1], "tar");
        let manifest = of(&image).unwrap();
        assert_eq!(manifest.bytes, image.manifest);
        assert_eq!(manifest.digest, image.manifest_digest);
    }

    #[test]
    fn compressed_layers_are_replaced_and_all_else_stays() {
        let image = image("a", &[0], "tar+gzip");
        let manifest = of(&image).unwrap();
        assert_eq!(manifest.digest, sha256(&manifest.bytes));
        let mut expected: Value = serde_json::from_slice(&image.manifest).unwrap();
        expected["layers"] = json!([{
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": image.layers[0].diff_id,
            "size": 7,
            "annotations": {"com.example.kept": "yes"},
        }]);
        // The text, not the value: order counts.
        assert_eq!(
            String::from_utf8(manifest.bytes).unwrap(),
            expected.to_string()
        );
    }

    #[test]
    fn the_layers_of_a_docker_manifest_are_of_dockers_type() {
        let mut image = image("a", &[0], "tar+gzip");
        image.manifest_media_type = media_type::DOCKER_MANIFEST.to_owned();
        let manifest: Value = serde_json::from_slice(&of(&image).unwrap().bytes).unwrap();
        assert_eq!(manifest["layers"][0]["mediaType"], media_type::DOCKER_LAYER);
    }

    #[test]
    fn an_image_without_layers_is_kept() {
        for layers in ["null", "[]"] {
            let mut image = image("a", &[], "tar");
            image.manifest = format!(r#"{{"layers": {layers}}}"#).into_bytes();
            assert_eq!(of(&image).unwrap().bytes, image.manifest);
        }
    }

    #[test]
    fn a_manifest_that_does_not_fit_the_image_is_malformed() {
        for manifest in ["", "[]", "{}", r#"{"layers": 7}"#, r#"{"layers": []}"#] {
            let mut image = image("a", &[0], "tar");
            image.manifest = manifest.as_bytes().to_vec();
            assert!(matches!(of(&image), Err(Error::Malformed(_))), "{manifest}");
        }
    }
}
