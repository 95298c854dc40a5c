//! What a registry says, as a person sees it; and what msb says to a registry.

use serde_json::json;

use super::Scene;
use crate::faulty::http::{Answer, Delivery};
use crate::faulty::route::On;
use crate::faulty::{ALWAYS, fault};
use crate::tests;

tests! {
    an_error_of_a_registry_is_shown_without_what_acts_on_a_terminal;
    an_error_that_is_a_page_does_not_fill_the_terminal;
    an_error_without_end_is_not_read;
    several_errors_are_all_told;
    a_warning_of_a_registry_is_shown_once;
    a_warning_cannot_act_on_a_terminal;
    a_warning_in_the_wrong_form_is_no_matter;
    rate_limits_are_no_matter;
    few_pulls_left_are_told;
    headers_without_end_are_not_read;
    msb_says_who_it_is_and_what_it_understands;
    progress_is_not_on_stdout;
}

const HOSTILE: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\r\u{202e}over";

fn an_error_of_a_registry_is_shown_without_what_acts_on_a_terminal() {
    for on in [On::Manifest, Scene::on_big()] {
        let scene = Scene::new();
        let denied = Answer::error(400, HOSTILE, &format!("{HOSTILE} you may not"));
        scene.registry.fault(on, ALWAYS, fault::instead(denied));
        // That no control character is shown is looked at for every pull.
        let run = scene.fails(&["you may not"]);
        assert!(!run.stderr.contains('\u{202e}'), "{run:#?}");
    }
}

fn an_error_that_is_a_page_does_not_fill_the_terminal() {
    let scene = Scene::new();
    scene.settings(&json!({"attempts": 2}));
    let page = format!(
        "<html><title>Bad Gateway</title>{}",
        "<p>sorry</p>\n".repeat(9000)
    );
    let page = Answer::new(502, page.into_bytes()).with("Content-Type", "text/html");
    scene
        .registry
        .fault(On::Manifest, ALWAYS, fault::instead(page));
    let run = scene.fails(&[&scene.registry.host(), "502"]);
    assert!(run.stderr.len() < 2000, "{run:#?}");
}

fn an_error_without_end_is_not_read() {
    for delivery in [Delivery::Whole, Delivery::Chunked] {
        let scene = Scene::new();
        let mut long = Answer::error(400, "LONG", &"x".repeat(64 << 20));
        long.delivery = delivery;
        scene
            .registry
            .fault(On::Manifest, ALWAYS, fault::instead(long));
        let run = scene.fails(&["400"]);
        assert!(run.stderr.len() < 2000, "{} bytes", run.stderr.len());
        let sent = scene.registry.asked(&On::Manifest)[0].sent;
        assert!(sent < 32 << 20, "{sent} bytes");
    }
}

fn several_errors_are_all_told() {
    let scene = Scene::new();
    let errors = json!({"errors": [
        {"code": "DENIED", "message": "the first is this", "detail": [{"Type": "repository"}]},
        {"code": "OTHER"},
        {"message": "the third is that"},
    ]});
    let answer = Answer::json(403, &errors);
    scene
        .registry
        .fault(On::Manifest, ALWAYS, fault::instead(answer));
    scene.fails(&["the first is this", "OTHER", "the third is that"]);
}

fn a_warning_of_a_registry_is_shown_once() {
    let scene = Scene::new();
    let warning = r#"299 - "this registry \"old\" goes away in May""#;
    let warns = fault::header("Warning", warning);
    scene.registry.fault(On::Everything, ALWAYS, warns);
    let run = scene.pulls();
    let shown = run
        .stderr
        .matches(r#"this registry "old" goes away in May"#)
        .count();
    assert_eq!(shown, 1, "{run:#?}");
    assert!(run.stderr.contains(&scene.registry.host()), "{run:#?}");
}

fn a_warning_cannot_act_on_a_terminal() {
    for text in [
        "\u{1b}[2Jover",
        "\u{9b}31mover\u{202e}",
        "\u{8}\u{8}over",
        "\u{7f}over",
    ] {
        let scene = Scene::new();
        let warns = fault::header("Warning", &format!(r#"299 - "{text}""#));
        scene.registry.fault(On::Everything, ALWAYS, warns);
        // An answer with such a header need not be taken for one at all.
        let run = scene.pull();
        assert!(!run.stderr.contains('\u{202e}'), "{run:#?}");
        assert!(matches!(run.code, Some(0 | 5)), "{run:#?}");
    }
}

fn a_warning_in_the_wrong_form_is_no_matter() {
    for text in [
        "",
        "299",
        "299 - ",
        "199 - \"other\"",
        "299 - \"open",
        "\"",
        "299 - \"\"",
        &"x".repeat(5000),
    ] {
        let scene = Scene::new();
        scene
            .registry
            .fault(On::Everything, ALWAYS, fault::header("Warning", text));
        let run = scene.pulls();
        assert!(run.stderr.len() < 3000, "{run:#?}");
    }
}

fn limits(remaining: &'static str) -> fault::Fault {
    fault::change(move |answer| {
        answer
            .with("ratelimit-limit", "100;w=21600")
            .with("ratelimit-remaining", remaining)
            .with("docker-ratelimit-source", "203.0.113.7")
    })
}

fn rate_limits_are_no_matter() {
    for remaining in [
        "76;w=21600",
        "12;w=21600",
        "-1",
        "many",
        "",
        "9999999999999999999999;w=x",
    ] {
        let scene = Scene::new();
        scene
            .registry
            .fault(On::Everything, ALWAYS, limits(remaining));
        scene.pulls();
    }
}

fn few_pulls_left_are_told() {
    let scene = Scene::new();
    scene
        .registry
        .fault(On::Everything, ALWAYS, limits("2;w=21600"));
    let run = scene.pulls();
    assert!(run.stderr.contains(&scene.registry.host()), "{run:#?}");
    assert!(run.stderr.contains("2 "), "{run:#?}");
}

fn headers_without_end_are_not_read() {
    let scene = Scene::new();
    scene.settings(&json!({"attempts": 2}));
    let head = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(64 << 20));
    let endless = Answer::new(0, head.into_bytes());
    scene
        .registry
        .fault(On::Manifest, ALWAYS, fault::instead(endless));
    scene.fails(&[&scene.registry.host()]);
    for request in scene.registry.asked(&On::Manifest) {
        assert!(request.sent < 32 << 20, "{request}");
    }
}

fn msb_says_who_it_is_and_what_it_understands() {
    let scene = Scene::new();
    scene.pulls();
    let version = scene.env.msb("--version").success().stdout;
    let version = version.split_whitespace().nth(1).unwrap().to_owned();
    for request in scene.registry.requests() {
        let agent = request.header("user-agent").unwrap_or_default();
        assert_eq!(agent, format!("msb/{version}"), "{request}");
    }
    let accepted = scene.registry.asked(&On::Manifest)[0].clone();
    for media_type in [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ] {
        let accepts = accepted.header("accept").unwrap_or_default();
        assert!(accepts.contains(media_type), "{accepts}");
    }
    for request in scene.registry.asked(&On::Blobs) {
        assert_eq!(request.header("accept-encoding"), Some("identity"));
    }
}

fn progress_is_not_on_stdout() {
    let scene = Scene::new();
    let wait = fault::too_many_requests("1");
    scene.registry.fault(On::Manifest, 1, wait);
    let run = scene.pulls();
    assert!(run.stdout.lines().count() <= 1, "{run:#?}");
    assert!(!run.stdout.contains("1 s"), "{run:#?}");
}
