//! Archives that are not as the tools of today write them.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};

use crate::archive::{Files, Image, archive, descriptor, gzip, hex, layer, sha256, zstd};
use crate::env::{Run, TestEnv};
use crate::tests;

tests! {
    a_layer_has_the_length_that_its_descriptor_says;
    case_24_the_bytes_of_a_layer_say_how_it_is_compressed;
    case_84_the_order_and_the_spelling_of_entries_do_not_matter;
    case_90_layers_have_to_be_those_of_the_configuration;
    case_91_a_blob_has_to_be_what_its_name_says;
    case_92_a_layer_of_the_store_may_be_missing_in_an_archive;
    case_94_an_image_whose_name_is_none_is_kept_without_one;
    a_manifest_that_others_would_read_as_an_index_is_refused;
    a_layout_may_leave_its_version_open;
    case_96_an_image_that_is_not_of_linux_and_tars_is_refused;
}

fn sample() -> Image {
    Image::new("sample:1", &["etc/hosts = here", "srv/new = y"])
}

/// Asserts that an archive loads as the sample, from a file and from a pipe.
#[track_caller]
fn assert_loads_as_sample(bytes: &[u8]) {
    let is_sample = |env: &TestEnv, run: Run| {
        run.success();
        let images = env.json("images --format json");
        assert_eq!(images[0]["id"], sample().id());
        assert_eq!(images[0]["reference"], "sample:1");
    };
    let env = TestEnv::new();
    env.write("in.tar", bytes);
    is_sample(&env, env.msb("load -i in.tar"));
    let env = TestEnv::new();
    is_sample(&env, env.msb_with_input("load", bytes));
}

#[track_caller]
fn assert_refused(bytes: &[u8], words: &[&str]) {
    assert_file_refused(bytes, words);
    let env = TestEnv::new();
    env.msb_with_input("load", bytes).failure(words);
    env.assert_clean();
}

#[track_caller]
fn assert_file_refused(bytes: &[u8], words: &[&str]) {
    let env = TestEnv::new();
    env.write("in.tar", bytes);
    env.msb("load -i in.tar").failure(words);
    env.assert_clean();
}

fn file<'a>(files: &'a mut Files, name: &str) -> &'a mut Vec<u8> {
    let file = files.iter_mut().find(|(path, _)| path.contains(name));
    &mut file.unwrap().1
}

/// Changes the manifest of an OCI layout that has one image, and what leads to it.
fn with_manifest(image: &Image, change: impl FnOnce(&mut Value)) -> Files {
    let mut manifest = image.manifest();
    change(&mut manifest);
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let entry = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
    let index = json!({"schemaVersion": 2, "manifests": [entry]});
    let mut files = image.oci_files();
    *file(&mut files, "index.json") = serde_json::to_vec(&index).unwrap();
    let path = format!("blobs/sha256/{}", hex(&sha256(&manifest)));
    files.push((path, manifest));
    files
}

fn case_24_the_bytes_of_a_layer_say_how_it_is_compressed() {
    let plain: fn(&[u8]) -> Vec<u8> = <[u8]>::to_vec;
    for compress in [plain, gzip, zstd] {
        for media_type in ["tar", "tar+gzip", "tar+zstd"] {
            let mut image = sample().compressed(compress);
            let media_type = format!("application/vnd.oci.image.layer.v1.{media_type}");
            image.media_type = media_type.leak();
            assert_loads_as_sample(&image.oci());
        }
    }
}

fn case_84_the_order_and_the_spelling_of_entries_do_not_matter() {
    let extra = descriptor("application/vnd.example.thing+json", b"thing");
    let mut files = sample().oci_files();
    let index = file(&mut files, "index.json");
    let mut changed: Value = serde_json::from_slice(index).unwrap();
    changed["manifests"].as_array_mut().unwrap().push(extra);
    *index = serde_json::to_vec(&changed).unwrap();
    files.push(("notes/read.me".to_owned(), b"x".to_vec()));
    for _ in 0..files.len() {
        files.rotate_left(1);
        assert_loads_as_sample(&archive(&files));
    }
    files.reverse();
    for (path, _) in &mut files {
        path.insert_str(0, "./");
    }
    assert_loads_as_sample(&archive(&files));
}

fn case_90_layers_have_to_be_those_of_the_configuration() {
    for diff_ids in [1, 3] {
        let mut image = sample();
        let listed = image.config["rootfs"]["diff_ids"].as_array_mut().unwrap();
        listed.resize(diff_ids, json!(sha256(b"more")));
        let words = format!("{diff_ids} layers by its configuration, and 2");
        assert_refused(&image.docker(), &[&words]);
        assert_refused(&image.oci(), &[&words]);
    }
    let mut image = sample();
    let other = layer("another = thing");
    image.layers[1].clone_from(&other);
    let expected = sha256(&sample().layers[1]);
    assert_refused(
        &image.docker(),
        &["layer1/layer.tar", "diff_id", &expected, &sha256(&other)],
    );
    // What the history says of layers is for people to read.
    let mut image = sample();
    image.config["history"] = json!([{"created_by": "one", "empty_layer": true}]);
    let env = TestEnv::new();
    env.write("in.tar", &image.docker());
    env.msb("load -i in.tar").success();
    assert_eq!(env.json("images --format json")[0]["id"], image.id());
}

fn case_91_a_blob_has_to_be_what_its_name_says() {
    let image = sample();
    let (right, other) = (sha256(&image.layers[1]), layer("another = thing"));
    let mut files = image.oci_files();
    file(&mut files, hex(&right)).clone_from(&other);
    assert_refused(
        &archive(&files),
        &["does not match its digest", &right, &sha256(&other)],
    );
    let mut files = image.oci_files();
    *file(&mut files, hex(&image.id())) = b"{}".to_vec();
    assert_refused(&archive(&files), &["does not match its digest"]);
    for digest in ["sha256:../../../../etc/passwd", "../x", "sha256"] {
        let files = with_manifest(&image, |manifest| {
            manifest["layers"][1]["digest"] = json!(digest);
        });
        assert_refused(&archive(&files), &["plugin `oci-layout`", "not a digest"]);
    }
    // A pipe is digested as it passes, before anybody says how.
    let mut text = "sha512:".to_owned();
    for byte in Sha512::digest(&image.layers[1]) {
        write!(text, "{byte:02x}").unwrap();
    }
    let named = |digest: &str| {
        let mut files = with_manifest(&image, |manifest| {
            manifest["layers"][1]["digest"] = json!(digest);
        });
        let path = format!("blobs/{}", digest.replace(':', "/"));
        files.push((path, image.layers[1].clone()));
        archive(&files)
    };
    let env = TestEnv::new();
    env.write("in.tar", &named(&text));
    env.msb("load -i in.tar").success();
    let (start, end) = text.split_at(text.len() - 8);
    let wrong: String = end.chars().rev().collect();
    let wrong = format!("{start}{wrong}");
    assert_file_refused(
        &named(&wrong),
        &["does not match its digest", &text, &wrong],
    );
    assert_refused(&named(&format!("blake3:{}", hex(&right))), &["blake3"]);
}

fn a_layer_has_the_length_that_its_descriptor_says() {
    let image = sample();
    let length = i64::try_from(image.layers[1].len()).unwrap();
    for (size, words) in [(length + 1, "bytes long, not"), (length - 1, "longer than")] {
        let files = with_manifest(&image, |manifest| {
            manifest["layers"][1]["size"] = json!(size);
        });
        assert_refused(&archive(&files), &[words]);
    }
}

fn case_92_a_layer_of_the_store_may_be_missing_in_an_archive() {
    let base = Image::new("base:1", &["etc/hosts = here"]);
    for format in ["docker", "oci"] {
        let mut files = match format {
            "docker" => sample().docker_files(),
            _ => sample().oci_files(),
        };
        let name = match format {
            "docker" => "layer0/layer.tar".to_owned(),
            _ => format!("blobs/sha256/{}", hex(&sha256(&base.layers[0]))),
        };
        files.retain(|(path, _)| *path != name);
        let delta = archive(&files);
        let first = sha256(&base.layers[0]);
        let advised = "hint: save the image with all of its layers, or load the image that it \
                       builds on first";
        let words = ["neither in the archive nor in the store", &first, advised];
        assert_refused(&delta, &words);
        let env = TestEnv::new();
        env.write("base.tar", &base.docker());
        env.msb("load -i base.tar").success();
        env.write("delta.tar", &delta);
        env.msb("load -i delta.tar").success();
        env.msb("save -o out.tar sample:1").success();
        let saved = std::fs::read(env.path("out.tar")).unwrap();
        assert_loads_as_sample(&saved);
    }
}

fn case_94_an_image_whose_name_is_none_is_kept_without_one() {
    for (name, reference) in [
        ("", "<none>"),
        ("<none>:<none>", "<none>"),
        ("Not A Name", "<none>"),
        ("a:b:c", "<none>"),
        ("sample", "sample:latest"),
    ] {
        let env = TestEnv::new();
        let mut image = sample();
        image.name = Some(name.to_owned()).filter(|name| !name.is_empty());
        env.write("in.tar", &image.docker());
        env.msb("load -i in.tar").success();
        assert_eq!(env.references(), [reference], "{name}");
        let found = env.json("images --format json");
        assert_eq!(found[0]["id"], image.id(), "{name}");
    }
}

/// As podman takes them: what says nothing, or a number that nothing depends on, refuses no image.
fn a_layout_may_leave_its_version_open() {
    let image = sample();
    for marker in [&b""[..], b"\n", b"{}", br#"{"imageLayoutVersion":""}"#] {
        let mut files = image.oci_files();
        *file(&mut files, "oci-layout") = marker.to_vec();
        assert_loads_as_sample(&archive(&files));
    }
    let mut files = image.oci_files();
    let index = file(&mut files, "index.json");
    let mut document: Value = serde_json::from_slice(index).unwrap();
    document["schemaVersion"] = json!(1);
    *index = document.to_string().into_bytes();
    assert_loads_as_sample(&archive(&files));
}

fn case_96_an_image_that_is_not_of_linux_and_tars_is_refused() {
    let mut image = sample();
    image.config["os"] = json!("windows");
    assert_refused(
        &image.docker(),
        &["no image for platform linux/", "windows/"],
    );
    for media_type in [
        "application/vnd.erofs",
        "application/vnd.erofs+zstd",
        "application/vnd.erofs.layer.v1",
    ] {
        let files = with_manifest(&sample(), |manifest| {
            manifest["layers"][1]["mediaType"] = json!(media_type);
        });
        assert_refused(&archive(&files), &["EROFS", "hint: "]);
    }
}

fn a_manifest_that_others_would_read_as_an_index_is_refused() {
    let load = |change: &dyn Fn(&mut Value)| archive(&with_manifest(&sample(), change));
    for own in [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "text/plain",
    ] {
        let bytes = load(&|manifest| manifest["mediaType"] = json!(own));
        assert_refused(&bytes, &["calls itself", own]);
    }
    let bytes = load(&|manifest| manifest["manifests"] = json!([]));
    assert_refused(&bytes, &["an image and an index at once"]);
    for own in [
        json!("application/vnd.oci.image.manifest.v1+json"),
        json!("application/vnd.docker.distribution.manifest.v2+json"),
        json!(""),
        Value::Null,
    ] {
        let env = TestEnv::new();
        env.write(
            "in.tar",
            &load(&|manifest| manifest["mediaType"] = own.clone()),
        );
        env.msb("load -i in.tar").success();
        let images = env.json("images --format json");
        assert_eq!(images[0]["id"], sample().id(), "{own}");
    }
}
