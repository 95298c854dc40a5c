//! Where a password goes over plain HTTP: only to the hosts that the user has named. The hosts of these
//! tests are known to a proxy alone, which sees every request.

use std::process::Command;

use serde_json::json;

use crate::archive::Image;
use crate::env::{Run, TestEnv};
use crate::faulty::route::On;
use crate::faulty::{ALWAYS, Registry, fault};
use crate::http_proxy::Proxy;
use crate::registry_scene::{checked, settings};
use crate::tests;

tests! {
    a_registry_on_this_machine_sends_no_password_in_clear_elsewhere;
    a_registry_of_plain_http_sends_no_password_in_clear_elsewhere;
    a_token_server_of_plain_http_that_the_user_has_named_is_asked;
    a_token_server_of_plain_http_is_asked_where_nothing_is_secret;
    insecure_is_not_for_docker_hub_on_the_same_command_line;
    a_registry_outside_does_not_lead_to_this_machine;
    a_registry_does_not_lead_to_the_secrets_of_a_cloud;
    a_name_for_this_machine_is_no_way_around;
}

const HOST: &str = "registry.test:5000";
const OTHER: &str = "evil.test:5661";
/// What Docker keeps for the user `user` and the password `secret-pass`.
const PASSWORD: &str = "dXNlcjpzZWNyZXQtcGFzcw==";

struct Scene {
    env: TestEnv,
    registry: Registry,
    /// A server that the user has not named.
    other: Registry,
    proxy: Proxy,
}

impl Scene {
    /// A registry with the image `app:1`, and a password that the user has for it.
    fn new() -> Self {
        let (registry, other) = (Registry::start(), Registry::start());
        let image = Image::new("", &["etc/\netc/hosts = here"]);
        registry.put_image("app", "1", &image);
        let proxy = Proxy::start(&[(HOST, &registry.host()), (OTHER, &other.host())]);
        let scene = Self {
            env: TestEnv::new(),
            registry,
            other,
            proxy,
        };
        settings(&scene.env, &json!({"attempts": 1}));
        scene
    }

    fn password(&self) {
        let hosts = [HOST, &self.registry.host(), "https://index.docker.io/v1/"];
        let entry = json!({"auth": PASSWORD});
        let auths: serde_json::Map<_, _> = hosts
            .iter()
            .map(|host| ((*host).to_owned(), entry.clone()))
            .collect();
        self.env.write_docker_config(json!({"auths": auths}));
    }

    /// Lets the registry send its clients to a token server.
    fn realm(&self, realm: &str) {
        let challenge = format!(r#"Bearer realm="{realm}",service="tests""#);
        self.registry.challenge(&[&challenge], Some(&self.other));
    }

    fn pull(&self, line: &str) -> Run {
        let mut command: Command = self.env.command(line.split_whitespace());
        for variable in ["HTTP_PROXY", "HTTPS_PROXY"] {
            command.env(variable, self.proxy.url());
        }
        checked(Run::of(&mut command))
    }

    fn named(host: &str) -> String {
        format!("pull {host}/app:1")
    }
}

const REALM: &str = "http://evil.test:5661/token";

#[track_caller]
fn refused(scene: &Scene, line: &str) {
    scene.pull(line).failure(&[
        REALM,
        "credentials would go over plain HTTP",
        "hint: ",
        r#""evil.test:5661": {"insecure": true}"#,
    ]);
    assert!(scene.other.requests().is_empty(), "{}", scene.other.log());
}

fn a_registry_on_this_machine_sends_no_password_in_clear_elsewhere() {
    let scene = Scene::new();
    scene.password();
    scene.realm(REALM);
    refused(&scene, &Scene::named(&scene.registry.host()));
}

fn a_registry_of_plain_http_sends_no_password_in_clear_elsewhere() {
    let scene = Scene::new();
    scene.password();
    scene.realm(REALM);
    let line = format!("pull --insecure {HOST}/app:1");
    refused(&scene, &line);
    settings(&scene.env, &json!({"hosts": {HOST: {"insecure": true}}}));
    refused(&scene, &Scene::named(HOST));
    // Nor does a token server that is allowed pass it on.
    scene.realm("http://registry.test:5000/token");
    let away = fault::redirect(REALM);
    scene.registry.fault(On::Token, ALWAYS, away);
    scene.pull(&line).failure(&["evil.test"]);
    assert!(scene.other.requests().is_empty(), "{}", scene.other.log());
}

fn a_token_server_of_plain_http_that_the_user_has_named_is_asked() {
    let scene = Scene::new();
    scene.password();
    scene.realm(REALM);
    let advised = "hint: let the registry name a token service of HTTPS; if you trust the network";
    scene
        .pull(&format!("pull --insecure {HOST}/app:1"))
        .failure(&[advised]);
    assert!(scene.other.requests().is_empty());
    // As the hint says.
    let hosts = json!({HOST: {"insecure": true}, OTHER: {"insecure": true}});
    settings(&scene.env, &json!({"hosts": hosts}));
    scene.pull(&Scene::named(HOST)).success();
    let asked = scene.other.asked(&On::Token);
    let sent = asked[0].header("authorization").unwrap();
    assert_eq!(sent, format!("Basic {PASSWORD}"));
}

fn a_token_server_of_plain_http_is_asked_where_nothing_is_secret() {
    let scene = Scene::new();
    scene.realm(REALM);
    scene
        .pull(&format!("pull --insecure {HOST}/app:1"))
        .success();
    let asked = scene.other.asked(&On::Token);
    assert_eq!(asked[0].header("authorization"), None);
}

fn insecure_is_not_for_docker_hub_on_the_same_command_line() {
    let scene = Scene::new();
    scene.password();
    scene
        .pull(&format!("pull --insecure {HOST}/app:1 alpine"))
        .failure(&["1 of 2 images"]);
    let asked = scene.proxy.asked();
    assert!(
        asked
            .iter()
            .any(|line| line.starts_with("CONNECT registry-1.docker.io:443"))
    );
    assert!(
        !asked
            .iter()
            .any(|line| line.contains("http://registry-1.docker.io"))
    );
}

/// Where nobody is sent by a registry that is not there itself.
fn not_led_to(location: &str, host: impl Fn(&Scene) -> String, seen: impl Fn(&Scene) -> bool) {
    let insecure = json!({"attempts": 1, "hosts": {HOST: {"insecure": true}}});
    for on in [On::Manifest, On::Blobs] {
        let scene = Scene::new();
        settings(&scene.env, &insecure);
        let location = location.replace("{other}", &scene.other.host());
        scene.registry.fault(on, ALWAYS, fault::redirect(&location));
        let run = scene.pull(&Scene::named(&host(&scene)));
        run.failure(&["redirects the request for", "`, but it is an address"]);
        assert!(!seen(&scene), "{location}");
    }
    // Tokens are asked for by the same rule.
    let scene = Scene::new();
    settings(&scene.env, &insecure);
    scene.realm(&location.replace("{other}", &scene.other.host()));
    let run = scene.pull(&Scene::named(&host(&scene)));
    run.failure(&["which is not asked"]);
    assert!(!seen(&scene), "{location}");
}

fn a_registry_outside_does_not_lead_to_this_machine() {
    let seen = |scene: &Scene| !scene.other.requests().is_empty();
    let outside = |_: &Scene| HOST.to_owned();
    not_led_to("http://{other}/foreign/x", outside, seen);
    not_led_to("https://{other}/foreign/x", outside, seen);
}

fn a_registry_does_not_lead_to_the_secrets_of_a_cloud() {
    for address in [
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
        "0xa9fea9fe",
        "10.1.2.3",
    ] {
        let location = format!("http://{address}/latest/meta-data");
        let seen = |scene: &Scene| {
            let asked = scene.proxy.asked();
            asked.iter().any(|line| line.contains("/latest/"))
        };
        not_led_to(&location, |_| HOST.to_owned(), seen);
        not_led_to(&location, |scene| scene.registry.host(), seen);
    }
}

fn a_name_for_this_machine_is_no_way_around() {
    for name in ["LOCALHOST", "a.localhost."] {
        let seen = |scene: &Scene| !scene.other.requests().is_empty();
        not_led_to(
            &format!("http://{name}:1/foreign/x"),
            |_| HOST.to_owned(),
            seen,
        );
    }
}
