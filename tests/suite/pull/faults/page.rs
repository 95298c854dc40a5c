//! Web pages where something else was wanted.

use super::{Scene, image};
use crate::faulty::http::{Answer, Delivery};
use crate::faulty::route::On;
use crate::faulty::{ALWAYS, fault};
use crate::tests;

tests! {
    a_web_page_is_called_one_and_asked_for_once;
    a_web_page_at_another_server_is_called_one;
    a_web_page_of_unknown_length_is_no_layer;
    a_web_page_under_another_name_is_no_layer;
    a_network_that_wants_a_login_is_told;
    a_portal_accepts_no_login;
    a_manifest_that_is_only_called_a_page_is_pulled;
    the_title_of_a_page_cannot_act_on_a_terminal;
}

const WORDS: &str = "answered the request for";
const PORTAL: &str = "with a web page \u{201c}Grand Hotel\u{201d} (captive portal or proxy login?)";

fn a_web_page_is_called_one_and_asked_for_once() {
    let config = On::Blob(image().id());
    for (on, what) in [
        (On::Manifest, "manifest app:1"),
        (config, "configuration"),
        (Scene::on_big(), "layer"),
        (On::Token, "token"),
    ] {
        let scene = Scene::new();
        scene.registry.require_token(&scene.registry);
        scene
            .registry
            .fault(on.clone(), ALWAYS, fault::page("Grand Hotel"));
        scene.fails(&[&scene.registry.host(), WORDS, what, PORTAL, "in a browser"]);
        let mut asked = scene.registry.asked(&on);
        asked.retain(|request| request.status == 200);
        assert_eq!(asked.len(), 1, "{what}");
        scene.pulls();
    }
}

fn a_web_page_at_another_server_is_called_one() {
    let scene = Scene::new();
    let portal = crate::faulty::Registry::start();
    portal.fault(On::Everything, ALWAYS, fault::page("Grand Hotel"));
    let away = fault::redirect(&portal.url("/login?secret-session"));
    scene.registry.fault(On::Manifest, ALWAYS, away);
    scene.fails(&[&portal.host(), &scene.registry.host(), PORTAL]);
}

fn a_web_page_of_unknown_length_is_no_layer() {
    let scene = Scene::new();
    let page = Answer::new(200, b"\n<html><title>Grand Hotel</title>".to_vec());
    let page = Answer {
        delivery: Delivery::Chunked,
        ..page.with("Content-Type", "text/html")
    };
    scene
        .registry
        .fault(Scene::on_big(), ALWAYS, fault::instead(page));
    scene.fails(&[&Scene::big(), PORTAL]);
    assert_eq!(scene.offsets(), [0]);
}

fn a_web_page_under_another_name_is_no_layer() {
    let scene = Scene::new();
    let page = Answer::new(200, b"<!doctype html><title>Grand Hotel</title>".to_vec());
    let page = page.with("Content-Type", "application/octet-stream");
    scene
        .registry
        .fault(Scene::on_big(), ALWAYS, fault::instead(page));
    scene.fails(&[&Scene::big(), PORTAL]);
    assert_eq!(scene.offsets(), [0]);
    scene.pulls();
}

/// Source: RFC 6585 section 6.
fn a_network_that_wants_a_login_is_told() {
    let scene = Scene::new();
    let answer = Answer::new(511, b"<html><title>Log in</title>".to_vec());
    let answer = answer.with("Content-Type", "text/html");
    scene
        .registry
        .fault(On::Manifest, ALWAYS, fault::instead(answer));
    scene.fails(&[&scene.registry.host(), "web page", "Log in", "in a browser"]);
    assert_eq!(scene.registry.asked(&On::Manifest).len(), 1);
}

fn a_portal_accepts_no_login() {
    let scene = Scene::new();
    scene
        .registry
        .fault(On::Everything, ALWAYS, fault::page("Grand Hotel"));
    let line = format!(
        "registry login {} -u me --password-stdin --store file",
        scene.registry.host()
    );
    let run = scene.env.msb_with_input(&line, b"secret-password");
    run.failure(&[PORTAL]);
    assert!(!scene.env.home().join("secrets/registries").exists());
}

fn a_manifest_that_is_only_called_a_page_is_pulled() {
    let scene = Scene::new();
    let called = fault::header("Content-Type", "text/html");
    scene.registry.fault(On::Everything, ALWAYS, called);
    scene.pulls();
}

fn the_title_of_a_page_cannot_act_on_a_terminal() {
    let scene = Scene::new();
    let page = fault::page("\u{1b}]0;owned\u{7}\u{202e}over");
    scene.registry.fault(On::Manifest, ALWAYS, page);
    // That no control character is shown is looked at for every pull.
    let run = scene.fails(&["web page"]);
    assert!(!run.stderr.contains('\u{202e}'), "{run:#?}");
}
