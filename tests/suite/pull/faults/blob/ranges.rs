//! Layers that are asked for from some byte on, and servers that understand that in their own way.

use serde_json::json;

use super::super::{MIDDLE, Scene, image};
use crate::faulty::http::Answer;
use crate::faulty::{ALWAYS, fault};
use crate::registry_scene::assert_whole;
use crate::tests;

tests! {
    a_registry_that_ignores_ranges_sends_all_again;
    a_registry_that_refuses_ranges_sends_all_again;
    an_answer_to_a_range_that_is_none_is_asked_for_as_a_whole;
    a_range_that_is_sent_in_pieces_is_put_together;
    a_range_that_is_sent_in_crumbs_is_asked_for_as_a_whole;
    a_forced_pull_begins_at_the_beginning;
    a_range_other_than_the_one_asked_for_is_not_used;
}

fn a_registry_that_ignores_ranges_sends_all_again() {
    let scene = Scene::new();
    let drop = fault::close_after(MIDDLE);
    scene.registry.fault(Scene::on_big(), 1, drop);
    let whole = fault::ignored_range();
    scene.registry.fault(Scene::on_big(), ALWAYS, whole);
    scene.pulls();
    assert_eq!(scene.offsets()[1], MIDDLE);
}

fn a_registry_that_refuses_ranges_sends_all_again() {
    let scene = Scene::new();
    let drop = fault::close_after(MIDDLE);
    scene.registry.fault(Scene::on_big(), 1, drop);
    let refuse = fault::change(|answer| match answer.status {
        206 => Answer::new(416, Vec::new()),
        _ => answer,
    });
    scene.registry.fault(Scene::on_big(), ALWAYS, refuse);
    scene.pulls();
    assert_eq!(scene.offsets(), [0, MIDDLE, 0]);
}

/// Servers and proxies that do not know ranges say so in many ways, and each has the whole blob.
fn an_answer_to_a_range_that_is_none_is_asked_for_as_a_whole() {
    let answers: [fn(Answer) -> Answer; 5] = [
        |answer| answer.without("Content-Range"),
        |answer| Answer::new(400, answer.body),
        |answer| Answer::new(403, answer.body),
        |answer| Answer::new(501, answer.body),
        |answer| Answer::new(412, answer.body),
    ];
    for spoilt in answers {
        let scene = Scene::new();
        scene.settings(&json!({"attempts": 1}));
        let drop = fault::close_after(MIDDLE);
        scene.registry.fault(Scene::on_big(), 1, drop);
        let spoil = fault::change(move |answer| match answer.status {
            206 => spoilt(answer),
            _ => answer,
        });
        scene.fails(&[&scene.registry.host()]);
        scene.registry.fault(Scene::on_big(), ALWAYS, spoil);
        scene.pulls();
        assert_eq!(scene.offsets(), [0, MIDDLE, 0]);
    }
}

/// A cache may send a piece of the range that it was asked for.
fn a_range_that_is_sent_in_pieces_is_put_together() {
    const PIECE: usize = 700_000;
    let scene = Scene::new();
    let drop = fault::close_after(MIDDLE);
    scene.registry.fault(Scene::on_big(), 1, drop);
    let pieces = fault::change(|mut answer| {
        if answer.status == 206 && answer.body.len() > PIECE {
            let size = image().layers[1].len();
            let begin = size - answer.body.len();
            answer.body.truncate(PIECE);
            let range = format!("bytes {begin}-{}/{size}", begin + PIECE - 1);
            answer = answer
                .without("Content-Range")
                .with("Content-Range", &range);
        }
        answer
    });
    scene.registry.fault(Scene::on_big(), ALWAYS, pieces);
    let run = scene.pulls();
    let offsets = scene.offsets();
    let stated = (0..offsets.len() - 1).map(|number| MIDDLE + number * PIECE);
    assert!(offsets.len() > 4 && offsets[0] == 0, "{offsets:?}");
    assert_eq!(offsets[1..], stated.collect::<Vec<_>>());
    let retries = run.stderr.matches("trying again").count();
    assert!(retries <= 1, "{run:#?}");
}

/// Pieces of a few bytes would take a request each.
fn a_range_that_is_sent_in_crumbs_is_asked_for_as_a_whole() {
    let scene = Scene::new();
    let drop = fault::close_after(MIDDLE);
    scene.registry.fault(Scene::on_big(), 1, drop);
    let crumbs = fault::change(|mut answer| {
        if answer.status == 206 {
            answer.body.truncate(100);
        }
        answer
    });
    scene.registry.fault(Scene::on_big(), ALWAYS, crumbs);
    scene.pulls();
    assert_eq!(scene.offsets(), [0, MIDDLE, 0]);
}

/// `--force` has nothing to do with what earlier pulls have left.
fn a_forced_pull_begins_at_the_beginning() {
    let scene = Scene::new();
    scene.settings(&json!({"attempts": 1}));
    let drop = fault::close_after(MIDDLE);
    scene.registry.fault(Scene::on_big(), 1, drop);
    scene.fails(&[&scene.registry.host()]);
    let forced = format!("pull --force {}", scene.reference());
    scene.env.msb(&forced).success();
    assert_eq!(scene.offsets(), [0, 0]);
    assert_whole(&scene.env);
}

/// Nothing says what bytes such an answer has, so nothing of it may be in the image.
fn a_range_other_than_the_one_asked_for_is_not_used() {
    for (times, value) in [
        (1, "bytes 0-99/100"),
        (1, "bytes 17-4000000/5000000"),
        (1, "nonsense"),
        (ALWAYS, "bytes 0-99/100"),
    ] {
        let scene = Scene::new();
        scene.settings(&json!({"attempts": 3}));
        let drop = fault::close_after(MIDDLE);
        scene.registry.fault(Scene::on_big(), 1, drop);
        let spoil = fault::change(move |mut answer| {
            if answer.status == 206 {
                answer.body.fill(b'x');
                answer = answer.without("Content-Range").with("Content-Range", value);
            }
            answer
        });
        scene.registry.fault(Scene::on_big(), times, spoil);
        let run = scene.pull();
        if run.code == Some(0) {
            scene.env.msb("image verify").success();
        } else {
            run.failure(&[&scene.registry.host(), &Scene::big()]);
            scene.assert_nothing_shown();
        }
        scene.registry.heal();
        scene.pulls();
    }
}
