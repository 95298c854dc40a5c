//! Layers that are elsewhere: at URLs that a registry signs, and that expire.

use serde_json::json;

use super::{MIDDLE, Scene, image};
use crate::faulty::http::Answer;
use crate::faulty::route::On;
use crate::faulty::{ALWAYS, Registry, fault};
use crate::tests;

tests! {
    no_credentials_go_where_a_registry_redirects_to;
    a_drop_at_a_redirected_url_is_resumed_with_a_new_url;
    a_signed_url_that_has_expired_is_asked_for_again;
    a_signed_url_that_never_works_ends_the_pull;
    an_error_of_the_other_server_is_tried_again_from_the_start;
    a_relative_location_is_of_the_same_registry;
    a_location_beyond_ascii_is_followed;
    a_connection_that_fails_elsewhere_is_not_called_one_to_the_registry;
    redirects_in_a_circle_end_the_pull;
    a_redirect_to_nowhere_is_refused;
    a_challenge_of_the_other_server_gets_no_token_of_the_registry;
    a_redirected_manifest_is_pulled;
}

/// A registry whose blobs are at another server, at URLs that work so many times.
fn redirected(uses: usize) -> (Scene, Registry) {
    let scene = Scene::new();
    let cdn = Registry::start();
    scene.registry.redirect_blobs(&cdn, uses);
    (scene, cdn)
}

fn no_credentials_go_where_a_registry_redirects_to() {
    let (scene, cdn) = redirected(1);
    scene.registry.require_token(&scene.registry);
    scene.pulls();
    let asked = scene.registry.asked(&On::Blobs);
    assert!(
        asked
            .iter()
            .any(|request| request.header("authorization").is_some())
    );
    let redirected = cdn.requests();
    assert_eq!(redirected.len(), 3);
    for request in redirected {
        assert_eq!(request.header("authorization"), None, "{request}");
        assert_eq!(request.header("cookie"), None, "{request}");
    }
}

fn a_drop_at_a_redirected_url_is_resumed_with_a_new_url() {
    let (scene, cdn) = redirected(1);
    cdn.fault(Scene::on_big(), 1, fault::close_after(MIDDLE));
    scene.pulls();
    // The URL would not have worked twice.
    let asked = cdn.asked(&Scene::on_big());
    assert_eq!(asked.len(), 2, "{}", cdn.log());
    assert_ne!(asked[0].path, asked[1].path);
    assert_eq!(asked[1].offset(), Some(MIDDLE));
}

fn a_signed_url_that_has_expired_is_asked_for_again() {
    let (scene, cdn) = redirected(1);
    let denied = Answer::new(403, b"<Error><Code>AccessDenied</Code></Error>".to_vec());
    cdn.fault(Scene::on_big(), 1, fault::instead(denied));
    scene.pulls();
    let asked = cdn.asked(&Scene::on_big());
    assert_eq!(asked.len(), 2, "{}", cdn.log());
    assert_ne!(asked[0].path, asked[1].path);
}

fn a_signed_url_that_never_works_ends_the_pull() {
    let (scene, cdn) = redirected(0);
    let run = scene.pull().failure(&["403"]);
    assert!(
        run.stderr.contains(&cdn.host()) || run.stderr.contains(&scene.registry.host()),
        "{run:#?}"
    );
    // What is signed is a secret as long as it works.
    assert!(!run.stderr.contains("/signed/"), "{run:#?}");
    scene.assert_nothing_shown();
    let asked = cdn.asked(&On::Blobs).len();
    assert!(asked <= 18, "{asked} requests");
}

fn an_error_of_the_other_server_is_tried_again_from_the_start() {
    let (scene, cdn) = redirected(1);
    cdn.fault(Scene::on_big(), 2, fault::status(503));
    scene.pulls();
    assert_eq!(cdn.asked(&Scene::on_big()).len(), 3);
    assert_eq!(scene.registry.asked(&Scene::on_big()).len(), 3);
}

fn a_relative_location_is_of_the_same_registry() {
    let scene = Scene::new();
    let relative = fault::redirect(&format!("/foreign/{}", Scene::big()));
    scene.registry.fault(Scene::on_big(), 1, relative);
    scene.pulls();
}

fn a_location_beyond_ascii_is_followed() {
    let (scene, elsewhere) = (Scene::new(), Registry::start());
    elsewhere.put_blob(&image().layers[1]);
    let location = elsewhere.url(&format!("/foreign/{}?name=caf\u{e9} au lait", Scene::big()));
    let away = fault::redirect(&location);
    scene.registry.fault(Scene::on_big(), ALWAYS, away);
    scene.pulls();
    let asked = elsewhere.requests();
    assert_eq!(asked.len(), 1);
    assert!(
        asked[0].path.ends_with("?name=caf%C3%A9%20au%20lait"),
        "{}",
        asked[0]
    );
}

fn a_connection_that_fails_elsewhere_is_not_called_one_to_the_registry() {
    let (scene, gone) = (Scene::new(), Registry::start());
    let (host, location) = (gone.host(), gone.url("/x?secret-signature"));
    drop(gone);
    scene.settings(&json!({"attempts": 2}));
    let away = fault::redirect(&location);
    scene.registry.fault(Scene::on_big(), ALWAYS, away);
    let peer = format!("{host}, to which registry {} refers", scene.registry.host());
    let words = format!("could not connect to {peer}");
    scene.fails(&[&words, "refused", "hint: the registry answers"]);
    let cdn = Registry::start();
    scene.registry.redirect_blobs(&cdn, ALWAYS);
    scene.settings(&json!({"attempts": 2, "stall_timeout_secs": 1}));
    cdn.fault(Scene::on_big(), 1, fault::stall_after(MIDDLE));
    cdn.fault(Scene::on_big(), ALWAYS, fault::stall_after(0));
    let peer = format!(
        "{}, to which registry {} refers",
        cdn.host(),
        scene.registry.host()
    );
    scene.fails(&[&format!("{peer}, sent nothing for")]);
    cdn.heal();
    scene.pulls();
}

fn redirects_in_a_circle_end_the_pull() {
    let scene = Scene::new();
    let path = format!("/v2/app/blobs/{}", Scene::big());
    scene
        .registry
        .fault(Scene::on_big(), ALWAYS, fault::redirect(&path));
    scene.fails(&[&scene.registry.host(), &Scene::big(), "redirect"]);
    let asked = scene.offsets().len();
    assert!((2..=80).contains(&asked), "{asked} requests");
    scene.pulls();
}

fn a_redirect_to_nowhere_is_refused() {
    for location in ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://", ""] {
        let scene = Scene::new();
        scene
            .registry
            .fault(Scene::on_big(), ALWAYS, fault::redirect(location));
        scene.fails(&[&scene.registry.host()]);
    }
}

fn a_challenge_of_the_other_server_gets_no_token_of_the_registry() {
    let (scene, cdn) = redirected(ALWAYS);
    scene.registry.require_token(&scene.registry);
    let challenge = format!(r#"Bearer realm="{}",service="cdn""#, cdn.url("/token"));
    let refusal = Answer::error(401, "UNAUTHORIZED", "who are you");
    let refusal = refusal.with("WWW-Authenticate", &challenge);
    cdn.fault(Scene::on_big(), ALWAYS, fault::instead(refusal));
    scene.pull().failure(&["401"]);
    scene.assert_nothing_shown();
    for request in cdn.requests() {
        let sent = request.header("authorization").unwrap_or_default();
        // Only what it issued itself.
        let own = cdn.asked(&On::Token).len();
        assert!(sent.is_empty() || own > 0, "{request}");
    }
}

fn a_redirected_manifest_is_pulled() {
    let scene = Scene::new();
    let elsewhere = Registry::start();
    let digest = elsewhere.put_image("other", "1", image());
    let location = elsewhere.url(&format!("/v2/other/manifests/{digest}"));
    scene
        .registry
        .fault(On::Manifest, ALWAYS, fault::redirect(&location));
    scene
        .registry
        .fault(On::ManifestHead, ALWAYS, fault::redirect(&location));
    scene.pulls();
}
