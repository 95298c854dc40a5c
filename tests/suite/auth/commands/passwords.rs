//! Where `msb registry login` takes a password from.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{msb, scene};
use crate::env::{Run, TestEnv};
use crate::faulty::Registry;
use crate::tests;
use crate::tools::run;

tests! {
    a_password_on_stdin_is_taken_whole;
    a_password_of_several_lines_is_taken_from_everywhere;
    a_user_name_with_a_colon_is_refused_from_everywhere;
    without_a_terminal_a_password_has_to_be_piped;
    a_password_that_is_typed_is_not_shown needs Tmux;
}

fn a_password_on_stdin_is_taken_whole() {
    let (env, registry) = scene();
    let line = format!(
        "registry login {} -u me --password-stdin --store file",
        registry.host()
    );
    for (input, words) in [
        (&b""[..], "the password is empty"),
        (b"\r\n", "the password is empty"),
        (b"secret-\xff\n", "the password is not UTF-8 text"),
    ] {
        msb(&env, &line, input).failure(&[words]);
    }
    assert!(!env.home().join("config.json").exists());
    let long = vec![b'x'; 2 << 20];
    msb(&env, &line, &long).failure(&["the password is longer than 256 KiB"]);
    assert!(!env.home().join("config.json").exists());
    msb(&env, &line, b"secret-pass\r\n").success();
}

/// The key of a service account, as its maker writes it.
const KEY: &str = "{\n  \"type\": \"service_account\",\n  \"private_key\": \"secret-\\n\"\n}";

/// A registry that knows `_json_key` by [`KEY`].
fn keyed() -> (Registry, String) {
    let registry = Registry::start();
    registry.challenge(&[r#"Basic realm="x""#], None);
    let encoded = STANDARD.encode(format!("_json_key:{KEY}"));
    registry.accept_password(&encoded);
    let image = crate::archive::Image::new("", &["etc/\netc/hosts = here"]);
    registry.put_image("app", "1", &image);
    (registry, encoded)
}

fn a_password_of_several_lines_is_taken_from_everywhere() {
    let (registry, encoded) = keyed();
    let host = registry.host();
    let pull = |env: &TestEnv, variables: &[(&str, &str)]| {
        let mut command = env.command(["pull", &format!("{host}/app:1")]);
        command.envs(variables.iter().copied());
        let run = Run::of(&mut command);
        crate::auth::assert_no_secret(&run);
        run.success();
    };
    let write = |env: &TestEnv, name: &str, text: &str, mode: u32| {
        let path = env.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&path, mode).unwrap();
    };
    let settings = |env: &TestEnv, source: &serde_json::Value| {
        let mut entry = json!({"username": "_json_key"});
        let fields = entry.as_object_mut().unwrap();
        fields.extend(source.as_object().unwrap().clone());
        let text = json!({"registries": {"auth": {&host: entry}}}).to_string();
        env.write_settings(text);
    };

    let env = TestEnv::new();
    let line = format!("registry login {host} -u _json_key --password-stdin --store file");
    msb(&env, &line, format!("{KEY}\n").as_bytes()).success();
    pull(&env, &[]);

    let env = TestEnv::new();
    settings(&env, &json!({"password_env": "THE_KEY"}));
    pull(&env, &[("THE_KEY", KEY)]);

    let env = TestEnv::new();
    settings(&env, &json!({"secret_name": "key"}));
    let secret = env.home().join("secrets/registries/key");
    write(&env, secret.to_str().unwrap(), &format!("{KEY}\n"), 0o600);
    pull(&env, &[]);

    let env = TestEnv::new();
    let auths = json!({"auths": {&host: {"auth": encoded}}}).to_string();
    write(&env, "docker-config/config.json", &auths, 0o600);
    pull(&env, &[]);

    let env = TestEnv::new();
    let helpers = json!({"credHelpers": {&host: "lines"}}).to_string();
    write(&env, "docker-config/config.json", &helpers, 0o600);
    let answer = json!({"ServerURL": host, "Username": "_json_key", "Secret": KEY});
    let helper = format!("#!/bin/sh\ncat > /dev/null\ncat <<'END'\n{answer}\nEND\n");
    write(&env, "bin/docker-credential-lines", &helper, 0o755);
    let path = format!(
        "{}:{}",
        env.path("bin").display(),
        std::env::var("PATH").unwrap()
    );
    pull(&env, &[("PATH", &path)]);
}

fn a_user_name_with_a_colon_is_refused_from_everywhere() {
    let (registry, _) = keyed();
    let host = registry.host();
    let env = TestEnv::new();
    let line = format!("registry login {host} -u a:b --password-stdin --store file");
    msb(&env, &line, b"secret-pass\n").failure(&["the user name has a colon"]);
    let entry = json!({"username": "a:b", "password_env": "THE_KEY"});
    let text = json!({"registries": {"auth": {&host: entry}}}).to_string();
    env.write_settings(text);
    let mut command = env.command(["pull", &format!("{host}/app:1")]);
    let run = Run::of(command.env("THE_KEY", "secret-pass"));
    crate::auth::assert_no_secret(&run);
    run.failure(&[
        "gave an answer that msb refuses",
        "the user name has a colon",
    ]);
    for request in registry.requests() {
        assert_eq!(request.header("authorization"), None, "{request}");
    }
}

fn without_a_terminal_a_password_has_to_be_piped() {
    let (env, registry) = scene();
    let line = format!("registry login {} --username me", registry.host());
    msb(&env, &line, b"secret-pass\n").failure(&["no terminal", "hint: ", "--password-stdin"]);
    let line = format!("registry login {} --password-stdin", registry.host());
    msb(&env, &line, b"secret-pass\n").failure(&["no user name", "--username NAME"]);
    assert!(registry.requests().is_empty());
    let line = format!("registry login {} --password secret-pass", registry.host());
    assert_eq!(env.msb(&line).code, Some(2), "a password is no argument");
}

fn a_password_that_is_typed_is_not_shown() {
    let (env, registry) = scene();
    let socket = env.path("tmux");
    let tmux = |words: &[&str]| {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(&socket).args(words);
        run(&mut command)
    };
    let line = format!(
        "env -i PATH=\"$PATH\" MSB_HOME={} HOME={} NO_COLOR=1 TERM=xterm {} registry login {} \
         --store file; sleep 60",
        env.home().display(),
        env.path("user-home").display(),
        crate::tools::msb().display(),
        registry.host()
    );
    tmux(&[
        "-f",
        "/dev/null",
        "new-session",
        "-d",
        "-x",
        "100",
        "-y",
        "20",
        &line,
    ]);
    let shows = |words: &str| {
        for _ in 0..300 {
            let screen = tmux(&["capture-pane", "-p"]);
            assert!(!screen.contains("secret-pass"), "{screen}");
            if screen.contains(words) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("no {words}: {}", tmux(&["capture-pane", "-p"]));
    };
    shows("Username:");
    tmux(&["send-keys", "me", "Enter"]);
    shows("Password/token:");
    tmux(&["send-keys", "secret-pass", "Enter"]);
    shows("Logged in");
    tmux(&["kill-server"]);
    let file = format!("secrets/registries/{}", registry.host().replace(':', "_"));
    assert_eq!(
        std::fs::read(env.home().join(file)).unwrap(),
        b"secret-pass"
    );
}
