//! Login, logout and the list, with a credential store that a test can break.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use msb_host::Context;
use msb_host::auth::{
    self, Chain, LoggedIn, LoggedOut, Login, LoginError, LoginStore, MAX_PASSWORD, PasswordStore,
    Provider, Registered, password_typed, registry_named,
};
use msb_host::credential::RegistryAuth;
use msb_host::home::Home;
use msb_host::registry::LoginCheck;
use msb_host::settings::Settings;

use super::provider::{Known, answer};
use super::{Scene, told};
use crate::tests;

tests! {
    a_login_is_tried_kept_and_written_down_without_the_password;
    a_password_that_the_registry_does_not_take_is_not_kept;
    a_registry_that_asks_nobody_who_they_are_is_told;
    a_login_that_cannot_be_written_down_is_not_kept;
    a_login_that_cannot_be_kept_is_not_written_down;
    the_settings_name_a_password_before_it_is_kept;
    a_login_whose_old_file_cannot_be_removed_changes_nothing;
    a_login_replaces_what_the_settings_say_where_they_say_it;
    a_login_in_a_file_takes_the_place_of_one_in_the_keychain;
    a_login_says_who_would_answer_before_it;
    every_spelling_of_a_registry_is_the_same_login;
    a_login_with_a_path_is_an_error_that_names_the_registry;
    a_password_is_all_but_the_line_ends_after_it;
    a_user_name_is_one_that_registries_can_read;
    a_logout_forgets_all_that_a_login_has_kept;
    a_logout_works_without_the_keychain_and_says_so;
    a_logout_says_who_still_has_credentials;
    the_list_shows_who_would_answer_and_what_is_shadowed;
    the_list_shows_no_registry_that_a_provider_is_not_for;
}

/// A home, its settings, and providers.
struct Desk {
    scene: Scene,
    providers: Vec<Arc<Known>>,
}

impl Desk {
    /// Has these providers, and a registry that knows `me` by `secret-pass`.
    fn new(providers: &[&Arc<Known>]) -> Self {
        let scene = Scene::new();
        scene.registry.challenge(&[r#"Basic realm="x""#], None);
        // me:secret-pass
        scene.registry.accept_password("bWU6c2VjcmV0LXBhc3M=");
        Self {
            scene,
            providers: providers.iter().map(|known| Arc::clone(known)).collect(),
        }
    }

    fn registry(&self) -> String {
        self.scene.registry.host()
    }

    fn path(&self) -> PathBuf {
        self.scene.env.home().join("config.json")
    }

    fn settings(&self, text: &str) {
        std::fs::create_dir_all(self.scene.env.home()).unwrap();
        std::fs::write(self.path(), text).unwrap();
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap_or_default()
    }

    fn chain(&self) -> Chain {
        let settings = Settings::read_from(&self.path()).unwrap();
        let providers = self.providers.iter();
        Chain::new(
            providers.map(|known| Arc::clone(known) as Arc<dyn Provider>),
            &settings.registries.auth,
        )
    }

    fn at<T>(&self, work: impl FnOnce(&LoginStore<'_>, &Context) -> T) -> T {
        let home = Home::at(self.scene.env.home());
        let chain = self.chain();
        let logins = LoginStore {
            home: &home,
            settings: self.path(),
            chain: &chain,
        };
        work(&logins, &Context::default())
    }

    fn login(
        &self,
        registry: &str,
        password: &str,
        store: PasswordStore,
    ) -> Result<LoggedIn, LoginError> {
        let password = password_typed(password.as_bytes())?;
        let login = Login::new(registry, "me", password, store)?;
        let client = &*self.scene.client;
        self.at(|logins, context| login.keep(logins, Some(client), context))
    }

    fn logout(&self) -> LoggedOut {
        let registry = self.registry();
        self.at(|logins, context| auth::logout(logins, &registry, context))
            .unwrap()
    }

    fn list(&self) -> Vec<Registered> {
        self.at(|logins, context| auth::list(logins.chain, context))
            .unwrap()
    }
}

fn keychain() -> Arc<Known> {
    Known::empty("keychain")
}

fn secret_file() -> Arc<Known> {
    Known::saying("secret-file", |request| {
        let settings = request.settings.as_ref();
        match settings.and_then(|settings| settings["secret_name"].as_str()) {
            Some(_) => Ok(answer(RegistryAuth::basic("me", "secret-pass"))),
            None => Err(auth::ProviderError::NotFound),
        }
    })
}

fn a_login_is_tried_kept_and_written_down_without_the_password() {
    let keychain = keychain();
    let desk = Desk::new(&[&keychain]);
    desk.settings("{\n    \"profiles\": {\"z\": 1, \"a\": [1,2]},\n    \"x\": 1.0\n}\n");
    let done = desk
        .login(&desk.registry(), "secret-pass", PasswordStore::Keyring)
        .unwrap();
    assert_eq!(done.welcome, Some(LoginCheck::Known));
    assert!(done.shadowed_by.is_none() && done.replaced.is_none());
    assert!(keychain.has(&desk.registry()));
    let expected = format!(
        "{{\n    \"profiles\": {{\"z\": 1, \"a\": [1,2]}},\n    \"x\": 1.0,\n    \"registries\": \
         {{\n        \"auth\": {{\n            \"{}\": {{\n                \"username\": \
         \"me\",\n                \"store\": \"keyring\"\n            }}\n        }}\n    }}\n}}\n",
        desk.registry()
    );
    assert_eq!(desk.text(), expected);
    let mode = std::fs::metadata(desk.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    desk.logout();
    assert_eq!(
        desk.text(),
        "{\n    \"profiles\": {\"z\": 1, \"a\": [1,2]},\n    \"x\": 1.0\n}\n"
    );
}

fn a_password_that_the_registry_does_not_take_is_not_kept() {
    let keychain = keychain();
    let desk = Desk::new(&[&keychain]);
    for store in [PasswordStore::Keyring, PasswordStore::File] {
        let error = desk
            .login(&desk.registry(), "secret-wrong", store)
            .unwrap_err();
        let text = told(&error);
        assert!(text.contains("does not accept the credentials"), "{text}");
        assert!(text.contains(&desk.registry()), "{text}");
    }
    assert!(!keychain.has(&desk.registry()));
    assert_eq!(desk.text(), "");
    assert!(!desk.scene.env.home().join("secrets").exists());
}

fn a_registry_that_asks_nobody_who_they_are_is_told() {
    let keychain = keychain();
    let scene = Scene::new();
    let desk = Desk {
        scene,
        providers: vec![keychain],
    };
    let done = desk
        .login(&desk.registry(), "secret-pass", PasswordStore::Keyring)
        .unwrap();
    assert_eq!(done.welcome, Some(LoginCheck::Open));
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

fn a_login_that_cannot_be_kept_is_not_written_down() {
    let keychain = keychain();
    keychain.break_down();
    let desk = Desk::new(&[&keychain]);
    let error = desk
        .login(&desk.registry(), "secret-pass", PasswordStore::Keyring)
        .unwrap_err();
    let text = told(&error);
    assert!(
        text.contains("no secure store of credentials for"),
        "{text}"
    );
    assert!(text.contains("there is no bus"), "{text}");
    assert_eq!(desk.text(), "");
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

fn a_login_says_who_would_answer_before_it() {
    let (keychain, files) = (keychain(), secret_file());
    let desk = Desk::new(&[&keychain, &files]);
    let host = desk.registry();
    desk.login(&host, "secret-pass", PasswordStore::Keyring)
        .unwrap();
    keychain.break_down();
    let done = desk
        .login(&host, "secret-pass", PasswordStore::File)
        .unwrap();
    let step = done.shadowed_by.unwrap();
    assert_eq!(step.provider, "keychain");
    let docker = Known::having("docker-config", RegistryAuth::basic("d", "secret-d"));
    let desk = Desk::new(&[&Known::empty("keychain"), &docker]);
    let done = desk
        .login(&desk.registry(), "secret-pass", PasswordStore::Keyring)
        .unwrap();
    assert!(done.shadowed_by.is_none(), "what comes after is no matter");
}

fn every_spelling_of_a_registry_is_the_same_login() {
    for (name, texts) in [
        (
            "docker.io",
            &[
                "docker.io",
                "index.docker.io",
                "registry-1.docker.io",
                "https://index.docker.io/v1/",
                "Docker.IO",
            ][..],
        ),
        (
            "ghcr.io",
            &["ghcr.io", "https://ghcr.io/", "GHCR.IO", " ghcr.io "],
        ),
        ("h:443", &["h:443", "https://H:443/"]),
        ("[::1]:5000", &["[::1]:5000", "http://[::1]:5000/v2/"]),
        ("localhost:5000", &["localhost:5000", "LOCALHOST:5000"]),
        ("127.0.0.1:5000", &["127.0.0.1:5000"]),
    ] {
        for text in texts {
            assert_eq!(registry_named(text).unwrap(), name, "{text}");
        }
    }
    let names: BTreeMap<_, _> = [
        "localhost:5000",
        "localhost",
        "127.0.0.1:5000",
        "localhost:443",
    ]
    .map(|text| (registry_named(text).unwrap(), text))
    .into();
    assert_eq!(names.len(), 4, "these are different registries");
}

fn a_login_with_a_path_is_an_error_that_names_the_registry() {
    for text in ["ghcr.io/org", "https://ghcr.io/org/image", "GHCR.io/org/"] {
        let error = registry_named(text).unwrap_err().to_string();
        assert!(error.contains("use `ghcr.io` instead of"), "{error}");
    }
    for text in ["", "https://", "a b", "/", "ghcr.io:port", "u:p@h", "-"] {
        let error = registry_named(text).unwrap_err();
        assert!(
            matches!(error, LoginError::NotARegistry(_)),
            "{text}: {error}"
        );
    }
}

fn a_password_is_all_but_the_line_ends_after_it() {
    let typed = |text: &str| password_typed(text.as_bytes());
    // What is kept is seen in the file.
    let desk = Desk::new(&[]);
    for (text, kept) in [
        ("pass\n", "pass"),
        ("pass\r\n", "pass"),
        ("pass", "pass"),
        ("  in spaces  \n", "  in spaces  "),
        ("päss:wörd\n", "päss:wörd"),
        ("secret-a\nsecret-b\n", "secret-a\nsecret-b"),
        ("{\r\n  \"key\": 1\r\n}\r\n", "{\r\n  \"key\": 1\r\n}"),
        ("secret-a\n\r\n\n", "secret-a"),
        ("\nsecret-a \t\n", "\nsecret-a \t"),
        ("secret-\0\u{1b}", "secret-\0\u{1b}"),
    ] {
        let login = Login::new("h", "me", typed(text).unwrap(), PasswordStore::File).unwrap();
        let done = desk.at(|logins, context| login.keep(logins, None, context));
        let file = done.unwrap().file.unwrap();
        assert_eq!(std::fs::read_to_string(file).unwrap(), kept);
    }
    for (text, words) in [("", "is empty"), ("\n", "is empty"), ("\r\n", "is empty")] {
        let error = typed(text).unwrap_err();
        assert!(told(&error).contains(words), "{text:?}: {error}");
    }
    assert!(password_typed(&vec![b'x'; MAX_PASSWORD]).is_ok());
    let error = password_typed(&vec![b'x'; MAX_PASSWORD + 1]).unwrap_err();
    assert_eq!(error.to_string(), "the password is longer than 256 KiB");
    let error = password_typed(b"secret-\xff").unwrap_err();
    assert!(told(&error).contains("is not UTF-8"), "{error}");
}

fn a_user_name_is_one_that_registries_can_read() {
    let login = |name: &str| {
        let password = password_typed(b"x").unwrap();
        Login::new("h", name, password, PasswordStore::File)
    };
    for name in ["", "a:b", "a\nb", "a\0"] {
        assert!(login(name).is_err(), "{name:?}");
    }
    for name in [
        "me",
        "a b",
        "é",
        "<token>",
        "$oauthtoken",
        "robot$x+y",
        "0000-00",
    ] {
        assert!(login(name).is_ok(), "{name:?}");
    }
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
