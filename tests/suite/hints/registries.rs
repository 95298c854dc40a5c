//! Hints about registries and the way to them.

use serde_json::json;

use super::advises;
use crate::archive::{Image, architecture, other_architecture, sha256};
use crate::env::{Run, TestEnv};
use crate::faulty::http::Answer;
use crate::faulty::route::On;
use crate::faulty::{ALWAYS, Registry, fault};
use crate::registry_scene;
use crate::tests;

tests! {
    a_platform_is_asked_for_as_advised;
    a_name_is_looked_at_as_advised;
    what_is_no_image_is_left_to_others_as_advised;
    a_registry_is_waited_for_as_advised;
    a_registry_that_limits_requests_is_logged_in_to_as_advised;
    a_request_that_is_not_wanted_is_taken_to_those_who_run_it_as_advised;
    what_changes_on_the_way_is_told_as_advised;
    a_network_is_logged_in_to_as_advised;
    a_registry_of_plain_http_is_asked_as_advised;
    a_slow_line_is_allowed_for_as_advised;
    a_proxy_gets_its_password_as_advised;
}

struct Scene {
    env: TestEnv,
    registry: Registry,
}

impl Scene {
    fn new() -> Self {
        let registry = Registry::start();
        registry.put_image("app", "1", &image());
        let scene = Self {
            env: TestEnv::new(),
            registry,
        };
        scene.settings(&json!({}));
        scene
    }

    fn settings(&self, changes: &serde_json::Value) {
        let mut settings = json!({"attempts": 2});
        let of = settings.as_object_mut().unwrap();
        of.extend(changes.as_object().unwrap().clone());
        registry_scene::settings(&self.env, &settings);
    }

    fn pull(&self, rest: &str) -> Run {
        self.env
            .msb(&format!("pull {}/{rest}", self.registry.host()))
    }

    fn fails(&self, on: On, fault: fault::Fault, hint: &str) {
        self.registry.fault(on, ALWAYS, fault);
        advises(self.pull("app:1"), hint);
        // What comes after the advice was followed: the registry is as it should be.
        self.registry.heal();
        self.pull("app:1").success();
        self.env.msb("image prune --yes").success();
    }
}

fn image() -> Image {
    Image::new("app:1", &["etc/\netc/hosts = here"])
}

fn a_platform_is_asked_for_as_advised() {
    let scene = Scene::new();
    let other = other_architecture();
    let mut image = image();
    image.config["architecture"] = json!(other);
    scene.registry.put_image("index", "inner", &image);
    let manifest = image.manifest();
    let digest = scene.registry.put_manifest("index", "inner", &manifest);
    let size = serde_json::to_vec(&manifest).unwrap().len();
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest,
            "size": size,
            "platform": {"os": "linux", "architecture": other},
        }],
    });
    scene.registry.put_manifest("index", "1", &index);
    advises(
        scene.pull("index:1"),
        &format!("pull the image for another platform with `--platform linux/{other}`"),
    );
    assert_ne!(other, architecture());
    scene
        .pull(&format!("index:1 --platform linux/{other}"))
        .success();
    let row = &scene.env.json("images --format json")[0];
    assert_eq!(row["architecture"], other);
}

fn a_name_is_looked_at_as_advised() {
    let scene = Scene::new();
    advises(scene.pull("app:2"), "check the name and the tag");
    scene.pull("app:1").success();
}

fn what_is_no_image_is_left_to_others_as_advised() {
    let scene = Scene::new();
    let mut artifact = image().manifest();
    artifact["artifactType"] = json!("application/vnd.example.chart");
    artifact["layers"][0]["mediaType"] = json!("application/vnd.example.chart");
    scene.registry.put_manifest("chart", "1", &artifact);
    advises(
        scene.pull("chart:1"),
        "msb keeps images whose layers are tars; artifacts, charts, signatures and build caches are \
         for the tools that made them",
    );
    scene.pull("app:1").success();
}

fn a_registry_is_waited_for_as_advised() {
    let scene = Scene::new();
    let later =
        "try again later: what was received is kept, and the same command continues from there";
    // What was received is kept, and the same command continues from there.
    let half = 2 << 20;
    let image = Image::new("", &[&format!("big = {}", "x".repeat(2 * half))]);
    scene.registry.put_image("large", "1", &image);
    let big = || On::Blob(sha256(&image.layers[0]));
    scene.registry.fault(big(), 1, fault::close_after(half));
    scene.registry.fault(big(), ALWAYS, fault::status(503));
    advises(scene.pull("large:1"), later);
    scene.registry.heal();
    scene.pull("large:1").success();
    let asked = scene.registry.asked(&big());
    let range = asked.last().unwrap().header("range").unwrap();
    let first = range
        .strip_prefix("bytes=")
        .and_then(|it| it.split('-').next());
    let first: usize = first.unwrap().parse().unwrap();
    assert!(first > 0 && first <= half, "{range}");
    scene.fails(On::Manifest, fault::status(503), later);
    scene.fails(On::Blobs, fault::close_after(0), later);
    scene.fails(
        On::Manifest,
        fault::unavailable("1000000"),
        "ask those who run the registry when it is back; what was received is kept, and the same \
         command continues from there",
    );
}

fn a_registry_that_limits_requests_is_logged_in_to_as_advised() {
    let scene = Scene::new();
    let host = scene.registry.host();
    let hint = format!(
        "try again later, or log in with `msb registry login {host}`, for whom the limit is often \
         higher"
    );
    scene.fails(On::Manifest, fault::too_many_requests("86400"), &hint);
    // Who is known to the token service has no limit here.
    let limited =
        std::sync::Arc::new(|request: &crate::faulty::http::Request, answer| {
            match request.header("authorization") {
                Some(_) => answer,
                None => {
                    Answer::error(429, "TOOMANYREQUESTS", "log in").with("Retry-After", "86400")
                }
            }
        });
    scene.registry.require_token(&scene.registry);
    scene.registry.fault(On::Token, ALWAYS, limited);
    advises(scene.pull("app:1"), &hint);
    let line = format!("registry login {host} -u me --password-stdin --store file --no-verify");
    scene.env.msb_with_input(&line, b"secret-pass").success();
    scene.pull("app:1").success();
}

fn a_request_that_is_not_wanted_is_taken_to_those_who_run_it_as_advised() {
    let scene = Scene::new();
    let hint = "the registry does not want this request; ask those who run it";
    scene.fails(On::Manifest, fault::status(400), hint);
}

fn what_changes_on_the_way_is_told_as_advised() {
    let scene = Scene::new();
    let hint = "the registry, or something on the way, changes what it hands out; tell who runs it";
    scene.fails(On::Blobs, fault::flipped_bit(), hint);
    scene.fails(On::Blobs, fault::resized(-1), hint);
    scene.fails(
        On::Manifest,
        fault::instead(Answer::new(200, Vec::new())),
        hint,
    );
    let hint = "is there a registry at this address, and nothing in between? otherwise tell those who \
                run it";
    scene.fails(On::Manifest, fault::redirect("ftp://a.example/"), hint);
}

fn a_network_is_logged_in_to_as_advised() {
    let scene = Scene::new();
    let hint = "open any web page in a browser and log in to the network or the proxy there, then run \
                the same command";
    scene.fails(On::Everything, fault::page("Hotel"), hint);
}

fn a_registry_of_plain_http_is_asked_as_advised() {
    let scene = Scene::new();
    let host = scene.registry.host();
    let (_, port) = host.split_once(':').unwrap();
    // This machine by an address that does not say so, which is asked by HTTPS.
    let name = format!("0.0.0.0:{port}/app:1");
    let pull = |flags: &str| scene.env.msb(&format!("pull {flags} {name}"));
    advises(
        pull(""),
        "if you trust the network between here and there, use `--insecure`",
    );
    pull("--insecure").success();
    advises(
        scene.env.msb("pull 127.0.0.1:1/app:1"),
        "check the name of the registry and the network; a registry that speaks plain HTTP needs \
         `--insecure`",
    );
}

fn a_slow_line_is_allowed_for_as_advised() {
    let scene = Scene::new();
    scene.settings(&json!({"give_up_after_secs": 1}));
    let drip = fault::drip(2, std::time::Duration::from_millis(20));
    scene.registry.fault(On::Manifest, ALWAYS, drip);
    advises(
        scene.pull("app:1"),
        "try again later: what was received is kept; for a line that is as slow as this, lower \
         `registries.least_bytes_per_sec` in config.json",
    );
    scene.settings(&json!({"give_up_after_secs": 1, "least_bytes_per_sec": 10}));
    scene.pull("app:1").success();
}

fn a_proxy_gets_its_password_as_advised() {
    let scene = Scene::new();
    let proxy = Registry::start();
    proxy.put_image("app", "1", &image());
    let wants =
        std::sync::Arc::new(|request: &crate::faulty::http::Request, answer| {
            match request.header("proxy-authorization") {
                Some("Basic bWU6c2VjcmV0LXBhc3M=") => answer,
                _ => Answer::error(407, "PROXY", "log in"),
            }
        });
    proxy.fault(On::Everything, ALWAYS, wants);
    let through = |url: &str| {
        let name = "registry.example/app:1";
        let mut command = scene.env.command(["pull", "--insecure", name]);
        let run = Run::of(command.env("HTTP_PROXY", url));
        assert!(!run.stderr.contains("secret-pass"), "{run:#?}");
        run
    };
    let host = proxy.host();
    advises(
        through(&format!("http://{host}")),
        "the proxy wants a name and a password: write them into its variable, as \
         http://NAME:PASSWORD@HOST:PORT",
    );
    through(&format!("http://me:secret-pass@{host}")).success();
}
