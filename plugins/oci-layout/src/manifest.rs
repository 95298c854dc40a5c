//! The manifest of an image whose layers are stored without compression.

use msb_plugin::documents::{self, Document, Shape};
use msb_plugin::oci::media_type;
use msb_plugin::{Error, StoredImage, sha256};
use serde_json::{Value, json};

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
    let stated = match Document::read(&image.manifest, Some(&image.manifest_media_type)) {
        Ok(Document::Manifest(manifest)) => manifest.layers,
        Ok(Document::Index(_)) => return Err(malformed("is an index")),
        Err(error) => return Err(malformed(&format!("is not valid: {error}"))),
    };
    if stated.len() != image.layers.len() {
        return Err(malformed(&format!(
            "has {} layers, and the image has {}",
            stated.len(),
            image.layers.len()
        )));
    }
    let mut pairs = stated.iter().zip(&image.layers);
    if pairs.all(|(descriptor, layer)| descriptor.digest == layer.diff_id) {
        return Ok(Manifest {
            bytes: image.manifest.clone(),
            digest: image.manifest_digest.clone(),
        });
    }
    let mut manifest = documents::value(&image.manifest, &Shape::Any)
        .map_err(|error| malformed(&format!("is not valid: {error}")))?;
    let Some(Value::Array(layers)) = field(&mut manifest, "layers") else {
        return Err(malformed("has layers that are not a list"));
    };
    let layer_type = if media_type::is_docker(&image.manifest_media_type) {
        media_type::DOCKER_LAYER
    } else {
        media_type::LAYER
    };
    for ((descriptor, stated), layer) in layers.iter_mut().zip(&stated).zip(&image.layers) {
        if stated.digest != layer.diff_id {
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
    let bytes = manifest.to_string().into_bytes();
    Ok(Manifest {
        digest: sha256(&bytes),
        bytes,
    })
}

/// Returns the value of a field, however its key is written.
fn field<'a>(object: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    let mut fields = object.as_object_mut()?.iter_mut();
    fields.find_map(|(key, value)| documents::is_same_field(key, name).then_some(value))
}

fn remaining_annotations(descriptor: &mut Value) -> Option<Value> {
    let Value::Object(mut annotations) = field(descriptor, "annotations")?.take() else {
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
    fn a_manifest_is_written_however_its_keys_are_written() {
        let mut image = image("a", &[0], "tar+gzip");
        let text = String::from_utf8(image.manifest.clone()).unwrap();
        let text = text.replace("\"layers\"", "\"Layers\"");
        let text = text.replace("\"annotations\"", "\"Annotations\"");
        image.manifest = text.into_bytes();
        let manifest: Value = serde_json::from_slice(&of(&image).unwrap().bytes).unwrap();
        let layer = &manifest["Layers"][0];
        assert_eq!(layer["digest"], image.layers[0].diff_id.as_str());
        assert_eq!(layer["annotations"]["com.example.kept"], "yes");
    }

    #[test]
    fn an_image_without_layers_is_kept() {
        for layers in ["null", "[]"] {
            let mut image = image("a", &[], "tar");
            image.manifest = format!(r#"{{"config": {{}}, "layers": {layers}}}"#).into_bytes();
            assert_eq!(of(&image).unwrap().bytes, image.manifest);
        }
    }

    #[test]
    fn a_manifest_that_does_not_fit_the_image_is_malformed() {
        for manifest in [
            "",
            "[]",
            "{}",
            r#"{"config": {}, "layers": 7}"#,
            r#"{"config": {}, "layers": []}"#,
        ] {
            let mut image = image("a", &[0], "tar");
            image.manifest = manifest.as_bytes().to_vec();
            assert!(matches!(of(&image), Err(Error::Malformed(_))), "{manifest}");
        }
    }
}
