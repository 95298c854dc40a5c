//! Tests of reading, on archives built from text in the shapes that real tools give them.

#![allow(clippy::unwrap_used, reason = "tests")]

mod with_layout;

use msb_plugin::fake::FakeArchive;
use serde_json::{Value, json};

use super::*;

fn list(items: &Value) -> FakeArchive {
    FakeArchive::new().file("manifest.json", items.to_string())
}

/// An archive with one image, whose configuration is `config.json` and which has these layers.
fn with_layers(paths: &[&str]) -> FakeArchive {
    list(&json!([{"Config": "config.json", "RepoTags": ["a:1"], "Layers": paths}]))
        .file("config.json", "config")
}

fn layer_data(archive: &FakeArchive) -> Vec<LayerData> {
    let plan = read(archive).unwrap();
    plan.images[0]
        .layers
        .iter()
        .map(|layer| layer.data.clone())
        .collect()
}

fn entry(archive: &FakeArchive, path: &str) -> LayerData {
    LayerData::Entry(archive.index_of(path).unwrap())
}

#[test]
fn an_archive_without_a_list_of_images_is_of_another_format() {
    for archive in [
        FakeArchive::new(),
        FakeArchive::new()
            .file("index.json", "{}")
            .file("repositories", "{}"),
        list(&json!({"schemaVersion": 2, "config": {}, "layers": []})),
    ] {
        assert!(matches!(read(&archive), Err(Error::NotMine(_))));
    }
}

#[test]
fn an_archive_from_before_the_list_of_images_is_unsupported() {
    let archive = FakeArchive::new().file("repositories", "{}");
    assert!(matches!(read(&archive), Err(Error::Unsupported(text)) if text.contains("1.10")));
}

#[test]
fn a_list_without_images_is_malformed() {
    for (text, expected) in [
        ("null", "is null"),
        ("[]", "is an empty list"),
        ("[", "is not valid"),
        ("[7]", "is not valid"),
        (r#"[{"RepoTags": ["a:1"]}]"#, "without a Config"),
    ] {
        let archive = FakeArchive::new().file("manifest.json", text);
        let Err(Error::Malformed(message)) = read(&archive) else {
            panic!("{text} was read");
        };
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn keys_that_readers_differ_about_are_malformed() {
    for item in [
        r#"{"Config": "config.json", "Layers": [], "layers": ["x.tar"]}"#,
        r#"{"Config": "config.json", "config": "x.json"}"#,
        r#"{"Config": "config.json", "RepoTags": ["a:1"], "RepoTag\u017f": null}"#,
    ] {
        let archive = FakeArchive::new()
            .file("manifest.json", format!("[{item}]"))
            .file("config.json", "config");
        assert!(
            matches!(read(&archive), Err(Error::Malformed(text)) if text.contains("readers differ")),
            "{item}"
        );
    }
    let lower = r#"[{"config": "config.json", "repotags": ["a:1"], "LAYERS": ["x.tar"]}]"#;
    let archive = FakeArchive::new()
        .file("manifest.json", lower)
        .file("config.json", "config");
    let image = &read(&archive).unwrap().images[0];
    assert_eq!((image.references.len(), image.layers.len()), (1, 1));
}

#[test]
fn one_bad_image_does_not_take_the_others_with_it() {
    for bad in [
        json!({"Config": "gone.json", "RepoTags": ["bad:1"], "Layers": []}),
        json!({"Config": "", "RepoTags": ["bad:1"], "Layers": []}),
        json!({"Config": "folder", "RepoTags": ["bad:1"], "Layers": []}),
        json!({"Config": "config.json", "RepoTags": ["bad:1"], "Layers": ["folder"]}),
    ] {
        let good = json!({"Config": "config.json", "RepoTags": ["good:1"], "Layers": []});
        let archive = list(&json!([bad, good]))
            .file("config.json", "config")
            .directory("folder");
        let plan = read(&archive).unwrap();
        assert_eq!(plan.images.len(), 1, "{bad}");
        assert_eq!(plan.images[0].references, ["good:1"]);
        assert_eq!(plan.notices.len(), 1, "{:?}", plan.notices);
    }
}

#[test]
fn case_88_layers_are_found_under_the_names_that_tools_give_them() {
    let hex = "ab".repeat(32);
    for path in [
        format!("{hex}/layer.tar"),
        format!("{hex}.tar"),
        format!("{hex}.tar.gz"),
        format!("blobs/sha256/{hex}"),
        format!("./{hex}/layer.tar"),
    ] {
        let archive = with_layers(&[&path]).file(path.trim_start_matches("./"), "layer");
        assert_eq!(layer_data(&archive), [entry(&archive, &path)], "{path}");
    }
}

#[test]
fn a_layer_may_be_a_link_to_another_one() {
    let archive = with_layers(&["x/layer.tar", "y/layer.tar"])
        .symlink("x/layer.tar", "../y/layer.tar")
        .unreadable("y/layer.tar", "layer");
    let y = entry(&archive, "y/layer.tar");
    assert_eq!(layer_data(&archive), [y.clone(), y]);
}

#[test]
fn a_layer_may_occur_twice_and_may_be_absent() {
    let archive = with_layers(&["x.tar", "x.tar", "y.tar", "../z.tar"]).file("x.tar", "layer");
    let x = entry(&archive, "x.tar");
    assert_eq!(
        layer_data(&archive),
        [x.clone(), x, LayerData::Absent, LayerData::Absent]
    );
}

#[test]
fn only_the_path_of_a_blob_states_the_digest_of_a_layer() {
    let hex = "ab".repeat(32);
    let blob = format!("blobs/sha256/{hex}");
    let archive = with_layers(&[&blob, &format!("{hex}.tar"), "blobs/../x.tar"]);
    let plan = read(&archive).unwrap();
    let digests: Vec<_> = plan.images[0]
        .layers
        .iter()
        .map(|layer| layer.digest.clone())
        .collect();
    assert_eq!(digests, [Some(format!("sha256:{hex}")), None, None]);
}

/// The only image of an archive whose configuration has this path, and the notices.
fn with_config_at(path: &str) -> (Image, Vec<String>) {
    let item = json!({"Config": path, "RepoTags": null, "Layers": null});
    let mut plan = read(&list(&json!([item])).file(path, "config")).unwrap();
    (plan.images.remove(0), plan.notices)
}

#[test]
fn only_the_path_of_a_blob_states_the_digest_of_a_configuration() {
    let (image, _) = with_config_at("blobs/sha256/abcd");
    assert_eq!(image.config_digest.as_deref(), Some("sha256:abcd"));
    assert_eq!(image.config, Document::Entry(1));
    assert_eq!(with_config_at("config.json").0.config_digest, None);
}

#[test]
fn a_configuration_with_a_name_that_is_not_its_digest_is_noticed() {
    let digest = sha256(b"config");
    let right = digest.strip_prefix("sha256:").unwrap();
    let wrong = "ab".repeat(32);
    for name in ["HEX.json", "sha256:HEX"] {
        assert_eq!(with_config_at(&name.replace("HEX", right)).1, [""; 0]);
        let (image, notices) = with_config_at(&name.replace("HEX", &wrong));
        assert_eq!(image.config_digest, None);
        assert!(notices[0].contains(&digest), "{notices:?}");
    }
}

#[test]
fn a_configuration_that_is_not_there_is_missing() {
    let archive = list(&json!([{"Config": "gone.json", "Layers": []}]));
    assert!(matches!(read(&archive), Err(Error::Missing(text)) if text.contains("gone.json")));
}

#[test]
fn a_folder_in_place_of_a_file_is_malformed() {
    let archive = with_layers(&["x"]).directory("x");
    assert!(matches!(read(&archive), Err(Error::Malformed(text)) if text.contains("x, which")));
}

#[test]
fn several_images_keep_their_order_and_names() {
    let archive = list(&json!([
        {"Config": "b.json", "RepoTags": ["b:1", "b:2"], "Layers": []},
        {"Config": "a.json", "RepoTags": null, "Layers": []},
        {"Config": "c.json", "RepoTags": ["<none>:<none>", ""], "Layers": []},
    ]))
    .file("a.json", "a")
    .file("b.json", "b")
    .file("c.json", "c");
    let plan = read(&archive).unwrap();
    let names: Vec<_> = plan
        .images
        .iter()
        .map(|image| image.references.join(" "))
        .collect();
    assert_eq!(names, ["b:1 b:2", "", ""]);
    assert_eq!(plan.notices, [""; 0]);
}

#[test]
fn an_image_that_is_listed_per_name_is_one_image() {
    let archive = list(&json!([
        {"Config": "a.json", "RepoTags": ["a:1"], "Layers": []},
        {"Config": "a.json", "RepoTags": ["a:2", "a:1"], "Layers": []},
    ]))
    .file("a.json", "a");
    let plan = read(&archive).unwrap();
    assert_eq!(plan.images.len(), 1);
    assert_eq!(plan.images[0].references, ["a:1", "a:2"]);
}
