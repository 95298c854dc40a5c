//! A digest is a promise: no archive, option or changed catalogue makes one name another image; and
//! one image by two ways is one image.

use std::path::Path;

use serde_json::{Value, json};

use crate::archive::{Files, Image, archive, gzip, other_architecture, sha256};
use crate::env::TestEnv;
use crate::tests;

tests! {
    an_archive_gives_no_image_a_digest_that_it_does_not_have;
    an_archive_may_name_an_image_by_the_digest_that_it_has;
    a_digest_is_refused_as_a_tag_before_anything_is_read;
    of_two_images_with_one_tag_the_last_has_it;
    of_the_images_of_an_index_the_first_has_its_name;
    what_was_saved_is_the_image_that_it_was;
    an_image_that_came_without_a_manifest_becomes_the_one_that_has_it;
    a_blob_is_looked_at_although_the_store_has_its_contents;
    a_name_of_another_digest_in_the_catalogue_is_damage;
}

fn image(contents: &str) -> Image {
    Image::new("", &[&format!("etc/\netc/app = {contents}")])
}

fn pinned(name: &str, digest: &str) -> String {
    format!("registry.test/{name}@{digest}")
}

/// Returns the images of the store: ID, manifest digest, names.
fn images(env: &TestEnv) -> Vec<(String, String)> {
    let rows = env.json("images --format json");
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    let mut rows: Vec<_> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (text(row, "digest"), text(row, "reference")))
        .collect();
    rows.sort();
    rows
}

fn an_archive_gives_no_image_a_digest_that_it_does_not_have() {
    let promised = sha256(b"something else");
    let mut evil = image("evil");
    for name in [pinned("app", &promised), pinned("app:1", &promised)] {
        evil.name = Some(name.clone());
        for bytes in [evil.docker(), evil.oci()] {
            for pipe in [false, true] {
                let env = TestEnv::new();
                let run = if pipe {
                    env.msb_with_input("load", &bytes)
                } else {
                    env.write("in.tar", &bytes);
                    env.msb("load -i in.tar")
                };
                let run = run.success();
                assert!(run.stderr.contains("note: "), "{run:#?}");
                assert!(run.stderr.contains(&name), "{run:#?}");
                assert_eq!(env.references(), ["<none>"]);
                env.msb(&format!("image inspect {name}"))
                    .failure(&["image not found"]);
                env.msb(&format!("save -o out.tar {name}"))
                    .failure(&["image not found"]);
                env.msb(&format!("rmi {name}"))
                    .failure(&["image not found"]);
            }
        }
    }
}

fn an_archive_may_name_an_image_by_the_digest_that_it_has() {
    let mut image = image("good");
    let digest = sha256(&serde_json::to_vec(&image.manifest()).unwrap());
    image.name = Some(pinned("app", &digest));
    let env = TestEnv::new();
    env.write("in.tar", &image.oci());
    env.msb("load -i in.tar").success();
    assert_eq!(env.references(), [pinned("app", &digest)]);
    // Archives have no place for a digest, and nobody has ever seen a tag.
    env.msb(&format!("save -o out.tar {}", pinned("app", &digest)))
        .success();
    let other = TestEnv::new();
    std::fs::copy(env.path("out.tar"), other.path("in.tar")).unwrap();
    other.msb("load -i in.tar").success();
    assert_eq!(other.references(), ["<none>"]);
}

fn a_digest_is_refused_as_a_tag_before_anything_is_read() {
    let env = TestEnv::new();
    let tag = pinned("app", &sha256(b"x"));
    env.msb(&format!("load -i not-there.tar -t {tag}"))
        .failure(&[
            "cannot be given as a name",
            "hint: ",
            "registry.test/app:latest",
        ]);
    env.assert_clean();
}

/// Puts Docker archives together, and gives the images their names.
pub(crate) fn docker(images: &[(&Image, &str)]) -> Vec<u8> {
    archive(&docker_files(images))
}

/// The same as files, of which the last is `manifest.json`.
pub(crate) fn docker_files(images: &[(&Image, &str)]) -> Files {
    let mut files = Files::new();
    let mut list = Vec::new();
    for (number, (image, name)) in images.iter().enumerate() {
        for (path, bytes) in image.docker_files() {
            if path == "manifest.json" {
                let mut own: Value = serde_json::from_slice(&bytes).unwrap();
                own[0]["RepoTags"] = json!([name]);
                for layer in own[0]["Layers"].as_array_mut().unwrap() {
                    *layer = json!(format!("{number}/{}", layer.as_str().unwrap()));
                }
                list.push(own[0].clone());
            } else if Path::new(&path).extension().is_some_and(|it| it == "json") {
                files.push((path, bytes));
            } else {
                files.push((format!("{number}/{path}"), bytes));
            }
        }
    }
    files.push((
        "manifest.json".to_owned(),
        json!(list).to_string().into_bytes(),
    ));
    files
}

/// Puts OCI layouts together, likewise.
pub(crate) fn oci(images: &[(&Image, &str)]) -> Vec<u8> {
    archive(&oci_files(images))
}

/// The same as files.
pub(crate) fn oci_files(images: &[(&Image, &str)]) -> Files {
    let mut files = Files::new();
    let mut list = Vec::new();
    for (image, name) in images {
        for (path, bytes) in image.oci_files() {
            if path == "index.json" {
                let mut own: Value = serde_json::from_slice(&bytes).unwrap();
                own["manifests"][0]["annotations"] = json!({"io.containerd.image.name": name});
                list.push(own["manifests"][0].clone());
            } else if path != "oci-layout" {
                files.push((path, bytes));
            }
        }
    }
    let index = json!({"schemaVersion": 2, "manifests": list});
    files.push(("index.json".to_owned(), index.to_string().into_bytes()));
    files.push((
        "oci-layout".to_owned(),
        br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
    ));
    files
}

fn of_two_images_with_one_tag_the_last_has_it() {
    let (one, two) = (image("one"), image("two"));
    let both = [
        (&one, "registry.test/same:1"),
        (&two, "registry.test/same:1"),
    ];
    for bytes in [docker(&both), oci(&both)] {
        let env = TestEnv::new();
        env.write("in.tar", &bytes);
        let run = env.msb("load -i in.tar").success();
        let short = |image: &Image| image.id()[7..19].to_owned();
        for words in ["note: ", "registry.test/same:1", &short(&one), &short(&two)] {
            assert!(run.stderr.contains(words), "{words}: {run:#?}");
        }
        let shown = env.json("image inspect registry.test/same:1 --format json");
        assert_eq!(shown["id"], json!(two.id()));
        assert_eq!(env.references(), ["<none>", "registry.test/same:1"]);
        // What the user says counts for more than what the archive does.
        env.msb("load -i in.tar -t registry.test/same:1").success();
        let shown = env.json("image inspect registry.test/same:1 --format json");
        assert_eq!(shown["id"], json!(one.id()));
    }
    // One image that is listed twice is one.
    let env = TestEnv::new();
    env.write("in.tar", &docker(&[both[0], both[0]]));
    let run = env.msb("load -i in.tar").success();
    assert!(!run.stderr.contains("note: "), "{run:#?}");
    assert_eq!(env.references(), ["registry.test/same:1"]);
}

fn of_the_images_of_an_index_the_first_has_its_name() {
    let (mine, mut theirs) = (image("mine"), image("theirs"));
    theirs.config["architecture"] = json!(other_architecture());
    let name = "registry.test/same:1";
    let env = TestEnv::new();
    env.write("in.tar", &oci(&[(&mine, name), (&theirs, name)]));
    env.msb("load -i in.tar").success();
    let shown = env.json("image inspect registry.test/same:1 --format json");
    assert_eq!(shown["id"], json!(mine.id()));
}

fn what_was_saved_is_the_image_that_it_was() {
    let mut image = image("app").compressed(gzip);
    image.name = Some("registry.test/app:1".to_owned());
    let env = TestEnv::new();
    env.write("in.tar", &image.oci());
    env.msb("load -i in.tar").success();
    let before = images(&env);
    env.msb("save -o out.tar registry.test/app:1").success();
    env.msb("load -i out.tar").success();
    assert_eq!(images(&env), before);
    env.msb("load -i out.tar -t registry.test/other:1")
        .success();
    let after = images(&env);
    assert_eq!(after.len(), 2);
    assert_eq!(after[0].0, after[1].0);
    env.msb("image verify").success();
}

fn an_image_that_came_without_a_manifest_becomes_the_one_that_has_it() {
    let mut image = image("app");
    image.name = Some("registry.test/first:1".to_owned());
    let env = TestEnv::new();
    env.write("docker.tar", &image.docker());
    env.msb("load -i docker.tar").success();
    image.name = Some("registry.test/second:1".to_owned());
    env.write("oci.tar", &image.compressed(gzip).oci());
    env.msb("load -i oci.tar").success();
    let images = images(&env);
    let names: Vec<&str> = images.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["registry.test/first:1", "registry.test/second:1"]);
    assert_eq!(images[0].0, images[1].0);
    env.msb("image verify").success();
    env.msb("rmi registry.test/first:1 registry.test/second:1")
        .success();
    env.msb("image prune -y").success();
    env.assert_clean();
}

fn a_blob_is_looked_at_although_the_store_has_its_contents() {
    let good = image("app");
    let layer = good.layers[0].clone();
    let mut bad: Vec<Vec<u8>> = vec![
        vec![0x67; 4096],
        layer[..layer.len() - 512].to_vec(),
        gzip(&layer)[..40].to_vec(),
        image("foreign").layers[0].clone(),
        gzip(&image("foreign").layers[0]),
    ];
    bad.push([layer, vec![0; 512]].concat());
    for blob in bad {
        let mut image = good.clone();
        image.layers = vec![blob];
        image.name = Some("registry.test/bad:1".to_owned());
        for bytes in [image.docker(), image.oci()] {
            for pipe in [false, true] {
                let env = TestEnv::new();
                env.write("good.tar", &good.oci());
                env.msb("load -q -i good.tar").success();
                let run = if pipe {
                    env.msb_with_input("load", &bytes)
                } else {
                    env.write("bad.tar", &bytes);
                    env.msb("load -i bad.tar")
                };
                run.failure(&[]);
                assert_eq!(env.references(), ["<none>"]);
            }
        }
    }
}

fn a_name_of_another_digest_in_the_catalogue_is_damage() {
    let mut app = image("app");
    app.name = Some("registry.test/app:1".to_owned());
    let env = TestEnv::new();
    env.write("in.tar", &app.oci());
    env.msb("load -i in.tar").success();
    let false_name = pinned("app", &sha256(b"something else"));
    let path = env.home().join("db/images.db");
    let catalogue = rusqlite::Connection::open(&path).unwrap();
    let add = format!(
        "INSERT INTO msb_reference (name, image, updated_at)
         SELECT '{false_name}', digest, created_at FROM msb_image"
    );
    assert_eq!(catalogue.execute(&add, []).unwrap(), 1);
    assert_eq!(env.references(), ["registry.test/app:1"]);
    env.msb(&format!("image inspect {false_name}"))
        .failure(&["image not found"]);
    let run = env.msb("image verify").failure(&["damage in 1 image"]);
    assert!(run.stdout.contains(path.to_str().unwrap()), "{run:#?}");
    assert!(run.stdout.contains(&false_name), "{run:#?}");
    env.msb("image verify --repair").failure(&["damage"]);
    env.msb("image verify").success();
    assert_eq!(env.references(), ["registry.test/app:1"]);
}
