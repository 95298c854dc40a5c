//! Answers of a provider that outlive a run: a helper that takes long is not asked by each command, and is
//! asked again as soon as anything is different.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::archive::Image;
use crate::env::{Run, TestEnv};
use crate::faulty::Registry;
use crate::plugins::{component, other_bytes};
use crate::tests;

tests! {
    an_answer_that_may_be_kept_is_asked_for_once;
    an_answer_is_kept_only_where_provider_and_user_want_it;
    an_answer_that_the_registry_refuses_is_asked_for_again;
    other_settings_grants_and_bytes_are_asked_again;
    a_login_and_a_logout_forget_what_was_kept;
}

/// A credential helper that takes its time, and writes down that it was asked.
const HELPER: &str = r#"#!/bin/sh
case $1 in
    get) echo get >> "@DIR@/calls"; sleep 0.3
         [ -e "@DIR@/password" ] || { echo "credentials not found in native keychain"; exit 1; }
         printf '{"ServerURL": "x", "Username": "me", "Secret": "%s"}' "$(cat "@DIR@/password")";;
    store) cat > /dev/null; echo secret-pass-1 > "@DIR@/password";;
    erase) rm -f "@DIR@/password";;
    list) echo '{}';;
esac
"#;

struct Scene {
    env: TestEnv,
    registry: Registry,
    plugin: PathBuf,
}

impl Scene {
    fn new(grants: &[&str]) -> Self {
        let registry = Registry::start();
        registry.put_image("app", "1", &Image::new("", &["etc/\netc/hosts = here"]));
        let env = TestEnv::new();
        let script = HELPER.replace("@DIR@", env.path("").to_str().unwrap());
        let helper = env.write("docker-credential-box", script.as_bytes());
        std::fs::set_permissions(helper, PermissionsExt::from_mode(0o755)).unwrap();
        let bytes = std::fs::read(component("credential-helper")).unwrap();
        let plugin = env.write("box.wasm", &bytes);
        let scene = Self {
            env,
            registry,
            plugin,
        };
        scene.knows("secret-pass-1");
        scene.configure(600);
        let mut install = format!("plugin install {} -q", scene.plugin.display());
        for grant in grants {
            install = format!("{install} --grant {grant}");
        }
        scene.msb(&install).success();
        scene
    }

    /// Has helper and registry know a password.
    fn knows(&self, password: &str) {
        self.registry.challenge(&[r#"Basic realm="x""#], None);
        self.registry
            .accept_password(&STANDARD.encode(format!("me:{password}")));
        self.env.write("password", password.as_bytes());
    }

    fn configure(&self, keep_secs: u64) {
        let settings =
            json!({"plugins": {"settings": {"box": {"helper": "box", "keep_secs": keep_secs}}}});
        self.env.write_settings(settings);
    }

    fn msb(&self, line: &str) -> Run {
        self.msb_with(line, "")
    }

    fn msb_with(&self, line: &str, input: &str) -> Run {
        let path = std::env::var("PATH").unwrap();
        let mut command = self.env.command(line.split(' '));
        command.env("PATH", format!("{}:{path}", self.env.path("").display()));
        let run = Run::with_input(&mut command, input.as_bytes());
        assert!(!format!("{run:?}").contains("secret-pass"), "{run:#?}");
        run
    }

    fn pull(&self) -> Run {
        self.msb(&format!("pull --force {}/app:1", self.registry.host()))
    }

    /// Returns how often the helper was asked.
    fn asked(&self) -> usize {
        let calls = std::fs::read_to_string(self.env.path("calls"));
        calls.unwrap_or_default().lines().count()
    }

    fn kept(&self) -> PathBuf {
        self.env.home().join("cache/plugins/box.answers")
    }
}

const ALL: [&str; 3] = ["helper=box", "clock", "state"];

fn an_answer_that_may_be_kept_is_asked_for_once() {
    let scene = Scene::new(&ALL);
    for _ in 0..3 {
        scene.pull().success();
    }
    scene.msb("registry ls").success();
    assert_eq!(scene.asked(), 1);
    let kept = scene.kept();
    assert_eq!(kept.metadata().unwrap().mode() & 0o777, 0o600);
    for file in walkdir::WalkDir::new(scene.env.home())
        .into_iter()
        .flatten()
    {
        let bytes = std::fs::read(file.path()).unwrap_or_default();
        let is_in = bytes.windows(11).any(|it| it == b"secret-pass");
        assert!(!is_in, "{}", file.path().display());
    }
    // One that was damaged, or made elsewhere, is no answer.
    std::fs::write(&kept, b"not what was sealed").unwrap();
    scene.pull().success();
    assert_eq!(scene.asked(), 2);
    scene.pull().success();
    assert_eq!(scene.asked(), 2);
    scene.msb("plugin rm box").success();
    assert!(!kept.exists());
}

fn an_answer_is_kept_only_where_provider_and_user_want_it() {
    let scene = Scene::new(&ALL[..2]);
    scene.pull().success();
    scene.pull().success();
    assert_eq!(scene.asked(), 2);
    assert!(!scene.kept().exists());
    scene.msb("plugin grant box state").success();
    scene.pull().success();
    scene.pull().success();
    assert_eq!(scene.asked(), 3);
    scene.msb("plugin revoke box state").success();
    scene.pull().success();
    assert_eq!(scene.asked(), 4);
    // The plugin keeps nothing without the user's word either.
    scene.msb("plugin grant box state").success();
    scene.configure(0);
    scene.pull().success();
    scene.pull().success();
    assert_eq!(scene.asked(), 6);
}

fn an_answer_that_the_registry_refuses_is_asked_for_again() {
    let scene = Scene::new(&ALL);
    scene.pull().success();
    scene.knows("secret-pass-2");
    scene.pull().success();
    assert_eq!(scene.asked(), 2);
    scene.pull().success();
    assert_eq!(scene.asked(), 2);
    // Where the helper has nothing better, nothing is kept of it.
    scene.registry.challenge(&[r#"Basic realm="x""#], None);
    scene
        .registry
        .accept_password(&STANDARD.encode("me:another"));
    scene.pull().failure(&[]);
    let before = scene.asked();
    scene.pull().failure(&[]);
    assert!(scene.asked() > before);
}

fn other_settings_grants_and_bytes_are_asked_again() {
    let scene = Scene::new(&ALL);
    scene.pull().success();
    scene.configure(601);
    scene.pull().success();
    assert_eq!(scene.asked(), 2);
    scene.msb("plugin grant box helper=other").success();
    scene.pull().success();
    assert_eq!(scene.asked(), 3);
    // What the registry's own entry says counts as well.
    let host = scene.registry.host();
    let auth = format!(r#""registries": {{"auth": {{"{host}": {{"provider": "box"}}}}}}"#);
    let config = scene.env.home().join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{{{auth}, {}", &text[1..])).unwrap();
    scene.pull().success();
    assert_eq!(scene.asked(), 4);
    let bytes = std::fs::read(&scene.plugin).unwrap();
    std::fs::write(&scene.plugin, other_bytes(&bytes)).unwrap();
    scene.msb("plugin update box").success();
    scene.pull().success();
    assert_eq!(scene.asked(), 5);
    scene.pull().success();
    assert_eq!(scene.asked(), 5);
}

fn a_login_and_a_logout_forget_what_was_kept() {
    let scene = Scene::new(&ALL);
    let host = scene.registry.host();
    scene.pull().success();
    scene.pull().success();
    let before = scene.asked();
    scene
        .msb_with(
            &format!("registry login {host} -u me --password-stdin --store box"),
            "secret-pass-1",
        )
        .success();
    scene.pull().success();
    assert!(scene.asked() > before);
    scene.msb(&format!("registry logout {host}")).success();
    // The helper has nothing any more, and nothing else has it.
    scene.registry.challenge(&[r#"Basic realm="x""#], None);
    scene.pull().failure(&[]);
}
