//! Images that are written as a root filesystem.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use super::with_plugin;
use crate::archive::{Image, layer};
use crate::engine::Docker;
use crate::mount::{Mounted, assert_same, nodes, unpacked};
use crate::tests;

tests! {
    the_filesystem_of_layers_is_written_as_the_kernel_shows_it needs Root, Tar, Docker;
    a_layer_that_an_image_has_twice_is_written_as_it_is_in_each_place;
    what_cannot_be_written_is_refused needs Root, Tar;
}

/// Returns the files of a tar with their contents; of a name that is there twice the last.
fn files(tar: &[u8]) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(tar);
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        if let Some(target) = entry.link_name().unwrap() {
            text.clone_from(&files[&target.display().to_string()]);
        }
        files.insert(name, text);
    }
    files
}

fn a_layer_that_an_image_has_twice_is_written_as_it_is_in_each_place() {
    let env = with_plugin();
    // The second layer names a file of the one below it, which is another one further up.
    let link = layer("hard => etc/name");
    let layers = |names: &[&str]| -> Vec<Vec<u8>> {
        let below = names
            .iter()
            .map(|name| layer(&format!("etc/\netc/name = {name}")));
        below.flat_map(|below| [below, link.clone()]).collect()
    };
    for (name, names) in [
        ("twice:1", &["first", "second"][..]),
        ("other:1", &["third"]),
    ] {
        env.write("image.tar", &Image::of(name, layers(names)).docker());
        env.msb("load -i image.tar").success();
    }
    for (image, text) in [("twice:1", "second"), ("other:1", "third")] {
        env.msb(&format!("save --format rootfs {image} -o saved.tar"))
            .success();
        env.msb(&format!("image export {image} -o exported.tar"))
            .success();
        let [saved, exported] =
            ["saved.tar", "exported.tar"].map(|tar| fs::read(env.path(tar)).unwrap());
        let saved = files(&saved);
        assert_eq!(saved["hard"], text, "{image}: {saved:?}");
        assert_eq!(saved, files(&exported), "{image}");
    }
}

fn the_filesystem_of_layers_is_written_as_the_kernel_shows_it() {
    let env = with_plugin();
    let docker = Docker::get();
    docker.build("rootfs:layers");
    let saved = env.path("docker.tar");
    docker.run(&format!("save --output {} rootfs:layers", saved.display()));
    docker.run("rmi rootfs:layers");
    env.msb("load -i docker.tar").success();
    env.msb("save --format rootfs rootfs:layers -o one.tar")
        .success();
    env.msb("save --format rootfs rootfs:layers -o two.tar")
        .success();
    assert!(fs::read(env.path("one.tar")).unwrap() == fs::read(env.path("two.tar")).unwrap());
    let inspected = env.json("image inspect rootfs:layers --format json");
    let layers: Vec<Mounted> = inspected["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| Mounted::erofs(Path::new(layer["erofs_path"].as_str().unwrap())))
        .collect();
    assert!(layers.len() > 2, "{inspected}");
    let overlay = Mounted::overlay(&layers);
    let unpacked = unpacked(&env.path("one.tar"));
    assert_same(
        &nodes(unpacked.path()),
        &nodes(overlay.path()),
        "the written filesystem",
    );
}

fn what_cannot_be_written_is_refused() {
    let env = with_plugin();
    let layer = crate::archive::Image::new("one:1", &["etc/hosts = here"]);
    env.write("one.tar", &layer.docker());
    let layer = crate::archive::Image::new("two:1", &["etc/hosts = there"]);
    env.write("two.tar", &layer.docker());
    env.msb("load -i one.tar").success();
    env.msb("load -i two.tar").success();
    env.msb("save --format rootfs one:1 two:1 -o out.tar")
        .failure(&["holds one image, not 2"]);
    assert!(!env.path("out.tar").exists());
}
