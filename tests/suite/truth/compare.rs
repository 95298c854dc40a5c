//! The comparison of an image in a store with what umoci unpacks.

use std::path::Path;

use super::oracle::{
    Layout, forget_attributes_without_value, forget_links_between_layers,
    forget_times_around_undescribed, forget_undescribed,
};
use crate::env::TestEnv;
use crate::mount::{Mounted, Nodes, assert_same, nodes};

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
    let mut theirs = layout.unpacked();
    for tree in [&mut ours, &mut theirs] {
        forget_undescribed(tree, &described);
    }
    let shown = ours.clone();
    for tree in [&mut ours, &mut theirs] {
        forget_times_around_undescribed(tree, &described);
        forget_links_between_layers(tree, layer_of);
        forget_attributes_without_value(tree);
    }
    assert_same(&ours, &theirs, what);
    shown
}

/// Mounts the layers of an image, each for itself.
fn mounted_layers(env: &TestEnv, image: &str) -> Vec<Mounted> {
    let details = env.json(&format!("image inspect {image} --format json"));
    details["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| Mounted::erofs(Path::new(layer["erofs_path"].as_str().unwrap())))
        .collect()
}
