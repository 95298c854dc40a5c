//! Logins that a provider of another author keeps, as equals of those in the keychain.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::archive::Image;
use crate::env::{Run, TestEnv};
use crate::faulty::Registry;
use crate::plugins::component;
use crate::tests;

tests! {
    a_provider_of_another_author_keeps_a_login;
    a_provider_that_is_named_for_a_registry_is_asked_alone;
    a_login_that_a_provider_cannot_keep_changes_nothing;
    a_login_is_stored_elsewhere_as_advised;
}

/// `me` and `secret-pass`, as registries get it.
const ACCEPTED: &str = "bWU6c2VjcmV0LXBhc3M=";

/// A credential helper that keeps one login in a file.
const HELPER: &str = r#"#!/bin/sh
file=@FILE@
case $1 in
    get) cat "$file" 2>/dev/null || { echo "credentials not found in native keychain"; exit 1; };;
    store) [ ! -e "$file.full" ] || { echo "the box is full"; exit 1; }; cat > "$file";;
    erase) rm -f "$file";;
    list) echo '{}';;
esac
"#;

/// A registry that knows `me` alone, and a home with a plugin `box` that keeps logins.
struct Scene {
    env: TestEnv,
    registry: Registry,
}

impl Scene {
    fn new() -> Self {
        let registry = Registry::start();
        registry.put_image("app", "1", &Image::new("", &["etc/\netc/hosts = here"]));
        registry.challenge(&[r#"Basic realm="x""#], None);
        registry.accept_password(ACCEPTED);
        let scene = Self {
            env: TestEnv::new(),
            registry,
        };
        let script = HELPER.replace("@FILE@", scene.kept().to_str().unwrap());
        let helper = scene.env.write("docker-credential-box", script.as_bytes());
        std::fs::set_permissions(helper, PermissionsExt::from_mode(0o755)).unwrap();
        let source = component("credential-helper");
        let install = format!(
            "plugin install {} --name box --grant helper=box -q",
            source.display()
        );
        scene.msb(&install, "").success();
        scene.settings(&json!({}));
        scene
    }

    /// The file of the helper.
    fn kept(&self) -> PathBuf {
        self.env.path("box.json")
    }

    fn settings(&self, auth: &Value) {
        let settings = json!({
            "plugins": {"settings": {"box": {"helper": "box"}}},
            "registries": {"auth": auth}
        });
        let file = self.env.home().join("config.json");
        std::fs::write(file, settings.to_string()).unwrap();
    }

    /// Returns the entry of the registry.
    fn entry(&self) -> Value {
        let text = std::fs::read(self.env.home().join("config.json")).unwrap();
        let settings: Value = serde_json::from_slice(&text).unwrap();
        settings["registries"]["auth"][self.registry.host()].clone()
    }

    fn msb(&self, line: &str, input: &str) -> Run {
        let path = std::env::var("PATH").unwrap();
        let mut command = self.env.command(line.split(' '));
        command.env("PATH", format!("{}:{path}", self.env.path("").display()));
        let run = Run::with_input(&mut command, input.as_bytes());
        assert!(!format!("{run:?}").contains("secret-pass"), "{run:#?}");
        run
    }

    fn login(&self, store: &str) -> Run {
        let host = self.registry.host();
        let line = format!("registry login {host} -u me --password-stdin --store {store}");
        self.msb(&line, "secret-pass")
    }

    fn pull(&self) -> Run {
        let line = format!("pull --force {}/app:1", self.registry.host());
        self.msb(&line, "")
    }

    /// Returns whether the password is in a file of the home of msb.
    fn has_password(&self) -> bool {
        let files = walkdir::WalkDir::new(self.env.home()).into_iter().flatten();
        files
            .filter(|file| file.file_type().is_file())
            .filter_map(|file| std::fs::read(file.path()).ok())
            .any(|bytes| bytes.windows(11).any(|window| window == b"secret-pass"))
    }
}

fn a_provider_of_another_author_keeps_a_login() {
    let scene = Scene::new();
    let host = scene.registry.host();
    scene.login("env").failure(&[
        "the provider `env` does not store credentials",
        "hint: name one that does with --store: ",
        "box",
    ]);
    let run = scene.login("nobody");
    run.failure(&["there is no credential provider `nobody`", "with --store: "]);
    scene.login("box").success();
    assert_eq!(scene.entry(), json!({"username": "me", "provider": "box"}));
    assert!(scene.kept().exists() && !scene.has_password());
    scene.pull().success();
    let rows = scene.msb("registry ls --format json", "").success().stdout;
    let rows: Value = serde_json::from_str(&rows).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 1, "{rows}");
    assert_eq!(rows[0]["registry"], host);
    assert_eq!(rows[0]["source"], "provider");
    assert_eq!(rows[0]["place"], "box");
    assert_eq!(rows[0]["provider"], "box");
    assert_eq!(rows[0]["username"], "me");
    scene.msb(&format!("registry logout {host}"), "").success();
    assert_eq!(scene.entry(), Value::Null);
    assert!(!scene.kept().exists());
    scene.pull().failure(&["not found, or no access"]);
}

fn a_provider_that_is_named_for_a_registry_is_asked_alone() {
    let scene = Scene::new();
    let host = scene.registry.host();
    // Docker's file has another password, which would not do.
    let file = json!({"auths": {&host: {"auth": "eW91Ondyb25n"}}});
    scene.env.write_docker_config(file);
    scene.login("box").success();
    scene.settings(&json!({&host: {"provider": "box"}}));
    scene.pull().success();
    let explained = scene.msb(&format!("plugin explain-auth {host}"), "");
    let explained = explained.success().stdout;
    let others = explained
        .matches("the settings name another provider")
        .count();
    assert!(others >= 3, "{explained}");
    // What is named and has nothing ends the search: no other password goes there.
    std::fs::remove_file(scene.kept()).unwrap();
    let before = scene.registry.requests().len();
    scene
        .pull()
        .failure(&["no credentials for", "from `box`", "registries.auth"]);
    for request in scene.registry.requests().split_off(before) {
        assert_eq!(request.header("authorization"), None, "{request}");
    }
    scene.msb("plugin disable box", "").success();
    scene
        .pull()
        .failure(&["no installed provider handles `registries.auth"]);
    scene.settings(&json!({&host: {"provider": "a/b"}}));
    scene
        .pull()
        .failure(&["`provider` is not the name of a plugin"]);
}

fn a_login_that_a_provider_cannot_keep_changes_nothing() {
    let scene = Scene::new();
    scene.login("box").success();
    let kept = std::fs::read(scene.kept()).unwrap();
    std::fs::write(scene.env.path("box.json.full"), "").unwrap();
    scene.settings(&json!({}));
    let settings = std::fs::read(scene.env.home().join("config.json")).unwrap();
    scene.login("box").failure(&["the box is full"]);
    let after = std::fs::read(scene.env.home().join("config.json")).unwrap();
    assert_eq!(settings, after);
    assert_eq!(std::fs::read(scene.kept()).unwrap(), kept);
    assert!(!scene.has_password());
}

fn a_login_is_stored_elsewhere_as_advised() {
    let scene = Scene::new();
    scene.msb("plugin disable keychain", "").success();
    let run = scene.login("keyring").failure(&[
        "no enabled provider stores credentials in the keyring",
        "hint: name one that does with --store: box",
    ]);
    assert_eq!(scene.entry(), Value::Null, "{run:#?}");
    scene.login("box").success();
    scene.pull().success();
}
