//! Where plugins come from when that place fails, and what the lock has when it is gone.

mod kept;

use serde_json::json;

use super::{component, components, lock, row};
use crate::env::{Run, TestEnv};
use crate::faulty::fault::{self, Fault};
use crate::faulty::http::Answer;
use crate::faulty::route::On;
use crate::faulty::{ALWAYS, Registry};
use crate::tests;

tests! {
    a_server_that_is_out_of_order_for_a_moment_is_asked_again;
    a_server_that_stays_out_of_order_is_told;
    a_file_that_breaks_off_is_fetched_again_from_its_beginning;
    a_file_that_is_not_there_is_not_asked_for_twice;
    redirects_are_followed_and_do_not_lead_to_plain_http_elsewhere;
    what_is_no_component_is_said_of_an_address_as_well;
    what_is_too_large_is_not_fetched;
    what_is_secret_in_an_address_is_neither_kept_nor_shown;
    an_update_from_an_address_whose_secret_was_not_kept_says_what_to_do;
}

/// Returns the tests of this file and of the modules below it.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [tests(), kept::tests()];
    tests.into_iter().flatten().collect()
}

/// A server with a component, and a home to install it in.
struct Scene {
    env: TestEnv,
    server: Registry,
    digest: String,
}

impl Scene {
    fn new() -> Self {
        let (env, server) = (TestEnv::new(), Registry::start());
        let digest = server.put_blob(&std::fs::read(component("image-json")).unwrap());
        let settings = json!({"registries": {"retry_delay_ms": 10, "attempts": 3}});
        env.write_settings(settings);
        Self {
            env,
            server,
            digest,
        }
    }

    fn install(&self) -> Run {
        let url = self.server.url(&format!("/v2/x/blobs/{}", self.digest));
        self.env.msb(&format!("plugin install {url} --name made"))
    }

    fn on(&self) -> On {
        On::Blob(self.digest.clone())
    }

    fn fault(&self, times: usize, fault: Fault) {
        self.server.fault(self.on(), times, fault);
    }

    fn asked(&self) -> usize {
        self.server.asked(&self.on()).len()
    }

    /// Asserts that the installation fails in these words and leaves nothing, and that it succeeds
    /// when the server has healed.
    #[track_caller]
    fn fails(&self, words: &[&str]) {
        self.install().failure(words);
        assert_eq!(lock(&self.env), "");
        assert!(!self.env.home().join("plugins").exists() || components(&self.env).is_empty());
        self.server.heal();
        self.install().success();
        self.env.msb("plugin verify").success();
    }
}

fn a_server_that_is_out_of_order_for_a_moment_is_asked_again() {
    for status in [429, 500, 502, 503, 504] {
        let scene = Scene::new();
        scene.fault(2, fault::status(status));
        scene.install().success();
        assert_eq!(scene.asked(), 3, "{status}");
    }
    let scene = Scene::new();
    scene.fault(2, fault::instead(Answer::new(0, Vec::new())));
    scene.install().success();
}

fn a_server_that_stays_out_of_order_is_told() {
    let scene = Scene::new();
    scene.fault(ALWAYS, fault::status(503));
    let host = scene.server.host();
    let asked = scene.asked();
    scene
        .install()
        .failure(&["could not fetch", &host, "the server answered 503"]);
    assert_eq!(scene.asked() - asked, 3);
    scene.fails(&["503"]);
}

fn a_file_that_breaks_off_is_fetched_again_from_its_beginning() {
    for cut in [fault::close_after(50_000), fault::reset_after(50_000)] {
        let scene = Scene::new();
        scene.fault(1, cut.clone());
        scene.install().success();
        assert_eq!(row(&scene.env, "made")["sha256"], scene.digest);
        let offsets: Vec<_> = scene.server.asked(&scene.on());
        assert!(offsets.iter().all(|request| request.offset().is_none()));
        let scene = Scene::new();
        scene.fault(ALWAYS, cut);
        scene.fails(&["could not fetch", &scene.server.host()]);
    }
}

fn a_file_that_is_not_there_is_not_asked_for_twice() {
    for status in [401, 403, 404, 410] {
        let scene = Scene::new();
        scene.fault(ALWAYS, fault::status(status));
        let words = format!("the server answered {status}");
        scene.install().failure(&["could not fetch", &words]);
        assert_eq!(scene.asked(), 1, "{status}");
        scene.fails(&[&words]);
    }
}

fn redirects_are_followed_and_do_not_lead_to_plain_http_elsewhere() {
    let scene = Scene::new();
    let elsewhere = Registry::start();
    scene.server.redirect_blobs(&elsewhere, 1);
    scene.install().success();
    let scene = Scene::new();
    scene.fault(ALWAYS, fault::redirect("http://plugins.example/a.wasm"));
    scene.fails(&["could not fetch", "only HTTPS"]);
    let scene = Scene::new();
    let circle = scene.server.url(&format!("/v2/x/blobs/{}", scene.digest));
    scene.fault(ALWAYS, fault::redirect(&circle));
    scene.fails(&["redirects more than 10 times"]);
}

fn what_is_no_component_is_said_of_an_address_as_well() {
    for (body, words) in [
        (
            &b"<!doctype html><title>Log in</title>"[..],
            "perhaps an error page",
        ),
        (b"", "an empty file"),
    ] {
        let scene = Scene::new();
        scene.fault(ALWAYS, fault::instead(Answer::new(200, body.to_vec())));
        scene.fails(&["plugin `made` cannot be used", words]);
    }
    let scene = Scene::new();
    scene.fault(ALWAYS, fault::resized(-1000));
    scene.fails(&["plugin `made` cannot be used", "damaged"]);
}

fn what_is_too_large_is_not_fetched() {
    let scene = Scene::new();
    let large = 33 << 20;
    scene.fault(ALWAYS, fault::lying_length(large));
    scene.fails(&["is larger than 33554432 bytes"]);
    let scene = Scene::new();
    scene.fault(ALWAYS, fault::resized(large));
    scene.fault(ALWAYS, fault::no_length());
    scene.fails(&["is larger than 33554432 bytes"]);
}

#[track_caller]
fn no_secret(scene: &Scene, run: &Run) {
    for text in [&run.stdout, &run.stderr, &lock(&scene.env)] {
        // `secret-file` is a plugin of msb.
        let other = text.replace("secret-file", "");
        assert!(!other.contains("secret-"), "{text}");
    }
}

fn what_is_secret_in_an_address_is_neither_kept_nor_shown() {
    let scene = Scene::new();
    let path = format!("/v2/x/blobs/{}?token=secret-token&raw=1", scene.digest);
    let url = scene.server.url(&path);
    let run = scene.env.msb(&format!("plugin install {url} --name made"));
    no_secret(&scene, &run.success());
    assert!(lock(&scene.env).contains("?token=***&raw=1"));
    // It was asked for with all of it.
    assert_eq!(scene.server.asked(&scene.on())[0].path, path);
    for line in [
        "plugin ls",
        "plugin ls --format json",
        "plugin inspect made",
        "plugin verify",
    ] {
        no_secret(&scene, &scene.env.msb(line).success());
    }
    let missing = url.replace("sha256:", "sha256:0");
    let with_password = url.replace("http://", "http://me:secret-pass@");
    let nowhere = "http://127.0.0.1:1/a.wasm?sig=secret-signature";
    for bad in [
        missing.as_str(),
        &with_password,
        nowhere,
        "https://me:secret-/pass@host/a.wasm",
        "ftp://me:secret-pass@host/a.wasm?secret-token",
        "https://host.invalid/a.wasm?X-Amz-Signature=secret-signature",
    ] {
        let run = scene.env.msb(&format!("plugin install {bad} --name other"));
        no_secret(&scene, &run.failure(&[]));
    }
}

fn an_update_from_an_address_whose_secret_was_not_kept_says_what_to_do() {
    let scene = Scene::new();
    let path = format!("/v2/x/blobs/{}?token=secret-token", scene.digest);
    let url = scene.server.url(&path);
    let install = format!("plugin install {url} --name made");
    scene.env.msb(&install).success();
    let run = scene.env.msb("plugin update made");
    run.failure(&["token=***", "was not kept", "hint: ", "msb plugin remove"]);
    // What is advised helps.
    scene.env.msb("plugin remove made").success();
    scene.env.msb(&install).success();
    // What is kept is restored without asking.
    scene.env.msb("plugin install --locked").success();
}
