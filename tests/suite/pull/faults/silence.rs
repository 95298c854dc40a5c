//! Registries and mirrors that say nothing, or next to nothing.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{MIDDLE, Scene, image, noise};
use crate::archive::{Image, gzip};
use crate::env::Run;
use crate::faulty::route::On;
use crate::faulty::{ALWAYS, Registry, fault};
use crate::tests;

tests! {
    a_registry_that_never_answers_is_given_up_in_time;
    a_wait_for_a_registry_is_told_before_it_ends;
    a_login_at_a_silent_registry_is_told_and_given_up;
    a_mirror_that_is_gone_is_told_once_for_all_layers;
    a_mirror_that_is_silent_costs_one_wait;
    a_mirror_with_errors_is_skipped_for_the_rest;
    a_mirror_that_has_failed_is_skipped_for_other_images_too;
    a_mirror_that_forbids_the_image_is_asked_once;
    a_mirror_that_lacks_a_layer_is_asked_for_the_others;
    a_layer_that_drips_is_resumed;
    a_layer_that_drips_for_ever_ends_the_pull;
    layers_on_a_slow_line_are_waited_for;
    a_manifest_that_drips_is_told_as_it_is;
}

/// Returns an image of so many small layers.
fn layers(count: usize) -> Image {
    let texts: Vec<String> = (0..count)
        .map(|number| format!("{number} = here"))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    Image::new("app:1", &texts).compressed(gzip)
}

/// A registry with an image of many layers, and a mirror of it that is asked first.
fn mirrored(settings: &Value) -> (Scene, Registry) {
    let scene = Scene::new();
    let mirror = Registry::start();
    for registry in [&scene.registry, &mirror] {
        registry.put_image("app", "1", &layers(14));
        registry.put_image("other", "1", &layers(3));
    }
    let hosts = json!({scene.registry.host(): {"mirrors": [format!("http://{}", mirror.host())]}});
    let mut settings = settings.clone();
    settings["hosts"] = hosts;
    scene.settings(&settings);
    (scene, mirror)
}

/// Asserts that one note says that the mirror was skipped, and nothing that it is tried again.
#[track_caller]
fn told_once(run: &Run) {
    assert_eq!(run.stderr.matches("mirror skipped").count(), 1, "{run:#?}");
    assert!(!run.stderr.contains("Trying again"), "{run:#?}");
}

fn a_registry_that_never_answers_is_given_up_in_time() {
    let scene = Scene::new();
    scene.settings(&json!({"stall_timeout_secs": 1}));
    scene
        .registry
        .fault(On::Everything, ALWAYS, fault::silence());
    // By default this is once each half minute, a minute long.
    scene.fails(&[&scene.registry.host(), "sent nothing for 2 s", "hint: "]);
    let asked = scene.registry.requests().len();
    assert!((2..=3).contains(&asked), "{asked} requests");
    scene.settings(&json!({"stall_timeout_secs": 9, "give_up_after_secs": 1}));
    scene
        .registry
        .fault(On::Everything, ALWAYS, fault::silence());
    scene.fails(&["sent nothing for 1 s", "give_up_after_secs"]);
    scene.pulls();
}

fn a_wait_for_a_registry_is_told_before_it_ends() {
    let scene = Scene::new();
    scene.settings(&json!({"stall_timeout_secs": 2}));
    scene.registry.fault(On::Manifest, 1, fault::silence());
    let run = scene.pulls();
    let word = format!(
        "Still waiting for {} to answer (manifest app:1",
        scene.registry.host()
    );
    assert_eq!(run.stderr.matches(&word).count(), 1, "{run:#?}");
    assert!(
        run.stderr.find(&word) < run.stderr.find("Trying again"),
        "{run:#?}"
    );
}

fn a_login_at_a_silent_registry_is_told_and_given_up() {
    let scene = Scene::new();
    scene.settings(&json!({"stall_timeout_secs": 2}));
    scene
        .registry
        .fault(On::Everything, ALWAYS, fault::silence());
    let host = scene.registry.host();
    let line = format!("registry login {host} -u me --password-stdin --store file");
    let run = scene.env.msb_with_input(&line, b"secret-password");
    let run = run.failure(&["sent nothing for 2 s"]);
    assert!(
        run.stderr.contains(&format!("Still waiting for {host}")),
        "{run:#?}"
    );
    assert!(!run.stderr.contains("secret-"), "{run:#?}");
}

fn a_mirror_that_is_gone_is_told_once_for_all_layers() {
    let (scene, mirror) = mirrored(&json!({}));
    drop(mirror);
    told_once(&scene.pulls());
}

fn a_mirror_that_is_silent_costs_one_wait() {
    let (scene, mirror) = mirrored(&json!({"stall_timeout_secs": 1}));
    mirror.fault(On::Everything, ALWAYS, fault::silence());
    told_once(&scene.pulls());
    assert_eq!(mirror.requests().len(), 1, "{}", mirror.log());
}

fn a_mirror_with_errors_is_skipped_for_the_rest() {
    let (scene, mirror) = mirrored(&json!({}));
    mirror.fault(On::Everything, ALWAYS, fault::status(503));
    let run = scene.pulls();
    assert_eq!(run.stderr.matches("mirror skipped").count(), 1, "{run:#?}");
    assert_eq!(mirror.requests().len(), 2, "{}", mirror.log());
}

fn a_mirror_that_has_failed_is_skipped_for_other_images_too() {
    let (scene, mirror) = mirrored(&json!({"stall_timeout_secs": 1}));
    mirror.fault(On::Everything, ALWAYS, fault::silence());
    let host = scene.registry.host();
    let run = scene.env.msb(&format!("pull {host}/app:1 {host}/other:1"));
    told_once(&run.success());
    assert_eq!(mirror.requests().len(), 1, "{}", mirror.log());
}

fn a_mirror_that_forbids_the_image_is_asked_once() {
    let (scene, mirror) = mirrored(&json!({}));
    mirror.fault(On::Manifest, ALWAYS, fault::status(403));
    told_once(&scene.pulls());
    assert_eq!(mirror.requests().len(), 1, "{}", mirror.log());
    assert_eq!(scene.registry.asked(&On::Blobs).len(), 15);
}

fn a_mirror_that_lacks_a_layer_is_asked_for_the_others() {
    let (scene, mirror) = mirrored(&json!({}));
    mirror.forget_blob(&crate::archive::sha256(&layers(14).layers[3]));
    let run = scene.pulls();
    assert!(!run.stderr.contains("mirror"), "that is no news: {run:#?}");
    assert_eq!(mirror.asked(&On::Blobs).len(), 15);
    assert_eq!(scene.registry.asked(&On::Blobs).len(), 1);
}

/// A thousand bytes a second: always something, and never enough.
fn a_drip() -> fault::Fault {
    fault::drip(100, Duration::from_millis(100))
}

fn a_layer_that_drips_is_resumed() {
    let scene = Scene::new();
    scene.settings(&json!({"give_up_after_secs": 1}));
    scene.registry.fault(Scene::on_big(), 1, a_drip());
    let run = scene.pulls();
    assert!(run.stderr.contains("sent only"), "{run:#?}");
    let offsets = scene.offsets();
    assert!(offsets.len() == 2 && offsets[1] > 0, "{offsets:?}");
}

fn a_layer_that_drips_for_ever_ends_the_pull() {
    let scene = Scene::new();
    scene.settings(&json!({"give_up_after_secs": 1}));
    scene
        .registry
        .fault(Scene::on_big(), 1, fault::close_after(MIDDLE));
    scene.registry.fault(Scene::on_big(), ALWAYS, a_drip());
    scene.fails(&[
        &scene.registry.host(),
        &Scene::big(),
        "sent only",
        "in 1 s",
        "least_bytes_per_sec",
        "hint: ",
    ]);
    scene.pulls();
    assert!(
        scene.offsets().last() >= Some(&MIDDLE),
        "{:?}",
        scene.offsets()
    );
}

/// Ten KiB a second each, for a while.
fn layers_on_a_slow_line_are_waited_for() {
    let scene = Scene::new();
    scene.settings(&json!({"give_up_after_secs": 1}));
    let texts = [1, 2].map(|seed| format!("data = {}", noise(seed, 40_000)));
    let slow = Image::new("app:1", &[&texts[0], &texts[1]]).compressed(gzip);
    scene.registry.put_image("app", "1", &slow);
    let drip = fault::drip(512, Duration::from_millis(50));
    scene.registry.fault(On::Blobs, ALWAYS, drip);
    let begun = Instant::now();
    let run = scene.pulls();
    assert!(
        begun.elapsed() > Duration::from_secs(2),
        "that was no slow line"
    );
    assert!(!run.stderr.contains("sent only"), "{run:#?}");
    assert_eq!(scene.registry.asked(&On::Blobs).len(), 3);
}

fn a_manifest_that_drips_is_told_as_it_is() {
    let scene = Scene::new();
    scene.settings(&json!({"give_up_after_secs": 1}));
    assert!(image().manifest().to_string().len() > 300);
    let drip = fault::drip(2, Duration::from_millis(50));
    scene.registry.fault(On::Manifest, ALWAYS, drip);
    let run = scene.fails(&["sent only", "bytes of manifest app:1 in 1 s"]);
    assert!(!run.stderr.contains("sent nothing"), "{run:#?}");
    assert_eq!(scene.registry.asked(&On::Manifest).len(), 2);
}
