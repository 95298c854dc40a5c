//! Answers that break the rules of HTTP, or keep them and make no sense.

use std::time::Duration;

use serde_json::json;

use super::{Scene, image};
use crate::archive::gzip;
use crate::faulty::fault::{self, Fault};
use crate::faulty::http::{Answer, Delivery};
use crate::faulty::route::On;
use crate::faulty::{ALWAYS, Registry};
use crate::tests;

tests! {
    headers_that_drip_are_not_waited_for;
    interim_answers_without_end_are_not_waited_for;
    an_answer_without_end_is_not_read;
    an_answer_of_http_1_0_is_taken;
    an_answer_of_http_1_0_that_is_cut_off_is_asked_for_again;
    a_length_that_makes_no_sense_ends_the_pull;
    chunks_that_make_no_sense_end_the_pull;
    an_empty_answer_is_called_empty;
    a_redirect_without_an_address_is_told;
    a_wait_of_years_is_told_in_years;
    an_error_that_drips_is_told_all_the_same;
    a_token_that_unpacks_without_end_is_refused;
    a_mirror_with_nonsense_is_skipped;
}

/// Sends bytes as they are, and ends the connection.
fn raw(bytes: Vec<u8>) -> Answer {
    Answer::new(0, bytes)
}

/// Sends a healthy body after a head of its own.
fn under(head: &'static str) -> Fault {
    fault::change(move |answer| raw([head.as_bytes(), &answer.body].concat()))
}

fn config() -> On {
    On::Blob(image().id())
}

/// Drips bytes that are no head yet, for longer than a test waits.
fn drips(start: &str, again: &str) -> Fault {
    let bytes = format!("{start}{}", again.repeat(2000));
    fault::instead(Answer {
        delivery: Delivery::Drip(again.len(), Duration::from_millis(100)),
        ..raw(bytes.into_bytes())
    })
}

fn given_up(fault: &Fault) {
    for on in [On::Manifest, config(), Scene::on_big()] {
        let scene = Scene::new();
        scene.settings(&json!({"stall_timeout_secs": 1}));
        scene.registry.fault(on, ALWAYS, fault.clone());
        scene.fails(&[&scene.registry.host(), "sent nothing for 2 s", "hint: "]);
        scene.pulls();
    }
}

fn headers_that_drip_are_not_waited_for() {
    given_up(&drips("HTTP/1.1 200 OK\r\n", "X: y\r\n"));
    given_up(&drips("HTTP/1.1 200 OK\r\nX: ", "y"));
}

fn interim_answers_without_end_are_not_waited_for() {
    given_up(&drips("", "HTTP/1.1 100 Continue\r\n\r\n"));
}

fn an_answer_without_end_is_not_read() {
    for (on, limit) in [(On::Manifest, "manifest_bytes"), (config(), "config_bytes")] {
        let scene = Scene::new();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
        let endless = [head.as_bytes(), vec![b' '; 64 << 20].as_slice()].concat();
        scene
            .registry
            .fault(on.clone(), ALWAYS, fault::instead(raw(endless)));
        scene.fails(&[&scene.registry.host(), limit]);
        for request in scene.registry.asked(&on) {
            assert!(request.sent < 32 << 20, "{request}");
        }
    }
}

fn an_answer_of_http_1_0_is_taken() {
    let scene = Scene::new();
    let old = "HTTP/1.0 200 OK\r\n\r\n";
    scene.registry.fault(On::Manifest, ALWAYS, under(old));
    scene.registry.fault(On::Blobs, ALWAYS, under(old));
    scene.pulls();
}

fn an_answer_of_http_1_0_that_is_cut_off_is_asked_for_again() {
    for on in [On::Manifest, config(), Scene::on_big()] {
        let scene = Scene::new();
        let half = fault::change(|answer| {
            let half = &answer.body[..answer.body.len() / 2];
            raw([b"HTTP/1.0 200 OK\r\n\r\n", half].concat())
        });
        scene.registry.fault(on.clone(), 1, half);
        scene.pulls();
        assert_eq!(scene.registry.asked(&on).len(), 2);
    }
}

fn ends(on: &On, head: &'static str) {
    let scene = Scene::new();
    scene.settings(&json!({"attempts": 2}));
    scene.registry.fault(on.clone(), ALWAYS, under(head));
    scene.fails(&[&scene.registry.host(), "hint: "]);
    scene.registry.fault(on.clone(), 1, under(head));
    scene.pulls();
}

fn a_length_that_makes_no_sense_ends_the_pull() {
    for on in [On::Manifest, config(), Scene::on_big()] {
        ends(&on, "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n");
        ends(
            &on,
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        );
    }
}

fn chunks_that_make_no_sense_end_the_pull() {
    for on in [On::Manifest, config()] {
        ends(
            &on,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        );
        ends(
            &on,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        );
    }
}

fn an_empty_answer_is_called_empty() {
    for status in [200, 204] {
        let scene = Scene::new();
        let empty = Answer::new(status, Vec::new());
        scene
            .registry
            .fault(On::Manifest, ALWAYS, fault::instead(empty));
        let run = scene.fails(&[&scene.registry.host(), "it is empty", "hint: "]);
        assert!(!run.stderr.contains("EOF"), "{run:#?}");
        scene.pulls();
    }
}

fn a_redirect_without_an_address_is_told() {
    for status in [307, 304] {
        for on in [On::Manifest, Scene::on_big()] {
            let scene = Scene::new();
            let nowhere = fault::instead(Answer::new(status, Vec::new()));
            scene.registry.fault(on, ALWAYS, nowhere);
            let answered = format!("it answers {status} and names no new address");
            let run = scene.fails(&[&scene.registry.host(), &answered, "hint: "]);
            assert!(!run.stderr.contains("try again later"), "{run:#?}");
            scene.pulls();
        }
    }
}

fn a_wait_of_years_is_told_in_years() {
    for on in [On::Manifest, config(), Scene::on_big()] {
        for seconds in ["1000000000", "Fri, 31 Dec 9999 23:59:59 GMT"] {
            let scene = Scene::new();
            scene
                .registry
                .fault(on.clone(), ALWAYS, fault::unavailable(seconds));
            let run = scene.fails(&[
                "503",
                " years",
                "hint: ask those who run the registry when it is back",
            ]);
            assert!(!run.stderr.contains("1000000000"), "{run:#?}");
            assert_eq!(scene.registry.asked(&on).len(), 1);
            // What was received is kept, and the pull goes on when the registry is back.
            scene.pulls();
        }
    }
}

fn an_error_that_drips_is_told_all_the_same() {
    let scene = Scene::new();
    scene.settings(&json!({"attempts": 1}));
    let mut error = Answer::new(500, vec![b'x'; 1000]);
    error.delivery = Delivery::Drip(1, Duration::from_millis(500));
    scene
        .registry
        .fault(On::Manifest, ALWAYS, fault::instead(error));
    scene.fails(&[&scene.registry.host(), "answered 500"]);
    // A word of it comes before five seconds are over.
    let sent = scene.registry.asked(&On::Manifest)[0].sent;
    assert!(sent < 10, "{sent} bytes");
}

fn a_token_that_unpacks_without_end_is_refused() {
    let scene = Scene::new();
    scene.registry.require_token(&scene.registry);
    let bomb = gzip(&vec![b' '; 256 << 20]);
    let answer = Answer::new(200, bomb).with("Content-Encoding", "gzip");
    scene
        .registry
        .fault(On::Token, ALWAYS, fault::instead(answer));
    scene.fails(&["no token", "longer than 1048576 bytes"]);
}

fn a_mirror_with_nonsense_is_skipped() {
    let nonsense: [fn() -> Fault; 5] = [
        || fault::instead(Answer::new(200, Vec::new())),
        || fault::instead(Answer::new(304, Vec::new())),
        || under("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
        || under("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        || fault::instead(raw(b"nonsense\r\n\r\n".to_vec())),
    ];
    for make in nonsense {
        let scene = Scene::new();
        let mirror = Registry::start();
        mirror.put_image("app", "1", image());
        mirror.fault(On::Everything, ALWAYS, make());
        let url = format!("http://{}", mirror.host());
        scene.settings(&json!({"hosts": {scene.registry.host(): {"mirrors": [url]}}}));
        let run = scene.pulls();
        assert!(run.stderr.contains("mirror skipped"), "{run:#?}");
        assert!(mirror.requests().len() < 10, "{}", mirror.log());
    }
}
