//! A layer whose bytes stop, or are not those that were promised.

mod lengths;
mod ranges;

use std::time::Duration;

use serde_json::json;

use super::{MIDDLE, Scene, image};
use crate::archive::{hex, sha256};
use crate::faulty::http::Answer;
use crate::faulty::route::On;
use crate::faulty::{ALWAYS, fault};
use crate::tests;

tests! {
    a_connection_that_is_dropped_in_a_layer_is_resumed_there;
    a_connection_that_is_reset_in_a_layer_is_resumed;
    drops_with_progress_in_between_do_not_use_up_the_attempts;
    drops_without_progress_end_the_pull;
    a_layer_that_stalls_is_asked_for_again;
    a_layer_that_stalls_for_ever_ends_the_pull;
    a_layer_that_drips_is_waited_for;
    a_flipped_bit_is_found_and_the_layer_fetched_once_more;
    a_bit_that_is_always_flipped_ends_the_pull_and_spoils_no_later_one;
    a_layer_that_is_not_there_is_told_at_once;
    a_later_pull_resumes_what_an_earlier_one_has_left;
    a_part_that_was_spoilt_by_an_earlier_pull_is_fetched_anew;
    a_configuration_that_is_cut_off_is_fetched_again;
    a_configuration_with_another_digest_is_refused;
    a_layer_that_occurs_twice_is_fetched_once;
}

/// Returns the tests of this file and of the modules below it.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [tests(), lengths::tests(), ranges::tests()];
    tests.into_iter().flatten().collect()
}

fn a_connection_that_is_dropped_in_a_layer_is_resumed_there() {
    let scene = Scene::new();
    let drop = fault::close_after(MIDDLE);
    scene.registry.fault(Scene::on_big(), 1, drop);
    scene.pulls();
    assert_eq!(scene.offsets(), [0, MIDDLE]);
    assert_eq!(scene.sent(), image().layers[1].len());
}

fn a_connection_that_is_reset_in_a_layer_is_resumed() {
    let scene = Scene::new();
    let drop = fault::reset_after(MIDDLE);
    scene.registry.fault(Scene::on_big(), 1, drop);
    scene.pulls();
    // What a reset takes back is in flight, and that is not much.
    let offsets = scene.offsets();
    assert!(offsets.len() == 2 && offsets[1] <= MIDDLE, "{offsets:?}");
}

fn drops_with_progress_in_between_do_not_use_up_the_attempts() {
    let scene = Scene::new();
    scene.settings(&json!({"attempts": 2}));
    let drop = fault::close_after(300_000);
    scene.registry.fault(Scene::on_big(), 12, drop);
    scene.pulls();
    assert_eq!(scene.offsets().len(), 13);
    assert!(scene.sent() <= image().layers[1].len() * 11 / 10);
}

fn drops_without_progress_end_the_pull() {
    let scene = Scene::new();
    scene.settings(&json!({"attempts": 3}));
    let drop = fault::close_after(0);
    scene.registry.fault(Scene::on_big(), ALWAYS, drop);
    scene.fails(&[&scene.registry.host(), &Scene::big()]);
    assert_eq!(scene.offsets().len(), 3);
    scene.pulls();
}

fn a_layer_that_stalls_is_asked_for_again() {
    let scene = Scene::new();
    scene.settings(&json!({"stall_timeout_secs": 1}));
    let stall = fault::stall_after(MIDDLE);
    scene.registry.fault(Scene::on_big(), 1, stall);
    scene.pulls();
    assert_eq!(scene.offsets(), [0, MIDDLE]);
}

fn a_layer_that_stalls_for_ever_ends_the_pull() {
    let scene = Scene::new();
    scene.settings(&json!({"stall_timeout_secs": 1, "attempts": 2}));
    scene
        .registry
        .fault(Scene::on_big(), 1, fault::stall_after(MIDDLE));
    scene
        .registry
        .fault(Scene::on_big(), ALWAYS, fault::stall_after(0));
    scene.fails(&[
        &scene.registry.host(),
        &Scene::big(),
        "sent nothing for 2 s",
    ]);
    assert!(scene.offsets().len() <= 3, "{:?}", scene.offsets());
    scene.pulls();
    assert_eq!(scene.offsets().last(), Some(&MIDDLE));
}

fn a_layer_that_drips_is_waited_for() {
    let scene = Scene::new();
    scene.settings(&json!({"stall_timeout_secs": 1}));
    let drip = fault::drip(300_000, Duration::from_millis(100));
    scene.registry.fault(Scene::on_big(), ALWAYS, drip);
    scene.pulls();
    assert_eq!(scene.offsets(), [0]);
}

fn a_flipped_bit_is_found_and_the_layer_fetched_once_more() {
    let scene = Scene::new();
    let flip = fault::flipped_bit();
    scene.registry.fault(Scene::on_big(), 1, flip);
    scene.pulls();
    assert_eq!(scene.offsets(), [0, 0]);
}

fn a_bit_that_is_always_flipped_ends_the_pull_and_spoils_no_later_one() {
    let scene = Scene::new();
    let flip = fault::flipped_bit();
    scene.registry.fault(Scene::on_big(), ALWAYS, flip);
    let mut wrong = image().layers[1].clone();
    let middle = wrong.len() / 2;
    wrong[middle] ^= 1;
    scene.fails(&[&scene.registry.host(), &Scene::big(), &sha256(&wrong)]);
    assert_eq!(scene.offsets(), [0, 0]);
    let left = scene.left().join(" ");
    assert!(!left.contains(hex(&Scene::big())), "{left}");
    scene.pulls();
}

fn a_layer_that_is_not_there_is_told_at_once() {
    let scene = Scene::new();
    scene.registry.forget_blob(&Scene::big());
    scene.fails(&[&scene.registry.host(), &Scene::big(), "not found"]);
    assert_eq!(scene.offsets().len(), 1);
    scene.registry.put_image("app", "1", image());
    scene.pulls();
}

fn a_later_pull_resumes_what_an_earlier_one_has_left() {
    let scene = Scene::new();
    scene.settings(&json!({"attempts": 2}));
    scene
        .registry
        .fault(Scene::on_big(), 1, fault::close_after(MIDDLE));
    scene
        .registry
        .fault(Scene::on_big(), ALWAYS, fault::status(503));
    scene.fails(&["503"]);
    let before = scene.offsets().len();
    scene.pulls();
    assert_eq!(scene.offsets()[before..], [MIDDLE]);
    assert_eq!(scene.sent(), image().layers[1].len() + unavailable(&scene));
}

/// Returns how many bytes the bodies of errors had.
fn unavailable(scene: &Scene) -> usize {
    let mut requests = scene.registry.asked(&Scene::on_big());
    requests.retain(|request| request.status == 503);
    requests.iter().map(|request| request.sent).sum()
}

fn a_part_that_was_spoilt_by_an_earlier_pull_is_fetched_anew() {
    let scene = Scene::new();
    scene.settings(&json!({"attempts": 2}));
    let cut = crate::faulty::http::Delivery::Close(MIDDLE);
    let spoil = fault::change(move |answer| {
        let mut answer = Answer {
            delivery: cut,
            ..answer
        };
        answer.body[MIDDLE / 2] ^= 1;
        answer
    });
    scene.registry.fault(Scene::on_big(), 1, spoil);
    scene
        .registry
        .fault(Scene::on_big(), ALWAYS, fault::status(503));
    scene.fails(&["503"]);
    let before = scene.offsets().len();
    scene.pulls();
    assert_eq!(scene.offsets()[before..], [MIDDLE, 0]);
}

fn a_configuration_that_is_cut_off_is_fetched_again() {
    let scene = Scene::new();
    let config = On::Blob(image().id());
    scene.registry.fault(config, 1, fault::close_after(20));
    scene.pulls();
}

fn a_configuration_with_another_digest_is_refused() {
    let scene = Scene::new();
    let config = || On::Blob(image().id());
    scene.registry.fault(config(), ALWAYS, fault::flipped_bit());
    scene.fails(&[&scene.registry.host(), &image().id()]);
    scene.registry.fault(config(), 1, fault::flipped_bit());
    scene.pulls();
}

fn a_layer_that_occurs_twice_is_fetched_once() {
    let scene = Scene::new();
    let mut twice = image().clone();
    let layer = twice.layers[1].clone();
    twice.layers.push(layer);
    let diff_ids = &mut twice.config["rootfs"]["diff_ids"];
    let second = diff_ids[1].clone();
    diff_ids.as_array_mut().unwrap().push(second);
    scene.registry.put_image("app", "1", &twice);
    scene.pulls();
    assert_eq!(scene.offsets(), [0]);
}
