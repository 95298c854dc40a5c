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
