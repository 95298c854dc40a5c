//! Manifests that are not what was asked for, or not what they say.

use serde_json::{Value, json};

use super::{Scene, image};
use crate::archive::{architecture, sha256};
use crate::faulty::http::{Answer, Delivery};
use crate::faulty::route::On;
use crate::faulty::{ALWAYS, Registry, fault};
use crate::tests;

tests! {
    a_manifest_beyond_its_limit_is_not_read;
    a_manifest_just_below_its_limit_is_pulled;
    a_manifest_that_is_cut_off_is_asked_for_again;
    a_manifest_that_stalls_is_asked_for_again;
    a_manifest_that_is_no_json_is_told;
    a_manifest_of_schema_1_is_refused_by_that_name;
    a_manifest_that_is_an_index_too_is_refused;
    a_manifest_of_another_content_type_is_known_by_its_field;
    a_manifest_without_any_type_is_known_by_its_shape;
    a_registry_without_heads_is_asked_for_the_whole;
    a_head_without_anything_is_no_answer;
    a_manifest_without_a_digest_header_is_pulled;
    a_manifest_with_another_digest_in_its_header_is_refused;
    a_manifest_asked_for_by_digest_has_to_have_it;
    an_index_entry_has_to_have_its_digest;
    an_index_that_is_nested_without_end_is_refused;
    an_index_of_very_many_entries_is_refused;
    an_index_of_other_platforms_lists_them;
    digests_that_are_paths_are_refused;
    html_instead_of_a_manifest_is_told_in_short;
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// What `manifest_bytes` is unless settings say otherwise.
const LIMIT: usize = 4 << 20;

/// Returns the manifest of the image with an annotation that makes it that long.
fn padded(length: usize) -> Value {
    let mut manifest = image().manifest();
    manifest["annotations"]["padding"] = json!("");
    let rest = length - serde_json::to_vec(&manifest).unwrap().len();
    manifest["annotations"]["padding"] = json!("x".repeat(rest));
    manifest
}

fn entry(digest: &str, size: usize) -> Value {
    json!({
        "mediaType": MANIFEST,
        "digest": digest,
        "size": size,
        "platform": {"os": "linux", "architecture": architecture()},
    })
}

/// Serves an index of these entries as `app:1`.
fn put_index(registry: &Registry, entries: &[Value]) -> String {
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
    registry.put_manifest("app", "1", &index)
}

fn a_manifest_beyond_its_limit_is_not_read() {
    for delivery in [Delivery::Whole, Delivery::Chunked] {
        let scene = Scene::new();
        let body = serde_json::to_vec(&padded(64 << 20)).unwrap();
        let large = fault::change(move |answer| Answer {
            body: body.clone(),
            delivery,
            ..answer.without("Docker-Content-Digest")
        });
        scene.registry.fault(On::Manifest, ALWAYS, large);
        scene.fails(&[&scene.registry.host(), "manifest_bytes", "hint: "]);
        let asked = scene.registry.asked(&On::Manifest);
        assert_eq!(asked.len(), 1);
        assert!(asked[0].sent < 32 << 20, "{}", asked[0]);
        scene.env.assert_clean();
    }
    let scene = Scene::new();
    scene.registry.put_manifest("app", "1", &padded(LIMIT + 1));
    scene.fails(&["manifest_bytes"]);
}

fn a_manifest_just_below_its_limit_is_pulled() {
    let scene = Scene::new();
    scene.registry.put_manifest("app", "1", &padded(LIMIT));
    scene.pulls();
}

fn a_manifest_that_is_cut_off_is_asked_for_again() {
    let scene = Scene::new();
    scene
        .registry
        .fault(On::Manifest, 1, fault::close_after(100));
    scene
        .registry
        .fault(On::Manifest, 1, fault::lying_length(50));
    scene.pulls();
}

fn a_manifest_that_stalls_is_asked_for_again() {
    let scene = Scene::new();
    scene.settings(&json!({"stall_timeout_secs": 1}));
    scene
        .registry
        .fault(On::Manifest, 1, fault::stall_after(100));
    scene.pulls();
}

fn a_manifest_that_is_no_json_is_told() {
    for body in [
        "",
        "{",
        "null",
        "[]",
        "7",
        "{}",
        r#"{"schemaVersion": 2}"#,
        "\u{1b}]0;x\u{7}",
    ] {
        let scene = Scene::new();
        let broken = fault::change(move |answer| Answer {
            body: body.as_bytes().to_vec(),
            ..answer.without("Docker-Content-Digest")
        });
        scene.registry.fault(On::Manifest, ALWAYS, broken);
        scene.fails(&[&scene.reference(), "manifest"]);
        scene.env.assert_clean();
    }
}

fn a_manifest_of_schema_1_is_refused_by_that_name() {
    for media_type in [
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/json",
    ] {
        let scene = Scene::new();
        let old = json!({
            "schemaVersion": 1,
            "name": "app",
            "tag": "1",
            "fsLayers": [{"blobSum": Scene::big()}],
            "history": [{"v1Compatibility": "{}"}],
        });
        scene.registry.put_manifest("app", "1", &old);
        let typed = fault::header("Content-Type", media_type);
        scene.registry.fault(On::Manifest, ALWAYS, typed);
        scene.fails(&[&scene.reference(), "schema 1"]);
    }
}

/// One tool would see one image, another tool another.
fn a_manifest_that_is_an_index_too_is_refused() {
    for media_type in [MANIFEST, INDEX] {
        let scene = Scene::new();
        let digest = scene.registry.put_image("app", "real", image());
        let mut both = image().manifest();
        both["mediaType"] = json!(media_type);
        both["manifests"] = json!([entry(&digest, 1)]);
        scene.registry.put_manifest("app", "1", &both);
        scene.fails(&[&scene.reference(), "`layers`", "`manifests`"]);
        scene.env.assert_clean();
    }
}

fn a_manifest_of_another_content_type_is_known_by_its_field() {
    for media_type in [
        "text/plain; charset=utf-8",
        "application/json",
        "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
        INDEX,
        "",
    ] {
        let scene = Scene::new();
        let typed = fault::header("Content-Type", media_type);
        scene.registry.fault(On::Manifest, ALWAYS, typed);
        scene.pulls();
    }
}

fn a_manifest_without_any_type_is_known_by_its_shape() {
    let scene = Scene::new();
    let mut manifest = image().manifest();
    manifest.as_object_mut().unwrap().remove("mediaType");
    let digest = scene.registry.put_manifest("app", "1", &manifest);
    let untyped = || fault::without_header("Content-Type");
    scene.registry.fault(On::Manifest, ALWAYS, untyped());
    scene.pulls();

    let scene = Scene::new();
    scene.registry.put_manifest("app", "other", &manifest);
    let size = serde_json::to_vec(&manifest).unwrap().len();
    let index = json!({"schemaVersion": 2, "manifests": [entry(&digest, size)]});
    scene.registry.put_manifest("app", "1", &index);
    scene.registry.fault(On::Manifest, ALWAYS, untyped());
    scene.pulls();
}

fn a_registry_without_heads_is_asked_for_the_whole() {
    for status in [405, 404, 400, 501] {
        let scene = Scene::new();
        scene
            .registry
            .fault(On::ManifestHead, ALWAYS, fault::status(status));
        scene.pulls();
        // Also when there is something that it could be unchanged from.
        scene.pulls();
    }
}

fn a_head_without_anything_is_no_answer() {
    let scene = Scene::new();
    let empty = fault::instead(Answer::new(200, Vec::new()));
    scene.registry.fault(On::ManifestHead, ALWAYS, empty);
    scene.pulls();
    scene.pulls();
}

fn a_manifest_without_a_digest_header_is_pulled() {
    let scene = Scene::new();
    for on in [On::Manifest, On::ManifestHead] {
        let bare = fault::without_header("Docker-Content-Digest");
        scene.registry.fault(on, ALWAYS, bare);
    }
    scene.pulls();
}

fn a_manifest_with_another_digest_in_its_header_is_refused() {
    let scene = Scene::new();
    let value = sha256(b"another");
    let other = fault::header("Docker-Content-Digest", &value);
    scene.registry.fault(On::Manifest, ALWAYS, other);
    scene.fails(&[&scene.registry.host(), &value]);
    scene.env.assert_clean();
}

fn a_manifest_asked_for_by_digest_has_to_have_it() {
    let scene = Scene::new();
    let digest = scene.registry.put_image("app", "1", image());
    let reference = format!("{}/app@{digest}", scene.registry.host());
    let other = fault::json(|manifest| manifest["annotations"] = json!({"other": "image"}));
    scene.registry.fault(On::Manifest, ALWAYS, other);
    let run = scene.env.msb(&format!("pull {reference}"));
    run.failure(&[&scene.registry.host(), &digest]);
    scene.assert_nothing_shown();
    scene.registry.heal();
    scene.env.msb(&format!("pull {reference}")).success();
}

fn an_index_entry_has_to_have_its_digest() {
    let scene = Scene::new();
    let digest = scene.registry.put_image("app", "real", image());
    let size = serde_json::to_vec(&image().manifest()).unwrap().len();
    put_index(&scene.registry, &[entry(&digest, size)]);
    let other = fault::change(|mut answer| {
        // The index is left alone.
        if let Some(place) = answer.body.windows(4).position(|four| four == b"kept") {
            answer.body[place] = b'w';
        }
        answer.without("Docker-Content-Digest")
    });
    scene.registry.fault(On::Manifest, ALWAYS, other);
    scene.fails(&[&scene.registry.host(), &digest]);
    scene.pulls();
}

fn an_index_that_is_nested_without_end_is_refused() {
    let scene = Scene::new();
    let mut digest = scene.registry.put_image("app", "real", image());
    let mut size = serde_json::to_vec(&image().manifest()).unwrap().len();
    for _ in 0..40 {
        let mut inner = entry(&digest, size);
        inner["mediaType"] = json!(INDEX);
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [inner]});
        size = serde_json::to_vec(&index).unwrap().len();
        digest = scene.registry.put_manifest("app", "1", &index);
    }
    scene.fails(&[&scene.reference(), "nested"]);
    let asked = scene.registry.asked(&On::Manifest).len();
    assert!(asked < 20, "{asked} manifests");
}

fn an_index_of_very_many_entries_is_refused() {
    let scene = Scene::new();
    // As many as fit below the limit of a manifest.
    let entries: Vec<Value> = (0..12_000)
        .map(|number: i32| entry(&sha256(&number.to_le_bytes()), 100))
        .collect();
    put_index(&scene.registry, &entries);
    scene.fails(&[&scene.reference()]);
    let asked = scene.registry.asked(&On::Manifest).len();
    assert!(asked < 20, "{asked} manifests");
}

fn an_index_of_other_platforms_lists_them() {
    let scene = Scene::new();
    let mut other = entry(&sha256(b"other"), 5);
    other["platform"]["architecture"] = json!("s390x");
    let mut attestation = entry(&sha256(b"attestation"), 5);
    attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    put_index(&scene.registry, &[attestation, other]);
    let run = scene.fails(&["linux/s390x", "--platform linux/s390x"]);
    assert!(!run.stderr.contains("unknown/unknown"), "{run:#?}");
}

fn digests_that_are_paths_are_refused() {
    for digest in [
        "sha256:../../../../etc/passwd",
        "sha256:abc",
        "md5:d41d8cd98f00b204",
        "",
        "x",
    ] {
        let scene = Scene::new();
        let mut manifest = image().manifest();
        manifest["layers"][1]["digest"] = json!(digest);
        scene.registry.put_manifest("app", "1", &manifest);
        scene.fails(&[&scene.reference(), "digest"]);
        scene.env.assert_clean();
        put_index(&scene.registry, &[entry(digest, 5)]);
        scene.fails(&[&scene.reference(), "digest"]);
    }
}

fn html_instead_of_a_manifest_is_told_in_short() {
    let scene = Scene::new();
    let page = format!(
        "<!doctype html><title>Welcome</title>{}",
        "<p>hello</p>\n".repeat(9000)
    );
    let portal = Answer::new(200, page.into_bytes()).with("Content-Type", "text/html");
    scene
        .registry
        .fault(On::Everything, ALWAYS, fault::instead(portal));
    let run = scene.fails(&[&scene.registry.host(), "manifest", "web page", "Welcome"]);
    assert!(run.stderr.len() < 2000, "{run:#?}");
    let asked = scene.registry.asked(&On::Manifest).len();
    assert_eq!(asked, 1);
}
