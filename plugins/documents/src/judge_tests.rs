//! Tests of what is an image and what is not, on manifests and indexes as they are found.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use serde_json::{Value, json};

use super::*;
use crate::media_type::{DOCKER_INDEX, DOCKER_MANIFEST, INDEX, MANIFEST};
use crate::{Document, DocumentError};

const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const HELM: &str = "application/vnd.cncf.helm.config.v1+json";
const TAR: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const DOCKER_TAR: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

fn read(document: &Value, called: Option<&str>) -> Result<Document, DocumentError> {
    Document::read(document.to_string().as_bytes(), called)
}

fn manifest(artifact: &str, config: &str, layers: &[&str]) -> Manifest {
    let layers: Vec<Value> = layers
        .iter()
        .map(|layer| json!({"mediaType": layer}))
        .collect();
    let document =
        json!({"artifactType": artifact, "config": {"mediaType": config}, "layers": layers});
    match read(&document, None).unwrap() {
        Document::Manifest(manifest) => manifest,
        Document::Index(_) => panic!("{document}"),
    }
}

#[test]
fn what_docker_podman_or_containerd_take_for_an_image_is_one() {
    for (artifact, config, layers) in [
        ("", OCI_CONFIG, &[TAR, TAR][..]),
        ("", DOCKER_CONFIG, &[DOCKER_TAR]),
        ("", OCI_CONFIG, &[]),
        ("application/vnd.example.app", OCI_CONFIG, &[TAR]),
        ("", "application/octet-stream", &[DOCKER_TAR]),
        ("", "application/json", &[DOCKER_TAR]),
        ("", "text/html", &[DOCKER_TAR]),
        ("", "text/plain", &[TAR]),
        ("", "", &[DOCKER_TAR]),
        ("", "", &[TAR]),
        ("", "", &[]),
        ("", "application/vnd.example.config", &[DOCKER_TAR]),
        (
            "",
            "application/vnd.oci.image.config.v1+json; charset=utf-8",
            &[TAR],
        ),
        ("", OCI_CONFIG, &["", "application/octet-stream"]),
        ("", "", &[""]),
        (
            "",
            DOCKER_CONFIG,
            &["application/vnd.docker.image.rootfs.diff+x-gtar"],
        ),
    ] {
        let manifest = manifest(artifact, config, layers);
        assert_eq!(manifest.check_is_image(), Ok(()), "{config} {layers:?}");
    }
}

#[test]
fn artifacts_are_known_by_their_layers_or_types() {
    for (artifact, config, layers, expected) in [
        (
            "application/spdx+json",
            EMPTY,
            &["application/spdx+json"][..],
            "application/spdx+json",
        ),
        (
            "application/vnd.example.sbom",
            EMPTY,
            &[TAR],
            "application/vnd.example.sbom",
        ),
        (
            "application/vnd.example.sbom",
            "",
            &[TAR],
            "application/vnd.example.sbom",
        ),
        ("", EMPTY, &[DOCKER_TAR], EMPTY),
        (
            "",
            HELM,
            &["application/vnd.cncf.helm.chart.content.v1.tar+gzip"],
            HELM,
        ),
        ("", HELM, &[], HELM),
        (
            "",
            "application/vnd.wasm.config.v0+json",
            &["application/wasm"],
            "wasm.config",
        ),
        (
            "",
            "application/vnd.docker.plugin.v1+json",
            &[DOCKER_TAR],
            "docker.plugin",
        ),
        (
            "",
            OCI_CONFIG,
            &["application/vnd.dev.cosign.simplesigning.v1+json"],
            "simplesigning",
        ),
        (
            "",
            OCI_CONFIG,
            &["application/vnd.in-toto+json"],
            "an attestation",
        ),
        (
            "",
            OCI_CONFIG,
            &["application/vnd.erofs.layer.v1"],
            "an EROFS filesystem",
        ),
        (
            "",
            OCI_CONFIG,
            &["application/vnd.oci.image.layer.v1.tar+gzip+encrypted"],
            "encrypted",
        ),
        (
            "",
            "application/json",
            &["application/json"],
            "a layer of the type",
        ),
        (
            "",
            "application/vnd.buildkit.cacheconfig.v0",
            &[TAR],
            "a build cache",
        ),
    ] {
        let error = manifest(artifact, config, layers)
            .check_is_image()
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_document_is_known_by_what_it_says_or_by_what_is_in_it() {
    let plain = json!({"schemaVersion": 2, "config": {}, "layers": []});
    let list = json!({"schemaVersion": 2, "manifests": []});
    let with_type = |document: &Value, own: Value| {
        let mut document = document.clone();
        document["mediaType"] = own;
        document
    };
    for (own, called, expected) in [
        (Value::Null, None, MANIFEST),
        (json!(""), None, MANIFEST),
        (json!(""), Some(DOCKER_MANIFEST), DOCKER_MANIFEST),
        (json!(""), Some("text/plain"), MANIFEST),
        (json!(MANIFEST), Some(DOCKER_MANIFEST), MANIFEST),
        (json!(DOCKER_MANIFEST), None, DOCKER_MANIFEST),
        // What is called an index and calls itself a manifest is one.
        (json!(MANIFEST), Some(INDEX), MANIFEST),
    ] {
        let Document::Manifest(manifest) = read(&with_type(&plain, own), called).unwrap() else {
            panic!("{called:?}");
        };
        assert_eq!(manifest.media_type, expected);
    }
    for own in [Value::Null, json!(""), json!(INDEX), json!(DOCKER_INDEX)] {
        for called in [None, Some("application/json"), Some(DOCKER_INDEX)] {
            let document = read(&with_type(&list, own.clone()), called).unwrap();
            assert!(matches!(document, Document::Index(_)), "{own} {called:?}");
        }
    }
    let empty = json!({"manifests": null});
    let read = read(&empty, Some(INDEX)).unwrap();
    assert!(matches!(read, Document::Index(index) if index.manifests.is_empty()));
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let manifest = json!({"config": {}, "layers": []});
    let index = json!({"manifests": []});
    let with = |document: &Value, field: &str, value: Value| {
        let mut document = document.clone();
        document[field] = value;
        document
    };
    for (document, called, words) in [
        (with(&manifest, "manifests", json!([])), None, "at once"),
        (
            with(&manifest, "Manifests", json!([{"digest": "x"}])),
            None,
            "at once",
        ),
        (with(&index, "layers", json!([])), None, "at once"),
        (with(&index, "CONFIG", json!({})), None, "at once"),
        (
            with(&manifest, "manifests", json!(7)),
            None,
            "`manifests` is",
        ),
        (
            with(&manifest, "mediaType", json!(INDEX)),
            None,
            "something else",
        ),
        (
            with(&manifest, "MediaType", json!(INDEX)),
            None,
            "something else",
        ),
        (
            with(&manifest, "mediaType", json!("text/plain")),
            Some(MANIFEST),
            "text/plain",
        ),
        (
            with(&manifest, "mediaType", json!(" ")),
            None,
            "calls itself",
        ),
        (manifest.clone(), Some(INDEX), "something else"),
        (
            with(&index, "mediaType", json!(MANIFEST)),
            None,
            "something else",
        ),
        (index.clone(), Some(DOCKER_MANIFEST), "something else"),
        (with(&manifest, "schemaVersion", json!(1)), None, "schema 1"),
        (json!({"fsLayers": []}), None, "schema 1"),
        (json!({}), None, "neither"),
        (json!({"layers": []}), None, "neither"),
        (json!([]), None, "understood"),
    ] {
        let error = read(&document, called).unwrap_err().to_string();
        assert!(error.contains(words), "{document}: {error}");
    }
    assert!(read(&with(&manifest, "manifests", Value::Null), None).is_ok());
    assert!(read(&with(&index, "schemaVersion", json!(1)), None).is_ok());
}

#[test]
fn the_entries_of_an_index_say_what_they_refer_to() {
    let amd64 = json!({"os": "linux", "architecture": "amd64"});
    for (entry, role) in [
        (json!({"platform": amd64}), Role::Unstated),
        (json!({"mediaType": MANIFEST}), Role::Manifest),
        (
            json!({"mediaType": format!("{MANIFEST}; charset=utf-8")}),
            Role::Manifest,
        ),
        (json!({"mediaType": DOCKER_INDEX}), Role::Index),
        (
            json!({"mediaType": MANIFEST, "artifactType": "a/b"}),
            Role::Artifact,
        ),
        (
            json!({"mediaType": MANIFEST, "artifactType": "a/b", "platform": amd64}),
            Role::Manifest,
        ),
        (
            json!({"platform": {"os": "unknown", "architecture": "unknown"}}),
            Role::Attestation,
        ),
        (
            json!({"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}),
            Role::Attestation,
        ),
        (
            json!({"mediaType": "application/vnd.docker.distribution.manifest.v1+prettyjws"}),
            Role::FirstSchema,
        ),
        (
            json!({"mediaType": "application/vnd.buildkit.cacheconfig.v0"}),
            Role::BuildCache,
        ),
        (json!({"mediaType": TAR}), Role::Other),
    ] {
        let Ok(Document::Index(index)) = read(&json!({"manifests": [entry]}), None) else {
            panic!("{entry}");
        };
        assert_eq!(index.manifests[0].role(), role, "{entry}");
        assert_eq!(index.is_build_cache(), role == Role::BuildCache);
    }
}

#[test]
fn a_length_of_nothing_states_nothing() {
    for (size, expected) in [
        (json!(7), Some(7)),
        (json!(0), None),
        (json!(-1), None),
        (Value::Null, None),
    ] {
        let document = json!({"config": {"size": size}});
        let Ok(Document::Manifest(manifest)) = read(&document, None) else {
            panic!("{document}");
        };
        assert_eq!(manifest.config.size, expected, "{document}");
    }
}
