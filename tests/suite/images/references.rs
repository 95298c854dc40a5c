//! What images are called, and how they are found.

use crate::archive::{Image, archive, descriptor};
use crate::env::TestEnv;
use crate::tests;

tests! {
    an_image_is_found_by_any_spelling_and_by_its_digests;
    an_id_that_begins_several_images_is_refused_with_the_candidates;
    an_image_without_a_tag_is_kept_and_listed;
    load_tags_the_first_image;
    a_tag_that_moves_leaves_the_old_image_without_it;
    removing_one_of_two_references_keeps_the_image;
    removing_an_image_keeps_the_layers_of_others;
    an_oci_tag_alone_is_no_name;
    saved_references_come_back_exactly;
}

fn one() -> Image {
    Image::new("python:3", &["shared = base", "one = 1"])
}

fn two() -> Image {
    Image::new("ghcr.io/my-org/two:v2", &["shared = base", "two = 2"])
}

fn with(images: &[Image]) -> TestEnv {
    let env = TestEnv::new();
    for image in images {
        env.write("in.tar", &image.docker());
        env.msb("load -q -i in.tar").success();
    }
    env
}

fn an_image_is_found_by_any_spelling_and_by_its_digests() {
    let env = with(&[one(), two()]);
    let id = one().id();
    let digest = env.json("image inspect python:3 --format json")["digest"].clone();
    let digest = digest.as_str().unwrap();
    for selector in [
        "python:3",
        "library/python:3",
        "docker.io/python:3",
        "index.docker.io/library/python:3",
        id.as_str(),
        &id[7..],
        &id[7..19],
        digest,
        &digest[7..15],
        &format!("python@{digest}"),
    ] {
        let found = env.json(&format!("image inspect {selector} --format json"));
        assert_eq!(found["id"], id.as_str(), "{selector}");
    }
    for selector in [
        "python",
        "python:4",
        "ython:3",
        "abc",
        &format!("other@{digest}"),
    ] {
        env.msb(&format!("image inspect {selector}")).failure(&[
            "image not found",
            selector,
            "hint: ",
        ]);
    }
}

fn an_id_that_begins_several_images_is_refused_with_the_candidates() {
    // Two images whose IDs begin with the same four digits are found by trying.
    let mut seen = std::collections::HashMap::new();
    let (first, second) = (0..)
        .find_map(|number| {
            let image = Image::new(&format!("try:{number}"), &[&format!("n = {number}")]);
            let prefix = image.id()[7..11].to_owned();
            seen.insert(prefix, image.clone())
                .map(|other| (other, image))
        })
        .unwrap();
    let env = with(&[first.clone(), second]);
    let prefix = &first.id()[7..11];
    env.msb(&format!("image inspect {prefix}")).failure(&[
        "ambiguous",
        prefix,
        "hint: give more digits of the ID, or a reference",
    ]);
    env.msb(&format!("image inspect {}", &first.id()[7..27]))
        .success();
}

fn an_image_without_a_tag_is_kept_and_listed() {
    let env = with(&[Image::new("", &["a = b"])]);
    assert_eq!(env.references(), ["<none>"]);
    let digest = env.json("images --format json")[0]["digest"].clone();
    assert_eq!(env.msb("images -q").stdout.trim(), digest.as_str().unwrap());
    env.msb(&format!("rmi {}", &digest.as_str().unwrap()[7..19]))
        .success();
    env.assert_clean();
}

fn load_tags_the_first_image() {
    let env = TestEnv::new();
    env.write("in.tar", &Image::new("", &["a = b"]).docker());
    env.msb("load -i in.tar --tag my-image:latest").success();
    assert_eq!(env.references(), ["my-image:latest"]);
    env.msb("load -i in.tar --tag My-Image")
        .failure(&["upper-case", "hint: "]);
}

fn a_tag_that_moves_leaves_the_old_image_without_it() {
    let env = with(&[one()]);
    let mut newer = two();
    newer.name = Some("python:3".to_owned());
    env.write("in.tar", &newer.docker());
    let run = env.msb("load -i in.tar").success();
    assert!(run.stderr.contains("note: python:3 named image"), "{run:?}");
    assert_eq!(env.references(), ["<none>", "python:3"]);
    assert_eq!(
        env.json("image inspect python:3 --format json")["id"],
        newer.id()
    );
}

fn removing_one_of_two_references_keeps_the_image() {
    let env = with(&[one()]);
    env.msb("load -q -i in.tar --tag other:1").success();
    let id = one().id();
    env.msb(&format!("rmi {}", &id[7..19])).failure(&[
        "several references",
        "other:1",
        "python:3",
        "--force",
    ]);
    let run = env.msb("rmi python:3").success();
    assert!(run.stderr.contains("Untagged"), "{run:?}");
    assert_eq!(env.references(), ["other:1"]);
    env.msb("rmi other:1").success();
    env.assert_clean();
}

fn removing_an_image_keeps_the_layers_of_others() {
    let env = with(&[one(), two()]);
    env.msb("rmi python:3").success();
    env.msb("save -o out.tar ghcr.io/my-org/two:v2").success();
    let layers = std::fs::read_dir(env.home().join("cache/layers"))
        .unwrap()
        .count();
    assert_eq!(layers, 4, "two layers of two files");
}

fn an_oci_tag_alone_is_no_name() {
    let env = TestEnv::new();
    let image = Image::new("", &["a = b"]);
    let mut files = image.oci_files();
    let manifest = serde_json::to_vec(&image.manifest()).unwrap();
    let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
    entry["annotations"] = serde_json::json!({"org.opencontainers.image.ref.name": "latest"});
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [entry]});
    files[1].1 = serde_json::to_vec(&index).unwrap();
    env.write("in.tar", &archive(&files));
    env.msb("load -i in.tar").success();
    assert_eq!(env.references(), ["<none>"]);
}

fn saved_references_come_back_exactly() {
    for format in ["docker", "oci"] {
        let env = with(&[one(), two()]);
        env.msb("load -q -i in.tar --tag localhost:5000/again:x")
            .success();
        env.msb(&format!(
            "save -q --format {format} -o out.tar python:3 ghcr.io/my-org/two:v2 localhost:5000/again:x"
        ))
        .success();
        let other = TestEnv::new();
        let out = env.path("out.tar");
        other
            .msb(&format!("load -q -i {}", out.display()))
            .success();
        assert_eq!(other.references(), env.references(), "{format}");
    }
}
