//! Merged root filesystems: what they show, and when they are made, checked and removed.

use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::archive::{Image, layer};
use crate::env::TestEnv;
use crate::mount::{Mounted, assert_same, nodes};
use crate::tests;

tests! {
    a_merged_image_shows_what_an_overlay_shows needs Root;
    links_across_layers_are_as_an_overlay_has_them needs Root;
    more_layers_than_the_first_block_has_room_for_are_merged needs Root;
    the_same_image_gives_the_same_bytes;
    an_image_is_merged_when_it_is_loaded_if_that_is_set;
    a_merged_image_goes_with_its_image;
    a_merged_image_that_is_not_right_is_found_and_made_again;
}

/// Layers that hide, replace and add to each other.
pub(super) const LAYERS: [&str; 4] = [
    "etc/\netc/old = 1\netc/kept = kept\nusr/\nusr/bin/tool = binary\nlink -> usr/bin/tool\nsame => etc/kept",
    "etc/.wh.old = \nusr/bin/other = x\nopt/\nopt/a = 1\nkind = file",
    "opt/.wh..wh..opq = \nopt/b = 2\nkind/in = directory\nempty = ",
    "etc/old = again\n.wh.link = ",
];

pub(super) fn loaded(layers: &[&str]) -> TestEnv {
    let env = TestEnv::new();
    load(&env, layers);
    env
}

pub(super) fn load(env: &TestEnv, layers: &[&str]) {
    let layers = layers.iter().map(|text| layer(text)).collect();
    let archive = env.write("app.tar", &Image::of("app:1", layers).docker());
    env.msb(&format!("load --quiet -i {}", archive.display()))
        .success();
}

pub(super) fn disk(env: &TestEnv, options: &str) -> PathBuf {
    let name = options.replace(' ', "");
    env.msb(&format!("image disk app:1 --quiet {options} -o disk{name}"))
        .success();
    env.path(&format!("disk{name}"))
}

pub(super) fn details(env: &TestEnv) -> Value {
    env.json("image inspect app:1 --format json")
}

pub(super) fn overlay(env: &TestEnv) -> (Vec<Mounted>, Mounted) {
    let details = details(env);
    let layers = details["layers"].as_array().unwrap().iter();
    let layers: Vec<Mounted> = layers
        .map(|layer| Mounted::erofs(Path::new(layer["erofs_path"].as_str().unwrap())))
        .collect();
    let overlay = Mounted::overlay(&layers);
    (layers, overlay)
}

fn merged_files(env: &TestEnv) -> Vec<PathBuf> {
    let Ok(entries) = env.home().join("cache/fsmeta").read_dir() else {
        return Vec::new();
    };
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Flips a bit of a file.
pub(crate) fn flip(path: &Path, offset: u64) {
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
}

fn a_merged_image_shows_what_an_overlay_shows() {
    let env = loaded(&LAYERS);
    assert_eq!(details(&env)["merged"], Value::Null);
    let (_layers, overlay) = overlay(&env);
    let merged = Mounted::merged(&env, "app:1");
    let shown = nodes(overlay.path());
    assert!(shown.contains_key(Path::new("opt/b")));
    assert_same(&nodes(merged.path()), &shown, "merged");
    let merged = &details(&env)["merged"];
    let options = merged["mount_options"].as_str().unwrap();
    assert_eq!(options.matches("device=").count(), LAYERS.len());
    assert!(options.starts_with("ro,device=/"), "{options}");
    let offsets = merged["devices"].as_array().unwrap().iter();
    let offsets: Vec<u64> = offsets
        .map(|device| device["disk_offset_bytes"].as_u64().unwrap())
        .collect();
    assert_eq!(offsets[0], merged["size_bytes"].as_u64().unwrap());
    let text = env.msb("image inspect app:1").success().stdout;
    assert!(text.contains("Merged root filesystem"), "{text}");
}

/// A link to a file below brings that file into its layer, and the other names below stay what they are:
/// Linux does the same when a program links in an overlay.
fn links_across_layers_are_as_an_overlay_has_them() {
    use std::os::unix::fs::MetadataExt as _;
    let env = loaded(&[
        "a = one\nb => a\nd = kept\ne => d\ng = old\nh => g",
        "z => a\ny => d\n.wh.e = \ng = new",
    ]);
    let (_layers, overlay) = overlay(&env);
    let merged = Mounted::merged(&env, "app:1");
    let shown = nodes(merged.path());
    assert_same(&shown, &nodes(overlay.path()), "merged");
    let link_to = |name: &str| shown[Path::new(name)].link_to.as_deref();
    assert_eq!(link_to("z"), Some(Path::new("a")));
    assert_eq!(link_to("y"), Some(Path::new("d")));
    assert_eq!(link_to("b"), None);
    // The number of links is that of the names that are there.
    for (name, links) in [("a", 2), ("b", 1), ("d", 2), ("g", 1), ("h", 1)] {
        let metadata = merged.path().join(name).metadata().unwrap();
        assert_eq!(metadata.nlink(), links, "{name}");
    }
}

fn more_layers_than_the_first_block_has_room_for_are_merged() {
    let texts: Vec<String> = (0..40)
        .map(|number| format!("f{number} = {number}"))
        .collect();
    let layers: Vec<&str> = texts.iter().map(String::as_str).collect();
    let env = loaded(&layers);
    let (_layers, overlay) = overlay(&env);
    let shown = nodes(overlay.path());
    assert_same(
        &nodes(Mounted::merged(&env, "app:1").path()),
        &shown,
        "merged",
    );
    let raw = Mounted::erofs_unchecked(&disk(&env, "--type raw"));
    assert_same(&nodes(raw.path()), &shown, "raw");
}

fn the_same_image_gives_the_same_bytes() {
    let (one, two) = (loaded(&LAYERS), loaded(&LAYERS));
    for options in [
        "--type raw --verity",
        "--type erofs",
        "--type erofs --without-xattrs",
    ] {
        let [one, two] = [&one, &two].map(|env| std::fs::read(disk(env, options)).unwrap());
        assert!(one == two, "{options}");
    }
    let [one, two] = [&one, &two].map(|env| std::fs::read(&merged_files(env)[0]).unwrap());
    assert!(one == two, "merged");
}

fn an_image_is_merged_when_it_is_loaded_if_that_is_set() {
    let env = TestEnv::new();
    load(&env, &LAYERS);
    assert!(merged_files(&env).is_empty());
    env.write_settings(r#"{"store": {"merge": true}}"#);
    load(&env, &LAYERS);
    assert_eq!(merged_files(&env).len(), 1);
    assert!(details(&env)["merged"].is_object());
    // An image that cannot be merged is loaded all the same.
    env.msb("rmi --quiet app:1").success();
    std::fs::remove_dir_all(env.home().join("cache/fsmeta")).unwrap();
    std::fs::write(env.home().join("cache/fsmeta"), "in the way").unwrap();
    let said = env.msb("load -i app.tar").success().stderr;
    assert!(said.contains("cache/fsmeta"), "{said}");
    assert_eq!(details(&env)["merged"], Value::Null);
}

fn a_merged_image_goes_with_its_image() {
    let env = loaded(&LAYERS);
    disk(&env, "--type vmdk");
    assert_eq!(merged_files(&env).len(), 1);
    env.msb("rmi --quiet app:1").success();
    assert!(merged_files(&env).is_empty());
    load(&env, &LAYERS);
    disk(&env, "--type vmdk");
    let pruned = env.json("image prune --yes --format json");
    assert_eq!(pruned["fsmeta_removed"], 1);
    assert!(merged_files(&env).is_empty());
    env.assert_nothing_in_flight();
}

fn a_merged_image_that_is_not_right_is_found_and_made_again() {
    let env = loaded(&LAYERS);
    disk(&env, "--type vmdk");
    let [path] = &merged_files(&env)[..] else {
        panic!("one merged image");
    };
    let right = std::fs::read(path).unwrap();
    env.msb("image verify --quiet").success();
    let size = right.len() as u64;
    for offset in [0, 1024, 1024 + 128, 4096, size / 2, size - 1] {
        flip(path, offset);
        let report = env.msb("image verify --format json");
        assert_ne!(report.code, Some(0), "byte {offset}");
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(report.stdout.contains(name), "{}", report.stdout);
        let _ = env.msb("image verify --repair --quiet");
        assert!(merged_files(&env).is_empty(), "byte {offset}");
        env.msb("image verify --quiet").success();
        disk(&env, "--type vmdk");
        assert!(std::fs::read(path).unwrap() == right, "byte {offset}");
    }
    // What another writer made, or is cut off, is not used.
    for bytes in [&b"not an image"[..], &right[..right.len() - 4096], b""] {
        std::fs::write(path, bytes).unwrap();
        assert_eq!(details(&env)["merged"], Value::Null);
        disk(&env, "--type vmdk");
        assert!(std::fs::read(path).unwrap() == right);
    }
    assert_eq!(std::fs::metadata(path).unwrap().mode() & 0o7777, 0o644);
}
