//! `msb registry logout` and `ls`.

use msb_host::auth::{self, PasswordStore};
use msb_host::credential::RegistryAuth;

use super::{Desk, keychain, secret_file};
use crate::auth::provider::{Known, answer};
use crate::tests;

tests! {
    a_logout_forgets_all_that_a_login_has_kept;
    a_logout_works_without_the_keychain_and_says_so;
    a_logout_says_who_still_has_credentials;
    the_list_shows_who_would_answer_and_what_is_shadowed;
    the_list_shows_no_registry_that_a_provider_is_not_for;
}

fn a_logout_forgets_all_that_a_login_has_kept() {
    let (keychain, files) = (keychain(), secret_file());
    let desk = Desk::new(&[&keychain, &files]);
    let host = desk.registry();
    desk.login(&host, "secret-pass", PasswordStore::Keyring)
        .unwrap();
    let done = desk.logout();
    assert!(done.keychain && !done.settings.is_empty() && !done.is_nothing());
    assert!(!keychain.has(&host));
    desk.login(&host, "secret-pass", PasswordStore::File)
        .unwrap();
    let file = desk.logout().file.unwrap();
    assert!(!file.exists());
    let again = desk.logout();
    assert!(again.is_nothing() && again.problem.is_none());
}

fn a_logout_works_without_the_keychain_and_says_so() {
    let keychain = keychain();
    let desk = Desk::new(&[&keychain]);
    let host = desk.registry();
    desk.login(&host, "secret-pass", PasswordStore::Keyring)
        .unwrap();
    keychain.break_down();
    let done = desk.logout();
    assert!(!done.keychain && !done.settings.is_empty() && done.in_keychain);
    assert!(
        done.problem
            .unwrap()
            .to_string()
            .contains("there is no bus")
    );
    assert!(!desk.text().contains(&host));
    desk.settings(&format!(
        r#"{{"registries": {{"auth": {{"{host}": {{"username": "me", "password_env": "X"}}}}}}}}"#
    ));
    let done = desk.logout();
    assert_eq!(done.left, Some(("password_env", "X".to_owned())));
    assert_eq!(desk.text(), "{}");
}

fn a_logout_says_who_still_has_credentials() {
    let docker = Known::having("docker-config", RegistryAuth::basic("d", "secret-d"));
    let desk = Desk::new(&[&keychain(), &docker]);
    desk.login(&desk.registry(), "secret-pass", PasswordStore::Keyring)
        .unwrap();
    let done = desk.logout();
    let names: Vec<&str> = done
        .remaining
        .iter()
        .map(|step| step.provider.as_str())
        .collect();
    assert_eq!(names, ["docker-config"]);
    assert!(!format!("{done:?}").contains("secret-"));
}

fn the_list_shows_who_would_answer_and_what_is_shadowed() {
    let keychain = keychain();
    let env = Known::saying("env", |request| match request.registry.as_str() {
        "set.example" => Ok(answer(RegistryAuth::basic("me", "secret-e"))),
        _ => Err(auth::ProviderError::Misconfigured(auth::Problem::new(
            "the variable `UNSET` is not set",
        ))),
    });
    let desk = Desk::new(&[&keychain, &env]);
    let host = desk.registry();
    desk.login(&host, "secret-pass", PasswordStore::Keyring)
        .unwrap();
    let text = format!(
        r#"{{"registries": {{"auth": {{
            "{host}": {{"username": "old", "password_env": "X"}},
            "set.example": {{"username": "me", "password_env": "SET"}},
            "unset.example": {{"username": "me", "password_env": "UNSET"}},
            "bad.example": {{"username": "me"}}
        }}}}}}"#
    );
    desk.settings(&text);
    let rows = desk.list();
    let row = |name: &str, source: &str| {
        rows.iter()
            .find(|row| row.registry == name && row.source == source)
            .unwrap_or_else(|| panic!("no {name} {source} in {rows:#?}"))
    };
    assert_eq!(rows.len(), 5, "{rows:#?}");
    let shadowed = row(&host, "password_env");
    assert!(shadowed.shadowed);
    assert_eq!(shadowed.provider.as_deref(), Some("keychain"));
    let kept = row(&host, "keychain");
    assert!(!kept.shadowed);
    assert_eq!(kept.username.as_deref(), Some("kept"));
    let set = row("set.example", "password_env");
    assert_eq!(set.provider.as_deref(), Some("env"));
    assert_eq!(set.place.as_deref(), Some("SET"));
    assert!(set.problem.is_none());
    let unset = row("unset.example", "password_env");
    assert!(unset.provider.is_none());
    assert!(unset.problem.as_ref().unwrap().contains("`UNSET`"));
    let bad = row("bad.example", "invalid");
    assert!(
        bad.problem
            .as_ref()
            .unwrap()
            .contains("registries.auth.bad.example")
    );
    assert!(!format!("{rows:?}").contains("secret-"));
}

fn the_list_shows_no_registry_that_a_provider_is_not_for() {
    let liar = Known::only_for("third-party", &["*.mine.example"]);
    let desk = Desk::new(&[&liar]);
    for registry in ["a.mine.example", "ghcr.io", "no host", "\u{1b}[2J"] {
        liar.keep(registry);
    }
    let rows = desk.list();
    let names: Vec<&str> = rows.iter().map(|row| row.registry.as_str()).collect();
    assert_eq!(names, ["a.mine.example"]);
}
