//! From an index to the images it leads to.

use std::collections::{HashMap, HashSet};

use super::layout::{Located, find_blob, locate};
use super::reference::Name;
use super::{Descriptor, INDEX_LIMIT, Index, MANIFEST_LIMIT, Manifest};
use crate::documents::{self, Role};
use crate::{Archive, Attributes, Entry, Error, Image, Layer, LayerData, Plan, sha256};

/// How deep indexes may be nested.
const DEPTH_LIMIT: usize = 8;

/// How many descriptors are followed at most.
const DESCRIPTOR_LIMIT: usize = 10_000;

/// The attribute of an image with what its descriptor in an index says that it runs on.
const PLATFORM: &str = "platform";

/// The attribute of an image with the digests of the indexes that lead to it, the outermost first,
/// separated by spaces. `index.json` itself is none of them. An image to which several ways lead has
/// one for each.
const INDEXES: &str = "indexes";

/// The attribute of a plan with an index that leads to images: the number of its entry and its
/// digest. `index.json` is one as well.
const INDEX: &str = "index";

/// The images that an index leads to.
#[derive(Debug, Default)]
pub struct Images {
    /// The images, in the order they are first met in. Artifacts are among them, as far as they have
    /// what an image has.
    pub found: Vec<Found>,
    /// What was skipped, and why.
    pub notices: Vec<String>,
    /// What the plan says of the indexes that lead to the images.
    pub attributes: Attributes,
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
    /// Says what was skipped, and why.
    pub fn skip(&mut self, obstacle: Error) {
        let (Error::Malformed(text)
        | Error::Unsupported(text)
        | Error::Missing(text)
        | Error::TooLarge(text)
        | Error::NotMine(text)
        | Error::Io(text)
        | Error::Other(text)) = &obstacle;
        self.notices.push(text.clone());
        self.obstacle.get_or_insert(obstacle);
    }

    /// Returns the plan. Without any image it is an error that names the first one that was skipped.
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
            attributes: self.attributes,
        })
    }
}

/// Returns the images that `index` leads to, each once, under all the names it has. `entry` holds it,
/// where the archive has it.
pub(super) fn images(
    archive: &dyn Archive,
    index: &Index,
    entry: Option<&Entry>,
) -> Result<Images, Error> {
    let mut walk = Walk {
        archive,
        images: Images::default(),
        seen: HashMap::new(),
        indexes: HashSet::new(),
        open: Vec::new(),
        followed: 0,
        attestations: 0,
        absent: Vec::new(),
    };
    let top = entry.map(|entry| (INDEX.to_owned(), entry.index.to_string()));
    walk.images.attributes.extend(top);
    walk.index(index, None)?;
    Ok(walk.finish())
}

struct Walk<'a> {
    archive: &'a dyn Archive,
    images: Images,
    /// Manifests by digest: the position of their image, `None` if they were skipped.
    seen: HashMap<String, Option<usize>>,
    /// The entries of indexes that were met.
    indexes: HashSet<u32>,
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

    /// A fault of one entry does not stop the others.
    fn descriptor(&mut self, descriptor: &Descriptor, name: Option<&Name>) -> Result<(), Error> {
        match self.follow(descriptor, name) {
            Err(error) if is_of_one_image(&error) && self.followed <= DESCRIPTOR_LIMIT => {
                self.seen.entry(descriptor.digest.clone()).or_default();
                self.images.skip(error);
                Ok(())
            }
            result => result,
        }
    }

    fn follow(&mut self, descriptor: &Descriptor, name: Option<&Name>) -> Result<(), Error> {
        let digest = &descriptor.digest;
        if let Some(&position) = self.seen.get(digest) {
            self.add_way(position, descriptor, name);
            return Ok(());
        }
        let what = match descriptor.role() {
            Role::Attestation => {
                self.attestations += 1;
                self.seen.insert(digest.clone(), None);
                return Ok(());
            }
            role if role.leads_to_images() => return self.look_into(descriptor, name),
            Role::FirstSchema => "a Docker manifest of the retired schema 1".to_owned(),
            Role::BuildCache => "the description of a build cache of BuildKit".to_owned(),
            _ => format!(
                "of the type {:?}, which is not that of an image",
                descriptor.media_type
            ),
        };
        Err(Error::Unsupported(format!("{digest} is {what}")))
    }

    fn look_into(&mut self, descriptor: &Descriptor, name: Option<&Name>) -> Result<(), Error> {
        let digest = &descriptor.digest;
        let Some(located) = locate(self.archive, descriptor)? else {
            self.skip_absent(descriptor);
            return Ok(());
        };
        let bytes = located.bytes(self.archive, INDEX_LIMIT.max(MANIFEST_LIMIT))?;
        match documents::Document::read(&bytes, Some(&descriptor.media_type)) {
            Ok(documents::Document::Index(index)) => {
                if let Located::Entry(entry) = located {
                    self.add_index(&entry, digest);
                }
                self.nested(digest, &bytes, &index, name)
            }
            Ok(documents::Document::Manifest(manifest)) => {
                let position = self.manifest(digest, &manifest, located)?;
                self.seen.insert(digest.clone(), Some(position));
                self.add_way(Some(position), descriptor, name);
                Ok(())
            }
            Err(error) => Err(Error::Malformed(format!("the document {digest}: {error}"))),
        }
    }

    /// Says where an index is. One that its descriptor holds itself has no entry to name.
    fn add_index(&mut self, entry: &Entry, digest: &str) {
        if self.indexes.insert(entry.index) {
            let text = format!("{} {digest}", entry.index);
            self.images.attributes.push((INDEX.to_owned(), text));
        }
    }

    fn nested(
        &mut self,
        digest: &str,
        bytes: &[u8],
        index: &Index,
        name: Option<&Name>,
    ) -> Result<(), Error> {
        if self.open.iter().any(|open| open == digest) {
            return Err(Error::Malformed(format!(
                "the index {digest} contains itself"
            )));
        }
        if self.open.len() == DEPTH_LIMIT {
            return Err(Error::TooLarge(format!(
                "indexes are nested more than {DEPTH_LIMIT} deep, which is the limit"
            )));
        }
        // Manifests and configurations are verified by the host. Of indexes it knows nothing.
        if digest.starts_with("sha256:") && sha256(bytes) != digest {
            return Err(Error::Malformed(format!(
                "the index {digest} has other content, of digest {}",
                sha256(bytes)
            )));
        }
        if index.is_build_cache() {
            return Err(Error::Unsupported(format!(
                "{digest} is a build cache of BuildKit, which holds no image"
            )));
        }
        self.open.push(digest.to_owned());
        let result = self.index(index, name);
        self.open.pop();
        result
    }

    /// Adds the image of a manifest, and returns its position.
    fn manifest(
        &mut self,
        digest: &str,
        manifest: &Manifest,
        located: Located,
    ) -> Result<usize, Error> {
        let config = &manifest.config;
        let Some(config_document) = locate(self.archive, config)? else {
            return Err(Error::Missing(format!(
                "the configuration {} of the image {digest} is not in the archive",
                config.digest
            )));
        };
        let image = Image {
            manifest: Some(located.document()),
            manifest_digest: Some(digest.to_owned()),
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
        self.images.found.push(Found {
            image,
            bare_tags: Vec::new(),
        });
        Ok(self.images.found.len() - 1)
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

    /// Adds what the way to an image says of it: its name, its platform, the indexes.
    fn add_way(&mut self, position: Option<usize>, descriptor: &Descriptor, name: Option<&Name>) {
        let found = position.and_then(|position| self.images.found.get_mut(position));
        let Some(found) = found else {
            return;
        };
        let attributes = &mut found.image.attributes;
        let has_platform = attributes.iter().any(|(key, _)| key == PLATFORM);
        let platform = descriptor.platform.as_ref();
        if let Some(platform) = platform.filter(|it| !has_platform && it.is_stated()) {
            attributes.push((PLATFORM.to_owned(), platform.to_string()));
        }
        let indexes = (INDEXES.to_owned(), self.open.join(" "));
        if !self.open.is_empty() && !attributes.contains(&indexes) {
            attributes.push(indexes);
        }
        let (names, name) = match name {
            Some(Name::Reference(name)) => (&mut found.image.references, name),
            Some(Name::Tag(tag)) => (&mut found.bare_tags, tag),
            None => return,
        };
        if !names.contains(name) {
            names.push(name.clone());
        }
    }

    fn skip_absent(&mut self, descriptor: &Descriptor) {
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

    fn finish(mut self) -> Images {
        let notices = &mut self.images.notices;
        if !self.absent.is_empty() {
            notices.push(format!("not in the archive: {}", self.absent.join(", ")));
        }
        match self.attestations {
            0 => {}
            1 => notices.push("skipped an attestation".to_owned()),
            count => notices.push(format!("skipped {count} attestations")),
        }
        self.images
    }
}

/// Returns whether an error is about one image of an archive, and no reason to give up the others.
pub fn is_of_one_image(error: &Error) -> bool {
    matches!(
        error,
        Error::Malformed(_) | Error::Unsupported(_) | Error::Missing(_) | Error::TooLarge(_)
    )
}

#[cfg(test)]
mod tests;
