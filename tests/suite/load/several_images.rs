//! Archives of several images, some of which are not in order: the others load, and of those that
//! are not nothing stays.

mod shared;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::archive::{Image, archive, gzip, hex, layer, sha256};
use crate::env::TestEnv;
use crate::images::digests::{docker, oci, oci_files};
use crate::tests;

tests! {
    the_order_of_the_images_does_not_matter;
    a_damaged_layer_takes_one_image_and_no_other;
    a_blob_of_another_digest_takes_one_image_and_no_other;
    a_layer_beyond_a_limit_takes_one_image_and_no_other;
    a_name_stays_with_the_image_that_loads;
    an_archive_without_one_whole_image_leaves_nothing;
    a_directory_with_a_damaged_layer_leaves_nothing;
    an_archive_that_is_cut_off_is_loaded_not_at_all;
}

/// Returns the tests of this file and of the modules below it.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [tests(), shared::tests()];
    tests.into_iter().flatten().collect()
}

/// A layer that both good images have, so that it is kept although the bad one has it as well.
const BASE: &str = "etc/\netc/base = base";

fn good(number: u32) -> Image {
    let own = format!("etc/good = {number}");
    Image::new(&format!("good:{number}"), &[BASE, &own])
}

/// Returns an image whose second layer is replaced after the configuration was made for it.
fn bad(layer: &[u8]) -> Image {
    let mut image = Image::new("bad:1", &[BASE, "etc/bad = bad"]);
    image.layers[1] = layer.to_vec();
    image
}

/// Returns an image whose second layer is as its configuration says, and no filesystem.
fn impossible(layer: &[u8]) -> Image {
    Image::of("bad:1", vec![self::layer(BASE), layer.to_vec()])
}

/// The two ways of an archive into msb, each with a store of its own, which is empty in between.
struct Ways {
    file: TestEnv,
    pipe: TestEnv,
}

impl Ways {
    fn new() -> Self {
        Self::within(&json!({}))
    }

    /// Returns stores with these limits.
    fn within(limits: &Value) -> Self {
        let [file, pipe] = [TestEnv::new(), TestEnv::new()];
        for env in [&file, &pipe] {
            env.msb("images").success();
            let settings = json!({ "limits": limits });
            env.write_settings(settings);
        }
        Self { file, pipe }
    }

    /// Asserts that a load fails with these words and leaves these images, whole, and no layer
    /// besides.
    #[track_caller]
    fn assert_leaves(
        &self,
        archive: &[u8],
        words: &[&str],
        (references, images): (&[&str], &[&Image]),
    ) {
        self.file.write("in.tar", archive);
        for (env, run) in [
            (&self.file, self.file.msb("load -i in.tar")),
            (&self.pipe, self.pipe.msb_with_input("load", archive)),
        ] {
            let run = run.failure(words);
            assert_eq!(env.references(), references, "{run:#?}");
            for reference in references {
                assert!(
                    run.stderr.contains(&format!("Loaded       {reference}")),
                    "{run:#?}"
                );
            }
            let has_notes = run.stderr.contains("note: ");
            assert!(!has_notes, "{run:#?}");
            env.msb("image verify").success();
            env.assert_nothing_in_flight();
            assert_eq!(layers_of(env), diff_ids(images));
            env.msb("image prune --yes").success();
            env.assert_clean();
        }
    }
}

/// Returns the layers of some images, as their files are called.
fn diff_ids(images: &[&Image]) -> BTreeSet<String> {
    let layers = images.iter();
    layers
        .flat_map(|image| image.config["rootfs"]["diff_ids"].as_array().unwrap())
        .map(|diff_id| diff_id.as_str().unwrap().replace(':', "_"))
        .collect()
}

/// Returns the layers of a store.
fn layers_of(env: &TestEnv) -> BTreeSet<String> {
    let Ok(layers) = std::fs::read_dir(env.home().join("cache/layers")) else {
        return BTreeSet::new();
    };
    layers
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .map(|name| name.split('.').next().unwrap().to_owned())
        .collect()
}

/// Asserts that of an archive of `bad:1` between two good images those load, as a Docker archive and
/// as an OCI layout, from a file and from a pipe.
#[track_caller]
fn assert_others_load(ways: &Ways, bad: &Image, words: &[&str]) {
    let (one, two) = (good(1), good(2));
    assert_loads_in_order(
        ways,
        &[(&one, "good:1"), (bad, "bad:1"), (&two, "good:2")],
        words,
    );
}

#[track_caller]
fn assert_loads_in_order(ways: &Ways, images: &[(&Image, &str)], words: &[&str]) {
    let always = [
        "error: could not load image `bad:1`",
        "error: 1 of 3 images could not be loaded",
    ];
    let words = [&always, words].concat();
    let (one, two) = (good(1), good(2));
    for archive in [docker(images), oci(images)] {
        ways.assert_leaves(&archive, &words, (&["good:1", "good:2"], &[&one, &two]));
    }
}

fn the_order_of_the_images_does_not_matter() {
    let ways = Ways::new();
    let (one, two, bad) = (good(1), good(2), bad(&[0x67; 4096]));
    let mut images = [(&bad, "bad:1"), (&one, "good:1"), (&two, "good:2")];
    for _ in 0..images.len() {
        images.rotate_left(1);
        assert_loads_in_order(&ways, &images, &["could not load layer `"]);
    }
}

fn a_damaged_layer_takes_one_image_and_no_other() {
    let ways = Ways::new();
    let whole = layer("etc/bad = bad");
    for (bytes, words) in [
        (whole[..516].to_vec(), "does not match its diff_id"),
        (
            gzip(&whole)[..40].to_vec(),
            "could not decompress the layer",
        ),
        (layer("etc/bad = other"), "does not match its diff_id"),
        (
            gzip(&layer("etc/bad = other")),
            "does not match its diff_id",
        ),
    ] {
        assert_others_load(&ways, &bad(&bytes), &[words, "layer"]);
    }
    for (text, words) in [
        (format!("{} = x", "n".repeat(300)), "longer than 255 bytes"),
        ("etc/link => nowhere".to_owned(), "a hard link to `nowhere`"),
    ] {
        let bad = impossible(&layer(&text));
        assert_others_load(&ways, &bad, &["could not load layer `", words]);
    }
}

fn a_blob_of_another_digest_takes_one_image_and_no_other() {
    let (one, two) = (good(1), good(2));
    let whole = Image::new("bad:1", &[BASE, "etc/bad = bad"]);
    let blob = sha256(&whole.layers[1]);
    let other = layer("etc/bad = another");
    let mut files = oci_files(&[(&whole, "bad:1"), (&one, "good:1"), (&two, "good:2")]);
    let file = files.iter_mut().find(|(path, _)| path.contains(hex(&blob)));
    file.unwrap().1.clone_from(&other);
    let words = [
        "could not load image `bad:1`",
        "does not match its digest",
        &blob,
        &sha256(&other),
    ];
    let left: (&[&str], &[&Image]) = (&["good:1", "good:2"], &[&one, &two]);
    Ways::new().assert_leaves(&archive(&files), &words, left);
}

fn a_layer_beyond_a_limit_takes_one_image_and_no_other() {
    let big = "x".repeat(3 << 20);
    let bad = impossible(&layer(&format!("etc/bad = {big}")));
    let files: Vec<String> = (0..20_000)
        .map(|number| format!("etc/{number}{} = ", "n".repeat(80)))
        .collect();
    let files = files.join("\n");
    let zeros = Image::new(
        "bad:1",
        &[BASE, &format!("etc/bad = {}", "\0".repeat(3 << 20))],
    );
    // What a layer may have, and what all layers share.
    for (limit, value, bad) in [
        ("layer_bytes", 1 << 20, &bad),
        ("image_bytes", 2 << 20, &bad),
        ("memory_bytes", 2 << 20, &impossible(&layer(&files))),
        ("layer_bytes", 1 << 20, &zeros.compressed(gzip)),
    ] {
        let ways = Ways::within(&json!({ limit: value }));
        let name = format!("limit `{limit}`");
        assert_others_load(&ways, bad, &[&name, "raise the limit in config.json"]);
    }
}

fn a_name_stays_with_the_image_that_loads() {
    let ways = Ways::new();
    let whole = good(1);
    let bad = bad(&[0x67; 4096]);
    let mut images = [(&whole, "same:1"), (&bad, "same:1")];
    for _ in 0..images.len() {
        images.rotate_left(1);
        for archive in [docker(&images), oci(&images)] {
            let words = ["could not load image `same:1`"];
            ways.assert_leaves(&archive, &words, (&["same:1"], &[&whole]));
        }
    }
    // The tag that the user gives is that of the first image, or of none.
    let images = [(&bad, "bad:1"), (&whole, "good:1")];
    let env = TestEnv::new();
    env.write("in.tar", &docker(&images));
    env.msb("load -i in.tar -t mine:1").failure(&["bad:1"]);
    assert_eq!(env.references(), ["good:1"]);
}

fn an_archive_without_one_whole_image_leaves_nothing() {
    let ways = Ways::new();
    let bad = bad(&[0x67; 4096]);
    let mut other = bad.clone();
    other.config["author"] = json!("another");
    let both = [(&bad, "bad:1"), (&other, "bad:2")];
    let words = ["`bad:1`", "`bad:2`", "2 of 2 images could not be loaded"];
    for archive in [docker(&both), oci(&both)] {
        ways.assert_leaves(&archive, &words, (&[], &[]));
    }
}

fn a_directory_with_a_damaged_layer_leaves_nothing() {
    // One of skopeo holds one image, or one index, of which one image is loaded.
    let image = good(1);
    let manifest = image.manifest();
    let env = TestEnv::new();
    let folder = env.path("dir");
    std::fs::create_dir(&folder).unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
    write("version", b"Directory Transport Version: 1.1\n");
    write("manifest.json", manifest.to_string().as_bytes());
    write(hex(&image.id()), &image.config_bytes());
    write(hex(&sha256(&image.layers[0])), &image.layers[0]);
    let damaged = hex(&sha256(&image.layers[1])).to_owned();
    for damage in [vec![0x67; 2048], image.layers[1][..700].to_vec()] {
        write(&damaged, &damage);
        env.msb("load -i dir")
            .failure(&[&format!("layer `{damaged}`")]);
        env.assert_clean();
    }
    write(&damaged, &image.layers[1]);
    env.msb("load -i dir").success();
}

fn an_archive_that_is_cut_off_is_loaded_not_at_all() {
    let ways = Ways::new();
    let (one, two) = (good(1), good(2));
    let images = [(&one, "good:1"), (&two, "good:2")];
    for archive in [docker(&images), oci(&images)] {
        for length in [
            archive.len() / 3 + 77,
            archive.len() / 2 + 77,
            archive.len() - 1800,
        ] {
            let words = ["hint: ", "nothing of it was loaded"];
            ways.assert_leaves(&archive[..length], &words, (&[], &[]));
        }
        let compressed = gzip(&archive);
        for length in [compressed.len() / 2, compressed.len() - 4] {
            let words = ["hint: ", "nothing of it was loaded"];
            ways.assert_leaves(&compressed[..length], &words, (&[], &[]));
        }
    }
}
