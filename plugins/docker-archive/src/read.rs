//! Reading an archive.
//!
//! Docker 25 and later write archives that are OCI layouts as well. The layout says more: it has
//! the manifest, with the digests and types of the layers. So an image that is in both is taken
//! from the layout, and so are those that only the layout lists, images for other platforms.

use msb_plugin::oci::{CONFIG_LIMIT, Found, Images, Layout, blob_path, is_of_one_image};
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
        match listed(archive, item, &mut images.notices) {
            Ok((image, config_digest)) => {
                let image = match layout.take(&config_digest) {
                    Some(found) => layout.reconcile(image, found),
                    None => Found {
                        image,
                        bare_tags: Vec::new(),
                    },
                };
                add(&mut images.found, image);
            }
            // A fault of one image does not stop the others.
            Err(error) if is_of_one_image(&error) => images.skip(error),
            Err(error) => return Err(error),
        }
    }
    images.found.append(&mut layout.rest);
    images.attributes.append(&mut layout.attributes);
    images.notices.append(&mut layout.notices);
    images.into_plan()
}

/// An image as `manifest.json` alone describes it, with the digest of its configuration.
fn listed(
    archive: &dyn Archive,
    item: &Item,
    notices: &mut Vec<String>,
) -> Result<(Image, String), Error> {
    let config = Config::find(archive, &item.config)?;
    notices.extend(config.misnomer());
    let image = image(archive, item, &config)?;
    Ok((image, config.digest))
}

/// An image as `manifest.json` alone describes it.
fn image(archive: &dyn Archive, item: &Item, config: &Config<'_>) -> Result<Image, Error> {
    let layers = item.layers.iter().flatten();
    Ok(Image {
        manifest: None,
        manifest_digest: None,
        config: Document::Entry(config.entry.index),
        config_digest: blob_digest(config.path),
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

/// The digest that the path of a blob states. Other names of layers are not digests of their
/// bytes, though they look the same.
fn blob_digest(path: &str) -> Option<String> {
    let path = path.strip_prefix("./").unwrap_or(path);
    let digest = path.strip_prefix("blobs/")?.replacen('/', ":", 1);
    (is_digest(&digest) && blob_path(&digest) == path).then_some(digest)
}

/// A configuration that `manifest.json` names.
struct Config<'a> {
    path: &'a str,
    entry: Entry,
    digest: String,
}

impl<'a> Config<'a> {
    fn find(archive: &dyn Archive, path: &'a str) -> Result<Self, Error> {
        if path.is_empty() {
            return Err(Error::Malformed(
                "manifest.json lists an image without a Config".to_owned(),
            ));
        }
        let entry = find_file(archive, path)?.ok_or_else(|| {
            Error::Missing(format!(
                "the configuration {path} that manifest.json names is not in the archive"
            ))
        })?;
        let digest = match &entry.digest {
            Some(digest) => digest.clone(),
            None => sha256(&archive.read_all(&entry, CONFIG_LIMIT)?),
        };
        Ok(Self {
            path,
            entry,
            digest,
        })
    }

    /// Docker and podman call a configuration `<hex>.json` and kaniko calls it `sha256:<hex>`, by
    /// its digest. None of them minds another name, so what was edited by hand loads with a
    /// notice.
    fn misnomer(&self) -> Option<String> {
        let name = self.path.strip_suffix(".json").unwrap_or(self.path);
        let hex = name.strip_prefix("sha256:").unwrap_or(name);
        let is_named_by_digest =
            hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_named_by_digest && self.digest != format!("sha256:{hex}")).then(|| {
            format!(
                "the configuration {} has the digest {}, whatever its name says",
                self.path, self.digest
            )
        })
    }
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
    attributes: Attributes,
}

impl Listed {
    /// A layout that is of no use does not stand in the way: `manifest.json` is enough. One that
    /// lists nothing is what Docker writes for an image that was saved by its ID.
    fn open(archive: &dyn Archive) -> Self {
        let images = Layout::open(archive)
            .and_then(|layout| layout.map(|layout| layout.images(archive)).transpose());
        match images {
            Ok(None) => Self {
                is_layout: false,
                rest: Vec::new(),
                notices: Vec::new(),
                attributes: Attributes::new(),
            },
            Ok(Some(images)) => Self {
                is_layout: !images.found.is_empty() || !images.notices.is_empty(),
                rest: images.found,
                notices: images.notices,
                attributes: images.attributes,
            },
            Err(error) => Self {
                is_layout: false,
                rest: Vec::new(),
                notices: vec![format!("index.json was skipped: {}", text(&error))],
                attributes: Attributes::new(),
            },
        }
    }

    /// Takes the image that has this configuration out of the list.
    fn take(&mut self, config_digest: &str) -> Option<Found> {
        if !self.is_layout {
            return None;
        }
        let position = self
            .rest
            .iter()
            .position(|found| found.image.config_digest.as_deref() == Some(config_digest));
        if position.is_none() {
            self.notices.push(format!(
                "index.json has no image with the configuration {config_digest}, so manifest.json \
                 was believed"
            ));
        }
        position.map(|position| self.rest.remove(position))
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
mod tests;
