//! Directories of skopeo, and archives that lie in a directory.

use std::process::Command;

use serde_json::json;

use super::{Ways, sample, write_sparsely};
use crate::archive::{Files, Image, archive, descriptor, gzip, hex, sha256};
use crate::env::TestEnv;
use crate::tests;
use crate::tools::run;

tests! {
    an_archive_that_lies_in_a_folder_is_found;
    a_path_that_leads_outside_is_skipped;
    a_directory_of_skopeo_loads;
    what_podman_and_skopeo_write_as_a_directory_loads needs Podman, Skopeo;
}

fn moved(files: &Files, folder: &str) -> Vec<u8> {
    let moved: Files = files
        .iter()
        .map(|(name, contents)| (format!("{folder}{name}"), contents.clone()))
        .collect();
    archive(&moved)
}

fn an_archive_that_lies_in_a_folder_is_found() {
    let ways = Ways::new();
    let image = sample();
    for files in [image.docker_files(), image.oci_files()] {
        for folder in ["image/", "./image/", "one/two/"] {
            let bytes = moved(&files, folder);
            ways.assert_loads(&bytes, &image, folder);
            ways.assert_loads(&gzip(&bytes), &image, folder);
            let env = TestEnv::new();
            env.write("in.tar", &bytes);
            let run = env.msb("load -i in.tar").success();
            let name = folder.trim_start_matches("./").trim_end_matches('/');
            assert!(run.stderr.contains(&format!("`{name}`")), "{run:?}");
        }
        ways.assert_loads(&moved(&files, "./"), &image, "./");
    }
    // On disk, with the folder around it.
    let env = TestEnv::new();
    write_sparsely(&env.path("outer/inner"), &image.oci_files());
    env.msb("load -i outer").success();
    assert_eq!(env.json("images --format json")[0]["id"], image.id());
}

/// Writes a path into the header of the first entry, as no builder would.
fn with_first_path(mut bytes: Vec<u8>, path: &[u8]) -> Vec<u8> {
    bytes[..100].fill(0);
    bytes[..path.len()].copy_from_slice(path);
    bytes[148..156].copy_from_slice(b"        ");
    let sum: u32 = bytes[..512].iter().map(|byte| u32::from(*byte)).sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    bytes
}

fn a_path_that_leads_outside_is_skipped() {
    let ways = Ways::new();
    let image = sample();
    for files in [image.docker_files(), image.oci_files()] {
        let mut all = vec![("x".to_owned(), b"outside".to_vec())];
        all.extend(files);
        let bytes = with_first_path(archive(&all), b"../../escape");
        ways.assert_loads(&bytes, &image, "beside");
        let env = TestEnv::new();
        env.write("in.tar", &bytes);
        let run = env.msb("load -i in.tar").success();
        assert!(run.stderr.contains("skipped `../../escape`"), "{run:?}");
        assert!(!env.path("../../escape").exists());
    }
    // What an image needs is not outside.
    let mut files = image.docker_files();
    files.rotate_right(1);
    let bytes = with_first_path(archive(&files), b"../manifest.json");
    ways.assert_refused(&bytes, &["no installed format plugin recognises"]);
}

/// The files that skopeo writes to `dir:`.
fn directory_files(image: &Image, media_type: &str) -> Files {
    let mut manifest = image.manifest();
    manifest["mediaType"] = json!(media_type);
    let mut files = vec![
        (
            "manifest.json".to_owned(),
            serde_json::to_vec(&manifest).unwrap(),
        ),
        (
            "version".to_owned(),
            b"Directory Transport Version: 1.1\n".to_vec(),
        ),
    ];
    for blob in [image.config_bytes()].iter().chain(&image.layers) {
        files.push((hex(&sha256(blob)).to_owned(), blob.clone()));
    }
    files
}

fn a_directory_of_skopeo_loads() {
    let ways = Ways::new();
    let image = sample().compressed(gzip);
    for media_type in [
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ] {
        let mut files = directory_files(&image, media_type);
        let bytes = archive(&files);
        ways.assert_loads(&bytes, &image, media_type);
        ways.assert_loads(&moved(&files, "folder/"), &image, media_type);
        let env = TestEnv::new();
        write_sparsely(&env.path("dir"), &files);
        env.msb("load -i dir --tag named:1").success();
        assert_eq!(env.references(), ["named:1"]);
        let seen = env.json("image inspect named:1 --format json");
        assert_eq!(seen["digest"], sha256(&files[0].1));
        // Of all platforms.
        let manifest = std::mem::take(&mut files[0].1);
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [descriptor(media_type, &manifest)],
        });
        files[0].1 = serde_json::to_vec(&index).unwrap();
        files.push((
            format!("{}.manifest.json", hex(&sha256(&manifest))),
            manifest,
        ));
        ways.assert_loads(&archive(&files), &image, "an index");
        files.retain(|(name, _)| !name.ends_with(".manifest.json"));
        ways.assert_refused(&archive(&files), &["is not in the archive"]);
    }
    let mut files = directory_files(&image, "application/vnd.oci.image.manifest.v1+json");
    files[2].1 = b"{}".to_vec();
    ways.assert_refused(&archive(&files), &["does not match its digest"]);
}

fn what_podman_and_skopeo_write_as_a_directory_loads() {
    let env = TestEnv::new();
    env.write("in.tar", &sample().docker());
    run(Command::new("skopeo")
        .args([
            "copy",
            "--quiet",
            "--insecure-policy",
            "docker-archive:in.tar",
            "dir:copied",
        ])
        .current_dir(env.path("")));
    let podman = crate::engine::Podman::new();
    let path = |name: &str| env.path(name).display().to_string();
    podman.run(&format!("load --quiet --input {}", path("in.tar")));
    podman.run(&format!(
        "save --quiet --format docker-dir --output {} sample:1",
        path("saved")
    ));
    for input in ["copied", "saved"] {
        let home = env.path(&format!("home-{input}"));
        let other = TestEnv::new().with_home(&home);
        other.msb(&format!("load -i {}", path(input))).success();
        let images = other.json("images --format json");
        assert_eq!(images[0]["id"], sample().id(), "{input}");
    }
}
