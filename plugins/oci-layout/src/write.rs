//! Writing a layout.

use std::collections::BTreeSet;

use msb_plugin::documents::{self, CONFIG_DETAILS};
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
        let mut descriptor = json!({
            "mediaType": image.manifest_media_type,
            "digest": manifest.digest,
            "size": manifest.bytes.len(),
        });
        if let Some(platform) = platform(image)? {
            descriptor["platform"] = platform.into();
        }
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

/// The configuration's own fields, under the names that an index has for them; none where it does
/// not say what the image runs on.
fn platform(image: &StoredImage) -> Result<Option<Map<String, Value>>, Error> {
    const FIELDS: [&str; 5] = ["architecture", "os", "os.version", "os.features", "variant"];
    let mut config = documents::value(&image.config, &CONFIG_DETAILS).map_err(|error| {
        Error::Malformed(format!(
            "the configuration {} is not valid: {error}",
            image.config_digest
        ))
    })?;
    let mut field = |name: &str| config.as_object_mut()?.remove(name);
    let platform: Map<String, Value> = FIELDS
        .iter()
        .filter_map(|&name| Some((name.to_owned(), field(name)?)))
        .filter(|(_, value)| !value.is_null() && value != "")
        .collect();
    let is_stated = platform.contains_key("architecture") && platform.contains_key("os");
    Ok(is_stated.then_some(platform))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use msb_plugin::fake::{FakeOutput, Written};
    use msb_plugin::{Archive, Attributes, Document, Format, sha256};

    use super::*;
    use crate::OciLayout;
    use crate::fixture::{image, named};

    fn written(images: &[StoredImage]) -> FakeOutput {
        let mut output = FakeOutput::new();
        write(images, &mut output).unwrap();
        output
    }

    #[test]
    fn small_files_come_first_and_every_blob_once() {
        let images = [image("a", &[0, 1, 0], "tar"), image("b", &[1, 2], "tar")];
        let output = written(&images);
        let blob = |text: &[u8]| blob_path(&sha256(text));
        assert_eq!(
            output.paths(),
            [
                "oci-layout",
                "index.json",
                &blob(&images[0].manifest),
                &blob(&images[0].config),
                &blob(&images[1].manifest),
                &blob(&images[1].config),
                &blob(b"layer 0"),
                &blob(b"layer 1"),
                &blob(b"layer 2"),
            ]
        );
        assert_eq!(output.entries[7].1, Written::Layer(1));
        assert_eq!(
            output.json("oci-layout"),
            json!({"imageLayoutVersion": "1.0.0"})
        );
        assert_eq!(output.lines, [""; 0]);
    }

    #[test]
    fn the_index_has_a_descriptor_per_reference_with_platform_and_both_names() {
        let image = named(image("a", &[0], "tar"), &["a:1", "a:2"]);
        let index = written(std::slice::from_ref(&image)).json("index.json");
        let descriptor = |tag: &str| {
            let name = format!("docker.io/library/a:{tag}");
            json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": image.manifest_digest,
                "size": image.manifest.len(),
                "platform": {"architecture": "arm", "os": "linux", "variant": "v7"},
                "annotations": {
                    "io.containerd.image.name": name,
                    "org.opencontainers.image.ref.name": name,
                },
            })
        };
        assert_eq!(
            index["manifests"],
            json!([descriptor("1"), descriptor("2")])
        );
        assert_eq!(index["schemaVersion"], 2);
    }

    #[test]
    fn an_image_without_names_has_a_descriptor_without_annotations() {
        let index = written(&[image("a", &[0], "tar")]).json("index.json");
        assert_eq!(index["manifests"].as_array().unwrap().len(), 1);
        assert_eq!(index["manifests"][0].get("annotations"), None);
    }

    #[test]
    fn a_manifest_that_changes_is_written_under_its_new_digest_and_reported() {
        let image = image("a", &[0], "tar+gzip");
        let output = written(std::slice::from_ref(&image));
        let digest = output.json("index.json")["manifests"][0]["digest"].clone();
        let bytes = output.file(&blob_path(digest.as_str().unwrap())).unwrap();
        assert_eq!(digest, sha256(bytes));
        assert_eq!(output.file(&blob_path(&image.manifest_digest)), None);
        assert!(output.lines[0].contains(&image.manifest_digest));
    }

    #[test]
    fn what_is_written_reads_back_as_the_same_images_and_references() {
        let images = [
            named(image("a", &[0, 1], "tar+gzip"), &["a:1", "a:2"]),
            image("b", &[1], "tar"),
        ];
        let archive = written(&images).to_archive();
        let plan = OciLayout::read(&archive, &Attributes::new()).unwrap();
        assert_eq!(plan.notices, [""; 0]);
        assert_eq!(plan.images.len(), 2);
        assert_eq!(
            plan.images[0].references,
            ["docker.io/library/a:1", "docker.io/library/a:2"]
        );
        assert_eq!(
            plan.images[1].manifest_digest.as_ref(),
            Some(&images[1].manifest_digest)
        );
        for (read, stored) in plan.images.iter().zip(&images) {
            let Document::Entry(index) = read.config else {
                panic!("a configuration is not in the archive");
            };
            assert_eq!(archive.read(index, 0, 4096).unwrap(), stored.config);
            let digests: Vec<_> = read.layers.iter().flat_map(|layer| &layer.digest).collect();
            let diff_ids: Vec<_> = stored.layers.iter().map(|layer| &layer.diff_id).collect();
            assert_eq!(digests, diff_ids);
        }
    }

    #[test]
    fn an_archive_that_is_no_layout_is_of_another_format() {
        let archive = msb_plugin::fake::FakeArchive::new().file("manifest.json", "[]");
        let plan = OciLayout::read(&archive, &Attributes::new());
        assert!(matches!(plan, Err(Error::NotMine(_))));
    }
}
