//! The providers of the table, and how a password gets to where each of them looks.

use std::cell::RefCell;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::archive::Image;
use crate::auth::keychain::Keychain;
use crate::env::{Run, TestEnv};
use crate::faulty::Registry;
use crate::plugins::keeper;

pub(super) const USER: &str = "me";
pub(super) const PASSWORD: &str = "secret-pass";

/// The variable with a password.
const VARIABLE: &str = "ROLES_PASSWORD";
/// The name of the file with one.
const SECRET: &str = "roles";

/// A helper that keeps a login for each server in a file.
const HELPER: &str = r#"#!/bin/sh
cd @FOLDER@ || exit 1
case $1 in
    store) cat > new && mv new "$(sed 's/.*"ServerURL":"\([^"]*\)".*/\1/' new)";;
    get) read -r server; cat "$server" 2>/dev/null \
        || { echo "credentials not found in native keychain"; exit 1; };;
    erase) read -r server; rm -f "$server";;
    list) echo '{}';;
esac
"#;

/// Where a provider looks.
enum Place {
    Keychain(Keychain),
    Variable,
    SecretFile,
    Docker,
    Box,
}

/// A provider, in a home with two registries.
pub(super) struct Subject {
    /// What messages call it.
    pub(super) name: &'static str,
    /// What `--store` calls it, if it stores.
    pub(super) store: Option<&'static str>,
    /// Its tier, if the user chooses none.
    pub(super) own_tier: &'static str,
    /// A registry that lets in [`USER`] with [`PASSWORD`] alone.
    pub(super) registry: Registry,
    /// A registry that accepts every client, by a token.
    pub(super) public: Registry,
    place: Place,
    env: TestEnv,
    variable: RefCell<Option<String>>,
    auth: RefCell<Map<String, Value>>,
    plugins: RefCell<Value>,
}

impl Subject {
    pub(super) fn keychain() -> Self {
        let keychain = Place::Keychain(Keychain::unlocked());
        Self::new("keychain", Some("keyring"), "ambient", keychain)
    }

    pub(super) fn variables() -> Self {
        Self::new("env", None, "configured", Place::Variable)
    }

    pub(super) fn secret_file() -> Self {
        Self::new("secret-file", Some("file"), "configured", Place::SecretFile)
    }

    pub(super) fn docker() -> Self {
        Self::new("docker-config", None, "ambient", Place::Docker)
    }

    pub(super) fn in_rust(name: &'static str, attributes: &[(&str, &str)]) -> Self {
        let subject = Self::new(name, Some(name), "installed", Place::Box);
        subject.install(&keeper::in_rust(name, attributes));
        subject
    }

    /// Returns one that calls itself `provides`, under another name.
    pub(super) fn in_place_of(provides: &str, name: &'static str) -> Self {
        let subject = Self::new(name, Some(name), "ambient", Place::Box);
        subject.install(&keeper::in_rust(provides, &[]));
        subject
    }

    pub(super) fn in_python() -> Self {
        let subject = Self::new("box", Some("box"), "installed", Place::Box);
        subject.env.give_time_to_compile("box");
        subject.install(&keeper::in_python());
        subject
    }

    pub(super) fn in_javascript() -> Self {
        let subject = Self::new("box", Some("box"), "installed", Place::Box);
        subject.env.give_time_to_compile("box");
        subject.install(&keeper::in_javascript());
        subject
    }

    pub(super) fn in_c() -> Self {
        let subject = Self::new("box", Some("box"), "installed", Place::Box);
        subject.install(&keeper::in_c());
        subject
    }

    fn new(
        name: &'static str,
        store: Option<&'static str>,
        own_tier: &'static str,
        place: Place,
    ) -> Self {
        let registry = Registry::start();
        registry.challenge(&[r#"Basic realm="x""#], None);
        registry.accept_password(&STANDARD.encode(format!("{USER}:{PASSWORD}")));
        let public = Registry::start();
        public.require_token(&public);
        for registry in [&registry, &public] {
            registry.put_image("app", "1", &Image::new("", &["etc/\netc/hosts = here"]));
        }
        let env = TestEnv::new();
        for folder in ["docker-config", "bin", "box"] {
            std::fs::create_dir_all(env.path(folder)).unwrap();
        }
        let script = HELPER.replace("@FOLDER@", env.path("box").to_str().unwrap());
        let helper = env.write("bin/docker-credential-box", script.as_bytes());
        std::fs::set_permissions(helper, PermissionsExt::from_mode(0o755)).unwrap();
        Self {
            name,
            store,
            own_tier,
            registry,
            public,
            place,
            env,
            variable: RefCell::default(),
            auth: RefCell::default(),
            plugins: RefCell::new(json!({})),
        }
    }

    fn install(&self, component: &[u8]) {
        let path = self.env.write("plugin.wasm", component);
        let name = self.name;
        self.msb(&format!(
            "plugin install {} --name {name} --yes",
            path.display()
        ))
        .success();
    }

    /// Has it updated to one of other wishes.
    pub(super) fn reinstall(&self, attributes: &[(&str, &str)]) {
        self.env
            .write("plugin.wasm", &keeper::in_rust(self.name, attributes));
        self.msb(&format!("plugin update {} --yes", self.name))
            .success();
    }

    pub(super) fn msb(&self, line: &str) -> Run {
        self.msb_with_input(line, "")
    }

    pub(super) fn msb_with_input(&self, line: &str, input: &str) -> Run {
        let mut command = self.env.command(line.split(' '));
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", self.env.path("bin").display()));
        if let Place::Keychain(keychain) = &self.place {
            keychain.give(&mut command);
        }
        if let Some(password) = &*self.variable.borrow() {
            command.env(VARIABLE, password);
        }
        let run = Run::with_input(&mut command, input.as_bytes());
        crate::auth::assert_no_secret(&run);
        run
    }

    pub(super) fn pull(&self) -> Run {
        self.msb(&format!("pull --force {}/app:1", self.registry.host()))
    }

    /// Returns what is said of each provider.
    pub(super) fn explain(&self, host: &str) -> Vec<Value> {
        let run = self.msb(&format!("plugin explain-auth {host} --format json"));
        serde_json::from_str(&run.success().stdout).unwrap()
    }

    /// Returns the provider whose answer is used.
    pub(super) fn answers_for(&self, host: &str) -> Option<String> {
        let rows = self.explain(host);
        let used = rows.iter().find(|row| row["used"] == true)?;
        Some(used["provider"].as_str().unwrap().to_owned())
    }

    /// Chooses its tier, and returns the one that it has.
    pub(super) fn tier(&self, choice: &str) -> String {
        let line = format!("plugin tier {} {choice}", self.name);
        let run = self.msb(line.trim()).success();
        run.stdout.trim().to_owned()
    }

    /// Returns the entry of the settings for a registry that names it.
    pub(super) fn entry(&self) -> Value {
        match self.place {
            Place::Variable => json!({"username": USER, "password_env": VARIABLE}),
            Place::SecretFile => json!({"username": USER, "secret_name": SECRET}),
            _ => json!({"provider": self.name}),
        }
    }

    /// Writes the settings of registries and of plugins.
    pub(super) fn settings(&self, auth: &Value, plugins: &Value) {
        self.auth.replace(auth.as_object().unwrap().clone());
        self.plugins.replace(plugins.clone());
        self.write_settings();
    }

    fn write_settings(&self) {
        let settings = json!({
            "registries": {"auth": &*self.auth.borrow()},
            "plugins": &*self.plugins.borrow(),
        });
        let path = self.env.home().join("config.json");
        std::fs::create_dir_all(self.env.home()).unwrap();
        std::fs::write(path, settings.to_string()).unwrap();
    }

    /// Returns what the settings say of a registry.
    pub(super) fn setting(&self, host: &str) -> Value {
        let text = std::fs::read(self.env.home().join("config.json")).unwrap();
        let settings: Value = serde_json::from_slice(&text).unwrap();
        settings["registries"]["auth"][host].clone()
    }

    /// Puts a password where it looks. Where it needs to be told where that is, so do the settings.
    pub(super) fn give(&self, host: &str, password: &str) {
        match &self.place {
            Place::Keychain(keychain) => {
                let item = json!({"username": USER, "password": password});
                keychain.keep(host, &item.to_string());
            }
            Place::Variable => *self.variable.borrow_mut() = Some(password.to_owned()),
            Place::SecretFile => {
                let file = self.secret_file_path();
                let folder = file.parent().unwrap();
                std::fs::create_dir_all(folder).unwrap();
                for folder in [folder, folder.parent().unwrap()] {
                    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o700)).unwrap();
                }
                std::fs::write(&file, password).unwrap();
                std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
            }
            Place::Docker => {
                let auth = STANDARD.encode(format!("{USER}:{password}"));
                let file = json!({"auths": {host: {"auth": auth}}}).to_string();
                self.env.write("docker-config/config.json", file.as_bytes());
            }
            Place::Box => {
                let login = json!({"ServerURL": host, "Username": USER, "Secret": password});
                self.env
                    .write(&format!("box/{host}"), login.to_string().as_bytes());
            }
        }
        if matches!(self.place, Place::Variable | Place::SecretFile) {
            self.auth.borrow_mut().insert(host.to_owned(), self.entry());
            self.write_settings();
        }
    }

    fn secret_file_path(&self) -> PathBuf {
        self.env.home().join("secrets/registries").join(SECRET)
    }

    /// Takes away what [`give`](Self::give) has put there.
    pub(super) fn take_away(&self, host: &str) {
        match &self.place {
            Place::Keychain(keychain) => {
                if keychain.kept(host).is_some() {
                    keychain.forget(host);
                }
            }
            Place::Variable => *self.variable.borrow_mut() = None,
            Place::SecretFile => remove(self.secret_file_path()),
            Place::Docker => remove(self.env.path("docker-config/config.json")),
            Place::Box => remove(self.env.path("box").join(host)),
        }
    }

    /// Makes everything as it was.
    pub(super) fn clear(&self) {
        for registry in [&self.registry, &self.public] {
            self.take_away(&registry.host());
        }
        self.settings(&json!({}), &json!({}));
        self.tier("--default");
    }
}

fn remove(path: PathBuf) {
    if path.exists() {
        std::fs::remove_file(path).unwrap();
    }
}
