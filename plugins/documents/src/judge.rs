//! What is an image, and what is something else.

use std::fmt;

use crate::descriptor::Descriptor;
use crate::manifest::{Index, Manifest};
use crate::media_type::{
    ConfigKind, LayerKind, config_kind, is_build_cache, is_first_schema, is_index, is_manifest,
    layer_kind,
};

/// Why a manifest is not that of an image that msb can keep. Displays as what is told of it:
/// "it is …".
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotAnImage {
    /// It is an artifact of this type.
    Artifact(String),
    /// It is an artifact whose configuration has this type.
    Config(String),
    /// It is a build cache.
    BuildCache,
    /// It has a layer of this type, which is encrypted.
    Encrypted(String),
    /// It has a layer of this type, which is a filesystem already.
    Erofs(String),
    /// It has a layer of this type, which is a statement about an image.
    Attestation(String),
    /// It has a layer of this type.
    Layer(String),
}

/// What an entry of an index refers to, as far as its descriptor says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Another index.
    Index,
    /// A manifest, most likely of an image.
    Manifest,
    /// A manifest, most likely of an artifact.
    Artifact,
    /// It does not say: an index or a manifest.
    Unstated,
    /// A statement about another entry.
    Attestation,
    /// A manifest of Docker's retired schema 1.
    FirstSchema,
    /// What describes a build cache.
    BuildCache,
    /// Something else.
    Other,
}

impl Role {
    /// Returns whether it may lead to an image.
    pub fn leads_to_images(self) -> bool {
        matches!(
            self,
            Self::Index | Self::Manifest | Self::Artifact | Self::Unstated
        )
    }
}

impl Descriptor {
    /// Returns what this entry of an index refers to.
    pub fn role(&self) -> Role {
        // Buildx lists attestations beside the images they are about.
        let is_unknown = self
            .platform
            .as_ref()
            .is_some_and(|platform| platform.os == "unknown" || platform.architecture == "unknown");
        if is_unknown || self.annotations.contains_key("vnd.docker.reference.type") {
            return Role::Attestation;
        }
        match self.media_type.as_str() {
            _ if is_build_cache(&self.media_type) => Role::BuildCache,
            media_type if is_first_schema(media_type) => Role::FirstSchema,
            media_type if is_index(media_type) => Role::Index,
            media_type if !is_manifest(media_type) && !media_type.trim().is_empty() => Role::Other,
            // What runs somewhere is an image, whatever else it is.
            _ if !self.artifact_type.is_empty() && self.platform.is_none() => Role::Artifact,
            "" => Role::Unstated,
            _ => Role::Manifest,
        }
    }
}

impl Index {
    /// Returns whether this is the list of a build cache, whose entries are layers.
    pub fn is_build_cache(&self) -> bool {
        let mut roles = self.manifests.iter().map(Descriptor::role);
        roles.any(|role| role == Role::BuildCache)
    }
}

impl Manifest {
    /// Returns an error unless this is the manifest of an image.
    ///
    /// An artifact is known by its layers or by its own type. A configuration with a type of
    /// another kind of thing makes one as well, unless every layer is one of Docker's: images of
    /// old registries have configurations of many types, and docker, podman and containerd take
    /// them.
    pub fn check_is_image(&self) -> Result<(), NotAnImage> {
        let kind = config_kind(&self.config.media_type);
        let config = || NotAnImage::Config(self.config.media_type.clone());
        if kind == ConfigKind::BuildCache {
            return Err(NotAnImage::BuildCache);
        }
        if kind != ConfigKind::Image && !self.artifact_type.is_empty() {
            return Err(NotAnImage::Artifact(self.artifact_type.clone()));
        }
        if kind == ConfigKind::Never {
            return Err(config());
        }
        let mut are_dockers = !self.layers.is_empty();
        for layer in &self.layers {
            let media_type = || layer.media_type.clone();
            let layer = layer_kind(&layer.media_type);
            are_dockers &= layer == LayerKind::Docker;
            match layer {
                LayerKind::Docker | LayerKind::Oci | LayerKind::Unstated => {}
                LayerKind::Encrypted => return Err(NotAnImage::Encrypted(media_type())),
                LayerKind::Erofs => return Err(NotAnImage::Erofs(media_type())),
                LayerKind::Attestation => return Err(NotAnImage::Attestation(media_type())),
                // The configuration names the artifact; a type of a layer says little.
                LayerKind::Other if kind == ConfigKind::Other => return Err(config()),
                LayerKind::Other => return Err(NotAnImage::Layer(media_type())),
            }
        }
        if kind == ConfigKind::Other && !are_dockers {
            return Err(config());
        }
        Ok(())
    }
}

impl fmt::Display for NotAnImage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Artifact(kind) => write!(formatter, "it is an artifact of the type `{kind}`"),
            Self::Config(kind) => write!(
                formatter,
                "it is an artifact with a configuration of the type `{kind}`"
            ),
            Self::BuildCache => formatter.write_str("it is a build cache of BuildKit"),
            Self::Encrypted(kind) => write!(formatter, "it has encrypted layers (`{kind}`)"),
            Self::Erofs(kind) => write!(
                formatter,
                "it has a layer that is an EROFS filesystem instead of a tar (`{kind}`)"
            ),
            Self::Attestation(kind) => {
                write!(formatter, "it is an attestation about an image (`{kind}`)")
            }
            Self::Layer(kind) => write!(formatter, "it has a layer of the type `{kind}`"),
        }
    }
}

impl std::error::Error for NotAnImage {}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
