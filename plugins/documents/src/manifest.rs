//! Manifests and indexes, and telling them apart whatever others call them. Sources: image-spec
//! `manifest.md` and `image-index.md`; Docker's "Image Manifest V 2, Schema 2".

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::descriptor::{DESCRIPTOR, Descriptor};
use crate::media_type::{self, is_index, is_manifest};
use crate::parse::parse;
use crate::shape::Shape;

/// The manifest of an image or of an artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Its type: its own, else what it was called, else that of OCI.
    pub media_type: String,
    /// Whether it says its type itself.
    pub states_type: bool,
    /// The type of an artifact, empty if it is not stated.
    pub artifact_type: String,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, the bottom one first.
    pub layers: Vec<Descriptor>,
}

/// A list of manifests and indexes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// Its type: its own, else what it was called, else that of OCI.
    pub media_type: String,
    /// What it lists.
    pub manifests: Vec<Descriptor>,
}

/// A manifest or an index.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, and it is taken apart at once"
)]
pub enum Document {
    /// A manifest.
    Manifest(Manifest),
    /// An index.
    Index(Index),
}

/// Why a document is neither a manifest nor an index that all readers agree on. Displays as what
/// is told of it: "it has …".
#[derive(Debug)]
pub enum DocumentError {
    /// It is not the JSON that it should be.
    Json(serde_json::Error),
    /// It is of the schema that Docker retired.
    FirstSchema,
    /// It has what an image has and what an index has.
    ManifestAndIndex,
    /// It has neither.
    Neither(Option<String>),
    /// It has a type that does not go with what is in it.
    OtherType(String),
    /// It is an index where a manifest has to be.
    Index,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    #[serde(default)]
    schema_version: Value,
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    artifact_type: String,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    #[serde(default)]
    fs_layers: bool,
}

const SHAPE: Shape = Shape::Record(&[
    ("schemaVersion", Shape::Any),
    ("mediaType", Shape::Text),
    ("artifactType", Shape::Text),
    ("config", DESCRIPTOR),
    ("layers", Shape::List(&DESCRIPTOR)),
    ("manifests", Shape::List(&DESCRIPTOR)),
    ("subject", Shape::Perhaps(&DESCRIPTOR)),
    ("annotations", Shape::Perhaps(&Shape::Map(&Shape::Unread))),
    ("fsLayers", Shape::Presence),
]);

impl Document {
    /// Reads a manifest or an index: by its own `mediaType`, by what it is called where that is one
    /// of these two (a `Content-Type`, a descriptor), by what is in it.
    ///
    /// What some would read as the one and some as the other is refused, since one digest must not
    /// be two images. Source: CVE-2021-41190.
    pub fn read(bytes: &[u8], called: Option<&str>) -> Result<Self, DocumentError> {
        let fields: Fields = parse(bytes, &SHAPE).map_err(DocumentError::Json)?;
        // An index was never of schema 1, whatever number stands in one: podman takes it.
        let says_first = fields.schema_version.as_u64() == Some(1) && fields.manifests.is_none();
        if says_first || fields.fs_layers {
            return Err(DocumentError::FirstSchema);
        }
        let is_image_too = fields.layers.is_some() || fields.config.is_some();
        if fields.manifests.is_some() && is_image_too {
            return Err(DocumentError::ManifestAndIndex);
        }
        // Go writes the empty text where it means none.
        let states_type = !fields.media_type.is_empty();
        let stated = Some(fields.media_type).filter(|_| states_type).or(called
            .filter(|it| is_index(it) || is_manifest(it))
            .map(media_type::essence));
        let may_be = |is: fn(&str) -> bool| stated.as_deref().is_none_or(is);
        match (fields.manifests, fields.config) {
            (Some(manifests), None) if may_be(is_index) => Ok(Self::Index(Index {
                media_type: stated.unwrap_or_else(|| media_type::INDEX.to_owned()),
                manifests,
            })),
            (None, Some(config)) if may_be(is_manifest) => Ok(Self::Manifest(Manifest {
                media_type: stated.unwrap_or_else(|| media_type::MANIFEST.to_owned()),
                states_type,
                artifact_type: fields.artifact_type,
                config,
                layers: fields.layers.unwrap_or_default(),
            })),
            // An index may be empty, and Go writes `null` for that; its type alone tells.
            (None, None) if fields.layers.is_none() && stated.as_deref().is_some_and(is_index) => {
                Ok(Self::Index(Index {
                    media_type: stated.unwrap_or_default(),
                    manifests: Vec::new(),
                }))
            }
            (None, None) => Err(DocumentError::Neither(stated)),
            _ => Err(DocumentError::OtherType(stated.unwrap_or_default())),
        }
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(formatter, "it cannot be understood: {error}"),
            Self::FirstSchema => formatter.write_str(
                "it is a manifest of the retired schema 1, which was given up in 2017; push the \
                 image again with a present-day tool",
            ),
            Self::ManifestAndIndex => formatter.write_str(
                "it has `layers` or `config`, and `manifests`: an image and an index at once",
            ),
            Self::Neither(None) => {
                formatter.write_str("it has neither a configuration nor manifests")
            }
            Self::Neither(Some(media_type)) => {
                write!(
                    formatter,
                    "it is called `{media_type}`, and has no configuration"
                )
            }
            Self::OtherType(media_type) => write!(
                formatter,
                "it calls itself `{media_type}`, and is something else by what is in it"
            ),
            Self::Index => formatter.write_str("it is an index instead of a manifest"),
        }
    }
}

impl std::error::Error for DocumentError {}
