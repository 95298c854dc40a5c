//! The fields of descriptors, indexes and manifests that matter for finding images.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// A reference to a blob. Source: image-spec `descriptor.md`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type, empty if it is not stated.
    #[serde(default, deserialize_with = "or_default")]
    pub media_type: String,
    /// The digest, empty if it is not stated.
    #[serde(default, deserialize_with = "or_default")]
    pub digest: String,
    /// The length of the blob in bytes.
    #[serde(default)]
    pub size: Option<u64>,
    /// What the image runs on, in an index.
    #[serde(default)]
    pub platform: Option<Platform>,
    /// Annotations.
    #[serde(default, deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
    /// The type of an artifact, empty if it is not stated.
    #[serde(default, deserialize_with = "or_default")]
    pub artifact_type: String,
    /// The blob itself in base64.
    #[serde(default)]
    pub data: Option<String>,
}

/// What an image runs on. Displays as `linux/arm/v7`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Platform {
    /// The operating system.
    #[serde(default, deserialize_with = "or_default")]
    pub os: String,
    /// The architecture.
    #[serde(default, deserialize_with = "or_default")]
    pub architecture: String,
    /// The variant of the architecture, empty if it is not stated.
    #[serde(default, deserialize_with = "or_default")]
    pub variant: String,
}

/// A list of manifests. Source: image-spec `image-index.md`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// What it says of itself, empty if it is not stated.
    #[serde(default, deserialize_with = "or_default")]
    pub media_type: String,
    /// What it lists.
    #[serde(default, deserialize_with = "or_default")]
    pub manifests: Vec<Descriptor>,
    /// What only the manifest of an image has.
    #[serde(default)]
    pub(super) config: Option<IgnoredAny>,
    /// What only the manifest of an image has.
    #[serde(default)]
    pub(super) layers: Option<IgnoredAny>,
}

/// An image or an artifact. Source: image-spec `manifest.md`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The type of an artifact, empty if it is not stated.
    #[serde(default, deserialize_with = "or_default")]
    pub artifact_type: String,
    /// The configuration.
    #[serde(default)]
    pub config: Option<Descriptor>,
    /// The layers, the bottom one first.
    #[serde(default, deserialize_with = "or_default")]
    pub layers: Vec<Descriptor>,
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        if !self.variant.is_empty() {
            write!(formatter, "/{}", self.variant)?;
        }
        Ok(())
    }
}

/// Go writes `null` for a list or map that was never filled.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn null_and_unknown_fields_are_read_over() {
        let index: Index = serde_json::from_str(
            r#"{"schemaVersion": 2, "annotations": null, "manifests": [{
                "digest": "sha256:ab", "annotations": null, "mediaType": null, "urls": [],
                "platform": {"os": "linux", "architecture": "arm", "variant": "v7", "os.version": ""}
            }]}"#,
        )
        .unwrap();
        let descriptor = &index.manifests[0];
        assert_eq!(descriptor.media_type, "");
        assert_eq!(descriptor.size, None);
        assert_eq!(
            descriptor.platform.as_ref().unwrap().to_string(),
            "linux/arm/v7"
        );
        assert!(
            serde_json::from_str::<Index>(r#"{"manifests": null}"#)
                .unwrap()
                .manifests
                .is_empty()
        );
    }
}
