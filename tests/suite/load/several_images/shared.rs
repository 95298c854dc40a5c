//! Layers that images of one archive share.

use serde_json::json;

use super::{Ways, good};
use crate::archive::{Image, archive, sha256};
use crate::env::TestEnv;
use crate::images::digests::{docker, docker_files, oci};
use crate::tests;

tests! {
    a_damaged_layer_that_images_share_takes_all_of_them;
    contents_that_are_damaged_in_one_place_are_taken_from_another;
    an_entry_that_one_image_is_wrong_about_serves_another;
    a_layer_that_waits_for_a_damaged_one_serves_another_image;
}

fn a_damaged_layer_that_images_share_takes_all_of_them() {
    let mut images = [
        Image::new("bad:1", &["a = 1"]),
        Image::new("bad:2", &["a = 1"]),
    ];
    for (number, image) in images.iter_mut().enumerate() {
        image.config["author"] = json!(format!("{number}"));
        image.layers[0] = vec![0x67; 4096];
    }
    let one = good(1);
    let ways = Ways::new();
    let all = [
        (&images[0], "bad:1"),
        (&one, "good:1"),
        (&images[1], "bad:2"),
    ];
    let words = [
        "could not load image `bad:1`",
        "could not load image `bad:2`",
        "error: 2 of 3 images could not be loaded",
    ];
    for archive in [docker(&all), oci(&all)] {
        ways.assert_leaves(&archive, &words, (&["good:1"], &[&one]));
    }
}

const ONE_OF_TWO: [&str; 2] = [
    "could not load image `bad:1`",
    "error: 1 of 2 images could not be loaded",
];

fn contents_that_are_damaged_in_one_place_are_taken_from_another() {
    let ways = Ways::new();
    let whole = good(1);
    let mut damaged = whole.clone();
    damaged.config["author"] = json!("another");
    damaged.layers[1] = vec![0x67; 4096];
    let mut images = [(&damaged, "bad:1"), (&whole, "good:1")];
    for _ in 0..images.len() {
        images.rotate_left(1);
        for archive in [docker(&images), oci(&images)] {
            ways.assert_leaves(&archive, &ONE_OF_TWO, (&["good:1"], &[&whole]));
        }
    }
}

fn an_entry_that_one_image_is_wrong_about_serves_another() {
    let ways = Ways::new();
    let whole = good(1);
    let mut wrong = whole.clone();
    wrong.config["rootfs"]["diff_ids"][1] = json!(sha256(b"something else"));
    let mut images = [(&wrong, "bad:1"), (&whole, "good:1")];
    for _ in 0..images.len() {
        images.rotate_left(1);
        // In the layout both have the same blob; in the archive they are made to.
        let mut files = docker_files(&images);
        let (_, list) = files.last_mut().unwrap();
        let text = String::from_utf8(list.clone()).unwrap();
        *list = text.replace("\"1/", "\"0/").into_bytes();
        for archive in [archive(&files), oci(&images)] {
            let words = [&ONE_OF_TWO[..], &["does not match its diff_id"]].concat();
            ways.assert_leaves(&archive, &words, (&["good:1"], &[&whole]));
        }
    }
}

fn a_layer_that_waits_for_a_damaged_one_serves_another_image() {
    // A file in a directory of the layer below: what the directory is like is known from there.
    let upper = "dir/file = x";
    let mut bad = Image::new("bad:1", &["dir/\ndir/a = bad", upper]);
    bad.layers[0] = vec![0x67; 4096];
    let whole = Image::new("good:1", &["dir/\ndir/b = good", upper]);
    let layers = |env: &TestEnv| {
        let shown = env.json("image inspect good:1 --format json");
        let layers = shown["layers"].as_array().unwrap().clone();
        layers
            .iter()
            .map(|layer| std::fs::read(layer["erofs_path"].as_str().unwrap()).unwrap())
            .collect::<Vec<_>>()
    };
    let (env, alone) = (TestEnv::new(), TestEnv::new());
    alone.write("in.tar", &whole.oci());
    alone.msb("load -q -i in.tar").success();
    let mut images = [(&bad, "bad:1"), (&whole, "good:1")];
    for _ in 0..images.len() {
        images.rotate_left(1);
        for archive in [docker(&images), oci(&images)] {
            env.msb_with_input("load", &archive).failure(&ONE_OF_TWO);
            assert!(layers(&env) == layers(&alone));
            env.msb("image prune --yes").success();
            env.write("in.tar", &archive);
            env.msb("load -i in.tar").failure(&ONE_OF_TWO);
            assert!(layers(&env) == layers(&alone));
            env.msb("image verify").success();
            env.msb("image prune --yes").success();
        }
    }
}
