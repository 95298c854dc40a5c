//! The plugins under `plugins/examples`, as components in msb, against what they are for.

mod image_json;
mod readme;
pub(crate) mod vault;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use msb_host::Context;
use msb_host::auth::{Chain, ProviderError};
use msb_host::cancel::Cancel;
use msb_host::credential::{Action, CredentialRequest, RegistryAuth};
use msb_host::home::Home;
use msb_host::hosts::{HostOverrides, RetryPolicy};
use msb_host::image::{self, PullError, PullOptions};
use msb_host::plugin::{
    ComponentBytes, Grants, Package, PluginBudget, PluginKind, Runtime, providers,
};
use msb_host::progress::{Progress, Silent};
use msb_host::registry::Client;
use msb_host::settings::Settings;
use msb_host::store::Store;
use serde_json::{Value, json};

use self::vault::Vault;
use crate::archive::Image;
use crate::env::TestEnv;
use crate::faulty::Registry;
use crate::tests;
use crate::tools::run;

tests! {
    a_login_of_a_secrets_server_is_pulled_with;
    a_login_is_used_as_long_as_its_lease_and_no_longer;
    a_secrets_server_that_lets_nobody_in_ends_the_pull;
    a_secrets_server_that_is_gone_is_no_bar_to_a_public_image;
    a_secrets_server_that_is_not_granted_is_not_asked;
    a_helper_keeps_and_forgets_a_login_that_is_pulled_with needs Pass, Helpers;
}

/// All tests about the examples.
pub(crate) fn all() -> Vec<crate::Test> {
    [tests(), image_json::tests(), readme::tests()]
        .into_iter()
        .flatten()
        .collect()
}

const TOKEN: &str = "hvs.secret-token";

const PASSWORD: &str = "secret-vault";

fn silent() -> Arc<dyn Progress> {
    Arc::new(Silent)
}

/// Returns a plugin with what it has been granted, as it is after an installation.
fn package(runtime: &Runtime, name: &str, grants: &[String], settings: Option<Value>) -> Package {
    let folder = std::env::var_os("MSB_COMPONENTS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/target/components"),
        PathBuf::from,
    );
    let bytes = std::fs::read(folder.join(name).with_extension("wasm")).unwrap();
    let inspection = runtime
        .inspect(name, &bytes, &silent(), &Cancel::default())
        .unwrap();
    let limits = match inspection.kind {
        PluginKind::Format(_) => PluginBudget::FORMAT,
        PluginKind::Credential(_) => PluginBudget::CREDENTIAL,
    };
    let mut granted = Grants::default();
    for grant in grants {
        granted.insert(grant.parse().unwrap());
    }
    Package {
        name: name.into(),
        version: inspection.metadata.version,
        kind: inspection.kind,
        component: ComponentBytes::Memory(bytes.into()),
        grants: granted,
        limits,
        settings,
        builtin: false,
    }
}

/// A registry, and a home with the token of a secrets server.
struct Scene {
    env: TestEnv,
    registry: Registry,
    token: PathBuf,
}

impl Scene {
    /// The registry lets in who has the login that the server knows.
    fn guarded() -> Self {
        let scene = Self::open();
        scene.registry.challenge(&[r#"Basic realm="tests""#], None);
        let login = STANDARD.encode(format!("ann:{PASSWORD}"));
        scene.registry.accept_password(&login);
        scene
    }

    fn open() -> Self {
        let env = TestEnv::new();
        let registry = Registry::start();
        for name in ["app", "other"] {
            registry.put_image(name, "1", &Image::new("", &["etc/\netc/hosts = here"]));
        }
        let token = env.write("vault-token", format!("{TOKEN}\n").as_bytes());
        Self {
            env,
            registry,
            token,
        }
    }

    /// Returns the chain with the provider as the only one.
    fn chain(&self, vault: &Vault, grants: &[String]) -> Arc<Chain> {
        let runtime = Runtime::new(&Home::at(self.env.home()));
        let settings = json!({
            "address": format!("http://{}", vault.address),
            "token_file": self.token,
            "registries": {self.registry.host(): "registries/app"},
        });
        let package = package(&runtime, "vault", grants, Some(settings));
        let providers = providers(&runtime, &[package]);
        Arc::new(Chain::new(providers, &Settings::default().registries.auth))
    }

    fn granted(&self, vault: &Vault) -> Arc<Chain> {
        let files = format!("files={}", self.token.display());
        self.chain(vault, &[vault.grant(), files, "clock".to_owned()])
    }

    fn pull(&self, name: &str, chain: &Arc<Chain>) -> Result<(), PullError> {
        pull(
            &self.env,
            &format!("{}/{name}:1", self.registry.host()),
            chain,
        )
    }

    fn pull_error(&self, chain: &Arc<Chain>) -> String {
        let error = self.pull("app", chain).unwrap_err();
        let first: &dyn std::error::Error = &error;
        let all = std::iter::successors(Some(first), |error| error.source());
        let text: Vec<String> = all.map(ToString::to_string).collect();
        let text = text.join("\n");
        assert!(!text.contains("secret-"), "{text}");
        text
    }
}

fn pull(env: &TestEnv, reference: &str, chain: &Arc<Chain>) -> Result<(), PullError> {
    let hosts = Settings::default()
        .hosts(&HostOverrides::default())
        .unwrap();
    let client = Arc::new(Client::new(hosts, RetryPolicy::default()).unwrap());
    let options = PullOptions {
        chain: Arc::clone(chain),
        ..PullOptions::default()
    };
    let store = Store::open(&Home::at(env.home())).unwrap();
    let reference = reference.parse().unwrap();
    image::pull(&store, &client, &reference, &options, &Context::default()).map(drop)
}

fn a_login_of_a_secrets_server_is_pulled_with() {
    let scene = Scene::guarded();
    let vault = Vault::with_lease(0);
    let chain = scene.granted(&vault);
    scene.pull("app", &chain).unwrap();
    scene.pull("other", &chain).unwrap();
    let asked = vault.asked();
    let [request] = asked.as_slice() else {
        panic!("{asked:?}");
    };
    assert_eq!(request.path, "/v1/secret/data/registries/app");
    assert_eq!(request.header("x-vault-token"), Some(TOKEN));
}

fn a_login_is_used_as_long_as_its_lease_and_no_longer() {
    for (lease, times) in [(3600, 1), (30, 2)] {
        let scene = Scene::guarded();
        let vault = Vault::with_lease(lease);
        let chain = scene.granted(&vault);
        scene.pull("app", &chain).unwrap();
        scene.pull("other", &chain).unwrap();
        assert_eq!(vault.asked().len(), times, "{lease}");
    }
}

fn a_secrets_server_that_lets_nobody_in_ends_the_pull() {
    let scene = Scene::guarded();
    let vault = Vault::answering(403, &json!({"errors": ["permission denied for secret-x"]}));
    let error = scene.pull_error(&scene.granted(&vault));
    assert!(error.contains("vault"), "{error}");
    assert!(
        error.contains("the server does not let this token read it (status 403)"),
        "{error}"
    );
}

fn a_secrets_server_that_is_gone_is_no_bar_to_a_public_image() {
    let scene = Scene::open();
    let vault = Vault::with_lease(0);
    let grants = scene.granted(&vault);
    drop(vault);
    scene.pull("app", &grants).unwrap();
}

fn a_secrets_server_that_is_not_granted_is_not_asked() {
    let scene = Scene::guarded();
    let vault = Vault::with_lease(0);
    let files = format!("files={}", scene.token.display());
    let error = scene.pull_error(&scene.chain(&vault, &[files, "clock".to_owned()]));
    assert!(error.contains("msb plugin grant vault http="), "{error}");
    assert!(vault.asked().is_empty());
}

/// A password store with a key, for one test.
struct PasswordStore {
    gnupg: PathBuf,
    folder: PathBuf,
}

impl PasswordStore {
    fn new(env: &TestEnv) -> Self {
        let store = Self {
            gnupg: env.path("gnupg"),
            folder: env.path("password-store"),
        };
        std::fs::create_dir_all(&store.gnupg).unwrap();
        std::fs::set_permissions(&store.gnupg, PermissionsExt::from_mode(0o700)).unwrap();
        let key =
            "--batch --quiet --pinentry-mode loopback --passphrase= --quick-generate-key msb-tests";
        run(store.opened(Command::new("gpg").args(key.split(' '))));
        run(store.opened(Command::new("pass").args(["init", "msb-tests"])));
        store
    }

    /// Lets a program use it.
    fn opened<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("GNUPGHOME", &self.gnupg)
            .env("PASSWORD_STORE_DIR", &self.folder)
    }
}

impl Drop for PasswordStore {
    fn drop(&mut self) {
        let _ = self
            .opened(Command::new("gpgconf").args(["--kill", "gpg-agent"]))
            .status();
    }
}

/// Where the second process finds the registry of the first.
const REGISTRY: &str = "MSB_TEST_HELPED_REGISTRY";

/// A plugin's helper has the environment of the process, so this test is a process of its own: the
/// first builds a password store, and runs itself in it.
fn a_helper_keeps_and_forgets_a_login_that_is_pulled_with() {
    if let Ok(host) = std::env::var(REGISTRY) {
        return keep_and_forget(&host);
    }
    let scene = Scene::guarded();
    let store = PasswordStore::new(&scene.env);
    let this = "plugins::examples::a_helper_keeps_and_forgets_a_login_that_is_pulled_with";
    let mut second = Command::new(std::env::current_exe().unwrap());
    second
        .args(["--exact", this])
        .env("HOME", scene.env.path("user-home"))
        .env(REGISTRY, scene.registry.host());
    let output = store.opened(&mut second).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{output:?}"
    );
}

fn keep_and_forget(host: &str) {
    let env = TestEnv::new();
    let runtime = Runtime::new(&Home::at(env.home()));
    let settings = json!({"helper": "pass", "registries": [host]});
    let grants = ["helper=pass".to_owned()];
    let package = package(&runtime, "credential-helper", &grants, Some(settings));
    let providers = providers(&runtime, &[package]);
    let provider = Arc::clone(&providers[0]);
    let context = Context::default();
    let request = CredentialRequest::new(host, Action::Login);
    // Each pull asks again: a chain keeps what it was told.
    let pull = || {
        let chain = Chain::new(providers.clone(), &Settings::default().registries.auth);
        pull(&env, &format!("{host}/app:1"), &Arc::new(chain))
    };
    pull().unwrap_err();
    let login = RegistryAuth::basic("ann", PASSWORD);
    provider.store(&request, &login, &context).unwrap();
    let listed = provider.list(&context).unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0].registry, host);
    assert_eq!(listed[0].username.as_deref(), Some("ann"));
    pull().unwrap();
    provider.erase(&request, &context).unwrap();
    assert!(provider.list(&context).unwrap().is_empty());
    let again = provider.erase(&request, &context);
    assert!(matches!(again, Err(ProviderError::NotFound)), "{again:?}");
}
