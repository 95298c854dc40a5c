//! What `--debug` shows of requests, and what it never shows.

use serde_json::json;

use super::{MIDDLE, Scene};
use crate::env::Run;
use crate::faulty::route::On;
use crate::faulty::{ALWAYS, Registry, fault};
use crate::tests;

tests! {
    debug_shows_each_request;
    debug_shows_no_secret;
    debug_shows_the_proxy_without_its_password;
    debug_shows_a_form_without_what_is_in_it;
    debug_shows_requests_that_failed;
    debug_shows_nothing_that_acts_on_a_terminal;
    trace_shows_headers_without_secrets;
    without_debug_no_request_is_shown;
}

fn pull(scene: &Scene, flag: &str) -> Run {
    scene.env.msb(&format!("{flag} pull {}", scene.reference()))
}

/// Returns the lines about requests to a path.
fn lines<'a>(run: &'a Run, path: &str) -> Vec<&'a str> {
    let lines = run.stderr.lines();
    lines
        .filter(|line| line.starts_with("debug: ") && line.contains(path))
        .collect()
}

fn debug_shows_each_request() {
    let (scene, cdn) = (Scene::new(), Registry::start());
    let mirror = Registry::start();
    let hosts = json!({scene.registry.host(): {"mirrors": [format!("http://{}", mirror.host())]}});
    scene.settings(&json!({"hosts": hosts}));
    scene.registry.require_token(&scene.registry);
    scene.registry.redirect_blobs(&cdn, ALWAYS);
    cdn.fault(Scene::on_big(), 1, fault::close_after(MIDDLE));
    let run = pull(&scene, "--debug").success();
    let (host, big) = (scene.registry.host(), Scene::big());
    for (path, parts) in [
        (
            "/v2/app/manifests/1",
            [&mirror.host(), "404", "a mirror", "bytes", " ms"],
        ),
        (
            "/v2/app/manifests/1",
            [&host, "401", "the registry", "GET http://", " ms"],
        ),
        (
            "/v2/app/manifests/1",
            [&host, "200", "with a token", "GET http://", " ms"],
        ),
        (
            "/token",
            [
                &host,
                "200",
                "scope=repository:app:pull",
                "service=tests",
                " ms",
            ],
        ),
        (
            &format!("/v2/app/blobs/{big}"),
            [&host, "307 to http", &cdn.host(), "", " ms"],
        ),
        (
            &format!("/{big}"),
            [
                &cdn.host(),
                "206",
                "attempt 2",
                "from byte 2000000",
                &format!("for {host}"),
            ],
        ),
        ("received", ["2000000 bytes", &big, &cdn.host(), "", " ms"]),
    ] {
        let lines = lines(&run, path);
        let is_there = |line: &&str| parts.iter().all(|part| line.contains(part));
        assert!(lines.iter().any(is_there), "no {parts:?} in {lines:#?}");
    }
    // Every request that a registry has had is there.
    for registry in [&scene.registry, &cdn, &mirror] {
        let asked = registry.requests().len();
        let begin = format!("debug: GET http://{}/", registry.host());
        let shown = run.stderr.lines().filter(|line| line.starts_with(&begin));
        assert_eq!(shown.count(), asked, "{run:#?}");
    }
}

/// What no log has in it.
const SECRETS: [&str; 5] = [
    "secret-password",
    "secret-token",
    "secret-signature",
    "secret-flag",
    "secret-proxy",
];

fn debug_shows_no_secret() {
    let (scene, elsewhere) = (Scene::new(), Registry::start());
    elsewhere.put_image("app", "1", super::image());
    // Of user:secret-password.
    let encoded = "dXNlcjpzZWNyZXQtcGFzc3dvcmQ=";
    scene.password(encoded);
    scene.registry.require_token(&scene.registry);
    let location = elsewhere.url(&format!(
        "/foreign/{}?X-Signature=secret-signature&secret-flag",
        Scene::big()
    ));
    scene
        .registry
        .fault(Scene::on_big(), ALWAYS, fault::redirect(&location));
    let mut command = scene.env.command(["--debug", "pull", &scene.reference()]);
    let run = Run::of(command.env("HTTP_PROXY", "http://u:secret-proxy@127.0.0.1:9")).success();
    let trace = pull(&scene, "--trace");
    for text in [&run.stderr, &trace.stderr] {
        for secret in SECRETS {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert!(!text.contains(encoded), "{text}");
    }
    assert!(run.stderr.contains(&elsewhere.host()), "{run:#?}");
}

fn debug_shows_the_proxy_without_its_password() {
    let (scene, proxy) = (Scene::new(), Registry::start());
    proxy.put_image("app", "1", super::image());
    let host = proxy.host();
    let through = |proxy: &str| {
        let name = "registry.example/app:1";
        let mut command = scene.env.command(["--trace", "pull", "--insecure", name]);
        let run = Run::of(command.env("HTTP_PROXY", format!("http://u:secret-proxy@{proxy}")));
        assert!(!run.stderr.contains("secret-proxy"), "{run:#?}");
        run
    };
    let run = through(&host).success();
    let asked = lines(&run, "GET http://registry.example/v2/app/");
    assert_eq!(asked.len(), proxy.requests().len(), "{run:#?}");
    let by = format!("through proxy http://{host}");
    assert!(asked.iter().all(|line| line.contains(&by)), "{asked:#?}");
    scene.env.msb("image prune --yes").success();
    scene.settings(&json!({"attempts": 1}));
    let run = through("127.0.0.1:1").failure(&["through the proxy http://127.0.0.1:1"]);
    let failed = lines(&run, "refused");
    assert!(
        failed[0].contains("through proxy http://127.0.0.1:1"),
        "{run:#?}"
    );
}

/// An identity token goes into the body of a request.
fn debug_shows_a_form_without_what_is_in_it() {
    let scene = Scene::new();
    scene.registry.require_token(&scene.registry);
    let auths = json!({"auths": {scene.registry.host(): {"identitytoken": "secret-identity"}}});
    scene.env.write_docker_config(auths);
    let run = pull(&scene, "--trace");
    assert!(!run.stderr.contains("secret-identity"), "{run:#?}");
    let posted = lines(&run, "POST http://");
    assert!(!posted.is_empty(), "{run:#?}");
    for line in posted {
        assert!(line.contains("/token: ") && line.contains(" ms"), "{line}");
    }
}

fn debug_shows_requests_that_failed() {
    let scene = Scene::new();
    scene.settings(&json!({"stall_timeout_secs": 1, "attempts": 2}));
    scene.registry.fault(On::Manifest, 1, fault::silence());
    let run = pull(&scene, "--debug").success();
    let silent = lines(&run, "/v2/app/manifests/1: no answer");
    assert_eq!(silent.len(), 1, "{run:#?}");
    let gone = Registry::start();
    let host = gone.host();
    drop(gone);
    let run = scene.env.msb(&format!("--debug pull {host}/app:1"));
    assert!(
        lines(&run, "/v2/")
            .iter()
            .all(|line| line.contains("refused")),
        "{run:#?}"
    );
    run.failure(&["debug: GET http://", "refused"]);
}

fn debug_shows_nothing_that_acts_on_a_terminal() {
    let scene = Scene::new();
    let hostile = "http://127.0.0.1:1/\u{202e}over/\u{9b}31m";
    scene
        .registry
        .fault(Scene::on_big(), ALWAYS, fault::redirect(hostile));
    let run = pull(&scene, "--trace").failure(&["302 to"]);
    let hostile = |character: char| character.is_control() && character != '\n';
    assert!(!run.stderr.contains(hostile), "{run:#?}");
    assert!(!run.stderr.contains('\u{202e}'), "{run:#?}");
}

fn trace_shows_headers_without_secrets() {
    let scene = Scene::new();
    let cookie = fault::header("Set-Cookie", "session=secret-cookie");
    scene.registry.fault(On::Everything, ALWAYS, cookie);
    let run = pull(&scene, "--trace").success();
    assert!(run.stderr.contains("trace: "), "{run:#?}");
    assert!(
        run.stderr.contains("docker-content-digest: sha256:"),
        "{run:#?}"
    );
    assert!(!run.stderr.contains("secret-"), "{run:#?}");
}

fn without_debug_no_request_is_shown() {
    let scene = Scene::new();
    let run = scene.pulls();
    assert!(!run.stderr.contains("/v2/"), "{run:#?}");
}
