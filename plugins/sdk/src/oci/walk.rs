//! From an index to the images it leads to.

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::layout::{Located, find_blob, locate};
use super::media_type::{self, Kind};
use super::reference::Name;
use super::{Descriptor, INDEX_LIMIT, Index, MANIFEST_LIMIT, Manifest};
use crate::{Archive, Attributes, Error, Image, Layer, LayerData, Plan, sha256};

/// How deep indexes may be nested.
const DEPTH_LIMIT: usize = 8;

/// How many descriptors are followed at most.
const DESCRIPTOR_LIMIT: usize = 10_000;

/// The images that an index leads to.
#[derive(Debug, Default)]
pub struct Images {
    /// The images, in the order they are first met in.
    pub found: Vec<Found>,
    /// What was passed over, and why.
    pub notices: Vec<String>,
    obstacle: Option<Error>,
}

/// An image of an index.
#[derive(Debug)]
pub struct Found {
    /// The image. Its manifest and the digests of manifest and configuration are always there.
    pub image: Image,
    /// The tags it has without a name to go with them.
    pub bare_tags: Vec<String>,
}

impl Images {
    /// Returns the plan. Without any image it is an error that names the first one that was passed
    /// over.
    pub fn into_plan(mut self) -> Result<Plan, Error> {
        if self.found.is_empty() {
            return Err(self
                .obstacle
                .take()
                .unwrap_or_else(|| Error::Malformed("index.json lists no image".to_owned())));
        }
        let mut images = Vec::new();
        for Found { image, bare_tags } in self.found {
            if image.references.is_empty() {
                let digest = image.manifest_digest.as_deref().unwrap_or("an image");
                for tag in bare_tags {
                    self.notices.push(format!(
                        "`{tag}` is a tag without a name, so {digest} gets no reference from it"
                    ));
                }
            }
            images.push(image);
        }
        Ok(Plan {
            images,
            notices: self.notices,
            attributes: Attributes::new(),
        })
    }
}

/// Returns the images that `index` leads to, each once, under all the names it has.
pub(super) fn images(archive: &dyn Archive, index: &Index) -> Result<Images, Error> {
    let mut walk = Walk {
        archive,
        images: Images::default(),
        seen: HashMap::new(),
        open: Vec::new(),
        followed: 0,
        attestations: 0,
        absent: Vec::new(),
    };
    walk.index(index, None)?;
    Ok(walk.finish())
}

struct Walk<'a> {
    archive: &'a dyn Archive,
    images: Images,
    /// Manifests by digest: the position of their image, `None` if they were passed over.
    seen: HashMap<String, Option<usize>>,
    /// The digests of the indexes on the way from the top to here.
    open: Vec<String>,
    followed: usize,
    attestations: usize,
    absent: Vec<String>,
}

impl Walk<'_> {
    /// A name given to an index holds for all that is in it and has no name of its own.
    fn index(&mut self, index: &Index, inherited: Option<&Name>) -> Result<(), Error> {
        for descriptor in &index.manifests {
            self.followed += 1;
            if self.followed > DESCRIPTOR_LIMIT {
                return Err(Error::TooLarge(format!(
                    "the indexes list more than {DESCRIPTOR_LIMIT} descriptors, which is the limit"
                )));
            }
            let own = Name::of(&descriptor.annotations);
            let name = match (&own, inherited) {
                (Some(Name::Tag(_)), Some(full @ Name::Reference(_))) => Some(full),
                (Some(own), _) => Some(own),
                (None, inherited) => inherited,
            };
            self.descriptor(descriptor, name)?;
        }
        Ok(())
    }

    fn descriptor(&mut self, descriptor: &Descriptor, name: Option<&Name>) -> Result<(), Error> {
        if let Some(&position) = self.seen.get(&descriptor.digest) {
            self.add_name(position, name);
            return Ok(());
        }
        if is_attestation(descriptor) {
            self.attestations += 1;
            self.seen.insert(descriptor.digest.clone(), None);
            return Ok(());
        }
        let Some(located) = locate(self.archive, descriptor)? else {
            self.pass_over_absent(descriptor);
            return Ok(());
        };
        let kind = match media_type::kind(&descriptor.media_type) {
            Kind::Unstated => self.sniff(descriptor, &located)?,
            kind => kind,
        };
        match kind {
            Kind::Index => self.nested(descriptor, &located, name),
            Kind::Manifest => {
                let image = self.manifest(descriptor, located)?;
                let position = image.map(|image| {
                    self.images.found.push(image);
                    self.images.found.len() - 1
                });
                self.seen.insert(descriptor.digest.clone(), position);
                self.add_name(position, name);
                Ok(())
            }
            Kind::Refused(what) => {
                self.refuse(format!("{} is {what}", descriptor.digest));
                Ok(())
            }
            Kind::Unstated | Kind::Unknown => {
                self.refuse(format!(
                    "{} is of the type {:?}, which is not that of an image",
                    descriptor.digest, descriptor.media_type
                ));
                Ok(())
            }
        }
    }

    fn nested(
        &mut self,
        descriptor: &Descriptor,
        located: &Located,
        name: Option<&Name>,
    ) -> Result<(), Error> {
        let digest = &descriptor.digest;
        if self.open.contains(digest) {
            return Err(Error::Malformed(format!(
                "the index {digest} contains itself"
            )));
        }
        if self.open.len() == DEPTH_LIMIT {
            return Err(Error::TooLarge(format!(
                "indexes are nested more than {DEPTH_LIMIT} deep, which is the limit"
            )));
        }
        let bytes = located.bytes(self.archive, INDEX_LIMIT)?;
        // Manifests and configurations are verified by the host. Of indexes it knows nothing.
        if digest.starts_with("sha256:") && sha256(&bytes) != *digest {
            return Err(Error::Malformed(format!(
                "the index {digest} has other content, of digest {}",
                sha256(&bytes)
            )));
        }
        let index: Index = parse(&bytes, "index", digest)?;
        refuse_ambiguous(&index, digest)?;
        self.open.push(digest.clone());
        self.index(&index, name)?;
        self.open.pop();
        Ok(())
    }

    /// Returns the image of a manifest, `None` if it is to be passed over.
    fn manifest(
        &mut self,
        descriptor: &Descriptor,
        located: Located,
    ) -> Result<Option<Found>, Error> {
        let digest = &descriptor.digest;
        let bytes = located.bytes(self.archive, MANIFEST_LIMIT)?;
        let manifest: Manifest = parse(&bytes, "manifest", digest)?;
        let Some(config) = &manifest.config else {
            return Err(Error::Malformed(format!(
                "the manifest {digest} has no config"
            )));
        };
        if !media_type::is_image_config(&config.media_type) {
            let stated = [
                &manifest.artifact_type,
                &descriptor.artifact_type,
                &config.media_type,
            ];
            let artifact_type = stated.iter().find(|stated| !stated.is_empty());
            self.refuse(format!(
                "{digest} is not an image but an artifact of the type {}",
                artifact_type.map_or("", |text| text.as_str())
            ));
            return Ok(None);
        }
        for layer in &manifest.layers {
            if let Some(reason) = media_type::refused_layer(&layer.media_type) {
                self.refuse(format!(
                    "the layer {} of {digest} {reason} ({})",
                    layer.digest, layer.media_type
                ));
                return Ok(None);
            }
        }
        let Some(config_document) = locate(self.archive, config)? else {
            let text = format!(
                "the configuration {} of the image {digest} is not in the archive",
                config.digest
            );
            self.pass_over(text.clone(), Error::Missing(text));
            return Ok(None);
        };
        let image = Image {
            manifest: Some(located.document()),
            manifest_digest: Some(digest.clone()),
            config: config_document.document(),
            config_digest: Some(config.digest.clone()),
            layers: manifest
                .layers
                .iter()
                .map(|layer| self.layer(layer))
                .collect::<Result<_, _>>()?,
            references: Vec::new(),
            attributes: Attributes::new(),
        };
        Ok(Some(Found {
            image,
            bare_tags: Vec::new(),
        }))
    }

    fn layer(&self, layer: &Descriptor) -> Result<Layer, Error> {
        let entry = find_blob(self.archive, &layer.digest)?;
        Ok(Layer {
            data: entry.map_or(LayerData::Absent, |entry| LayerData::Entry(entry.index)),
            digest: Some(layer.digest.clone()),
            size: layer.size,
            media_type: Some(layer.media_type.clone()).filter(|text| !text.is_empty()),
            attributes: Attributes::new(),
        })
    }

    /// Old tools left the media type out.
    fn sniff(&self, descriptor: &Descriptor, located: &Located) -> Result<Kind, Error> {
        let bytes = located.bytes(self.archive, INDEX_LIMIT.max(MANIFEST_LIMIT))?;
        let content: Value = parse(&bytes, "document", &descriptor.digest)?;
        Ok(if content.get("manifests").is_some() {
            Kind::Index
        } else if content.get("config").is_some() {
            Kind::Manifest
        } else {
            Kind::Unknown
        })
    }

    fn add_name(&mut self, position: Option<usize>, name: Option<&Name>) {
        let found = position.and_then(|position| self.images.found.get_mut(position));
        let (Some(found), Some(name)) = (found, name) else {
            return;
        };
        let (names, name) = match name {
            Name::Reference(name) => (&mut found.image.references, name),
            Name::Tag(tag) => (&mut found.bare_tags, tag),
        };
        if !names.contains(name) {
            names.push(name.clone());
        }
    }

    fn refuse(&mut self, text: String) {
        self.pass_over(text.clone(), Error::Unsupported(text));
    }

    fn pass_over_absent(&mut self, descriptor: &Descriptor) {
        let digest = &descriptor.digest;
        let platform = descriptor.platform.as_ref().map(ToString::to_string);
        let of = platform
            .as_ref()
            .map_or(String::new(), |platform| format!(" of {platform}"));
        self.images.obstacle.get_or_insert(Error::Missing(format!(
            "the manifest {digest}{of} is not in the archive"
        )));
        self.absent.push(platform.unwrap_or_else(|| digest.clone()));
        self.seen.insert(digest.clone(), None);
    }

    fn pass_over(&mut self, notice: String, obstacle: Error) {
        self.images.notices.push(notice);
        self.images.obstacle.get_or_insert(obstacle);
    }

    fn finish(mut self) -> Images {
        let notices = &mut self.images.notices;
        if !self.absent.is_empty() {
            notices.push(format!("not in the archive: {}", self.absent.join(", ")));
        }
        match self.attestations {
            0 => {}
            1 => notices.push("passed over an attestation".to_owned()),
            count => notices.push(format!("passed over {count} attestations")),
        }
        self.images
    }
}

/// An index that others would read as an image has no meaning that all agree on. The host sees to
/// the manifests that others would read as indexes. Source: CVE-2021-41190.
fn refuse_ambiguous(index: &Index, digest: &str) -> Result<(), Error> {
    if index.config.is_some() || index.layers.is_some() {
        return Err(Error::Malformed(format!(
            "{digest} has `layers` and `manifests`: an image and an index at once"
        )));
    }
    match media_type::kind(&index.media_type) {
        Kind::Index | Kind::Unstated => Ok(()),
        _ => Err(Error::Malformed(format!(
            "the index {digest} calls itself {:?}, which is not the type of one",
            index.media_type
        ))),
    }
}

/// Buildx lists attestations beside the images they are about.
fn is_attestation(descriptor: &Descriptor) -> bool {
    let is_unknown = descriptor
        .platform
        .as_ref()
        .is_some_and(|platform| platform.os == "unknown" && platform.architecture == "unknown");
    is_unknown
        || descriptor
            .annotations
            .get("vnd.docker.reference.type")
            .is_some_and(|kind| kind == "attestation-manifest")
}

fn parse<T: DeserializeOwned>(bytes: &[u8], kind: &str, digest: &str) -> Result<T, Error> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::Malformed(format!("the {kind} {digest} is not valid: {error}")))
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
