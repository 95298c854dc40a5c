//! Layers whose length is not the one that was stated.

use serde_json::json;

use crate::archive::sha256;
use crate::faulty::route::On;
use crate::faulty::{ALWAYS, fault};
use crate::pull::faults::{MIDDLE, Scene, image};
use crate::tests;

tests! {
    a_part_that_lacks_only_its_end_is_whole;
    a_layer_without_its_length_is_read_to_its_end;
    a_layer_of_another_length_than_its_descriptor_is_not_used;
    an_answer_of_another_length_is_asked_for_once_more;
    a_length_that_is_a_lie_spoils_nothing;
    a_descriptor_with_another_size_is_not_believed;
}

/// All bytes came and the connection broke before the end was said: asking for the rest would be
/// asking for nothing, which registries answer with 416.
fn a_part_that_lacks_only_its_end_is_whole() {
    let scene = Scene::new();
    let no_end = fault::no_end();
    scene.registry.fault(Scene::on_big(), 1, no_end);
    scene.pulls();
    assert!(scene.offsets().len() <= 2);
}

fn a_layer_without_its_length_is_read_to_its_end() {
    let scene = Scene::new();
    let fault = fault::no_length();
    scene.registry.fault(On::Blobs, ALWAYS, fault);
    scene.pulls();
}

fn a_layer_of_another_length_than_its_descriptor_is_not_used() {
    for bytes in [-1000, 1000, 5_000_000] {
        let scene = Scene::new();
        scene.settings(&json!({"attempts": 3}));
        let resized = fault::resized(bytes);
        scene.registry.fault(Scene::on_big(), ALWAYS, resized);
        scene.fails(&[&scene.registry.host(), &Scene::big()]);
        assert!(scene.offsets().len() <= 4, "{:?}", scene.offsets());
        scene.pulls();
    }
}

/// Something on the way cuts answers off, or adds to them, and says a length that fits.
fn an_answer_of_another_length_is_asked_for_once_more() {
    let small = On::Blob(sha256(&image().layers[0]));
    let config = On::Blob(image().id());
    for on in [On::Manifest, config, small, Scene::on_big()] {
        for bytes in [-7, 7] {
            let scene = Scene::new();
            scene.registry.fault(on.clone(), 1, fault::resized(bytes));
            scene.pulls();
            assert_eq!(scene.registry.asked(&on).len(), 2, "{on:?} {bytes}");
        }
    }
    // A manifest by a tag whose digest nobody states: it is no document any more.
    let scene = Scene::new();
    let cut = fault::change(|mut answer| {
        let length = answer.body.len() - 7;
        answer.body.truncate(length);
        answer.without("Docker-Content-Digest")
    });
    scene.registry.fault(On::Manifest, 1, cut);
    scene.pulls();
    // What was cut off in the middle of a layer that is resumed.
    let scene = Scene::new();
    scene
        .registry
        .fault(Scene::on_big(), 1, fault::close_after(MIDDLE));
    scene
        .registry
        .fault(Scene::on_big(), 1, fault::resized(-1000));
    scene.pulls();
    let cut = image().layers[1].len() - 1000;
    assert_eq!(scene.offsets(), [0, MIDDLE, cut], "what came is used");
}

fn a_length_that_is_a_lie_spoils_nothing() {
    for bytes in [-1000, 1000] {
        let scene = Scene::new();
        let lie = fault::lying_length(bytes);
        scene.registry.fault(Scene::on_big(), 1, lie);
        let run = scene.pull();
        if run.code != Some(0) {
            run.failure(&[&scene.registry.host(), &Scene::big()]);
            scene.assert_nothing_shown();
        }
        scene.pulls();
    }
}

fn a_descriptor_with_another_size_is_not_believed() {
    for (layer, change) in [(1, -1), (1, 1), (0, 1 << 40), (1, -4_000_000)] {
        let scene = Scene::new();
        scene.settings(&json!({"attempts": 3}));
        let mut manifest = image().manifest();
        let size = manifest["layers"][layer]["size"].as_i64().unwrap();
        manifest["layers"][layer]["size"] = json!(size + change);
        scene.registry.put_manifest("app", "1", &manifest);
        scene.fails(&[&scene.registry.host(), &sha256(&image().layers[layer])]);
        scene.registry.put_image("app", "1", image());
        scene.pulls();
    }
}
