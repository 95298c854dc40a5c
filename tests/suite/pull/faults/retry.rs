//! Answers that say to come back later.

use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::Scene;
use crate::faulty::fault::{self, Fault};
use crate::faulty::http::Answer;
use crate::faulty::route::On;
use crate::faulty::{ALWAYS, Registry};
use crate::tests;

tests! {
    an_error_of_the_server_is_tried_again;
    an_error_of_the_server_that_stays_ends_the_pull;
    an_error_in_the_middle_of_a_layer_does_not_start_it_again;
    a_registry_that_is_not_there_is_told;
    a_connection_that_is_closed_without_an_answer_is_tried_again;
    an_answer_that_is_not_http_ends_the_pull;
    too_many_requests_is_waited_out_as_long_as_it_says;
    too_many_requests_until_a_date_is_waited_out;
    too_many_requests_for_ever_ends_the_pull_with_advice;
    a_wait_of_a_day_is_not_waited;
    a_wait_that_makes_no_sense_is_no_wait;
    a_server_that_is_busy_is_waited_for_as_long_as_it_says;
    a_server_that_is_busy_for_a_day_is_not_waited_for;
    what_a_client_did_wrong_is_not_tried_again;
}

const PLACES: [fn() -> On; 2] = [|| On::Manifest, Scene::on_big];

fn an_error_of_the_server_is_tried_again() {
    for on in PLACES {
        for status in [500, 502, 503, 504, 408] {
            let scene = Scene::new();
            scene.registry.fault(on(), 1, fault::status(status));
            scene.pulls();
            let first = scene.registry.asked(&on());
            assert_eq!((first[0].status, first[1].status), (status, 200));
        }
    }
}

fn an_error_of_the_server_that_stays_ends_the_pull() {
    for (on, name) in [(On::Manifest, "app"), (Scene::on_big(), &Scene::big())] {
        let scene = Scene::new();
        scene.settings(&json!({"attempts": 4}));
        scene.registry.fault(on.clone(), ALWAYS, fault::status(503));
        scene.fails(&[&scene.registry.host(), name, "503"]);
        assert_eq!(scene.registry.asked(&on).len(), 4);
        scene.pulls();
    }
}

fn an_error_in_the_middle_of_a_layer_does_not_start_it_again() {
    let scene = Scene::new();
    let cut = fault::close_after(super::MIDDLE);
    scene.registry.fault(Scene::on_big(), 1, cut);
    scene.registry.fault(Scene::on_big(), 2, fault::status(502));
    scene.pulls();
    assert_eq!(
        scene.offsets(),
        [0, super::MIDDLE, super::MIDDLE, super::MIDDLE]
    );
}

fn a_registry_that_is_not_there_is_told() {
    let scene = Scene::new();
    scene.settings(&json!({"attempts": 2}));
    let gone = Registry::start();
    let host = gone.host();
    drop(gone);
    let run = scene.env.msb(&format!("pull {host}/app:1"));
    run.failure(&[&host, "refused"]);
    scene.assert_nothing_shown();
}

fn a_connection_that_is_closed_without_an_answer_is_tried_again() {
    let scene = Scene::new();
    let nothing = Answer::new(0, Vec::new());
    scene
        .registry
        .fault(On::Manifest, 2, fault::instead(nothing));
    scene.pulls();
}

fn an_answer_that_is_not_http_ends_the_pull() {
    let scene = Scene::new();
    scene.settings(&json!({"attempts": 2}));
    let noise = Answer::new(0, b"SSH-2.0-OpenSSH_9.9\r\n".to_vec());
    scene
        .registry
        .fault(On::Everything, ALWAYS, fault::instead(noise));
    scene.fails(&[&scene.registry.host()]);
    scene.pulls();
}

fn too_many_requests_is_waited_out_as_long_as_it_says() {
    for on in PLACES {
        let scene = Scene::new();
        let wait = fault::too_many_requests("1");
        scene.registry.fault(on(), 1, wait);
        let run = scene.pulls();
        assert!(run.stderr.contains("1 s"), "{run:#?}");
        assert!(run.stderr.contains(&scene.registry.host()), "{run:#?}");
    }
}

fn too_many_requests_until_a_date_is_waited_out() {
    let scene = Scene::new();
    // The date is that of two seconds after the request.
    let date: Fault = fault::change(|_| {
        let then = Timestamp::now() + SignedDuration::from_secs(2);
        let then = DateTimePrinter::new().timestamp_to_rfc9110_string(&then);
        let answer = Answer::error(429, "TOOMANYREQUESTS", "slow down");
        answer.with("Retry-After", &then.unwrap())
    });
    scene.registry.fault(On::Manifest, 1, date);
    let run = scene.pulls();
    assert!(run.stderr.contains(" s"), "{run:#?}");
    assert!(run.stderr.contains(&scene.registry.host()), "{run:#?}");
}

fn too_many_requests_for_ever_ends_the_pull_with_advice() {
    let scene = Scene::new();
    scene.settings(&json!({"attempts": 3}));
    let limit = fault::too_many_requests("0");
    scene.registry.fault(On::Manifest, ALWAYS, limit);
    scene.fails(&[
        &scene.registry.host(),
        "limits the rate",
        "hint: ",
        "registry login",
    ]);
    assert_eq!(scene.registry.asked(&On::Manifest).len(), 3);
    scene.pulls();
}

fn a_wait_of_a_day_is_not_waited() {
    let scene = Scene::new();
    let day = fault::too_many_requests("86400");
    scene.registry.fault(On::Manifest, ALWAYS, day);
    let run = scene.fails(&[&scene.registry.host(), "limits the rate", "hint: "]);
    let told = ["86400", "24 h", "1 day", "1d", "24h"];
    assert!(
        told.iter().any(|text| run.stderr.contains(text)),
        "{run:#?}"
    );
    assert_eq!(scene.registry.asked(&On::Manifest).len(), 1);
}

fn a_wait_that_makes_no_sense_is_no_wait() {
    for text in [
        "-5",
        "soon",
        "99999999999999999999999",
        "Thu, 01 Jan 1970 00:00:00 GMT",
    ] {
        let scene = Scene::new();
        let limit = fault::too_many_requests(text);
        scene.registry.fault(On::Manifest, 1, limit);
        let run = scene.pull();
        // A number that large is a wait for longer than anybody has.
        if text.starts_with("999") && run.code != Some(0) {
            run.failure(&["limits the rate"]);
        } else {
            run.success();
        }
    }
}

fn a_server_that_is_busy_is_waited_for_as_long_as_it_says() {
    for on in PLACES {
        let scene = Scene::new();
        scene.registry.fault(on(), 1, fault::unavailable("1"));
        let begun = std::time::Instant::now();
        let run = scene.pulls();
        assert!(run.stderr.contains("Trying again in 1 s"), "{run:#?}");
        assert!(begun.elapsed().as_secs() >= 1, "{run:#?}");
    }
}

fn a_server_that_is_busy_for_a_day_is_not_waited_for() {
    for on in PLACES {
        let scene = Scene::new();
        let day = fault::unavailable("86400");
        scene.registry.fault(on(), ALWAYS, day);
        scene.fails(&[
            &scene.registry.host(),
            "503",
            "wait for 24 h",
            "hint: try again later: what was received is kept",
        ]);
        assert_eq!(scene.registry.asked(&on()).len(), 1);
    }
}

fn what_a_client_did_wrong_is_not_tried_again() {
    for status in [400, 405, 410, 451] {
        let scene = Scene::new();
        scene
            .registry
            .fault(On::Manifest, ALWAYS, fault::status(status));
        scene.fails(&[&scene.registry.host(), &status.to_string()]);
        assert_eq!(scene.registry.asked(&On::Manifest).len(), 1, "{status}");
    }
}
