//! {{name}}: an archive format for msb.
//!
//! An archive has the document `{{name}}.json`, which lists images, and a file for each
//! configuration and each layer, called by their digests.

use std::collections::BTreeSet;

use msb_plugin::{
    Archive, Attributes, Description, Document, Entry, Error, Format, Image, Layer, LayerData,
    Level, Output, Plan, StoredImage, is_digest,
};
use serde::{Deserialize, Serialize};

/// What the format is called.
const NAME: &str = "{{name}}";

/// Where the list of images is.
const INDEX: &str = "{{name}}.json";

/// The most bytes that the list may have.
const INDEX_LIMIT: u64 = 4 << 20;

/// The version of the format, which is in the list.
const VERSION: u32 = 1;

/// The format.
#[derive(Debug)]
pub struct {{type}}Format;

/// The list of images.
#[derive(Serialize, Deserialize)]
struct Index {
    version: u32,
    images: Vec<Listed>,
}

/// An image of the list.
#[derive(Serialize, Deserialize)]
struct Listed {
    /// Its names, with tags.
    references: Vec<String>,
    /// The digest of its configuration.
    config: String,
    /// The digests of its layers, the bottom one first.
    layers: Vec<String>,
}

impl Format for {{type}}Format {
    fn describe() -> Description {
        Description {
            name: NAME.to_owned(),
            title: "Images by their digests".to_owned(),
            reads: true,
            writes: true,
            attributes: Attributes::new(),
        }
    }

    fn read(archive: &dyn Archive, _: &Attributes) -> Result<Plan, Error> {
        let Some(entry) = archive.find(INDEX) else {
            return Err(Error::NotMine(format!("there is no {INDEX}")));
        };
        let index: Index = archive.read_json(&entry, INDEX_LIMIT)?;
        if index.version != VERSION {
            return Err(Error::Unsupported(format!(
                "{INDEX} has version {}, and this plugin reads version {VERSION}",
                index.version
            )));
        }
        let mut images = Vec::new();
        for listed in index.images {
            images.push(image(archive, listed)?);
        }
        Ok(Plan {
            images,
            notices: Vec::new(),
            attributes: Attributes::new(),
        })
    }

    fn write(images: &[StoredImage], _: &Attributes, output: &mut dyn Output) -> Result<(), Error> {
        let index = Index {
            version: VERSION,
            images: images.iter().map(listed).collect(),
        };
        let index = serde_json::to_vec_pretty(&index);
        let index = index.map_err(|error| Error::Other(format!("{INDEX}: {error}")))?;
        output.put_file(INDEX, &index)?;
        // Images may have layers in common, and no path may be written twice.
        let mut written = BTreeSet::new();
        for image in images {
            let path = place("configs", &image.config_digest)?;
            if written.insert(path.clone()) {
                output.put_file(&path, &image.config)?;
            }
            for layer in &image.layers {
                let path = place("layers", &layer.diff_id)?;
                if written.insert(path.clone()) {
                    output.put_layer(&path, layer.number)?;
                }
            }
        }
        output.log(
            Level::Debug,
            "manifests are not kept; msb composes them when it reads the archive",
        );
        Ok(())
    }
}

msb_plugin::export_format!({{type}}Format);

/// Returns what the list has of an image of the store.
fn listed(image: &StoredImage) -> Listed {
    Listed {
        references: image
            .references
            .iter()
            .map(|reference| format!("{}:{}", reference.name, reference.tag))
            .collect(),
        config: image.config_digest.clone(),
        layers: image
            .layers
            .iter()
            .map(|layer| layer.diff_id.clone())
            .collect(),
    }
}

/// Returns an image of the list with the entries that have its parts. The host reads the layers,
/// and compares all digests.
fn image(archive: &dyn Archive, listed: Listed) -> Result<Image, Error> {
    let config = find(archive, "configs", &listed.config)?;
    let mut layers = Vec::new();
    for digest in listed.layers {
        let entry = find(archive, "layers", &digest)?;
        layers.push(Layer {
            data: LayerData::Entry(entry.index),
            digest: Some(digest),
            size: Some(entry.size),
            media_type: None,
            attributes: Attributes::new(),
        });
    }
    Ok(Image {
        manifest: None,
        manifest_digest: None,
        config: Document::Entry(config.index),
        config_digest: Some(listed.config),
        layers,
        references: listed.references,
        attributes: Attributes::new(),
    })
}

fn find(archive: &dyn Archive, folder: &str, digest: &str) -> Result<Entry, Error> {
    let path = place(folder, digest)?;
    let entry = archive.find(&path);
    entry.ok_or_else(|| Error::Missing(format!("{path}, which {INDEX} lists, is not there")))
}

/// Returns where the file with a digest is. A text that is not a digest would lead elsewhere.
fn place(folder: &str, digest: &str) -> Result<String, Error> {
    match digest.split_once(':') {
        Some((algorithm, hex)) if is_digest(digest) => Ok(format!("{folder}/{algorithm}/{hex}")),
        _ => Err(Error::Malformed(format!("`{digest}` is not a digest"))),
    }
}

#[cfg(test)]
mod tests {
    use msb_plugin::fake::{FakeArchive, FakeOutput};
    use msb_plugin::{ImageReference, StoredLayer, sha256};

    use super::*;

    const CONFIG: &[u8] = br#"{"architecture": "amd64", "os": "linux"}"#;

    fn stored() -> StoredImage {
        let layer = |number| StoredLayer {
            number,
            diff_id: sha256(format!("layer {number}").as_bytes()),
            size: 7,
        };
        StoredImage {
            manifest: b"{}".to_vec(),
            manifest_digest: sha256(b"{}"),
            manifest_media_type: String::new(),
            config: CONFIG.to_vec(),
            config_digest: sha256(CONFIG),
            layers: vec![layer(0), layer(1)],
            references: vec![ImageReference {
                name: "docker.io/library/app".to_owned(),
                familiar: "app".to_owned(),
                tag: "1".to_owned(),
            }],
            attributes: Attributes::new(),
        }
    }

    fn write(images: &[StoredImage]) -> FakeArchive {
        let (options, mut output) = (Attributes::new(), FakeOutput::new());
        {{type}}Format::write(images, &options, &mut output).unwrap();
        output.to_archive()
    }

    fn read(archive: &FakeArchive) -> Result<Plan, Error> {
        {{type}}Format::read(archive, &Attributes::new())
    }

    #[test]
    fn what_was_written_is_read_again() {
        let archive = write(&[stored()]);
        let plan = read(&archive).unwrap();
        let image = &plan.images[0];
        assert_eq!(image.references, ["docker.io/library/app:1"]);
        assert_eq!(image.config_digest, Some(sha256(CONFIG)));
        let Document::Entry(config) = image.config else {
            panic!("{image:?}");
        };
        assert_eq!(archive.read(config, 0, 1000).unwrap(), CONFIG);
        for (number, layer) in image.layers.iter().enumerate() {
            let LayerData::Entry(entry) = layer.data else {
                panic!("{layer:?}");
            };
            let bytes = archive.read(entry, 0, 1000).unwrap();
            assert_eq!(bytes, format!("layer {number}").as_bytes());
            assert_eq!(layer.digest, Some(sha256(&bytes)));
        }
    }

    #[test]
    fn what_images_have_in_common_is_written_once() {
        let plan = read(&write(&[stored(), stored()])).unwrap();
        assert_eq!(plan.images.len(), 2);
        assert_eq!(plan.images[0].layers, plan.images[1].layers);
    }

    #[test]
    fn another_archive_is_not_its_own() {
        let result = read(&FakeArchive::new().file("manifest.json", "[]"));
        assert!(matches!(result, Err(Error::NotMine(_))), "{result:?}");
    }

    #[test]
    fn a_list_that_makes_no_sense_is_refused_with_what_is_wrong() {
        let list = |config: &str| {
            let image = format!(r#"{{"references": [], "config": "{config}", "layers": []}}"#);
            format!(r#"{{"version": 1, "images": [{image}]}}"#)
        };
        for (index, wrong) in [
            ("{".to_owned(), INDEX),
            (r#"{"version": 2, "images": []}"#.to_owned(), "version 2"),
            (list("../../etc"), "`../../etc` is not a digest"),
            (list("sha256:ab"), "configs/sha256/ab"),
        ] {
            match read(&FakeArchive::new().file(INDEX, &index)) {
                Err(Error::Malformed(text) | Error::Unsupported(text) | Error::Missing(text)) => {
                    assert!(text.contains(wrong), "{text}");
                }
                other => panic!("{index}: {other:?}"),
            }
        }
    }
}
