//! Each capability against a real guest: denied by default, allowed within its scope, refused
//! outside of it.

mod files;
mod helper;
mod http;
mod prompt;

use secrecy::ExposeSecret as _;

use crate::auth::{Answer, ProviderError};
use crate::credential::RegistryAuth;
use crate::plugin::test_bench::Bench;

/// Returns the name and password of an answer.
fn login(answer: Result<Answer, ProviderError>) -> (String, String) {
    match answer.unwrap().credential {
        RegistryAuth::Basic { username, password } => {
            (username, password.expose_secret().to_owned())
        }
        other => panic!("{other:?}"),
    }
}

fn password(answer: Result<Answer, ProviderError>) -> String {
    login(answer).1
}

#[test]
fn env_is_denied_by_default_allowed_by_name_and_refused_outside() {
    let bench = Bench::new(&[
        ("VAULT_TOKEN", "t0ken"),
        ("CONFIGURED_PASSWORD", "c0nfigured"),
        ("OTHER", "other"),
    ]);
    let get = |grant: &str, name: &str| bench.get(&[grant], "env", name);
    bench.is_denied(&[], "env", "VAULT_TOKEN", "env=VAULT_TOKEN");
    assert_eq!(password(get("env=VAULT_TOKEN", "VAULT_TOKEN")), "t0ken");
    assert_eq!(password(get("env=VAULT_*", "VAULT_TOKEN")), "t0ken");
    assert_eq!(
        password(get("env=@configured", "CONFIGURED_PASSWORD")),
        "c0nfigured"
    );
    bench.is_denied(&["env=VAULT_*"], "env", "OTHER", "env=OTHER");
    bench.is_denied(&["env=@configured"], "env", "OTHER", "env=OTHER");
    let unset = get("env=VAULT_*", "VAULT_ADDR").unwrap_err();
    assert!(matches!(unset, ProviderError::NotFound), "{unset:?}");
    for name in ["", "A=B"] {
        let words = bench.words(&["env=*"], "env", name);
        assert!(words.starts_with("invalid: "), "{words}");
    }
}

#[test]
fn clock_is_denied_by_default() {
    let bench = Bench::new(&[]);
    bench.is_denied(&[], "clock", "", "clock");
    let words = bench.words(&["clock"], "clock", "");
    assert!(words.starts_with("it is 1"), "{words}");
}

#[test]
fn reveal_is_denied_by_default() {
    let bench = Bench::new(&[("VAULT_TOKEN", "t0ken")]);
    bench.is_denied(&[], "reveal", "", "reveal");
    bench.is_denied(&["env=*", "clock"], "reveal", "", "reveal");
    assert_eq!(bench.words(&["reveal"], "reveal", ""), "an open secret");
}

#[test]
fn keychain_is_denied_by_default_and_outside_of_the_service() {
    let bench = Bench::new(&[]);
    bench.is_denied(&[], "keychain", "com.example", "keychain=com.example");
    bench.is_denied(
        &["keychain=com.example"],
        "keychain",
        "com.example2",
        "keychain=com.example2",
    );
    // Whether there is a store here is not ours to say. That it is asked is.
    let asked = bench.get(&["keychain=com.example"], "keychain", "com.example.msb");
    if let Err(error) = asked {
        let words = error.to_string();
        let fits = matches!(error, ProviderError::NotFound) || words.starts_with("unavailable: ");
        assert!(fits, "{words}");
    }
}

#[test]
fn settings_are_those_of_the_plugin_and_of_the_registry() {
    let bench = Bench::new(&[]);
    assert_eq!(
        bench.words(&[], "settings", ""),
        r#"Some("{\"colour\":\"blue\"}") Some("{\"password_env\":\"CONFIGURED_PASSWORD\"}")"#
    );
}

#[test]
fn what_cannot_be_granted_is_invalid_and_no_command_is_told() {
    let bench = Bench::new(&[]);
    for (what, argument) in [
        ("files", "/etc/../root/x"),
        ("files", "/a/\u{1b}[2J"),
        ("keychain", "a\u{1b}b"),
        ("helper", "../../bin/sh"),
        ("http", "GET ftp://example.com/"),
    ] {
        let words = bench.words(&[], what, argument);
        assert!(
            words.starts_with("invalid: ") && !words.contains("plugin grant"),
            "{what} {argument}: {words}"
        );
    }
}

#[test]
fn what_is_kept_outlives_a_run_and_is_for_the_same_secrets() {
    let bench = Bench::new(&[("ONE", "first"), ("OTHER", "second")]);
    bench.is_denied(&["env=*"], "state", "ONE", "state");
    let granted = ["env=*", "state"];
    assert!(bench.words(&granted, "state", "ONE").ends_with("kept"));
    let answer = bench.get(&granted, "state", "ONE").unwrap();
    assert_eq!(answer.source.as_deref(), Some("1 until 40000000000"));
    assert!(bench.words(&granted, "state", "OTHER").ends_with("kept"));
    assert!(bench.words(&granted, "state", "ONE").ends_with("kept"));
}
