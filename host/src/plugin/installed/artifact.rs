//! A component as an artifact in a registry, in the layout that `wkg` and others use.
//!
//! Owns what is read of the manifest: exactly one layer, which is the component. Source: CNCF TAG
//! Runtime, "Wasm OCI Artifact layout".

use serde::Deserialize;

use crate::digest::Digest;

const LAYER: &str = "application/wasm";
/// What tools before that layout gave the layer.
const OLD_LAYER: &str = "application/vnd.wasm.content.layer.v1+wasm";

#[derive(Deserialize)]
struct Manifest {
    config: Option<Config>,
    layers: Option<Vec<Layer>>,
    manifests: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    media_type: String,
}

/// What a manifest says of a layer.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Layer {
    media_type: String,
    /// The digest of its bytes.
    pub(super) digest: Digest,
    /// Their number.
    pub(super) size: u64,
}

/// Finds the component in a manifest.
///
/// # Errors
/// What it is instead.
pub(super) fn find(manifest: &[u8]) -> Result<Layer, String> {
    let manifest: Manifest = serde_json::from_slice(manifest)
        .map_err(|error| format!("its manifest is not understood: {error}"))?;
    if manifest.manifests.is_some() {
        return Err("it is an index, which stands for several things; name one".to_owned());
    }
    let config = manifest.config.as_ref();
    let config = config.map_or("none", |config| &config.media_type);
    let layers = manifest.layers.unwrap_or_default();
    let is_component = |layer: &Layer| matches!(layer.media_type.as_str(), LAYER | OLD_LAYER);
    match layers.as_slice() {
        [layer] if is_component(layer) => Ok(layer.clone()),
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

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
        for layer in [wasm, layer(OLD_LAYER)] {
            let found = find(format!(r#"{{"layers":[{layer}]}}"#).as_bytes()).unwrap();
            assert_eq!((found.digest, found.size), (Digest::of(b"x"), 1));
        }
    }
}
