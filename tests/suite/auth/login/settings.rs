//! What a login writes into the settings, and what becomes of the login before it.

use std::os::unix::fs::PermissionsExt as _;

use msb_host::auth::{Login, LoginError, PasswordStore, password_typed};

use super::{Desk, keychain, secret_file};
use crate::auth::told;
use crate::tests;

tests! {
    a_login_that_cannot_be_written_down_is_not_kept;
    the_settings_name_a_password_before_it_is_kept;
    a_login_whose_old_file_cannot_be_removed_changes_nothing;
    a_login_replaces_what_the_settings_say_where_they_say_it;
    a_login_in_a_file_takes_the_place_of_one_in_the_keychain;
}

fn a_login_that_cannot_be_written_down_is_not_kept() {
    let keychain = keychain();
    let desk = Desk::new(&[&keychain]);
    desk.settings("{\"registries\": {\"auth\": {}}}");
    desk.at(|logins, context| {
        // Somebody breaks the file meanwhile.
        desk.settings("{");
        let password = password_typed(b"secret-pass").unwrap();
        for store in [PasswordStore::Keyring, PasswordStore::File] {
            let login = Login::new(&desk.registry(), "me", password.clone(), store).unwrap();
            let error = login.keep(logins, None, context).unwrap_err();
            assert!(matches!(error, LoginError::Settings(_)), "{error}");
        }
    });
    assert!(!keychain.has(&desk.registry()));
    assert_eq!(desk.text(), "{");
    let folder = desk.scene.env.home().join("secrets/registries");
    assert_eq!(std::fs::read_dir(folder).map_or(0, Iterator::count), 0);
}

fn the_settings_name_a_password_before_it_is_kept() {
    let keychain = keychain();
    let desk = Desk::new(&[&keychain]);
    let (settings, host) = (desk.path(), desk.registry());
    let named = format!("\"{host}\"");
    // Where the process is killed here, nothing is kept that the settings do not name.
    keychain.before_store(move || {
        assert!(std::fs::read_to_string(&settings).unwrap().contains(&named));
    });
    desk.login(&host, "secret-pass", PasswordStore::Keyring)
        .unwrap();
    assert!(keychain.has(&host));
}

fn a_login_whose_old_file_cannot_be_removed_changes_nothing() {
    let (keychain, files) = (keychain(), secret_file());
    let desk = Desk::new(&[&keychain, &files]);
    let host = desk.registry();
    let file = desk
        .login(&host, "secret-pass", PasswordStore::File)
        .unwrap();
    let file = file.file.unwrap();
    let settings = desk.text();
    let folder = file.parent().unwrap().to_owned();
    // Another program takes the file away, under whatever name it has.
    keychain.before_store(move || {
        for entry in std::fs::read_dir(&folder).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
    });
    let error = desk.login(&host, "secret-pass", PasswordStore::Keyring);
    let text = told(&error.unwrap_err());
    let restore = format!("could not restore `{}` (", file.display());
    assert!(text.starts_with(&restore), "{text}");
    let remove = format!("could not remove `{}`", file.display());
    assert!(text.contains(&remove), "{text}");
    assert!(!keychain.has(&host));
    assert_eq!(desk.text(), settings);
}

fn a_login_replaces_what_the_settings_say_where_they_say_it() {
    let keychain = keychain();
    let desk = Desk::new(&[&keychain]);
    let host = desk.registry();
    desk.settings(&format!(
        r#"{{"registries":{{"hosts":{{"http://{host}/":{{"insecure":true,"auth":{{"username":"old","password_env":"X"}}}}}}}}}}"#
    ));
    let done = desk
        .login(&host, "secret-pass", PasswordStore::Keyring)
        .unwrap();
    assert_eq!(done.replaced, Some("password_env"));
    assert_eq!(
        desk.text(),
        format!(
            r#"{{"registries":{{"hosts":{{"http://{host}/":{{"insecure":true,"auth":{{"username":"me","store":"keyring"}}}}}}}}}}"#
        )
    );
}

fn a_login_in_a_file_takes_the_place_of_one_in_the_keychain() {
    let (keychain, files) = (keychain(), secret_file());
    let desk = Desk::new(&[&keychain, &files]);
    let host = desk.registry();
    desk.login(&host, "secret-pass", PasswordStore::Keyring)
        .unwrap();
    let done = desk
        .login(&host, "secret-pass", PasswordStore::File)
        .unwrap();
    assert!(!keychain.has(&host), "it would answer first");
    assert!(done.shadowed_by.is_none());
    let file = done.file.unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), b"secret-pass");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&file) & 0o777, 0o600);
    assert_eq!(mode(file.parent().unwrap()) & 0o777, 0o700);
    assert!(
        desk.text()
            .contains(&format!("\"secret_name\": \"{}\"", host.replace(':', "_")))
    );
    desk.login(&host, "secret-pass", PasswordStore::Keyring)
        .unwrap();
    assert!(!file.exists(), "nobody needs it");
}
