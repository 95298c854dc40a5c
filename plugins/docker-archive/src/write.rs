//! Writing an archive, in the layout that all versions of Docker and podman read.

use std::collections::BTreeSet;

use msb_plugin::{Error, Level, Output, StoredImage, StoredLayer};
use serde_json::{Map, Value, json};

/// An image of the archive: one per configuration, for the format knows nothing of manifests.
struct Saved<'a> {
    image: &'a StoredImage,
    tags: Vec<String>,
}

/// Writes the images. The small files come first, so that a reader of a stream knows what each
/// layer is when it arrives.
pub(crate) fn write(images: &[StoredImage], output: &mut dyn Output) -> Result<(), Error> {
    let saved = one_per_config(images);
    let list: Vec<Value> = saved
        .iter()
        .map(|Saved { image, tags }| {
            json!({
                "Config": config_path(image),
                "RepoTags": if tags.is_empty() { Value::Null } else { json!(tags) },
                "Layers": image.layers.iter().map(layer_path).collect::<Vec<_>>(),
            })
        })
        .collect();
    output.put_file("manifest.json", Value::Array(list).to_string().as_bytes())?;
    let repositories = repositories(images);
    if !repositories.is_empty() {
        output.put_file(
            "repositories",
            Value::Object(repositories).to_string().as_bytes(),
        )?;
    }
    for Saved { image, .. } in &saved {
        output.put_file(&config_path(image), &image.config)?;
    }
    let mut written = BTreeSet::new();
    for image in images {
        output.log(
            Level::Debug,
            &format!(
                "the format has no place for the manifest {}",
                image.manifest_digest
            ),
        );
        for layer in &image.layers {
            if written.insert(&layer.diff_id) {
                output.put_layer(&layer_path(layer), layer.number)?;
            }
        }
    }
    Ok(())
}

fn one_per_config(images: &[StoredImage]) -> Vec<Saved<'_>> {
    let mut saved: Vec<Saved<'_>> = Vec::new();
    for image in images {
        let tags = image
            .references
            .iter()
            .map(|reference| format!("{}:{}", reference.familiar, reference.tag));
        let same = saved
            .iter_mut()
            .find(|saved| saved.image.config_digest == image.config_digest);
        match same {
            Some(saved) => saved.tags.extend(tags),
            None => saved.push(Saved {
                image,
                tags: tags.collect(),
            }),
        }
    }
    saved
}

/// What tools from before `manifest.json` look at: names and tags, leading to the folder of the
/// topmost layer.
fn repositories(images: &[StoredImage]) -> Map<String, Value> {
    let mut repositories = Map::new();
    for image in images {
        let Some(top) = image.layers.last() else {
            continue;
        };
        for reference in &image.references {
            let tags = repositories
                .entry(reference.familiar.clone())
                .or_insert_with(|| json!({}));
            tags[&reference.tag] = json!(hex(&top.diff_id));
        }
    }
    repositories
}

fn config_path(image: &StoredImage) -> String {
    format!("{}.json", hex(&image.config_digest))
}

fn layer_path(layer: &StoredLayer) -> String {
    format!("{}/layer.tar", hex(&layer.diff_id))
}

fn hex(digest: &str) -> &str {
    digest.split_once(':').map_or(digest, |(_, hex)| hex)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use msb_plugin::fake::{FakeOutput, Written};
    use msb_plugin::{Archive, Attributes, Document, ImageReference, sha256};

    use super::*;

    fn layer(number: u32) -> StoredLayer {
        StoredLayer {
            number,
            diff_id: sha256(format!("layer {number}").as_bytes()),
            size: 7,
        }
    }

    fn image(config: &str, layers: &[u32], references: &[&str]) -> StoredImage {
        StoredImage {
            manifest: b"{}".to_vec(),
            manifest_digest: sha256(config.as_bytes()),
            manifest_media_type: String::new(),
            config: config.as_bytes().to_vec(),
            config_digest: sha256(config.as_bytes()),
            layers: layers.iter().map(|&number| layer(number)).collect(),
            references: references
                .iter()
                .map(|reference| {
                    let (familiar, tag) = reference.rsplit_once(':').unwrap();
                    ImageReference {
                        name: format!("docker.io/library/{familiar}"),
                        familiar: familiar.to_owned(),
                        tag: tag.to_owned(),
                    }
                })
                .collect(),
            attributes: Attributes::new(),
        }
    }

    fn hex_of(text: &str) -> String {
        hex(&sha256(text.as_bytes())).to_owned()
    }

    fn written(images: &[StoredImage]) -> FakeOutput {
        let mut output = FakeOutput::new();
        write(images, &mut output).unwrap();
        output
    }

    #[test]
    fn small_files_come_first_and_every_layer_once() {
        let output = written(&[
            image("a", &[0, 1, 0], &["a:1"]),
            image("b", &[0, 2], &["b:1"]),
        ]);
        let layer_paths =
            [0, 1, 2].map(|number| format!("{}/layer.tar", hex_of(&format!("layer {number}"))));
        assert_eq!(
            output.paths(),
            [
                "manifest.json",
                "repositories",
                &format!("{}.json", hex_of("a")),
                &format!("{}.json", hex_of("b")),
                &layer_paths[0],
                &layer_paths[1],
                &layer_paths[2],
            ]
        );
        assert_eq!(output.entries[5].1, Written::Layer(1));
        assert_eq!(
            output.file(&format!("{}.json", hex_of("a"))),
            Some(b"a".as_slice())
        );
    }

    #[test]
    fn the_list_names_configuration_tags_and_layers() {
        let output = written(&[
            image("a", &[0, 0], &["a:1", "ghcr.io/team/a:2"]),
            image("b", &[], &[]),
        ]);
        let layer = format!("{}/layer.tar", hex_of("layer 0"));
        assert_eq!(
            output.json("manifest.json"),
            json!([
                {
                    "Config": format!("{}.json", hex_of("a")),
                    "RepoTags": ["a:1", "ghcr.io/team/a:2"],
                    "Layers": [layer, layer],
                },
                {"Config": format!("{}.json", hex_of("b")), "RepoTags": null, "Layers": []},
            ])
        );
        assert_eq!(
            output.json("repositories"),
            json!({"a": {"1": hex_of("layer 0")}, "ghcr.io/team/a": {"2": hex_of("layer 0")}})
        );
    }

    #[test]
    fn images_without_names_need_no_list_of_repositories() {
        assert_eq!(written(&[image("a", &[0], &[])]).file("repositories"), None);
    }

    #[test]
    fn two_manifests_of_one_configuration_are_one_image() {
        let mut other = image("a", &[0], &["a:2"]);
        other.manifest_digest = sha256(b"other");
        let output = written(&[image("a", &[0], &["a:1"]), other]);
        let list = output.json("manifest.json");
        assert_eq!(list.as_array().unwrap().len(), 1);
        assert_eq!(list[0]["RepoTags"], json!(["a:1", "a:2"]));
    }

    #[test]
    fn what_is_written_reads_back_as_the_same_images() {
        let images = [image("a", &[0, 1], &["a:1", "a:2"]), image("b", &[1], &[])];
        let archive = written(&images).to_archive();
        let plan = crate::read::read(&archive).unwrap();
        assert_eq!(plan.notices, [""; 0]);
        assert_eq!(plan.images.len(), 2);
        for (read, stored) in plan.images.iter().zip(&images) {
            let Document::Entry(index) = read.config else {
                panic!("a configuration is not in the archive");
            };
            assert_eq!(archive.read(index, 0, 4096).unwrap(), stored.config);
            assert_eq!(read.layers.len(), stored.layers.len());
        }
        assert_eq!(plan.images[0].references, ["a:1", "a:2"]);
    }
}
