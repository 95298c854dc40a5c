//! Manifests and indexes: telling them apart, whatever the registry says they are. Sources: OCI
//! image-spec, `manifest.md` and `image-index.md`; Docker's "Image Manifest V 2, Schema 2".

use serde::Deserialize;
use serde_json::Value;

use super::index::{Offer, OfferFields};
use crate::digest::Digest;

/// Everything that a manifest may be, for the `Accept` header.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.list.v2+json";

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// Layers, before how they are compressed. Sources: OCI image-spec, `layer.md`; Docker's "Image
/// Manifest V 2, Schema 2".
const LAYERS: [&str; 4] = [
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar",
    FOREIGN[0],
    FOREIGN[1],
];
const FOREIGN: [&str; 2] = [
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
];

/// Which manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which<'a> {
    /// The one that a tag names now.
    Tag(&'a str),
    /// The one of a digest.
    Digest(&'a Digest),
}

/// A manifest or index as a registry gave it. Its digest was checked.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Their digest.
    pub digest: Digest,
    /// The registry or mirror that gave it.
    pub host: String,
    /// What the registry calls it.
    pub content_type: Option<String>,
}

/// What a manifest is.
#[derive(Clone, Debug)]
pub enum Document {
    /// That of an image, with its media type.
    Image {
        /// The media type.
        media_type: String,
    },
    /// An index with these images and indexes.
    Index(Vec<Offer>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    schema_version: Option<Value>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<ConfigFields>,
    layers: Option<Vec<LayerFields>>,
    manifests: Option<Vec<OfferFields>>,
    fs_layers: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigFields {
    media_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayerFields {
    media_type: Option<String>,
}

/// Returns whether a media type is that of an index.
pub(crate) fn is_index(media_type: &str) -> bool {
    matches!(media_type, OCI_INDEX | DOCKER_INDEX)
}

/// Returns whether a media type is that of an image's manifest.
pub(crate) fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, OCI_MANIFEST | DOCKER_MANIFEST)
}

impl Fetched {
    /// Finds out what this is: by its own `mediaType`, by what the registry calls it, by what is in
    /// it.
    ///
    /// # Errors
    /// Why it cannot be kept as an image.
    pub fn read(&self) -> Result<Document, String> {
        let fields: Fields = serde_json::from_slice(&self.bytes)
            .map_err(|error| format!("its manifest cannot be understood: {error}"))?;
        let is_first_schema = fields.schema_version.as_ref().and_then(Value::as_u64) == Some(1);
        if is_first_schema || fields.fs_layers.is_some() {
            return Err(
                "it has a manifest of schema 1, which was given up in 2017; push it again with a \
                 present-day tool"
                    .to_owned(),
            );
        }
        if fields.manifests.is_some() && (fields.layers.is_some() || fields.config.is_some()) {
            return Err(
                "it has `layers` and `manifests`: an image and an index at once".to_owned(),
            );
        }
        // Go writes the empty text where it means none.
        let own = fields.media_type.as_deref().filter(|own| !own.is_empty());
        let stated = own
            .or(self.content_type.as_deref())
            .filter(|stated| own.is_some() || is_index(stated) || is_manifest(stated));
        let has_kind = |stated: Option<&str>, is: fn(&str) -> bool| stated.is_none_or(is);
        match (fields.manifests, fields.layers) {
            (Some(offers), None) if has_kind(stated, is_index) => Ok(Document::Index(
                offers.into_iter().filter_map(OfferFields::offer).collect(),
            )),
            (None, Some(layers)) if has_kind(stated, is_manifest) => {
                let config = fields.config.and_then(|config| config.media_type);
                refuse_artifact(fields.artifact_type.as_deref(), config.as_deref())?;
                refuse_other_layers(&layers)?;
                Ok(Document::Image {
                    media_type: stated.unwrap_or(OCI_MANIFEST).to_owned(),
                })
            }
            (None, None) => Err(match stated {
                Some(stated) => format!("its manifest of type {stated} has no layers"),
                None => "its manifest has neither layers nor manifests".to_owned(),
            }),
            _ => Err(format!(
                "its manifest is of type {}, and something else by what is in it",
                stated.unwrap_or_default()
            )),
        }
    }
}

fn refuse_artifact(artifact: Option<&str>, config: Option<&str>) -> Result<(), String> {
    let is_image = config.is_none_or(|config| matches!(config, OCI_CONFIG | DOCKER_CONFIG));
    match artifact {
        _ if is_image => Ok(()),
        Some(artifact) => Err(format!("it is an artifact of type {artifact}")),
        None => Err(format!(
            "it is an artifact with a configuration of type {}",
            config.unwrap_or_default()
        )),
    }
}

fn refuse_other_layers(layers: &[LayerFields]) -> Result<(), String> {
    let other = layers
        .iter()
        .filter_map(|layer| layer.media_type.as_deref())
        .find(|media_type| media_type.ends_with("+encrypted") || !is_layer(media_type));
    match other {
        None => Ok(()),
        Some(encrypted) if encrypted.ends_with("+encrypted") => {
            Err(format!("it has encrypted layers ({encrypted})"))
        }
        Some(other) => Err(format!("it has a layer of type `{other}`")),
    }
}

/// Returns whether a media type is that of a layer of an image. How it is compressed is found out
/// from its bytes.
fn is_layer(media_type: &str) -> bool {
    let is_tar = |rest: &str| rest.is_empty() || rest.starts_with(['.', '+']);
    LAYERS
        .iter()
        .filter_map(|layer| media_type.strip_prefix(layer))
        .any(is_tar)
}

/// Returns whether a layer of this type may be had from where its descriptor says. Source: OCI
/// image-spec, `layer.md`, "Non-Distributable Layers".
pub(crate) fn is_foreign(media_type: &str) -> bool {
    FOREIGN.iter().any(|layer| media_type.starts_with(layer))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    fn read(text: &str, content_type: Option<&str>) -> Result<Document, String> {
        Fetched {
            bytes: text.as_bytes().to_vec(),
            digest: Digest::of(text.as_bytes()),
            host: "h".to_owned(),
            content_type: content_type.map(str::to_owned),
        }
        .read()
    }

    fn refused(text: &str, reason: &str) {
        let error = read(text, None).unwrap_err();
        assert!(error.contains(reason), "{text}: {error}");
    }

    #[test]
    fn a_manifest_is_known_by_what_it_says_or_by_what_is_in_it() {
        let plain = r#"{"schemaVersion":2,"config":{},"layers":[]}"#;
        for content_type in [None, Some("text/plain"), Some(OCI_MANIFEST)] {
            let Document::Image { media_type } = read(plain, content_type).unwrap() else {
                panic!("{content_type:?}");
            };
            assert_eq!(media_type, OCI_MANIFEST);
        }
        let empty = r#"{"mediaType":"","config":{},"layers":[]}"#;
        assert!(
            matches!(read(empty, None), Ok(Document::Image { media_type }) if media_type == OCI_MANIFEST)
        );
        let docker = format!(r#"{{"mediaType":"{DOCKER_MANIFEST}","config":{{}},"layers":[]}}"#);
        let Document::Image { media_type } = read(&docker, Some(OCI_MANIFEST)).unwrap() else {
            panic!();
        };
        assert_eq!(media_type, DOCKER_MANIFEST);
        let Document::Image { media_type } = read(plain, Some(DOCKER_MANIFEST)).unwrap() else {
            panic!();
        };
        assert_eq!(media_type, DOCKER_MANIFEST);
    }

    #[test]
    fn an_index_is_known_by_what_it_says_or_by_what_is_in_it() {
        for content_type in [None, Some("application/json"), Some(DOCKER_INDEX)] {
            let index = read(r#"{"schemaVersion":2,"manifests":[]}"#, content_type);
            assert!(matches!(index.unwrap(), Document::Index(offers) if offers.is_empty()));
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        refused(r#"{"config":{},"layers":[],"manifests":[]}"#, "at once");
        refused(r#"{"layers":[],"manifests":[]}"#, "at once");
        let index = format!(r#"{{"mediaType":"{OCI_INDEX}","config":{{}},"layers":[]}}"#);
        refused(&index, "something else");
        let error = read(r#"{"config":{},"layers":[]}"#, Some(OCI_INDEX)).unwrap_err();
        assert!(error.contains("something else"), "{error}");
    }

    #[test]
    fn what_is_no_image_is_refused_by_its_name() {
        refused(r#"{"schemaVersion":1,"fsLayers":[]}"#, "schema 1");
        refused("{}", "neither");
        refused("[]", "understood");
        refused("<html>", "understood");
        refused(
            r#"{"artifactType":"application/x.y","config":{"mediaType":"application/vnd.oci.empty.v1+json"},"layers":[]}"#,
            "application/x.y",
        );
        refused(
            r#"{"config":{"mediaType":"application/vnd.cncf.helm.config.v1+json"},"layers":[]}"#,
            "helm",
        );
        refused(
            r#"{"config":{},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip+encrypted"}]}"#,
            "encrypted",
        );
        for other in [
            "application/vnd.oci.image.layer.v1.tarball",
            "application/x",
            "",
        ] {
            refused(
                &format!(r#"{{"config":{{}},"layers":[{{"mediaType":"{other}"}}]}}"#),
                "a layer of type",
            );
        }
    }

    #[test]
    fn every_known_layer_is_one_however_it_is_compressed() {
        for media_type in [
            "application/vnd.oci.image.layer.v1.tar",
            "application/vnd.oci.image.layer.v1.tar+zstd",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        ] {
            let layers = format!(r#"[{{"mediaType":"{media_type}"}}]"#);
            read(&format!(r#"{{"config":{{}},"layers":{layers}}}"#), None).unwrap();
            let is_elsewhere = media_type.contains("foreign") || media_type.contains("nondistr");
            assert_eq!(is_foreign(media_type), is_elsewhere, "{media_type}");
        }
    }
}
