//! There and back: archives of real engines into msb, archives of msb into real engines.

use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::archive::{Image, archive, descriptor, hex, sha256};
use crate::engine::{Docker, Podman, write_context};
use crate::env::TestEnv;
use crate::tests;
use crate::tools::run;

tests! {
    what_docker_saves_comes_back_to_docker_with_the_same_id needs Docker;
    docker_save_pipes_into_msb_load needs Docker;
    several_names_of_docker_stay_one_image needs Docker;
    what_podman_saves_as_docker_archive_loads_and_goes_back needs Podman;
    what_podman_saves_as_oci_archive_loads_and_goes_back needs Podman;
    what_skopeo_copies_loads_in_every_form needs Skopeo;
    skopeo_inspects_what_msb_saves needs Skopeo;
    a_saved_archive_loads_with_identical_digests;
    equal_images_are_saved_as_equal_bytes;
    a_manifest_comes_back_byte_for_byte;
    a_name_without_a_tag_is_saved_with_one;
    one_image_of_two_names_is_saved_as_one;
    a_save_that_fails_leaves_the_file_that_was_there;
}

/// Names of the entries of a tar.
fn entries(path: &Path) -> Vec<String> {
    tar::Archive::new(std::fs::File::open(path).unwrap())
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect()
}

/// What identifies an image: its ID and its layers.
fn identity(env: &TestEnv, name: &str) -> (String, Vec<String>) {
    let details = env.json(&format!("image inspect {name} --format json"));
    let layers = details["layers"].as_array().unwrap();
    let diff_ids = layers
        .iter()
        .map(|layer| layer["diff_id"].as_str().unwrap().to_owned());
    (
        details["id"].as_str().unwrap().to_owned(),
        diff_ids.collect(),
    )
}

fn what_docker_saves_comes_back_to_docker_with_the_same_id() {
    let (env, docker) = (TestEnv::new(), Docker::get());
    docker.build("round/trip:1");
    let id = docker.id("round/trip:1");
    let saved = env.path("docker.tar").display().to_string();
    docker.run(&format!("save --output {saved} round/trip:1"));
    env.msb("load --input docker.tar").success();
    assert_eq!(identity(&env, "round/trip:1").0, id);
    for format in ["docker", "oci"] {
        env.msb(&format!(
            "save --format {format} -o out.{format} round/trip:1"
        ))
        .success();
    }
    let names = entries(&env.path("out.docker"));
    assert!(names.contains(&"manifest.json".to_owned()), "{names:?}");
    assert!(
        names.iter().any(|name| name.ends_with("/layer.tar")),
        "{names:?}"
    );
    let names = entries(&env.path("out.oci"));
    for name in ["oci-layout", "index.json"] {
        assert!(names.contains(&name.to_owned()), "{names:?}");
    }
    assert!(names.iter().any(|name| name.starts_with("blobs/sha256/")));
    docker.run("image rm --force round/trip:1");
    let out = env.path("out.docker").display().to_string();
    docker.run(&format!("load --input {out}"));
    assert_eq!(docker.id("round/trip:1"), id);
}

fn docker_save_pipes_into_msb_load() {
    let (env, docker) = (TestEnv::new(), Docker::get());
    docker.build("piped:1");
    let saved = docker.command(["save", "piped:1"]).output().unwrap().stdout;
    env.msb_with_input("load", &saved).success();
    assert_eq!(identity(&env, "piped:1").0, docker.id("piped:1"));
    env.assert_nothing_in_flight();
}

fn several_names_of_docker_stay_one_image() {
    let (env, docker) = (TestEnv::new(), Docker::get());
    docker.build("several:1");
    docker.run("tag several:1 several:2");
    docker.run("tag several:1 other.example:5000/several:3");
    let out = env.path("in.tar").display().to_string();
    docker.run(&format!(
        "save -o {out} several:1 several:2 other.example:5000/several:3"
    ));
    env.msb("load -i in.tar").success();
    let expected = ["other.example:5000/several:3", "several:1", "several:2"];
    assert_eq!(env.references(), expected);
    env.msb("save -o out.tar several:1 several:2").success();
    let layers = entries(&env.path("out.tar"))
        .iter()
        .filter(|name| name.ends_with("layer.tar"))
        .count();
    assert_eq!(layers, identity(&env, "several:1").1.len());
}

fn podman_round_trip(format: &str, ours: &str) {
    let (env, podman) = (TestEnv::new(), Podman::new());
    let context = podman.path("context");
    std::fs::create_dir(&context).unwrap();
    write_context(&context);
    podman.run(&format!(
        "build --quiet --isolation=chroot --tag localhost/pod:1 {}",
        context.display()
    ));
    let id = podman.run("image inspect --format {{.Id}} localhost/pod:1");
    let saved = env.path("in.tar").display().to_string();
    podman.run(&format!(
        "save --quiet --format {format} --output {saved} localhost/pod:1"
    ));
    env.msb("load -i in.tar").success();
    let (our_id, _) = identity(&env, "localhost/pod:1");
    assert_eq!(our_id.trim_start_matches("sha256:"), id.trim());
    env.msb(&format!("save --format {ours} -o out.tar localhost/pod:1"))
        .success();
    podman.run("image rm --force localhost/pod:1");
    let out = env.path("out.tar").display().to_string();
    podman.run(&format!("load --quiet --input {out}"));
    let back = podman.run("image inspect --format {{.Id}} localhost/pod:1");
    assert_eq!(back, id);
}

fn what_podman_saves_as_docker_archive_loads_and_goes_back() {
    podman_round_trip("docker-archive", "docker");
}

fn what_podman_saves_as_oci_archive_loads_and_goes_back() {
    podman_round_trip("oci-archive", "oci");
}

fn sample() -> Image {
    Image::new(
        "docker.io/library/sample:1",
        &[
            "etc/\netc/hosts = here\nbin/sh = x",
            "etc/.wh.hosts = \nsrv/new = y",
        ],
    )
}

fn what_skopeo_copies_loads_in_every_form() {
    let env = TestEnv::new();
    env.write("in.tar", &sample().docker());
    let copy = |to: &str| {
        run(Command::new("skopeo")
            .args([
                "copy",
                "--quiet",
                "--insecure-policy",
                "docker-archive:in.tar",
                to,
            ])
            .current_dir(env.path("")));
    };
    for (target, input) in [
        ("docker-archive:a.tar:sample:2", "a.tar"),
        ("oci-archive:b.tar:docker.io/library/sample:2", "b.tar"),
        ("oci:c:docker.io/library/sample:2", "c"),
    ] {
        copy(target);
        let home = env.path(&format!("home-{input}"));
        let env = TestEnv::new().with_home(&home);
        let input = home.with_file_name(input);
        env.msb(&format!("load -i {}", input.display())).success();
        assert_eq!(env.references(), ["sample:2"], "{target}");
        let (id, _) = identity(&env, "sample:2");
        // skopeo rewrites the configuration in the OCI form; in Docker's it is the same.
        if target.starts_with("docker-archive") {
            assert_eq!(id, sample().id(), "{target}");
        }
    }
}

fn skopeo_inspects_what_msb_saves() {
    let env = TestEnv::new();
    env.write("in.tar", &sample().docker());
    env.msb("load -i in.tar").success();
    for (format, transport) in [("docker", "docker-archive"), ("oci", "oci-archive")] {
        env.msb(&format!("save --format {format} -o {format}.tar sample:1"))
            .success();
        let source = format!(
            "{transport}:{}",
            env.path(&format!("{format}.tar")).display()
        );
        let config = run(Command::new("skopeo").args(["inspect", "--config", "--raw", &source]));
        assert_eq!(config.as_bytes(), sample().config_bytes(), "{format}");
        let seen: Value =
            serde_json::from_str(&run(Command::new("skopeo").args(["inspect", &source]))).unwrap();
        assert_eq!(seen["Layers"].as_array().unwrap().len(), 2, "{format}");
    }
}

fn a_saved_archive_loads_with_identical_digests() {
    let env = TestEnv::new();
    env.write("in.tar", &sample().docker());
    env.msb("load -i in.tar").success();
    let before = env.json("image inspect sample:1 --format json");
    for format in ["docker", "oci"] {
        let out = env.path(&format!("{format}.tar"));
        env.msb(&format!(
            "save --format {format} -o {} sample:1",
            out.display()
        ))
        .success();
        let other = TestEnv::new();
        other.msb(&format!("load -i {}", out.display())).success();
        let after = other.json("image inspect sample:1 --format json");
        for key in ["digest", "id", "references", "media_type", "config"] {
            assert_eq!(before[key], after[key], "{format}: {key}");
        }
        assert_eq!(identity(&env, "sample:1"), identity(&other, "sample:1"));
    }
}

fn equal_images_are_saved_as_equal_bytes() {
    let saved = |format: &str| {
        let env = TestEnv::new();
        env.write("in.tar", &sample().docker());
        env.msb("load -i in.tar").success();
        env.msb(&format!("save --format {format} -o out.tar sample:1"))
            .success();
        std::fs::read(env.path("out.tar")).unwrap()
    };
    for format in ["docker", "oci"] {
        assert!(saved(format) == saved(format), "{format}");
    }
}

/// Returns the contents of an entry of a tar.
fn contents(path: &Path, name: &str) -> Vec<u8> {
    let mut archive = tar::Archive::new(std::fs::File::open(path).unwrap());
    let mut entry = archive
        .entries()
        .unwrap()
        .map(Result::unwrap)
        .find(|entry| entry.path().unwrap() == Path::new(name))
        .unwrap();
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).unwrap();
    bytes
}

fn a_manifest_comes_back_byte_for_byte() {
    let image = sample();
    // Spelled as no library would do it.
    let manifest = serde_json::to_string_pretty(&image.manifest()).unwrap();
    let manifest = format!("\n{}\n\n", manifest.replace(": ", " :\t"));
    let mut entry = descriptor(
        "application/vnd.oci.image.manifest.v1+json",
        manifest.as_bytes(),
    );
    entry["annotations"] = json!({"io.containerd.image.name": "sample:1"});
    let index = json!({"schemaVersion": 2, "manifests": [entry]});
    let digest = sha256(manifest.as_bytes());
    let blob = format!("blobs/sha256/{}", hex(&digest));
    let mut files = image.oci_files();
    files[1].1 = serde_json::to_vec(&index).unwrap();
    files.push((blob.clone(), manifest.clone().into_bytes()));
    let env = TestEnv::new();
    env.write("in.tar", &archive(&files));
    env.msb("load -i in.tar").success();
    let found = env.json("image inspect sample:1 --format json");
    assert_eq!(found["digest"], digest);
    env.msb("save --format oci -o out.tar sample:1").success();
    assert!(contents(&env.path("out.tar"), &blob) == manifest.as_bytes());
}

fn a_name_without_a_tag_is_saved_with_one() {
    let env = TestEnv::new();
    env.write("in.tar", &sample().docker());
    env.msb("load -i in.tar --tag alpine").success();
    env.msb("save -o out.tar alpine").success();
    let list = contents(&env.path("out.tar"), "manifest.json");
    let list: Value = serde_json::from_slice(&list).unwrap();
    assert_eq!(list[0]["RepoTags"], json!(["alpine:latest"]));
}

fn one_image_of_two_names_is_saved_as_one() {
    let env = TestEnv::new();
    env.write("in.tar", &sample().docker());
    env.msb("load -i in.tar --tag other:2").success();
    env.msb("save -o out.tar sample:1 other:2").success();
    let list = contents(&env.path("out.tar"), "manifest.json");
    let list: Value = serde_json::from_slice(&list).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["RepoTags"].as_array().unwrap().len(), 2);
}

fn a_save_that_fails_leaves_the_file_that_was_there() {
    let env = TestEnv::new();
    env.write("in.tar", &sample().docker());
    env.msb("load -i in.tar").success();
    env.write("out.tar", b"before");
    let details = env.json("image inspect sample:1 --format json");
    let path = details["layers"][1]["erofs_path"].as_str().unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    bytes[4096] ^= 1;
    std::fs::write(path, bytes).unwrap();
    for format in ["docker", "oci"] {
        env.msb(&format!("save --format {format} -o out.tar sample:1"))
            .failure(&["is damaged"]);
        assert_eq!(std::fs::read(env.path("out.tar")).unwrap(), b"before");
    }
    env.assert_nothing_in_flight();
}
