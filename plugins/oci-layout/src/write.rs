//! Writing a layout.

use std::collections::BTreeSet;

use msb_plugin::oci::{IMAGE_NAME, REF_NAME, blob_path, media_type};
use msb_plugin::{Error, Level, Output, StoredImage};
use serde_json::{Map, Value, json};

use crate::manifest::{self, Manifest};

/// Writes the images as a layout. The small files come first, so that a reader of a stream knows
/// what each layer is when it arrives.
pub(crate) fn write(images: &[StoredImage], output: &mut dyn Output) -> Result<(), Error> {
    let manifests = images
        .iter()
        .map(manifest::of)
        .collect::<Result<Vec<_>, _>>()?;
    output.put_file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    output.put_file(
        "index.json",
        index(images, &manifests)?.to_string().as_bytes(),
    )?;

    let mut written = BTreeSet::new();
    for (image, manifest) in images.iter().zip(&manifests) {
        if manifest.digest != image.manifest_digest {
            output.log(
                Level::Info,
                &format!(
                    "layers are written uncompressed, which makes {} of the manifest {}",
                    manifest.digest, image.manifest_digest
                ),
            );
        }
        for (digest, bytes) in [
            (&manifest.digest, &manifest.bytes),
            (&image.config_digest, &image.config),
        ] {
            if written.insert(digest.as_str()) {
                output.put_file(&blob_path(digest), bytes)?;
            }
        }
    }
    for layer in images.iter().flat_map(|image| &image.layers) {
        if written.insert(&layer.diff_id) {
            output.put_layer(&blob_path(&layer.diff_id), layer.number)?;
        }
    }
    Ok(())
}

/// One descriptor per reference: every tool that reads layouts understands that.
fn index(images: &[StoredImage], manifests: &[Manifest]) -> Result<Value, Error> {
    let mut descriptors = Vec::new();
    for (image, manifest) in images.iter().zip(manifests) {
        let descriptor = json!({
            "mediaType": image.manifest_media_type,
            "digest": manifest.digest,
            "size": manifest.bytes.len(),
            "platform": platform(image)?,
        });
        if image.references.is_empty() {
            descriptors.push(descriptor);
            continue;
        }
        for reference in &image.references {
            let mut descriptor = descriptor.clone();
            // The full name in both, as podman has it: what reads only the second one finds the
            // image under the same name.
            let name = format!("{}:{}", reference.name, reference.tag);
            descriptor["annotations"] = json!({ IMAGE_NAME: name, REF_NAME: name });
            descriptors.push(descriptor);
        }
    }
    Ok(json!({
        "schemaVersion": 2,
        "mediaType": media_type::INDEX,
        "manifests": descriptors,
    }))
}

/// The configuration's own fields, under the names that an index has for them.
fn platform(image: &StoredImage) -> Result<Map<String, Value>, Error> {
    const FIELDS: [&str; 5] = ["architecture", "os", "os.version", "os.features", "variant"];
    let mut config: Map<String, Value> =
        serde_json::from_slice(&image.config).map_err(|error| {
            Error::Malformed(format!(
                "the configuration {} is not valid: {error}",
                image.config_digest
            ))
        })?;
    Ok(FIELDS
        .iter()
        .filter_map(|&field| Some((field.to_owned(), config.remove(field)?)))
        .filter(|(_, value)| !value.is_null() && value != "")
        .collect())
}
