//! A component as an artifact in a registry, in the layout that `wkg` and others use.
//!
//! Owns the documents: a manifest with a configuration of WebAssembly and exactly one layer. The
//! same component gives the same digests, whenever it is pushed. Source: CNCF TAG Runtime, "Wasm
//! OCI Artifact layout".

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// The media type of the manifest.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const LAYER: &str = "application/wasm";
/// What tools before that layout gave the layer.
const OLD_LAYER: &str = "application/vnd.wasm.content.layer.v1+wasm";
/// The annotation that names a version.
const VERSION: &str = "org.opencontainers.image.version";
/// The annotation that names the file of a layer.
const TITLE: &str = "org.opencontainers.image.title";
/// The annotation that holds a signature. Source: cosign's `SIGNATURE_SPEC`.
const COSIGN: &str = "dev.cosignproject.cosign/signature";
/// More signatures of one manifest than this are not looked at.
const MAX_SIGNATURES: usize = 32;

/// What is pushed.
#[derive(Clone, Debug)]
pub(super) struct Artifact {
    pub(super) manifest: Bytes,
    pub(super) config: Bytes,
}

/// What is said of a component beside its bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct About<'a> {
    pub(super) file_name: &'a str,
    pub(super) imports: Vec<String>,
    pub(super) exports: Vec<String>,
    /// Annotations of the manifest, by what stands behind `org.opencontainers.image.`.
    pub(super) annotations: BTreeMap<&'static str, String>,
    /// When it was made, for the configuration.
    pub(super) created: Duration,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    created: String,
    architecture: &'static str,
    os: &'static str,
    layer_digests: [&'a Digest; 1],
    component: Component<'a>,
}

#[derive(Serialize)]
struct Component<'a> {
    exports: &'a [String],
    imports: &'a [String],
    target: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    #[serde(default)]
    schema_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    #[serde(skip_serializing)]
    manifests: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

/// What a manifest says of a blob.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    media_type: String,
    /// The digest of its bytes.
    pub(super) digest: Digest,
    /// Their number.
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

/// What a manifest holds that is a component.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) layer: Descriptor,
    /// The version that its annotations state.
    pub(super) version: Option<String>,
}

/// Returns the documents for a component.
pub(super) fn compose(component: &[u8], about: &About<'_>) -> serde_json::Result<Artifact> {
    let digest = Digest::of(component);
    let seconds = i64::try_from(about.created.as_secs()).unwrap_or_default();
    let created = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    let config = Bytes::from(serde_json::to_vec(&Config {
        created: created.to_string(),
        architecture: "wasm",
        // What the layout calls components, whether they import WASI or not.
        os: "wasip2",
        layer_digests: [&digest],
        component: Component {
            exports: &about.exports,
            imports: &about.imports,
            target: None,
        },
    })?);
    let descriptor = |media_type: &str, bytes: &[u8], annotations| Descriptor {
        media_type: media_type.to_owned(),
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        annotations,
    };
    let title = BTreeMap::from([(TITLE.to_owned(), about.file_name.to_owned())]);
    let manifest = Bytes::from(serde_json::to_vec(&Manifest {
        schema_version: 2,
        media_type: Some(MANIFEST.to_owned()),
        config: Some(descriptor(CONFIG, &config, BTreeMap::new())),
        layers: Some(vec![descriptor(LAYER, component, title)]),
        manifests: None,
        annotations: about
            .annotations
            .iter()
            .map(|(key, value)| (format!("org.opencontainers.image.{key}"), value.clone()))
            .collect(),
    })?);
    Ok(Artifact { manifest, config })
}

/// Returns the time for configurations: what `SOURCE_DATE_EPOCH` says, else 1970. Source:
/// reproducible-builds.org.
pub(super) fn created() -> Duration {
    let seconds = std::env::var("SOURCE_DATE_EPOCH");
    let seconds = seconds.ok().and_then(|text| text.trim().parse().ok());
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    // A time that is not yet is a mistake.
    Duration::from_secs(seconds.unwrap_or(0)).min(now)
}

/// Finds the component in a manifest.
///
/// # Errors
/// What it is instead.
pub(super) fn find(manifest: &[u8]) -> Result<Found, String> {
    let manifest = parse(manifest)?;
    let config = manifest.config.as_ref();
    let config = config.map_or("none", |config| &config.media_type);
    let layers = manifest.layers.unwrap_or_default();
    let is_component = |layer: &Descriptor| matches!(layer.media_type.as_str(), LAYER | OLD_LAYER);
    match layers.as_slice() {
        [layer] if is_component(layer) => Ok(Found {
            layer: layer.clone(),
            version: manifest.annotations.get(VERSION).cloned(),
        }),
        _ if config.contains("image") => Err(
            "it is an image of a container, not a WebAssembly component; `msb pull` is for images"
                .to_owned(),
        ),
        [] => Err(format!(
            "it has no layer (its configuration is of type {config})"
        )),
        [layer] => Err(format!(
            "its layer is of type {}, not {LAYER}",
            layer.media_type
        )),
        layers => Err(format!(
            "it has {} layers, and a component has exactly one of type {LAYER}",
            layers.len()
        )),
    }
}

/// Returns the payloads that a manifest of cosign names, each with its signature.
///
/// # Errors
/// What is wrong with it.
pub(super) fn signatures(manifest: &[u8]) -> Result<Vec<(Descriptor, String)>, String> {
    let layers = parse(manifest)?.layers.unwrap_or_default();
    let signed = layers.into_iter().filter_map(|layer| {
        let signature = layer.annotations.get(COSIGN)?.clone();
        Some((layer, signature))
    });
    Ok(signed.take(MAX_SIGNATURES).collect())
}

/// Returns the layers of a manifest whose types begin with this; none where it is no manifest.
pub(super) fn layers(manifest: &[u8], media_type: &str) -> Vec<Descriptor> {
    let layers = parse(manifest).ok().and_then(|manifest| manifest.layers);
    let mut layers = layers.unwrap_or_default();
    layers.retain(|layer| layer.media_type.starts_with(media_type));
    layers.truncate(MAX_SIGNATURES);
    layers
}

fn parse(manifest: &[u8]) -> Result<Manifest, String> {
    let manifest: Manifest = serde_json::from_slice(manifest)
        .map_err(|error| format!("its manifest is not understood: {error}"))?;
    if manifest.manifests.is_some() {
        return Err("it is an index, which stands for several things; name one".to_owned());
    }
    Ok(manifest)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_is_composed_is_found_and_always_the_same() {
        let about = About {
            file_name: "vault.wasm",
            imports: vec!["msb:plugin/log@0.1.0".to_owned()],
            exports: vec!["msb:plugin/credentials@0.1.0".to_owned()],
            annotations: [("version", "1.2.0".to_owned())].into(),
            created: Duration::ZERO,
        };
        let artifact = compose(b"\0asm", &about).unwrap();
        let again = compose(b"\0asm", &about).unwrap();
        assert_eq!(artifact.manifest, again.manifest);
        let found = find(&artifact.manifest).unwrap();
        assert_eq!(found.layer.digest, Digest::of(b"\0asm"));
        assert_eq!(found.layer.size, 4);
        assert_eq!(found.version.as_deref(), Some("1.2.0"));
        let config: serde_json::Value = serde_json::from_slice(&artifact.config).unwrap();
        assert_eq!(config["created"], "1970-01-01T00:00:00Z");
        assert_eq!(config["layerDigests"][0], Digest::of(b"\0asm").to_string());
        assert_eq!(config["component"]["imports"][0], "msb:plugin/log@0.1.0");
    }

    #[test]
    fn what_is_no_component_is_named_for_what_it_is() {
        let layer = |media_type: &str| {
            format!(
                r#"{{"mediaType":"{media_type}","digest":"{}","size":1}}"#,
                Digest::of(b"x")
            )
        };
        let (wasm, tar) = (layer(LAYER), layer("application/x-tar"));
        let image = layer("application/vnd.oci.image.config.v1+json");
        for (manifest, reason) in [
            (
                format!(r#"{{"config":{image},"layers":[{tar}]}}"#),
                "msb pull",
            ),
            (r#"{"manifests":[]}"#.to_owned(), "index"),
            (format!(r#"{{"layers":[{wasm},{wasm}]}}"#), "2 layers"),
            (format!(r#"{{"layers":[{tar}]}}"#), "application/x-tar"),
            ("{}".to_owned(), "no layer"),
            ("[".to_owned(), "not understood"),
        ] {
            let error = find(manifest.as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{manifest}: {error}");
        }
        find(format!(r#"{{"layers":[{}]}}"#, layer(OLD_LAYER)).as_bytes()).unwrap();
    }
}
