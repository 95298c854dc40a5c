//! The comparison of an image in a store with what umoci unpacks, and with what msb exports
//! and mounts.

use std::path::Path;

use super::oracle::{
    Layout, forget_attributes_without_value, forget_links_between_layers,
    forget_times_around_undescribed, forget_undescribed,
};
use crate::disks::compressed::kernel_reads;
use crate::env::TestEnv;
use crate::mount::{Mounted, Nodes, assert_same, nodes, unpacked};

/// Compares an image with what umoci unpacks, and returns what it holds.
pub(crate) fn compare_with_umoci(env: &TestEnv, image: &str, layout: &Layout, what: &str) -> Nodes {
    env.msb(&format!("image verify --quiet {image}")).success();
    let layers = mounted_layers(env, image);
    let overlay = Mounted::overlay(&layers);
    let layer_of = |path: &Path| {
        layers
            .iter()
            .rposition(|layer| layer.path().join(path).symlink_metadata().is_ok())
    };
    let described = layout.described();
    let mut ours = nodes(overlay.path());
    assert_same(&exported(env, image), &ours, &format!("{what}, exported"));
    assert_same(&mounted(env, image), &ours, &format!("{what}, mounted"));
    let mut theirs = layout.unpacked();
    for tree in [&mut ours, &mut theirs] {
        forget_undescribed(tree, &described);
    }
    let shown = ours.clone();
    let mut merged = nodes(Mounted::merged(env, image).path());
    forget_undescribed(&mut merged, &described);
    assert_same(&merged, &shown, &format!("{what}, merged"));
    let disks = [
        "raw",
        "erofs",
        "erofs --compress lz4",
        "erofs --compress zstd",
    ];
    for disk in disks.into_iter().filter(|disk| kernel_reads(disk)) {
        env.msb(&format!("image disk {image} --quiet --type {disk} -o disk"))
            .success();
        let mut of_disk = nodes(Mounted::erofs_unchecked(&env.path("disk")).path());
        forget_undescribed(&mut of_disk, &described);
        assert_same(&of_disk, &shown, &format!("{what}, {disk} disk"));
        std::fs::remove_file(env.path("disk")).unwrap();
    }
    for tree in [&mut ours, &mut theirs] {
        forget_times_around_undescribed(tree, &described);
        forget_links_between_layers(tree, layer_of);
        forget_attributes_without_value(tree);
    }
    assert_same(&ours, &theirs, what);
    shown
}

/// Returns what GNU tar extracts of the exported root filesystem.
pub(crate) fn exported(env: &TestEnv, image: &str) -> Nodes {
    let tar = env.path("exported.tar");
    env.msb(&format!("image export --quiet {image} -o exported.tar"))
        .success();
    nodes(unpacked(&tar).path())
}

/// Returns what `image mount` shows.
fn mounted(env: &TestEnv, image: &str) -> Nodes {
    let directory = env.path("mounted");
    std::fs::create_dir_all(&directory).unwrap();
    env.msb(&format!("image mount -q {image} mounted"))
        .success();
    let shown = nodes(&directory);
    env.msb("image umount -q mounted").success();
    shown
}

/// Mounts the layers of an image, each for itself.
pub(crate) fn mounted_layers(env: &TestEnv, image: &str) -> Vec<Mounted> {
    let details = env.json(&format!("image inspect {image} --format json"));
    details["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| Mounted::erofs(Path::new(layer["erofs_path"].as_str().unwrap())))
        .collect()
}
