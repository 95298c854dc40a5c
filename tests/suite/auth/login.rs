//! Login, logout and the list, with a credential store that a test can break.

mod logout;
mod settings;

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
    a_login_that_cannot_be_kept_is_not_written_down;
    a_login_says_who_would_answer_before_it;
    every_spelling_of_a_registry_is_the_same_login;
    a_login_with_a_path_is_an_error_that_names_the_registry;
    a_password_is_all_but_the_line_ends_after_it;
    a_user_name_is_one_that_registries_can_read;
}

/// Returns the tests of this file and of the modules below it.
pub(crate) fn all() -> Vec<crate::Test> {
    let tests = [tests(), settings::tests(), logout::tests()];
    tests.into_iter().flatten().collect()
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
