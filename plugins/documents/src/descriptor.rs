//! Descriptors: how documents refer to blobs and to each other.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::shape::Shape;

/// A reference to a blob. Source: image-spec `descriptor.md`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Descriptor {
    /// The media type, empty if it is not stated.
    pub media_type: String,
    /// The digest, empty if it is not stated.
    pub digest: String,
    /// The length of the blob in bytes, if it is stated. 0 and less state nothing: Go writes 0 for a
    /// length that was never set, some tools write -1, and of no bytes the digest says enough.
    #[serde(deserialize_with = "length")]
    pub size: Option<u64>,
    /// Where the blob can be had beside where this descriptor is from.
    pub urls: Vec<String>,
    /// What the image runs on, in an index.
    pub platform: Option<Platform>,
    /// Annotations; values that are not texts are left out.
    #[serde(deserialize_with = "texts")]
    pub annotations: BTreeMap<String, String>,
    /// The type of an artifact, empty if it is not stated.
    pub artifact_type: String,
    /// The blob itself in base64.
    pub data: Option<String>,
}

/// What an image runs on. Displays as `linux/arm/v7`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Platform {
    /// The operating system.
    pub os: String,
    /// The architecture.
    pub architecture: String,
    /// The variant of the architecture, empty if it is not stated.
    pub variant: String,
}

pub(crate) const DESCRIPTOR: Shape = Shape::Record(&[
    ("mediaType", Shape::Text),
    ("digest", Shape::Text),
    ("size", Shape::Number),
    ("urls", Shape::List(&Shape::Text)),
    ("platform", PLATFORM),
    ("annotations", Shape::Map(&Shape::Any)),
    ("artifactType", Shape::Text),
    ("data", Shape::Text),
]);

const PLATFORM: Shape = Shape::Record(&[
    ("os", Shape::Text),
    ("architecture", Shape::Text),
    ("variant", Shape::Text),
    ("os.version", Shape::Unread),
    ("os.features", Shape::Unread),
    ("features", Shape::Unread),
]);

impl Platform {
    /// Returns whether it says what an image runs on: Go writes empty texts where nothing is known.
    pub fn is_stated(&self) -> bool {
        !self.architecture.is_empty()
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let os = if self.os.is_empty() {
            "linux"
        } else {
            &self.os
        };
        write!(formatter, "{os}/{}", self.architecture)?;
        if !self.variant.is_empty() {
            write!(formatter, "/{}", self.variant)?;
        }
        Ok(())
    }
}

fn length<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let length = Option::<i64>::deserialize(deserializer)?;
    Ok(length
        .and_then(|length| u64::try_from(length).ok())
        .filter(|length| *length > 0))
}

fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let values = Map::<String, Value>::deserialize(deserializer)?;
    let text = |(key, value)| match value {
        Value::String(text) => Some((key, text)),
        _ => None,
    };
    Ok(values.into_iter().filter_map(text).collect())
}
