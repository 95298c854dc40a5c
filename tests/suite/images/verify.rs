//! `msb image verify`: nothing that changes in the store goes unseen, and what is dropped comes
//! back.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::archive::{Image, gzip};
use crate::env::TestEnv;
use crate::tests;

tests! {
    a_whole_store_is_sound;
    a_flipped_bit_anywhere_in_a_stored_file_is_found_and_named;
    a_file_that_is_missing_or_shorter_is_named;
    what_is_dropped_comes_back_with_the_next_load;
    what_cannot_be_read_for_a_moment_stays;
    a_layer_that_images_share_is_damaged_in_each;
    only_the_images_that_are_named_are_checked;
    a_layer_that_depends_on_others_is_checked_too;
    a_catalogue_that_says_otherwise_is_named;
    verify_prints_what_it_found;
}

fn loaded() -> TestEnv {
    let env = TestEnv::new();
    let long = format!("data/long = {}", "0123456789abcdef".repeat(1000));
    let layers = [
        &format!("etc/\netc/hosts = here\nbin/sh -> busybox\n{long}"),
        "etc/passwd = root\netc/.wh.old = \nl => etc/hosts",
    ];
    let image = Image::new("app:1", &layers).compressed(gzip);
    env.write("in.tar", &image.oci());
    env.msb("load -i in.tar").success();
    env
}

/// Returns the files of layers and documents.
fn stored(env: &TestEnv) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = ["layers", "blobs"]
        .iter()
        .flat_map(|name| std::fs::read_dir(env.home().join("cache").join(name)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn flip(file: &Path, bit: u64) {
    let mut bytes = std::fs::read(file).unwrap();
    let byte = usize::try_from(bit / 8).unwrap();
    bytes[byte] ^= 1 << (bit % 8);
    std::fs::write(file, bytes).unwrap();
}

/// Runs verify and returns the files that it names.
fn named(env: &TestEnv, line: &str) -> Vec<String> {
    let run = env.msb(&format!("image verify --format json {line}"));
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let mut files: Vec<String> = report["images"]
        .as_array()
        .unwrap()
        .iter()
        .chain([&serde_json::json!({"damage": report["store"]})])
        .flat_map(|image| image["damage"].as_array().unwrap().clone())
        .map(|damage| damage["file"].as_str().unwrap().to_owned())
        .collect();
    files.sort();
    files.dedup();
    assert_eq!(run.code, Some(i32::from(!files.is_empty())), "{run:?}");
    files
}

fn a_whole_store_is_sound() {
    let env = loaded();
    assert_eq!(named(&env, ""), [""; 0]);
    let report = env.json("image verify app:1 --format json");
    assert_eq!(report["images"][0]["sound"], true);
    assert_eq!(report["images"][0]["reference"], "app:1");
    assert_eq!(report["layers"], 2);
    assert!(report["bytes"].as_u64().unwrap() > 16_000);
    assert_eq!(
        TestEnv::new().json("image verify --format json")["layers"],
        0
    );
}

fn a_flipped_bit_anywhere_in_a_stored_file_is_found_and_named() {
    let env = loaded();
    let mut flipped = 0;
    for file in stored(&env) {
        let whole = std::fs::read(&file).unwrap();
        let bits = whole.len() as u64 * 8;
        // Every bit of what is small, and a bit here and there of what is not.
        let step = (bits / 97).max(1) | 1;
        for bit in (0..bits)
            .step_by(usize::try_from(step).unwrap())
            .chain([bits - 1])
        {
            flip(&file, bit);
            assert_eq!(
                named(&env, ""),
                [file.to_str().unwrap()],
                "bit {bit} of {bits}"
            );
            std::fs::write(&file, &whole).unwrap();
            flipped += 1;
        }
    }
    assert!(flipped > 400, "{flipped}");
    assert_eq!(named(&env, ""), [""; 0]);
}

fn a_file_that_is_missing_or_shorter_is_named() {
    let env = loaded();
    for file in stored(&env) {
        let whole = std::fs::read(&file).unwrap();
        std::fs::write(&file, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(named(&env, ""), [file.to_str().unwrap()]);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(named(&env, ""), [file.to_str().unwrap()]);
        std::fs::create_dir(&file).unwrap();
        assert_eq!(named(&env, ""), [file.to_str().unwrap()]);
        std::fs::remove_dir(&file).unwrap();
        std::fs::write(&file, &whole).unwrap();
    }
}

fn what_is_dropped_comes_back_with_the_next_load() {
    for pipe in [false, true] {
        let env = loaded();
        let files = stored(&env);
        let whole: Vec<Vec<u8>> = files
            .iter()
            .map(|file| std::fs::read(file).unwrap())
            .collect();
        for (file, bytes) in files.iter().zip(&whole) {
            flip(file, bytes.len() as u64 * 4);
            assert_eq!(named(&env, "--repair"), [file.to_str().unwrap()]);
            assert!(!file.exists());
            if pipe {
                let archive = std::fs::read(env.path("in.tar")).unwrap();
                env.msb_with_input("load", &archive).success();
            } else {
                env.msb("load -i in.tar").success();
            }
            assert_eq!(named(&env, ""), [""; 0]);
            let again: Vec<Vec<u8>> = files
                .iter()
                .map(|file| std::fs::read(file).unwrap())
                .collect();
            assert!(again == whole, "{}", file.display());
        }
    }
}

fn what_cannot_be_read_for_a_moment_stays() {
    let env = loaded();
    let files = stored(&env);
    for file in &files {
        let aside = env.path("aside");
        std::fs::rename(file, &aside).unwrap();
        // A link to itself: there is a file, and no way to read it.
        std::os::unix::fs::symlink(file, file).unwrap();
        assert_eq!(named(&env, "--repair"), [file.to_str().unwrap()]);
        let run = env.msb("image verify --repair");
        let run = run.failure(&["could not read all of 1 image", "is not dropped"]);
        assert!(run.stdout.starts_with("unreadable  sha256:"), "{run:?}");
        std::fs::rename(&aside, file).unwrap();
        assert_eq!(stored(&env), files, "{}", file.display());
    }
    env.msb("image verify").success();
}

fn a_layer_that_images_share_is_damaged_in_each() {
    let env = TestEnv::new();
    for (name, top) in [("a:1", "x = 1"), ("b:1", "x = 2")] {
        env.write("in.tar", &Image::new(name, &["base = 1", top]).docker());
        env.msb("load -i in.tar").success();
    }
    let details = env.json("image inspect a:1 --format json");
    let shared = details["layers"][0]["erofs_path"].as_str().unwrap();
    flip(Path::new(shared), 8 * 4096);
    let run = env
        .msb("image verify")
        .failure(&["damage in 2 images", "hint: "]);
    assert_eq!(run.stdout.matches("damaged ").count(), 2, "{run:?}");
    assert_eq!(run.stdout.matches(shared).count(), 2, "{run:?}");
    assert!(run.stdout.contains("the contents of files are others"));
}

fn only_the_images_that_are_named_are_checked() {
    let env = TestEnv::new();
    for name in ["a:1", "b:1"] {
        env.write(
            "in.tar",
            &Image::new(name, &[&format!("{name} = 1")]).docker(),
        );
        env.msb("load -i in.tar").success();
    }
    let details = env.json("image inspect a:1 --format json");
    let file = details["layers"][0]["erofs_path"].as_str().unwrap();
    std::fs::remove_file(file).unwrap();
    assert_eq!(named(&env, "b:1"), [""; 0]);
    assert_eq!(named(&env, "b:1 a:1 b:1"), [file]);
    env.msb("image verify c:1")
        .failure(&["image not found: c:1"]);
}

fn a_layer_that_depends_on_others_is_checked_too() {
    let env = loaded();
    let details = env.json("image inspect app:1 --format json");
    let layer = &details["layers"][1];
    assert!(layer["chain_id"].is_string());
    let file = layer["erofs_path"].as_str().unwrap();
    let image = std::fs::read(file).unwrap();
    let copied = image.windows(4).position(|bytes| bytes == b"here").unwrap() as u64;
    flip(Path::new(file), copied * 8);
    assert_eq!(named(&env, "app:1"), [file]);
}

fn a_catalogue_that_says_otherwise_is_named() {
    for change in [
        "msb_image_layer SET compressed_size = compressed_size + 1",
        "msb_image_layer SET media_type = media_type || 'x'",
        "msb_image SET media_type = 'application/vnd.oci.image.index.v1+json'",
        "msb_image SET architecture = 'arm64x'",
        "msb_image SET variant = 'v9'",
    ] {
        let env = loaded();
        assert_eq!(named(&env, ""), [""; 0], "before {change}");
        let catalogue = env.home().join("db/images.db");
        let database = rusqlite::Connection::open(&catalogue).unwrap();
        let changed = database.execute(&format!("UPDATE {change}"), []).unwrap();
        assert!(changed > 0, "{change}");
        assert_eq!(named(&env, ""), [catalogue.to_str().unwrap()], "{change}");
    }
}

fn verify_prints_what_it_found() {
    let env = loaded();
    let run = env.msb("image verify app:1").success();
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert!(lines[0].starts_with("sound       sha256:"), "{run:?}");
    assert!(lines[0].ends_with("  app:1"), "{run:?}");
    assert_eq!(lines[1], "1 image, 2 layers, 22.5 KiB of tar");
    assert_eq!(env.msb("image verify --quiet").success().stdout, "");
    let file = stored(&env).pop().unwrap();
    std::fs::remove_file(&file).unwrap();
    let run = env
        .msb("image verify --quiet")
        .failure(&["damage in 1 image", "--repair"]);
    assert_eq!(run.stdout, "");
}
