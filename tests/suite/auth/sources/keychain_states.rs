//! The credential store of the system in all its states.

use std::os::unix::net::UnixListener;

use super::Stage;
use crate::auth::keychain::Keychain;
use crate::env::Run;
use crate::tests;

tests! {
    an_item_that_is_none_is_a_warning_and_no_crash needs SecretService;
    without_a_bus_a_login_gives_the_other_ways;
    without_a_bus_a_public_image_is_pulled_without_a_word;
    a_bus_without_a_store_is_told_at_login needs SecretService;
    a_locked_keychain_is_told_and_no_public_image_waits_for_it needs SecretService;
    a_bus_that_never_answers_meets_a_deadline;
}

fn an_item_that_is_none_is_a_warning_and_no_crash() {
    let stage = Stage::new();
    let host = stage.host();
    let keychain = Keychain::unlocked();
    for item in ["secret-plain", "{", r#"{"username": 5}"#, "[]"] {
        keychain.keep(&host, item);
        let run = stage.pull(|command| keychain.give(command)).success();
        assert!(run.stderr.contains("`keychain`"), "{run:#?}");
        assert_eq!(stage.who(), "nobody");
    }
}

fn advice(run: Run) {
    run.failure(&[
        "no secure store of credentials for",
        "password_env",
        "secret_name",
        "--store file",
    ]);
}

fn without_a_bus_a_login_gives_the_other_ways() {
    let stage = Stage::new();
    let line = format!("registry login {} -u me --password-stdin", stage.host());
    advice(stage.run(&line, b"secret-pass", |_| {}));
    assert!(!stage.env.home().join("config.json").exists());
    let run = stage.run(&format!("registry logout {}", stage.host()), b"", |_| {});
    run.success();
    stage.run("registry ls", b"", |_| {}).success();
}

fn without_a_bus_a_public_image_is_pulled_without_a_word() {
    let stage = Stage::new();
    let line = format!("pull {}/app:1", stage.host());
    let run = stage.run(&line, b"", |_| {}).success();
    assert!(!run.stderr.contains("keychain"), "{run:#?}");
    assert!(!run.stderr.contains("warning"), "{run:#?}");
}

fn a_bus_without_a_store_is_told_at_login() {
    let stage = Stage::new();
    let keychain = Keychain::bare();
    let line = format!("registry login {} -u me --password-stdin", stage.host());
    advice(stage.run(&line, b"secret-pass", |command| keychain.give(command)));
    stage.pull(|command| keychain.give(command)).success();
}

fn a_locked_keychain_is_told_and_no_public_image_waits_for_it() {
    let stage = Stage::new();
    let host = stage.host();
    let mut keychain = Keychain::unlocked();
    let line = format!("registry login {host} -u me --password-stdin");
    stage
        .run(&line, b"secret-pass", |command| keychain.give(command))
        .success();
    keychain.lock();
    let run = stage.pull(|command| keychain.give(command)).success();
    assert_eq!(stage.who(), "nobody");
    assert!(run.stderr.contains("`keychain` was skipped"), "{run:#?}");
    let run = stage.run(&format!("registry logout {host}"), b"", |command| {
        keychain.give(command);
    });
    run.success();
}

fn a_bus_that_never_answers_meets_a_deadline() {
    let stage = Stage::new();
    let socket = stage.env.path("bus");
    let listener = UnixListener::bind(&socket).unwrap();
    let hung = |command: &mut std::process::Command| {
        command.env(
            "DBUS_SESSION_BUS_ADDRESS",
            format!("unix:path={}", socket.display()),
        );
    };
    stage.pull(hung).success();
    assert_eq!(stage.who(), "nobody");
    let line = format!("registry login {} -u me --password-stdin", stage.host());
    advice(stage.run(&line, b"secret-pass", hung));
    drop(listener);
}
