//! The names of images: tag, untag, lists by name, and what is asked about several images.

use serde_json::json;

use crate::archive::Image;
use crate::cli::commands::assert_prints;
use crate::env::TestEnv;
use crate::tests;

tests! {
    an_image_gets_and_loses_names;
    a_tag_takes_a_name_from_another_image;
    a_digest_is_not_given_as_a_name;
    an_archive_is_loaded_under_several_names;
    lists_are_by_name_filter_and_order;
    several_images_are_inspected_at_once;
    history_shows_steps_with_their_layers;
    exists_answers_by_exit_code;
}

/// A home with two images, `app:1` and `app:2`.
fn loaded() -> TestEnv {
    let env = TestEnv::new();
    for tag in ["app:1", "app:2"] {
        let image = Image::new(
            tag,
            &["etc/\netc/hosts = here", &format!("srv/tag = {tag}")],
        );
        env.write("in.tar", &image.docker());
        env.msb("load -q -i in.tar").success();
    }
    env
}

fn an_image_gets_and_loses_names() {
    let env = loaded();
    assert_prints(
        &env,
        &env.msb("image tag app:1 base ghcr.io/my-org/app:v1"),
        "exit 0
         --- stdout
         --- stderr
            ✓ Tagged       base:latest
            ✓ Tagged       ghcr.io/my-org/app:v1",
    );
    let id = env.json("image inspect app:1 --format json")["id"].clone();
    for name in ["base", "ghcr.io/my-org/app:v1"] {
        let line = format!("image inspect {name} --format json");
        assert_eq!(env.json(&line)["id"], id, "{name}");
    }
    let report = env.json("image untag base ghcr.io/my-org/app:v1 --format json");
    assert_eq!(report[0]["untagged"], json!(["base:latest"]));
    assert_eq!(report[1]["references"], json!(["app:1"]));
    // Without its last name the image stays, and is found by its ID.
    let run = env.msb("image untag app:1").success();
    assert!(run.stderr.contains("has no name now"), "{run:?}");
    assert_eq!(env.references(), ["<none>", "app:2"]);
    let id = &id.as_str().unwrap()["sha256:".len()..][..12];
    env.msb(&format!("image tag {id} app:1")).success();
    assert_eq!(env.references(), ["app:1", "app:2"]);
    env.msb("image untag nothing")
        .failure(&["image not found: nothing"]);
    env.msb("image verify").success();
}

fn a_tag_takes_a_name_from_another_image() {
    let env = loaded();
    let report = env.json("image tag app:1 app:2 --format json");
    assert_eq!(report["references"], json!(["app:2"]));
    assert_eq!(report["moved"][0]["reference"], "app:2");
    assert_eq!(env.references(), ["<none>", "app:1", "app:2"]);
    let run = env.msb("image tag app:1 app:2").success();
    assert!(!run.stderr.contains("before"), "{run:?}");
}

fn a_digest_is_not_given_as_a_name() {
    let env = loaded();
    let name = format!("other:3@sha256:{}", "1".repeat(64));
    let run = env.msb(&format!("image tag app:1 other:2 {name}"));
    run.failure(&["a digest says what an image is", "give a tag: `other:3`"]);
    assert_eq!(env.references(), ["app:1", "app:2"]);
    env.msb("image tag app:1 other:3").success();
}

fn an_archive_is_loaded_under_several_names() {
    let env = loaded();
    env.msb("load -q -i in.tar -t one -t ghcr.io/org/two:2")
        .success();
    assert_eq!(
        env.references(),
        ["app:1", "app:2", "ghcr.io/org/two:2", "one:latest"]
    );
    let digest = format!("one@sha256:{}", "1".repeat(64));
    env.msb(&format!("load -q -i in.tar -t three -t {digest}"))
        .failure(&["digest"]);
    assert_eq!(env.references().len(), 4);
}

fn lists_are_by_name_filter_and_order() {
    let env = loaded();
    env.msb("image tag app:1 ghcr.io/org/app:v1 zoo").success();
    env.msb("image untag app:2").success();
    for (line, expected) in [
        ("app", &["app:1"] as &[&str]),
        ("zoo ghcr.io/org/*", &["zoo:latest", "ghcr.io/org/app:v1"]),
        ("docker.io/library/zoo", &["zoo:latest"]),
        ("nothing", &[]),
        ("--filter dangling=true", &["<none>"]),
        ("--filter reference=z*", &["zoo:latest"]),
        ("--filter label=nothing", &[]),
        ("--sort reference app zoo", &["app:1", "zoo:latest"]),
    ] {
        let rows = env.json(&format!("images --format json {line}"));
        let rows = rows.as_array().unwrap();
        let names: Vec<&str> = rows
            .iter()
            .map(|row| row["reference"].as_str().unwrap())
            .collect();
        assert_eq!(names, expected, "{line}");
    }
    let dangling = env.msb("images -q --filter dangling=true").success().stdout;
    assert!(dangling.starts_with("sha256:"), "{dangling}");
    env.msb("images --filter before=nothing")
        .failure(&["image not found: nothing"]);
    let run = env.msb("images --filter lable=a");
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr.contains("expected one of reference, label"),
        "{run:?}"
    );
    let table = env.msb("images --digests --no-trunc zoo").success().stdout;
    let row = env.json("images zoo --format json")[0].clone();
    for key in ["digest", "id"] {
        assert!(table.contains(row[key].as_str().unwrap()), "{table}");
    }
}

fn several_images_are_inspected_at_once() {
    let env = loaded();
    let images = env.json("image inspect app:2 app:1 --format json");
    assert_eq!(images[0]["reference"], "app:2");
    assert_eq!(images[1]["reference"], "app:1");
    assert_eq!(
        env.json("image inspect app:1 --format json")["reference"],
        "app:1"
    );
    // One that is not there does not keep the others.
    let run = env
        .msb("image inspect app:1 nothing --format json")
        .failure(&[
            "image not found: nothing",
            "1 of 2 images could not be inspected",
        ]);
    let images: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(images.as_array().map(Vec::len), Some(1));
    let pages = env.msb("image inspect app:1 app:2").success().stdout;
    assert_eq!(pages.matches("Reference:").count(), 2, "{pages}");
}

fn history_shows_steps_with_their_layers() {
    let env = loaded();
    let steps = env.json("image history app:1 --format json");
    let image = env.json("image inspect app:1 --format json");
    let layers: Vec<_> = steps
        .as_array()
        .unwrap()
        .iter()
        .map(|step| &step["diff_id"])
        .collect();
    assert_eq!(
        layers,
        [
            &image["layers"][1]["diff_id"],
            &image["layers"][0]["diff_id"]
        ]
    );
    assert!(steps[0]["size_bytes"].as_u64().unwrap() > 0);
    let table = env.msb("image history app:1").success().stdout;
    assert!(table.starts_with("LAYER"), "{table}");
    assert_eq!(table.lines().count(), 3, "{table}");
}

fn exists_answers_by_exit_code() {
    let env = loaded();
    for (name, code) in [("app:1", 0), ("docker.io/library/app:2", 0), ("app:3", 1)] {
        let run = env.msb(&format!("image exists {name}"));
        assert_eq!(run.code, Some(code), "{run:?}");
        assert_eq!((&*run.stdout, &*run.stderr), ("", ""), "{name}");
        let run = env.msb(&format!("image exists {name} --format json"));
        let answer: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(answer, json!({"exists": code == 0}));
    }
    let nowhere = TestEnv::new();
    let nowhere = nowhere.with_home(&env.path("in.tar"));
    let run = nowhere.msb("image exists app:1");
    assert_eq!(run.code, Some(125), "{run:?}");
    assert!(run.stderr.contains("error: "), "{run:?}");
}
