//! One table of roles, for the providers that ship with msb and for those of other authors, in each
//! language: login, pull, logout, an expired password, being ambient, being named for a registry.

mod subjects;

use serde_json::{Value, json};

use crate::env::Run;
use crate::faulty::ALWAYS;
use crate::faulty::http::{Answer, Request};
use crate::faulty::route::On;
use crate::tests;
use subjects::{PASSWORD, Subject, USER};

tests! {
    the_keychain_has_every_role needs SecretService;
    variables_have_every_role;
    secret_files_have_every_role;
    dockers_files_have_every_role;
    a_provider_in_rust_has_every_role needs RustForWasm;
    a_provider_in_python_has_every_role needs PythonForWasm;
    a_provider_in_javascript_has_every_role needs JavaScriptForWasm;
    a_provider_in_c_has_every_role needs CForWasm;
    a_provider_that_takes_the_place_of_the_keychain_has_its_role needs RustForWasm;
    a_wish_of_a_provider_is_followed_until_the_user_chooses needs RustForWasm;
}

fn the_keychain_has_every_role() {
    all_roles(&Subject::keychain());
}

fn variables_have_every_role() {
    all_roles(&Subject::variables());
}

fn secret_files_have_every_role() {
    all_roles(&Subject::secret_file());
}

fn dockers_files_have_every_role() {
    all_roles(&Subject::docker());
}

fn a_provider_in_rust_has_every_role() {
    all_roles(&Subject::in_rust("box", &[]));
}

fn a_provider_in_python_has_every_role() {
    all_roles(&Subject::in_python());
}

fn a_provider_in_javascript_has_every_role() {
    all_roles(&Subject::in_javascript());
}

fn a_provider_in_c_has_every_role() {
    all_roles(&Subject::in_c());
}

/// The table. Each row begins with nothing set.
fn all_roles(subject: &Subject) {
    for row in [
        login_pull_and_logout,
        pull_with_what_is_found,
        an_expired_password,
        being_ambient,
        being_configured,
        being_named_for_a_registry,
        a_fault,
    ] {
        subject.clear();
        row(subject);
    }
}

fn login_pull_and_logout(subject: &Subject) {
    let host = subject.registry.host();
    let login = format!("registry login {host} -u {USER} --password-stdin");
    let Some(store) = subject.store else {
        let line = format!("{login} --store {}", subject.name);
        let words = format!("the provider `{}` does not store credentials", subject.name);
        subject.msb_with_input(&line, PASSWORD).failure(&[&words]);
        return;
    };
    for is_default in [false, true] {
        let line = if is_default {
            subject.settings(&json!({}), &json!({"store": store}));
            login.clone()
        } else {
            format!("{login} --store {store}")
        };
        subject.msb_with_input(&line, PASSWORD).success();
        assert_eq!(subject.setting(&host)["username"], USER);
        subject.pull().success();
        let rows = subject.msb("registry ls --format json").success().stdout;
        let rows: Value = serde_json::from_str(&rows).unwrap();
        let row = |row: &Value| row["registry"] == *host && row["provider"] == subject.name;
        assert!(rows.as_array().unwrap().iter().any(row), "{rows}");
        subject.msb(&format!("registry logout {host}")).success();
        assert_eq!(subject.setting(&host), Value::Null);
        subject.pull().failure(&["not found, or no access"]);
    }
}

fn pull_with_what_is_found(subject: &Subject) {
    let host = subject.registry.host();
    subject.pull().failure(&["not found, or no access"]);
    subject.give(&host, PASSWORD);
    subject.pull().success();
    assert_eq!(subject.answers_for(&host).as_deref(), Some(subject.name));
}

/// In the tier that it has by itself.
fn an_expired_password(subject: &Subject) {
    assert_eq!(subject.tier(""), subject.own_tier);
    expires(subject, subject.own_tier == "ambient");
}

fn being_ambient(subject: &Subject) {
    for (tier, is_ambient) in [("ambient", true), ("installed", false)] {
        assert_eq!(subject.tier(tier), tier);
        expires(subject, is_ambient);
    }
    assert_eq!(subject.tier("--default"), subject.own_tier);
    for (tier, is_ambient) in [("ambient", true), ("installed", false)] {
        let name = subject.name;
        subject.settings(&json!({}), &json!({"tiers": {name: tier}}));
        expires(subject, is_ambient);
    }
}

/// Asserts that a password that is not taken any more is a note, or ends the pull of a public image.
#[track_caller]
fn expires(subject: &Subject, is_ambient: bool) {
    let public = &subject.public;
    subject.give(&public.host(), "secret-old");
    let refused = |request: &Request, answer: Answer| match request.header("authorization") {
        Some(_) => Answer::error(401, "DENIED", "token has expired"),
        None => answer,
    };
    public.fault(On::Token, ALWAYS, std::sync::Arc::new(refused));
    let run = subject.msb(&format!("pull --force {}/app:1", public.host()));
    public.heal();
    let name = format!("`{}`", subject.name);
    if is_ambient {
        let run: Run = run.success();
        assert!(run.stderr.contains(&name), "{run:#?}");
        assert!(run.stderr.contains("going on without any"), "{run:#?}");
    } else {
        run.failure(&["does not accept the credentials of", &name]);
    }
}

/// It is asked where the settings name something, and nowhere else.
fn being_configured(subject: &Subject) {
    assert_eq!(subject.tier("configured"), "configured");
    let explained = subject.explain("unset.example.com");
    let own = explained
        .iter()
        .find(|row| row["provider"] == subject.name)
        .unwrap();
    assert_eq!(own["said"], "not asked: the settings name nothing");
    let host = subject.registry.host();
    subject.give(&host, PASSWORD);
    subject.settings(&json!({&host: subject.entry()}), &json!({}));
    subject.pull().success();
    assert_eq!(subject.tier("--default"), subject.own_tier);
}

fn being_named_for_a_registry(subject: &Subject) {
    let host = subject.registry.host();
    subject.give(&host, PASSWORD);
    subject.settings(&json!({&host: subject.entry()}), &json!({}));
    subject.pull().success();
    assert_eq!(subject.answers_for(&host).as_deref(), Some(subject.name));
    // What is named and has nothing ends the search: no other password goes there.
    subject.take_away(&host);
    let before = subject.registry.requests().len();
    let name = format!("from `{}`", subject.name);
    subject
        .pull()
        .failure(&["no credentials for", &name, "registries.auth"]);
    for request in subject.registry.requests().split_off(before) {
        assert_eq!(request.header("authorization"), None, "{request}");
    }
    // Nor is it enough that it is not there.
    subject
        .msb(&format!("plugin disable {}", subject.name))
        .success();
    subject
        .pull()
        .failure(&["no installed provider handles `registries.auth"]);
    subject
        .msb(&format!("plugin enable {}", subject.name))
        .success();
}

/// A fault is a note where it is ambient, and else the end.
fn a_fault(subject: &Subject) {
    let public = subject.public.host();
    subject.give(&public, PASSWORD);
    subject
        .msb(&format!("plugin revoke {}", subject.name))
        .success();
    let pull = format!("pull --force {public}/app:1");
    let words = format!("msb plugin grant {}", subject.name);
    for tier in ["ambient", "installed"] {
        subject.tier(tier);
        // The keychain is only missed where something was put there.
        let name = subject.name;
        let run = subject.msb(&format!("--info {pull}"));
        if tier == "ambient" {
            let run = run.success();
            let skipped = format!("`{name}` was skipped for {public}");
            assert!(run.stderr.contains(&skipped), "{run:#?}");
        } else {
            run.failure(&[&format!("from `{name}`"), &words]);
        }
    }
}

/// A plugin of any name, that provides `keychain`: it is where `--store keyring` keeps logins.
fn a_provider_that_takes_the_place_of_the_keychain_has_its_role() {
    let subject = Subject::in_place_of("keychain", "hk");
    assert_eq!(subject.tier(""), "ambient");
    let host = subject.registry.host();
    let login = format!("registry login {host} -u {USER} --password-stdin");
    for (store, entry) in [
        ("keyring", json!({"username": USER, "store": "keyring"})),
        // By the name of what it replaces as well.
        (
            "keychain",
            json!({"username": USER, "provider": "keychain"}),
        ),
    ] {
        let line = format!("{login} --store {store}");
        subject.msb_with_input(&line, PASSWORD).success();
        assert_eq!(subject.setting(&host), entry);
        subject.pull().success();
        assert_eq!(subject.answers_for(&host).as_deref(), Some("hk"));
        subject.msb(&format!("registry logout {host}")).success();
        subject.pull().failure(&["not found, or no access"]);
    }
    expires(&subject, true);
}

fn a_wish_of_a_provider_is_followed_until_the_user_chooses() {
    let wishes = [
        ("tier", "ambient"),
        ("reads", "password_env"),
        ("tiers", "x"),
    ];
    let subject = Subject::in_rust("box", &wishes);
    let inspected = subject.msb("plugin inspect box").success().stdout;
    let line = |words: &str| {
        inspected
            .lines()
            .any(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") == words)
    };
    assert!(
        line("Tier: ambient") && line("Reads: password_env"),
        "{inspected}"
    );
    assert_eq!(subject.tier("configured"), "configured");
    // It is the reader of what the settings name, also without the one of msb.
    let host = subject.registry.host();
    subject.msb("plugin disable env").success();
    subject.give(&host, PASSWORD);
    let entry = json!({"username": USER, "password_env": "X"});
    subject.settings(&json!({&host: entry}), &json!({}));
    subject.pull().success();
    // An update keeps what the user has chosen.
    subject.reinstall(&[("tier", "installed")]);
    assert_eq!(subject.tier(""), "configured");
    assert_eq!(subject.tier("--default"), "installed");
    subject
        .msb("plugin tier docker-archive ambient")
        .failure(&["only credential providers have a tier"]);
    let unknown = subject.msb("plugin tier box best");
    assert_eq!(unknown.code, Some(2), "{unknown:#?}");
    let words = "a tier is `ambient`, `configured` or `installed`";
    assert!(unknown.stderr.contains(words), "{unknown:#?}");
}
