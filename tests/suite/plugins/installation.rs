//! `msb plugin install` and `remove`: what the user agrees to, and what is refused.

use std::process::Command;

use super::{component, components, lock, other_bytes, place, row};
use crate::cli::terminal::Terminal;
use crate::env::{Run, TestEnv};
use crate::tests;
use crate::tools::run;

tests! {
    without_a_terminal_nothing_is_granted_and_the_command_that_grants_is_printed;
    the_printed_command_installs_and_what_was_granted_is_kept;
    what_asks_for_nothing_needs_no_consent_and_loads_archives_at_once;
    on_a_terminal_the_user_is_asked_and_decides needs Tmux;
    a_permission_is_given_and_taken_away_later;
    what_the_plugin_cannot_use_is_not_granted;
    what_is_no_plugin_is_named_in_plain_words;
    names_that_a_terminal_would_obey_are_shown_as_what_they_are;
    two_installations_at_once_leave_both;
    a_removed_plugin_leaves_nothing;
    a_signature_that_is_wanted_must_be_there_and_right needs Minisign;
}

fn without_a_terminal_nothing_is_granted_and_the_command_that_grants_is_printed() {
    let env = TestEnv::new();
    let path = place(&env, "vault", "vault.wasm");
    let run = env
        .msb(&format!("plugin install {}", path.display()))
        .failure(&[
            "asks for permissions",
            "hint: it asks for `env=VAULT_TOKEN`",
            "the token that opens the server",
            "together: it can send what `env=VAULT_TOKEN`, `files=~/.vault-token` holds to \
             `GET@https://127.0.0.1:8200`",
            "--grant env=VAULT_TOKEN",
            "--grant clock",
            "msb plugin install",
        ]);
    assert_eq!(run.stdout, "");
    env.msb("plugin inspect vault")
        .failure(&["there is no plugin `vault`"]);
    assert_eq!(lock(&env), "");
}

fn the_printed_command_installs_and_what_was_granted_is_kept() {
    let env = TestEnv::new();
    let path = place(&env, "vault", "vault.wasm");
    let refused = env.msb(&format!("plugin install {}", path.display()));
    let (_, command) = refused
        .stderr
        .split_once("to agree to all of it: msb ")
        .unwrap();
    let script = format!("exec \"$0\" {}", command.trim());
    Run::of(&mut env.shell(&script, [""; 0])).success();
    let row = row(&env, "vault");
    assert_eq!(row["grants"].as_array().unwrap().len(), 4, "{row}");
    assert_eq!(row["kind"], "credential");
    assert!(lock(&env).contains("sha256:"), "{}", lock(&env));
    // The same once more is no news.
    env.msb(&format!("plugin install {}", path.display()))
        .success();
}

fn what_asks_for_nothing_needs_no_consent_and_loads_archives_at_once() {
    let env = TestEnv::new();
    let path = component("image-json");
    env.msb(&format!("plugin install {}", path.display()))
        .success();
    let layout = env.path("archive");
    std::fs::create_dir(&layout).unwrap();
    std::fs::write(
        layout.join("image.json"),
        r#"{"image-json":1,"references":["made:1"],"config":{"architecture":"amd64","config":{}},
            "layers":[[{"path":"etc","directory":true},{"path":"etc/motd","text":"hello"}]]}"#,
    )
    .unwrap();
    let tar = env.path("archive.tar");
    run(Command::new("tar")
        .arg("-C")
        .arg(&layout)
        .arg("-cf")
        .arg(&tar)
        .arg("image.json"));
    env.msb(&format!("load --platform linux/amd64 -i {}", tar.display()))
        .success();
    env.msb("plugin disable image-json").success();
    env.msb(&format!("load --platform linux/amd64 -i {}", tar.display()))
        .failure(&["no installed format plugin"]);
}

fn on_a_terminal_the_user_is_asked_and_decides() {
    let env = TestEnv::new();
    place(&env, "vault", "vault.wasm");
    let terminal = Terminal::new(&env);
    terminal.enter("msb plugin install ./vault.wasm; echo DONE-$?");
    let screen = terminal.wait_for("[y/N]");
    for words in [
        "credential provider",
        "sha256:",
        "env=VAULT_TOKEN",
        "the token that opens",
        "For registries",
        "find credentials",
        "Together",
        "it can send what",
    ] {
        assert!(screen.contains(words), "no {words} on\n{screen}");
    }
    terminal.enter("n");
    terminal.wait_for("DONE-0");
    env.msb("plugin inspect vault").failure(&["no plugin"]);
    terminal.enter("clear; msb plugin install ./vault.wasm; echo AGAIN-$?");
    terminal.wait_for("[y/N]");
    terminal.enter("y");
    terminal.wait_for("AGAIN-0");
    assert_eq!(row(&env, "vault")["grants"].as_array().unwrap().len(), 4);
}

fn a_permission_is_given_and_taken_away_later() {
    let env = TestEnv::new();
    let path = component("vault");
    env.msb(&format!("plugin install {} --grant clock", path.display()))
        .success();
    assert_eq!(row(&env, "vault")["grants"], serde_json::json!(["clock"]));
    let run = env
        .msb("plugin grant vault http=GET@https://vault.example.com:8200")
        .success();
    assert!(run.stderr.contains("vault.example.com"), "{run:?}");
    env.msb("plugin revoke vault clock").success();
    assert_eq!(row(&env, "vault")["grants"].as_array().unwrap().len(), 1);
    env.msb("plugin revoke vault clock")
        .failure(&["does not have `clock`"]);
    env.msb("plugin revoke vault").success();
    assert_eq!(row(&env, "vault")["grants"], serde_json::json!([]));
    env.msb("plugin revoke docker-config helper=*").success();
    let grants = row(&env, "docker-config")["grants"].to_string();
    assert!(!grants.contains("helper"), "{grants}");
}

fn what_the_plugin_cannot_use_is_not_granted() {
    let env = TestEnv::new();
    let path = component("image-json");
    env.msb(&format!("plugin install {} --grant clock", path.display()))
        .failure(&["cannot make use of `clock`"]);
    env.msb("plugin grant env nonsense")
        .failure(&["`nonsense` is not a permission"]);
    env.msb("plugin grant nobody clock")
        .failure(&["there is no plugin `nobody`"]);
}

fn what_is_no_plugin_is_named_in_plain_words() {
    let env = TestEnv::new();
    for (name, bytes, words) in [
        ("empty.wasm", &b""[..], "an empty file"),
        ("page.wasm", b"<html>", "a text, perhaps an error page"),
        ("core.wasm", b"\0asm\x01\0\0\0", "core module"),
        (
            "cut.wasm",
            &std::fs::read(component("vault")).unwrap()[..5000],
            "damaged",
        ),
    ] {
        let path = env.write(name, bytes);
        env.msb(&format!("plugin install {} --yes", path.display()))
            .failure(&[words]);
    }
    env.msb("plugin install ./none.wasm")
        .failure(&["could not read", "none.wasm"]);
    env.msb("plugin install ftp://a/b.wasm")
        .failure(&["neither https"]);
    env.msb(&format!(
        "plugin install {} --name Bad",
        component("vault").display()
    ))
    .failure(&["cannot be the name of a plugin"]);
    env.msb(&format!(
        "plugin install {} --name keychain",
        component("vault").display()
    ))
    .failure(&["ships with msb"]);
    assert_eq!(lock(&env), "");
}

fn names_that_a_terminal_would_obey_are_shown_as_what_they_are() {
    let env = TestEnv::new();
    let path = env.write("\u{1b}[31mred.wasm", b"nothing");
    let mut install = env.command(["plugin", "install"]);
    install.arg(&path);
    let run = Run::of(&mut install);
    assert_eq!(run.code, Some(1));
    assert!(!run.stderr.contains('\u{1b}'), "{run:?}");
}

fn two_installations_at_once_leave_both() {
    let env = TestEnv::new();
    let children: Vec<_> = ["vault", "image-json", "credential-helper"]
        .iter()
        .map(|name| {
            env.command(["plugin", "install", "--yes"])
                .arg(component(name))
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    env.msb("plugin verify").success();
    assert_eq!(components(&env).len(), 3);
}

fn a_removed_plugin_leaves_nothing() {
    let env = TestEnv::new();
    let path = component("vault");
    env.msb(&format!(
        "plugin install {} --yes --before env",
        path.display()
    ))
    .success();
    env.msb("plugin rm vault").success();
    assert!(components(&env).is_empty());
    assert!(!lock(&env).contains("vault"), "{}", lock(&env));
    env.msb("plugin rm vault")
        .failure(&["there is no plugin `vault`"]);
}

fn a_signature_that_is_wanted_must_be_there_and_right() {
    let env = TestEnv::new();
    let path = place(&env, "image-json", "made.wasm");
    let keys = env.path("key");
    let minisign = |arguments: &[&str]| {
        run(Command::new("minisign")
            .current_dir(env.path(""))
            .args(arguments))
    };
    let public = keys.with_extension("pub").display().to_string();
    let secret = keys.with_extension("sec").display().to_string();
    minisign(&["-G", "-W", "-p", &public, "-s", &secret]);
    env.write_settings(serde_json::json!({"plugins": {"signatures": [
        {"source": env.path("").canonicalize().unwrap(), "key": public},
    ]}}));
    let install = format!("plugin install {}", path.display());
    env.msb(&install).failure(&[
        "not taken for signed",
        ".minisig",
        "do not use it unless you know why; `plugins.signatures` in config.json",
    ]);
    minisign(&["-S", "-s", &secret, "-m", "made.wasm"]);
    env.msb(&install).success();
    assert!(row(&env, "made")["key"].as_str().unwrap().starts_with("RW"));
    let bytes = other_bytes(&std::fs::read(&path).unwrap());
    std::fs::write(&path, &bytes).unwrap();
    env.msb("plugin update made")
        .failure(&["not taken for signed"]);
    minisign(&["-S", "-s", &secret, "-m", "made.wasm"]);
    env.msb("plugin update made").success();
}
