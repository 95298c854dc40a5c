//! Tests of the walk from an index to its images, on layouts built from text.

#![allow(clippy::unwrap_used, reason = "tests")]

mod indexes;
mod names;

use serde_json::{Value, json};

use super::super::Layout;
use crate::fake::FakeArchive;
use crate::{Archive, Document, Error, LayerData, Plan, sha256};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const REF_NAME: &str = "org.opencontainers.image.ref.name";

fn descriptor(media_type: &str, contents: &str) -> Value {
    json!({"mediaType": media_type, "digest": sha256(contents.as_bytes()), "size": contents.len()})
}

fn with(mut descriptor: Value, field: &str, value: Value) -> Value {
    descriptor[field] = value;
    descriptor
}

fn named(descriptor: Value, name: &str) -> Value {
    with(descriptor, "annotations", json!({ REF_NAME: name }))
}

/// A manifest with the configuration `config <name>` and the layer `layer <name>`.
fn manifest(name: &str) -> String {
    json!({
        "schemaVersion": 2,
        "config": descriptor(CONFIG, &format!("config {name}")),
        "layers": [descriptor(LAYER, &format!("layer {name}"))],
    })
    .to_string()
}

fn index(manifests: &[Value]) -> String {
    json!({"schemaVersion": 2, "manifests": manifests}).to_string()
}

fn layout(manifests: &[Value]) -> FakeArchive {
    FakeArchive::new()
        .file("oci-layout", r#"{"imageLayoutVersion": "1.0.0"}"#)
        .file("index.json", index(manifests))
}

/// A layout with the blobs of the image `name`.
fn with_image(archive: FakeArchive, name: &str) -> FakeArchive {
    archive
        .blob(manifest(name))
        .blob(format!("config {name}"))
        .blob(format!("layer {name}"))
}

fn plan(archive: &FakeArchive) -> Result<Plan, Error> {
    let archive: &dyn Archive = archive;
    Layout::open(archive)?.unwrap().images(archive)?.into_plan()
}

fn blob_entry(archive: &FakeArchive, contents: &str) -> u32 {
    let digest = sha256(contents.as_bytes());
    archive.index_of(&super::super::blob_path(&digest)).unwrap()
}

#[test]
fn an_image_has_the_entries_and_digests_that_its_descriptors_state() {
    let manifest = manifest("a");
    let archive = with_image(
        layout(&[named(descriptor(MANIFEST, &manifest), "team/a:1")]),
        "a",
    );
    let plan = plan(&archive).unwrap();
    assert_eq!(plan.images.len(), 1);
    let image = &plan.images[0];
    assert_eq!(
        image.manifest,
        Some(Document::Entry(blob_entry(&archive, &manifest)))
    );
    assert_eq!(image.manifest_digest, Some(sha256(manifest.as_bytes())));
    assert_eq!(
        image.config,
        Document::Entry(blob_entry(&archive, "config a"))
    );
    assert_eq!(image.config_digest, Some(sha256(b"config a")));
    assert_eq!(image.references, ["team/a:1"]);
    let layer = &image.layers[0];
    assert_eq!(
        layer.data,
        LayerData::Entry(blob_entry(&archive, "layer a"))
    );
    assert_eq!(layer.digest, Some(sha256(b"layer a")));
    assert_eq!(
        (layer.size, layer.media_type.as_deref()),
        (Some(7), Some(LAYER))
    );
    assert_eq!(plan.notices, [""; 0]);
}

#[test]
fn a_layer_need_not_be_readable() {
    let archive = layout(&[descriptor(MANIFEST, &manifest("a"))])
        .blob(manifest("a"))
        .blob("config a")
        .unreadable(&super::super::blob_path(&sha256(b"layer a")), "layer a");
    let image = &plan(&archive).unwrap().images[0];
    assert_eq!(
        image.layers[0].data,
        LayerData::Entry(blob_entry(&archive, "layer a"))
    );
}

#[test]
fn attestations_are_counted_and_skipped() {
    let unknown = with(
        descriptor(MANIFEST, "1"),
        "platform",
        json!({"os": "unknown", "architecture": "unknown"}),
    );
    let annotated = with(
        descriptor(MANIFEST, "2"),
        "annotations",
        json!({"vnd.docker.reference.type": "attestation-manifest"}),
    );
    let archive = layout(&[descriptor(MANIFEST, &manifest("a")), unknown, annotated]);
    let plan = plan(&with_image(archive, "a")).unwrap();
    assert_eq!(plan.images.len(), 1);
    assert_eq!(plan.notices, ["skipped 2 attestations"]);
}

#[test]
fn what_may_be_an_image_is_for_the_host_to_judge() {
    let artifact = json!({
        "artifactType": "application/vnd.example.sbom",
        "config": descriptor("application/vnd.oci.empty.v1+json", "{}"),
        "layers": [],
    })
    .to_string();
    let both = layout(&[
        descriptor(MANIFEST, &artifact),
        descriptor(MANIFEST, &manifest("a")),
    ]);
    let plan = plan(&with_image(both.blob(&artifact).blob("{}"), "a")).unwrap();
    let digests: Vec<_> = plan
        .images
        .iter()
        .flat_map(|it| &it.manifest_digest)
        .collect();
    assert_eq!(
        digests,
        [
            &sha256(artifact.as_bytes()),
            &sha256(manifest("a").as_bytes())
        ]
    );
}

#[test]
fn the_list_of_a_build_cache_is_named() {
    let cache = index(&[
        descriptor(LAYER, "layer"),
        descriptor("application/vnd.buildkit.cacheconfig.v0", "cache"),
    ]);
    let archive = layout(&[descriptor(INDEX, &cache)]).blob(&cache);
    let archive = archive.blob("layer").blob("cache");
    assert!(
        matches!(plan(&archive), Err(Error::Unsupported(text)) if text.contains("build cache"))
    );
}

#[test]
fn one_bad_entry_does_not_take_the_others_with_it() {
    let broken = "{\"config\":";
    let twice = manifest("b").replacen(r#""layers""#, r#""Layers":[],"layers""#, 1);
    let bad_layer = manifest("c").replace(&sha256(b"layer c"), "sha256:../../x");
    let own = index(&[descriptor(MANIFEST, &manifest("a"))]).replace(']', "");
    for (bad, words) in [
        (descriptor(MANIFEST, broken), "cannot be understood"),
        (descriptor(MANIFEST, &twice), "readers differ"),
        (descriptor(MANIFEST, &bad_layer), "not a digest"),
        (descriptor(INDEX, &own), "cannot be understood"),
        (descriptor(INDEX, "7"), "cannot be understood"),
        (
            json!({"mediaType": MANIFEST, "digest": "sha256:../../x"}),
            "not a digest",
        ),
        (json!({"mediaType": MANIFEST}), "not a digest"),
        (descriptor(INDEX, &manifest("a")), "something else"),
    ] {
        for order in [[0, 1], [1, 0]] {
            let entries = [bad.clone(), descriptor(MANIFEST, &manifest("d"))];
            let archive = layout(&order.map(|number| entries[number].clone()));
            let archive = [
                broken, &twice, &bad_layer, &own, "7", "config b", "config c",
            ]
            .iter()
            .fold(archive, FakeArchive::blob);
            let plan = plan(&with_image(with_image(archive, "a"), "d")).unwrap();
            assert_eq!(plan.images.len(), 1, "{bad}");
            assert!(plan.notices[0].contains(words), "{:?}", plan.notices);
        }
    }
}

#[test]
fn unknown_and_retired_media_types_are_noticed() {
    for (media_type, expected) in [
        (
            "application/vnd.example.thing+json",
            "application/vnd.example.thing+json",
        ),
        (
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            "retired schema 1",
        ),
    ] {
        let other = descriptor(media_type, "other");
        let archive = layout(&[other.clone(), descriptor(MANIFEST, &manifest("a"))]);
        let plan_of_both = plan(&with_image(archive, "a").blob("other")).unwrap();
        assert_eq!(plan_of_both.images.len(), 1);
        assert!(
            plan_of_both.notices[0].contains(expected),
            "{:?}",
            plan_of_both.notices
        );
        let alone = plan(&layout(&[other]).blob("other"));
        assert!(matches!(alone, Err(Error::Unsupported(text)) if text.contains(expected)));
    }
}

#[test]
fn dockers_media_types_and_missing_ones_are_understood() {
    let docker = json!({
        "config": descriptor("application/vnd.docker.container.image.v1+json", "config a"),
        "layers": null,
    })
    .to_string();
    let docker_list = index(&[descriptor(
        "application/vnd.docker.distribution.manifest.v2+json",
        &docker,
    )]);
    let untyped_index = index(&[descriptor("", &docker)]);
    for descriptor in [
        descriptor(
            "application/vnd.docker.distribution.manifest.v2+json",
            &docker,
        ),
        descriptor(
            "application/vnd.docker.distribution.manifest.list.v2+json",
            &docker_list,
        ),
        descriptor("", &docker),
        descriptor("", &untyped_index),
    ] {
        let archive = layout(std::slice::from_ref(&descriptor))
            .blob(&docker)
            .blob(&docker_list)
            .blob(&untyped_index)
            .blob("config a");
        assert_eq!(plan(&archive).unwrap().images.len(), 1, "{descriptor}");
    }
}

#[test]
fn case_86_images_that_are_not_in_the_archive_are_listed_by_platform() {
    let absent = |name: &str| {
        with(
            descriptor(MANIFEST, name),
            "platform",
            json!({"os": "linux", "architecture": name, "variant": "v8"}),
        )
    };
    let some = layout(&[
        absent("arm64"),
        descriptor(MANIFEST, &manifest("a")),
        absent("s390x"),
    ]);
    let plan_of_some = plan(&with_image(some, "a")).unwrap();
    assert_eq!(plan_of_some.images.len(), 1);
    assert_eq!(
        plan_of_some.notices,
        ["not in the archive: linux/arm64/v8, linux/s390x/v8"]
    );

    let none = plan(&layout(&[absent("arm64")]));
    let digest = sha256(b"arm64");
    assert!(matches!(none, Err(Error::Missing(text)) if text.contains(&digest)));
}

#[test]
fn an_image_without_its_configuration_is_missing_and_one_without_layers_is_not() {
    let digest = sha256(b"config a");
    let archive = layout(&[descriptor(MANIFEST, &manifest("a"))]).blob(manifest("a"));
    assert!(matches!(plan(&archive), Err(Error::Missing(text)) if text.contains(&digest)));
    let image = &plan(&archive.blob("config a")).unwrap().images[0];
    assert_eq!(image.layers[0].data, LayerData::Absent);
    assert_eq!(image.layers[0].digest, Some(sha256(b"layer a")));
}

#[test]
fn case_97_embedded_data_stands_in_for_a_blob_if_it_has_the_digest() {
    let empty = "e30=";
    let manifest = |data: &str| {
        json!({"config": with(descriptor(CONFIG, "{}"), "data", json!(data)), "layers": []})
            .to_string()
    };
    let archive = |manifest: &str| layout(&[descriptor(MANIFEST, manifest)]).blob(manifest);
    let image = &plan(&archive(&manifest(empty))).unwrap().images[0];
    assert_eq!(image.config, Document::Bytes(b"{}".to_vec()));
    for wrong in ["W10=", "", "not base64"] {
        assert!(
            matches!(plan(&archive(&manifest(wrong))), Err(Error::Missing(_))),
            "{wrong}"
        );
    }
    let other_size = manifest(empty).replace(r#""size":2"#, r#""size":3"#);
    assert_ne!(other_size, manifest(empty));
    assert!(matches!(
        plan(&archive(&other_size)),
        Err(Error::Missing(_))
    ));
}
