//! Reading an archive.
//!
//! Docker 25 and later write archives that are OCI layouts as well. The layout says more: it has
//! the manifest, with the digests and types of the layers. So an image that is in both is taken
//! from the layout, and so are those that only the layout lists, images for other platforms.

use msb_plugin::oci::{CONFIG_LIMIT, Found, Images, Layout, blob_path};
use msb_plugin::{
    Archive, Attributes, Document, Entry, EntryKind, Error, Image, Layer, LayerData, Plan,
    is_digest, sha256,
};

use crate::list::{self, Item};

/// Reads the archive.
pub(crate) fn read(archive: &dyn Archive) -> Result<Plan, Error> {
    let items = list::read(archive)?;
    let mut layout = Listed::open(archive);
    let mut images = Images::default();
    for item in &items {
        let image = image(archive, item)?;
        let image = match layout.take(archive, &image)? {
            Some(found) => layout.reconcile(image, found),
            None => Found {
                image,
                bare_tags: Vec::new(),
            },
        };
        add(&mut images.found, image);
    }
    images.found.append(&mut layout.rest);
    images.notices = layout.notices;
    images.into_plan()
}

/// An image as `manifest.json` alone describes it.
fn image(archive: &dyn Archive, item: &Item) -> Result<Image, Error> {
    if item.config.is_empty() {
        return Err(Error::Malformed(
            "manifest.json lists an image without a Config".to_owned(),
        ));
    }
    let config = find_file(archive, &item.config)?.ok_or_else(|| {
        Error::Missing(format!(
            "the configuration {} that manifest.json names",
            item.config
        ))
    })?;
    let layers = item.layers.iter().flatten();
    Ok(Image {
        manifest: None,
        manifest_digest: None,
        config: Document::Entry(config.index),
        config_digest: config_digest(&item.config),
        layers: layers
            .map(|path| layer(archive, path))
            .collect::<Result<_, _>>()?,
        references: item
            .repo_tags
            .iter()
            .flatten()
            .filter(|tag| !tag.is_empty() && !tag.starts_with("<none>"))
            .cloned()
            .collect(),
        attributes: Attributes::new(),
    })
}

/// A layer that is not in the archive may be in the store.
fn layer(archive: &dyn Archive, path: &str) -> Result<Layer, Error> {
    let entry = find_file(archive, path)?;
    Ok(Layer {
        data: entry.map_or(LayerData::Absent, |entry| LayerData::Entry(entry.index)),
        digest: blob_digest(path),
        size: None,
        media_type: None,
        attributes: Attributes::new(),
    })
}

fn find_file(archive: &dyn Archive, path: &str) -> Result<Option<Entry>, Error> {
    match archive.find(path) {
        Some(entry) if entry.kind != EntryKind::File => Err(Error::Malformed(format!(
            "{path}, which manifest.json names, is not a file"
        ))),
        found => Ok(found),
    }
}

/// The digest that the path of a configuration states: `<hex>.json` in archives of Docker and
/// podman, `blobs/sha256/<hex>` since Docker 25, `sha256:<hex>` in those of kaniko.
fn config_digest(path: &str) -> Option<String> {
    let name = path.strip_suffix(".json").unwrap_or(path);
    let hex = name.strip_prefix("sha256:").unwrap_or(name);
    if is_sha256(hex) {
        return Some(format!("sha256:{hex}"));
    }
    blob_digest(path)
}

/// The digest that the path of a blob states. Other names of layers are no digests of their
/// bytes, though they look the same.
fn blob_digest(path: &str) -> Option<String> {
    let path = path.strip_prefix("./").unwrap_or(path);
    let digest = path.strip_prefix("blobs/")?.replacen('/', ":", 1);
    (is_digest(&digest) && blob_path(&digest) == path).then_some(digest)
}

fn is_sha256(hex: &str) -> bool {
    hex.len() == 64
        && hex
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Adds an image; to the one that is there already if it is the same one under other names.
fn add(images: &mut Vec<Found>, new: Found) {
    let same = images.iter_mut().find(|Found { image, .. }| {
        image.config == new.image.config
            && image.manifest == new.image.manifest
            && image.layers == new.image.layers
    });
    let Some(Found { image, .. }) = same else {
        images.push(new);
        return;
    };
    for reference in new.image.references {
        if !image.references.contains(&reference) {
            image.references.push(reference);
        }
    }
}

/// The images that the OCI layout lists, if the archive is one.
struct Listed {
    is_layout: bool,
    rest: Vec<Found>,
    notices: Vec<String>,
}

impl Listed {
    /// A layout that is of no use does not stand in the way: `manifest.json` is enough.
    fn open(archive: &dyn Archive) -> Self {
        let images = Layout::open(archive)
            .and_then(|layout| layout.map(|layout| layout.images(archive)).transpose());
        match images {
            Ok(None) => Self {
                is_layout: false,
                rest: Vec::new(),
                notices: Vec::new(),
            },
            Ok(Some(images)) => Self {
                is_layout: true,
                rest: images.found,
                notices: images.notices,
            },
            Err(error) => Self {
                is_layout: false,
                rest: Vec::new(),
                notices: vec![format!("index.json was passed over: {}", text(&error))],
            },
        }
    }

    /// Takes the image that has the same configuration out of the list.
    fn take(&mut self, archive: &dyn Archive, image: &Image) -> Result<Option<Found>, Error> {
        if !self.is_layout {
            return Ok(None);
        }
        let digest = match (&image.config_digest, &image.config) {
            (Some(digest), _) => digest.clone(),
            (None, Document::Bytes(bytes)) => sha256(bytes),
            (None, Document::Entry(index)) => digest_of(archive, *index)?,
        };
        let position = self
            .rest
            .iter()
            .position(|found| found.image.config_digest.as_ref() == Some(&digest));
        if position.is_none() {
            self.notices.push(format!(
                "index.json has no image with the configuration {digest}, so manifest.json was believed"
            ));
        }
        Ok(position.map(|position| self.rest.remove(position)))
    }

    /// Puts together what both lists say of an image. Where they differ the layout counts.
    fn reconcile(&mut self, listed: Image, mut found: Found) -> Found {
        let image = &mut found.image;
        let digest = image.manifest_digest.as_deref().unwrap_or_default();
        let is_other = |(of_layout, of_list): (&Layer, &Layer)| {
            of_list.data != LayerData::Absent
                && of_layout.data != LayerData::Absent
                && of_list.data != of_layout.data
        };
        if image.layers.len() != listed.layers.len()
            || image.layers.iter().zip(&listed.layers).any(is_other)
        {
            self.notices.push(format!(
                "manifest.json and index.json name different layers for {digest}, and index.json was believed"
            ));
        } else {
            for (layer, listed) in image.layers.iter_mut().zip(listed.layers) {
                if layer.data == LayerData::Absent {
                    *layer = listed;
                }
            }
        }
        if image.references.is_empty() {
            image.references = listed.references;
            return found;
        }
        for reference in listed.references {
            let is_known = |known: &String| familiar(known) == familiar(&reference);
            if !image.references.iter().any(is_known) {
                self.notices.push(format!(
                    "manifest.json names {digest} `{reference}`, index.json does not and was believed"
                ));
            }
        }
        found
    }
}

fn digest_of(archive: &dyn Archive, index: u32) -> Result<String, Error> {
    let entry = archive.entries().find(|entry| entry.index == index);
    let entry = entry.ok_or_else(|| Error::Missing(format!("entry {index}")))?;
    match &entry.digest {
        Some(digest) => Ok(digest.clone()),
        None => Ok(sha256(&archive.read_all(&entry, CONFIG_LIMIT)?)),
    }
}

/// The name without what Docker leaves out, for comparing names of both lists.
fn familiar(reference: &str) -> &str {
    let short = reference.strip_prefix("docker.io/").unwrap_or(reference);
    short.strip_prefix("library/").unwrap_or(short)
}

fn text(error: &Error) -> &str {
    match error {
        Error::NotMine(text)
        | Error::Malformed(text)
        | Error::Unsupported(text)
        | Error::Missing(text)
        | Error::TooLarge(text)
        | Error::Io(text)
        | Error::Other(text) => text,
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
