//! Answers that something on the way has compressed, or says that it has.

use serde_json::json;

use super::{MIDDLE, Scene, image};
use crate::archive::{gzip, zstd};
use crate::faulty::ALWAYS;
use crate::faulty::fault::{self, Fault};
use crate::faulty::http::{Answer, Delivery};
use crate::faulty::route::On;
use crate::tests;

tests! {
    documents_that_are_compressed_on_the_way_are_read;
    a_token_that_is_compressed_on_the_way_is_read;
    an_error_that_is_compressed_on_the_way_is_shown;
    a_layer_that_is_compressed_on_the_way_is_taken;
    a_layer_that_is_compressed_on_the_way_is_resumed;
    a_layer_that_is_only_called_compressed_is_taken;
    an_encoding_that_is_damaged_is_asked_for_once_more;
    an_encoding_that_unpacks_without_end_is_refused;
    an_encoding_that_nobody_asked_for_is_named;
    no_encoding_is_asked_for;
}

fn config() -> On {
    On::Blob(image().id())
}

fn small() -> On {
    On::Blob(crate::archive::sha256(&image().layers[0]))
}

fn documents_that_are_compressed_on_the_way_are_read() {
    for (name, encode) in [
        ("gzip", gzip as fn(&[u8]) -> Vec<u8>),
        ("x-gzip", gzip),
        ("zstd", zstd),
    ] {
        for (on, delivery) in [
            (On::Manifest, Delivery::Whole),
            (On::Manifest, Delivery::Chunked),
            (config(), Delivery::Whole),
            (config(), Delivery::Chunked),
        ] {
            let scene = Scene::new();
            let encoded = fault::encoded(name, encode);
            let fault: Fault = std::sync::Arc::new(move |request, answer| Answer {
                delivery,
                ..encoded(request, answer)
            });
            scene.registry.fault(on.clone(), ALWAYS, fault);
            scene.pulls();
            assert_eq!(scene.registry.asked(&on).len(), 1);
        }
    }
    // Where no digest is stated, nothing but the document itself says what it is.
    let scene = Scene::new();
    let bare = fault::change(|answer| {
        let answer = answer.without("Docker-Content-Digest");
        let body = gzip(&answer.body);
        Answer { body, ..answer }.with("Content-Encoding", "gzip")
    });
    scene.registry.fault(On::Manifest, ALWAYS, bare);
    scene.pulls();
}

fn a_token_that_is_compressed_on_the_way_is_read() {
    let scene = Scene::new();
    scene.registry.require_token(&scene.registry);
    let encoded = fault::encoded("gzip", gzip);
    scene.registry.fault(On::Token, ALWAYS, encoded);
    scene.pulls();
}

fn an_error_that_is_compressed_on_the_way_is_shown() {
    let scene = Scene::new();
    let error = Answer::error(400, "DENIED", "not on a Sunday");
    let body = gzip(&error.body);
    let error = Answer { body, ..error }.with("Content-Encoding", "gzip");
    scene
        .registry
        .fault(On::Manifest, ALWAYS, fault::instead(error));
    scene.fails(&["400", "not on a Sunday"]);
}

fn a_layer_that_is_compressed_on_the_way_is_taken() {
    for delivery in [Delivery::Whole, Delivery::Chunked] {
        for on in [Scene::on_big(), small()] {
            let scene = Scene::new();
            let encoded = fault::encoded("gzip", gzip);
            let fault: Fault = std::sync::Arc::new(move |request, answer| Answer {
                delivery,
                ..encoded(request, answer)
            });
            scene.registry.fault(on.clone(), ALWAYS, fault);
            scene.pulls();
            assert_eq!(scene.registry.asked(&on).len(), 1);
        }
    }
}

/// A part of what is compressed is of no use: all of it is asked for, and what is there is passed
/// over.
fn a_layer_that_is_compressed_on_the_way_is_resumed() {
    let scene = Scene::new();
    let cut = |answer: Answer| {
        let body = gzip(&answer.body);
        let delivery = Delivery::Close(MIDDLE);
        Answer {
            body,
            delivery,
            ..answer
        }
        .with("Content-Encoding", "gzip")
    };
    scene.registry.fault(Scene::on_big(), 1, fault::change(cut));
    let encoded = fault::encoded("gzip", gzip);
    scene.registry.fault(Scene::on_big(), ALWAYS, encoded);
    scene.pulls();
    let offsets = scene.offsets();
    assert_eq!(offsets.len(), 3, "{offsets:?}");
    assert!(offsets[1] > MIDDLE / 2 && offsets[2] == 0, "{offsets:?}");
}

/// Servers of files call what ends in `.gz` encoded.
fn a_layer_that_is_only_called_compressed_is_taken() {
    for delivery in [Delivery::Whole, Delivery::Chunked] {
        let scene = Scene::new();
        let called = fault::change(move |answer| {
            Answer { delivery, ..answer }.with("Content-Encoding", "gzip")
        });
        scene.registry.fault(On::Blobs, ALWAYS, called);
        scene.pulls();
        assert_eq!(scene.offsets(), [0]);
    }
    // The same where a part is asked for.
    let scene = Scene::new();
    let cut = fault::change(|answer| {
        let delivery = Delivery::Close(MIDDLE);
        Answer { delivery, ..answer }.with("Content-Encoding", "gzip")
    });
    scene.registry.fault(Scene::on_big(), 1, cut);
    let called = fault::header("Content-Encoding", "gzip");
    scene.registry.fault(Scene::on_big(), ALWAYS, called);
    scene.pulls();
    assert_eq!(scene.offsets(), [0, MIDDLE]);
}

fn an_encoding_that_is_damaged_is_asked_for_once_more() {
    // In the checksum, which of a layer nothing has to look at, and in the beginning.
    for (on, from_end) in [
        (On::Manifest, 6),
        (config(), 6),
        (On::Manifest, 0),
        (small(), 0),
    ] {
        let scene = Scene::new();
        let spoilt = fault::change(move |answer| {
            let mut body = gzip(&answer.body);
            let place = if from_end == 0 {
                1
            } else {
                body.len() - from_end
            };
            body[place] ^= 1;
            Answer { body, ..answer }.with("Content-Encoding", "gzip")
        });
        scene.registry.fault(on.clone(), 1, spoilt);
        scene.pulls();
        assert_eq!(scene.registry.asked(&on).len(), 2);
    }
}

fn an_encoding_that_unpacks_without_end_is_refused() {
    for (on, limit) in [(On::Manifest, "manifest_bytes"), (config(), "config_bytes")] {
        let scene = Scene::new();
        let bomb = gzip(&gzip(&vec![b' '; 256 << 20]));
        let bomb = fault::change(move |answer| {
            let body = bomb.clone();
            Answer { body, ..answer }.with("Content-Encoding", "gzip, gzip")
        });
        scene.registry.fault(on, ALWAYS, bomb);
        scene.fails(&[&scene.registry.host(), limit]);
    }
}

fn an_encoding_that_nobody_asked_for_is_named() {
    for on in [On::Manifest, config(), Scene::on_big()] {
        let scene = Scene::new();
        scene.settings(&json!({"attempts": 3}));
        let other = fault::encoded("br", |bytes| bytes[1..].to_vec());
        scene.registry.fault(on, ALWAYS, other);
        scene.fails(&["encoded", ": br"]);
    }
}

fn no_encoding_is_asked_for() {
    let scene = Scene::new();
    scene.pulls();
    for on in [On::Manifest, On::Blobs] {
        for request in scene.registry.asked(&on) {
            assert_eq!(
                request.header("accept-encoding"),
                Some("identity"),
                "{request}"
            );
        }
    }
}
