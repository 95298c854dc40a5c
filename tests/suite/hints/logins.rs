//! Hints about credentials: where they are missing, wrong, or cannot be kept.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::advises;
use crate::archive::Image;
use crate::env::{Run, TestEnv};
use crate::faulty::route::On;
use crate::faulty::{ALWAYS, Registry, fault};
use crate::tests;

tests! {
    a_private_image_is_logged_in_for_as_advised;
    an_entry_of_the_settings_is_written_as_advised;
    a_variable_is_set_as_advised;
    a_file_with_a_password_is_written_as_advised;
    a_provider_is_enabled_as_advised;
    a_login_is_written_as_advised;
    a_login_goes_another_way_as_advised;
    a_login_that_cannot_be_tried_is_tried_later_as_advised;
    a_login_that_is_refused_is_tried_again_as_advised;
    a_login_that_does_not_work_any_more_is_made_again_as_advised;
}

/// A registry that knows `me` by `secret-pass` alone, and a home.
struct Guarded {
    env: TestEnv,
    registry: Registry,
}

impl Guarded {
    fn new() -> Self {
        let registry = Registry::start();
        registry.put_image("app", "1", &Image::new("", &["etc/\netc/hosts = here"]));
        registry.challenge(&[r#"Basic realm="x""#], None);
        registry.accept_password("bWU6c2VjcmV0LXBhc3M=");
        Self {
            env: TestEnv::new(),
            registry,
        }
    }

    fn host(&self) -> String {
        self.registry.host()
    }

    fn pull(&self, variables: &[(&str, &str)]) -> Run {
        let name = format!("{}/app:1", self.host());
        let mut command = self.env.command(["pull", "--force", &name]);
        let run = Run::of(command.envs(variables.iter().copied()));
        assert!(!run.stderr.contains("secret-pass"), "{run:#?}");
        run
    }

    /// Sets the entry of the registry.
    fn entry(&self, entry: &Value) {
        let settings = json!({"registries": {"auth": {self.host(): entry}}});
        self.env.write_settings(settings);
    }

    fn login(&self, arguments: &str, password: &str) -> Run {
        let line = format!("registry login {arguments}");
        self.env.msb_with_input(&line, password.as_bytes())
    }

    fn secret(&self, name: &str, bytes: &[u8], mode: u32) {
        let folder = self.env.home().join("secrets/registries");
        std::fs::create_dir_all(&folder).unwrap();
        for folder in [&folder, folder.parent().unwrap()] {
            std::fs::set_permissions(folder, PermissionsExt::from_mode(0o700)).unwrap();
        }
        std::fs::write(folder.join(name), bytes).unwrap();
        std::fs::set_permissions(folder.join(name), PermissionsExt::from_mode(mode)).unwrap();
    }
}

fn a_private_image_is_logged_in_for_as_advised() {
    let guarded = Guarded::new();
    let host = guarded.host();
    let advised =
        format!("check the name; if the image is private, log in with `msb registry login {host}`");
    advises(guarded.pull(&[]), &advised);
    let line = format!("{host} -u me --password-stdin --store file");
    guarded.login(&line, "secret-pass").success();
    guarded.pull(&[]).success();
}

fn an_entry_of_the_settings_is_written_as_advised() {
    let guarded = Guarded::new();
    guarded.entry(&json!({"username": "me"}));
    advises(
        guarded.pull(&[]),
        "an entry has a `username` and one of `\"store\": \"keyring\"`, `password_env`, \
         `secret_name` and `provider`",
    );
    guarded.entry(&json!({"username": "me", "password_env": "TOKEN"}));
    guarded.pull(&[("TOKEN", "secret-pass")]).success();
    // It is one of a registry, and of no other one.
    let text = json!({"registries": {"auth": {
        guarded.host(): {"username": "me", "password_env": "TOKEN"},
        "other.example/x": {"username": "me", "password_env": "TOKEN"},
    }}});
    guarded.env.write_settings(text);
    guarded.pull(&[("TOKEN", "secret-pass")]).success();
    let hint = "the key has to be a host alone, like ghcr.io or registry.local:5000";
    let text = json!({"registries": {"auth": {
        format!("{}/x", guarded.host()): {"username": "me", "password_env": "TOKEN"},
    }}});
    guarded.env.write_settings(text);
    advises(guarded.pull(&[("TOKEN", "secret-pass")]), hint);
    let text = json!({"registries": {"hosts": {"other.example/x": {}}}});
    guarded.env.write_settings(text);
    advises(guarded.pull(&[]), hint);
    // Of what stands there in place of an entry nothing is shown.
    let text = json!({"registries": {"auth": {guarded.host(): "me:secret-pass"}}});
    guarded.env.write_settings(text);
    guarded.pull(&[]).failure(&["expected an object"]);
}

fn a_variable_is_set_as_advised() {
    let guarded = Guarded::new();
    guarded.entry(&json!({"username": "me", "password_env": "TOKEN"}));
    advises(guarded.pull(&[]), "set TOKEN to the password of me");
    guarded.pull(&[("TOKEN", "secret-pass")]).success();
    let refused = guarded.pull(&[("TOKEN", "wrong")]);
    advises(
        refused,
        &format!(
            "update the variable, or log in again with `msb registry login {}`",
            guarded.host()
        ),
    );
}

fn a_file_with_a_password_is_written_as_advised() {
    let guarded = Guarded::new();
    guarded.entry(&json!({"username": "me", "secret_name": "token"}));
    let hint = "write the password of me to it, with mode 0600";
    advises(guarded.pull(&[]), hint);
    guarded.secret("token", b"secret-pass\n", 0o644);
    let run = guarded.pull(&[]).failure(&["hint: chmod 600 "]);
    assert!(run.stderr.contains("can be read by others"), "{run:#?}");
    guarded.secret("token", b"secret-pass\n", 0o600);
    guarded.pull(&[]).success();
    guarded.secret("token", b"wrong", 0o600);
    let hint = format!(
        "update the file, or log in again with `msb registry login {}`",
        guarded.host()
    );
    advises(guarded.pull(&[]), &hint);
}

fn a_provider_is_enabled_as_advised() {
    let guarded = Guarded::new();
    guarded.entry(&json!({"username": "me", "password_env": "TOKEN"}));
    guarded.env.msb("plugin disable env").success();
    let pull = || guarded.pull(&[("TOKEN", "secret-pass")]);
    advises(
        pull(),
        "the provider is disabled: `msb plugin ls` names it, and `msb plugin enable NAME` enables it; \
         or take the entry out",
    );
    guarded.env.msb("plugin enable env").success();
    pull().success();
    guarded.entry(&json!({"provider": "vault"}));
    advises(
        pull(),
        "install a plugin that is the provider `vault`, or enable it if `msb plugin ls` has it as \
         disabled; or take the entry out",
    );
}

fn a_login_is_written_as_advised() {
    let guarded = Guarded::new();
    let host = guarded.host();
    let rest = "--password-stdin --store file --no-verify";
    let with_path = guarded.login(&format!("{host}/app -u me {rest}"), "x");
    advises(
        with_path,
        &format!("log in with `msb registry login {host}`"),
    );
    let none = guarded.login(&format!("a:b:c -u me {rest}"), "x");
    advises(none, "write it like ghcr.io or registry.local:5000");
    let with_name = guarded.login(&format!("ann@{host} {rest}"), "x");
    advises(
        with_name,
        "leave out what is before the `@`: a user name is given with `--username NAME`",
    );
    let nobody = guarded.login(&format!("{host} {rest}"), "x");
    advises(nobody, "give one with `--username NAME`");
    let no_terminal = guarded.login(&format!("{host} -u me"), "x");
    let hint = "give the password on standard input with `--password-stdin`";
    advises(no_terminal, hint);
    guarded
        .login(&format!("{host} -u me {rest}"), "x")
        .success();
    guarded
        .login(&format!("registry.local:5000 -u me {rest}"), "x")
        .success();
    let explained = guarded.env.msb("plugin explain-auth a:b:c");
    advises(explained, "write it like ghcr.io or host:5000");
    for text in ["ghcr.io", "host:5000"] {
        let line = format!("plugin explain-auth {text}");
        guarded.env.msb(&line).success();
    }
    // What was typed in place of a registry may have a password in it.
    for text in [
        "https://me:secret-pass@h.example",
        "me:secret-pass@h.example",
        "me:secret-pass@share.example:5000",
        "me:secret-pass@shadow.example:5000/x",
        "me:secret-pass@shaw.example:5000",
        "me:secret-pass@md5.example:5000",
        "me:12/secret-pass@h.example",
        "me:pa/secret-pass@h.example",
        "https://me:12/secret-pass@h.example",
        "secret-pass@h.example",
    ] {
        for run in [
            guarded.login(&format!("{text} -u me {rest}"), "x"),
            guarded.env.msb(&format!("registry logout {text}")),
            guarded.env.msb(&format!("plugin explain-auth {text}")),
        ] {
            let run = run.failure(&["is not a registry"]);
            let lines = format!("{}{}", run.stdout, run.stderr);
            assert!(!lines.contains("secret-pass"), "{run:#?}");
            assert!(!lines.contains("me:"), "{run:#?}");
        }
    }
}

fn a_login_goes_another_way_as_advised() {
    let guarded = Guarded::new();
    let host = guarded.host();
    // There is no bus in the environment, and so no store.
    let run = guarded.login(&format!("{host} -u me --password-stdin"), "secret-pass");
    let run = run.failure(&["no secure store", "hint: let a variable have the password"]);
    let entries: Vec<Value> = run
        .stderr
        .lines()
        .filter_map(|line| {
            let json = &line[line.find("{\"registries\"")?..];
            let mut values = serde_json::Deserializer::from_str(json).into_iter();
            values.next()?.ok()
        })
        .collect();
    assert_eq!(entries.len(), 2, "{run:#?}");
    let file = "or a file below secrets/registries in the home of msb: ";
    assert!(run.stderr.contains(file), "{run:#?}");
    let text = |entry: &Value| {
        let text = entry.to_string().replace("NAME", "me");
        text.replace("VARIABLE", "TOKEN")
            .replace("\"FILE\"", "\"token\"")
    };
    std::fs::create_dir_all(guarded.env.home()).unwrap();
    let settings = guarded.env.home().join("config.json");
    std::fs::write(&settings, text(&entries[0])).unwrap();
    guarded.pull(&[("TOKEN", "secret-pass")]).success();
    std::fs::write(&settings, text(&entries[1])).unwrap();
    guarded.secret("token", b"secret-pass", 0o600);
    guarded.pull(&[]).success();
    std::fs::remove_file(&settings).unwrap();
    assert!(run.stderr.contains("`--store file`"), "{run:#?}");
    let line = format!("{host} -u me --password-stdin --store file");
    guarded.login(&line, "secret-pass").success();
    guarded.pull(&[]).success();
}

fn a_login_that_cannot_be_tried_is_tried_later_as_advised() {
    let guarded = Guarded::new();
    let host = guarded.host();
    let login = |rest: &str| {
        let line = format!("{host} -u me --password-stdin --store file {rest}");
        guarded.login(&line, "secret-pass")
    };
    let hint = "nothing was stored: try again later, or store the credentials untried with \
                `--no-verify`";
    guarded.registry.require_token(&guarded.registry);
    for (on, status) in [(On::Token, 500), (On::Token, 503), (On::Everything, 429)] {
        guarded.registry.fault(on, ALWAYS, fault::status(status));
        let run = login("");
        assert!(!run.stderr.contains("log in with"), "{run:#?}");
        advises(run, hint);
        guarded.registry.heal();
    }
    login("--no-verify").success();
}

fn a_login_that_is_refused_is_tried_again_as_advised() {
    let guarded = Guarded::new();
    let host = guarded.host();
    let line = |host: &str| format!("{host} -u me --password-stdin --store file");
    advises(
        guarded.login(&line(&host), "wrong"),
        "nothing was stored: check user name and password; many registries want an access token as \
         the password",
    );
    guarded.login(&line(&host), "secret-pass").success();
    let gone = "127.0.0.1:1";
    advises(
        guarded.login(&line(gone), "secret-pass"),
        "check the name of the registry; `--no-verify` stores the credentials without trying them",
    );
    guarded
        .login(&format!("{} --no-verify", line(gone)), "secret-pass")
        .success();
}

fn a_login_that_does_not_work_any_more_is_made_again_as_advised() {
    let guarded = Guarded::new();
    let host = guarded.host();
    let auths = json!({"auths": {&host: {"username": "me", "password": "old"}}});
    guarded.env.write_docker_config(auths);
    let run = guarded.pull(&[]).failure(&["hint: "]);
    let advised = format!("log in again with `msb registry login {host}`");
    assert!(run.stderr.contains(&advised), "{run:#?}");
    let line = format!("{host} -u me --password-stdin --store file");
    guarded.login(&line, "secret-pass").success();
    guarded.pull(&[]).success();
}
