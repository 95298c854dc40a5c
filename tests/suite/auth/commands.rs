//! `msb registry` as its users see it: words, streams, exit codes, and where a password comes from.

mod passwords;

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::env::{Run, TestEnv};
use crate::faulty::Registry;
use crate::tests;

tests! {
    a_login_in_a_file_is_pulled_with_listed_and_forgotten;
    a_login_with_wrong_credentials_says_what_to_look_at;
    a_registry_that_is_not_there_is_told_and_can_be_skipped;
    a_login_with_a_path_names_the_registry;
    a_logout_of_nobody_is_a_warning;
    an_empty_list_is_told_on_stderr;
    broken_settings_end_every_command_with_key_and_line;
}

/// Returns the tests of this file and of the modules below it.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [tests(), passwords::tests()];
    tests.into_iter().flatten().collect()
}

/// A registry that knows `me` by `secret-pass`, and a home.
fn scene() -> (TestEnv, Registry) {
    let registry = Registry::start();
    registry.challenge(&[r#"Basic realm="x""#], None);
    // me:secret-pass
    registry.accept_password("bWU6c2VjcmV0LXBhc3M=");
    let image = crate::archive::Image::new("", &["etc/\netc/hosts = here"]);
    registry.put_image("app", "1", &image);
    (TestEnv::new(), registry)
}

/// Runs msb, and asserts that nothing that is secret is shown.
fn msb(env: &TestEnv, line: &str, input: &[u8]) -> Run {
    let run = env.msb_with_input(line, input);
    super::assert_no_secret(&run);
    run
}

fn a_login_in_a_file_is_pulled_with_listed_and_forgotten() {
    let (env, registry) = scene();
    let host = registry.host();
    let line = format!("registry login http://{host}/ --username me --password-stdin --store file");
    let run = msb(&env, &line, b"secret-pass\n").success();
    assert_eq!(run.stdout, "");
    assert!(
        run.stderr.contains(&format!("   ✓ Logged in    {host}\n")),
        "{run:#?}"
    );
    assert!(
        run.stderr.contains("warning: the password is in `"),
        "{run:#?}"
    );
    assert!(run.stderr.contains("as plain text"), "{run:#?}");
    let file = env
        .home()
        .join(format!("secrets/registries/{}", host.replace(':', "_")));
    assert_eq!(std::fs::read(&file).unwrap(), b"secret-pass");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let config = std::fs::read_to_string(env.home().join("config.json")).unwrap();
    assert!(!config.contains("secret-pass"), "{config}");
    msb(&env, &format!("pull {host}/app:1"), b"").success();
    let rows = env.json("registry ls --format json");
    assert_eq!(
        rows,
        json!([{
            "registry": host,
            "username": "me",
            "source": "secret_name",
            "place": host.replace(':', "_"),
            "expires": null,
            "provider": "secret-file",
            "shadowed": false,
            "problem": null,
        }])
    );
    let table = msb(&env, "regs ls", b"").success().stdout;
    assert!(table.starts_with("REGISTRY "), "{table}");
    assert!(table.contains("secret-file"), "{table}");
    let run = msb(
        &env,
        &format!("registries logout {}", host.to_uppercase()),
        b"",
    )
    .success();
    assert!(
        run.stderr.contains(&format!("   ✓ Logged out   {host}\n")),
        "{run:#?}"
    );
    assert!(!run.stderr.contains("warning"), "{run:#?}");
    assert!(!file.exists());
    let config = std::fs::read_to_string(env.home().join("config.json")).unwrap();
    assert_eq!(config, "{}\n");
    msb(&env, &format!("pull --force {host}/app:1"), b"").failure(&["msb registry login"]);
}

fn a_login_with_wrong_credentials_says_what_to_look_at() {
    let (env, registry) = scene();
    let host = registry.host();
    let line = format!("registry login {host} -u me --password-stdin --store file");
    msb(&env, &line, b"secret-wrong\n").failure(&[
        &format!("registry {host} does not accept the credentials for the login of me"),
        "hint: nothing was stored",
    ]);
    assert!(!env.home().join("config.json").exists());
    assert!(!env.home().join("secrets").exists());
    let line = format!("{line} --no-verify");
    msb(&env, &line, b"secret-wrong\n").success();
    msb(&env, &format!("pull {host}/app:1"), b"").failure(&[
        "does not accept the credentials of `secret-file`",
        &format!("msb registry login {host}"),
    ]);
}

fn a_registry_that_is_not_there_is_told_and_can_be_skipped() {
    let env = TestEnv::new();
    let line = "registry login 127.0.0.1:1 -u me --password-stdin --store file";
    msb(&env, line, b"secret-pass\n").failure(&["127.0.0.1:1", "--no-verify"]);
    let (_, registry) = scene();
    let gone = crate::faulty::http::Answer::error(404, "UNSUPPORTED", "nothing here");
    registry.fault(
        crate::faulty::route::On::Ping,
        crate::faulty::ALWAYS,
        crate::faulty::fault::instead(gone),
    );
    let line = format!(
        "registry login {} -u me --password-stdin --store file",
        registry.host()
    );
    msb(&env, &line, b"secret-pass\n").failure(&["not found", "--no-verify"]);
    msb(&env, &format!("{line} --no-verify"), b"secret-pass\n").success();
}

fn a_login_with_a_path_names_the_registry() {
    let env = TestEnv::new();
    for command in ["login -u me --password-stdin", "logout"] {
        msb(
            &env,
            &format!("registry {command} ghcr.io/org"),
            b"secret-pass",
        )
        .failure(&["use `ghcr.io` instead of `ghcr.io/org`"]);
        msb(&env, &format!("registry {command} a:b:c"), b"secret-pass")
            .failure(&["`a:b:c` is not a registry", "hint: write it like ghcr.io"]);
    }
}

fn a_logout_of_nobody_is_a_warning() {
    let env = TestEnv::new();
    let run = msb(&env, "registry logout https://GHCR.io/", b"").success();
    assert_eq!(
        run.stderr,
        "warning: no stored registry credentials found for `ghcr.io`\n"
    );
    assert_eq!(run.stdout, "");
}

fn an_empty_list_is_told_on_stderr() {
    let env = TestEnv::new();
    let run = msb(&env, "registry list", b"").success();
    assert_eq!(run.stdout, "");
    assert_eq!(run.stderr, "No registries configured.\n");
    assert_eq!(env.json("registry ls --format json"), json!([]));
}

fn broken_settings_end_every_command_with_key_and_line() {
    let env = TestEnv::new();
    let text = "{\"registries\": {\"auth\":\n{\"h\": {\"username\": 5}}}}";
    env.write_settings(text);
    for line in [
        "registry ls",
        "registry logout h",
        "registry login h -u me --password-stdin --store file",
        "pull h/app",
    ] {
        msb(&env, line, b"secret-pass").failure(&["`registries.auth.h.username`", "line 2 column"]);
    }
    let left = std::fs::read_to_string(env.home().join("config.json")).unwrap();
    assert_eq!(left, text);
}
