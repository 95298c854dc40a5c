//! The example plugins, installed and used by the commands of their READMEs.
//!
//! A command or document there is a block that is indented by four spaces. Addresses in it are
//! replaced by those of the servers that a test has started.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::vault::Vault;
use super::{PASSWORD, PasswordStore, TOKEN};
use crate::archive::{Image, architecture};
use crate::env::{Run, TestEnv};
use crate::faulty::Registry;
use crate::tests;
use crate::tools::{msb, run};

tests! {
    the_secrets_server_is_asked_after_an_installation_as_its_readme_has_it;
    the_credential_helper_is_asked_after_an_installation_as_its_readme_has_it needs Pass, Helpers;
    the_document_of_the_readme_is_loaded_after_an_installation_as_it_has_it;
}

/// An example beside its component, in a home of its own.
struct Example {
    env: TestEnv,
    readme: String,
    /// What stands in the README for something of the test.
    replaced: Vec<(&'static str, String)>,
}

impl Example {
    fn new(name: &str, replaced: Vec<(&'static str, String)>) -> Self {
        let env = TestEnv::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let components = std::env::var_os("MSB_COMPONENTS")
            .map_or_else(|| root.join("plugins/target/components"), PathBuf::from);
        let file = format!("{name}.wasm");
        std::fs::copy(components.join(&file), env.path(&file)).unwrap();
        let readme = root.join("plugins/examples").join(name).join("README.md");
        Self {
            env,
            readme: std::fs::read_to_string(readme).unwrap(),
            replaced,
        }
    }

    /// Returns the block of the README that begins with a text, with what is replaced in it.
    fn block(&self, beginning: &str) -> String {
        let mut blocks = vec![String::new()];
        for line in self.readme.lines() {
            match (line.strip_prefix("    "), blocks.last_mut()) {
                (Some(line), Some(block)) => block.extend([line, "\n"]),
                _ => blocks.push(String::new()),
            }
        }
        let block = blocks.into_iter().find(|it| it.starts_with(beginning));
        let block = block.unwrap_or_else(|| panic!("no `{beginning}` in {}", self.readme));
        self.replaced.iter().fold(block, |block, (text, own)| {
            assert!(self.readme.contains(text), "no `{text}` in {}", self.readme);
            block.replace(text, own)
        })
    }

    /// Makes config.json what the README says.
    fn configure(&self) {
        let settings = format!("{{{}}}", self.block("\"plugins\": {"));
        let settings: Value = serde_json::from_str(&settings).unwrap();
        std::fs::create_dir_all(self.env.home()).unwrap();
        let path = self.env.home().join("config.json");
        std::fs::write(path, settings.to_string()).unwrap();
    }

    /// Runs the commands of the README, as it has them.
    fn run_commands(&self) {
        let script = self.block("msb plugin install ");
        let mut shell = Command::new("sh");
        let path = std::env::var("PATH").unwrap();
        shell
            .args(["-ec", &script])
            .current_dir(self.env.path(""))
            .stdin(Stdio::null())
            .env(
                "PATH",
                format!("{}:{path}", msb().parent().unwrap().display()),
            )
            .env("HOME", self.env.path("user-home"))
            .env("MSB_HOME", self.env.home());
        run(&mut shell);
    }
}

/// Returns a registry with an image that `ann` may pull.
fn guarded() -> Registry {
    let registry = Registry::start();
    registry.put_image("app", "1", &Image::new("", &["etc/\netc/hosts = here"]));
    registry.challenge(&[r#"Basic realm="tests""#], None);
    // ann:secret-vault
    registry.accept_password("YW5uOnNlY3JldC12YXVsdA==");
    registry
}

fn the_secrets_server_is_asked_after_an_installation_as_its_readme_has_it() {
    let registry = guarded();
    let vault = Vault::with_lease(60);
    let example = Example::new(
        "vault",
        vec![
            (
                "https://vault.example.com:8200",
                format!("http://{}", vault.address),
            ),
            ("ghcr.io", registry.host()),
        ],
    );
    let env = &example.env;
    example.configure();
    let pull = format!("pull {}/app:1", registry.host());
    env.msb(&pull).failure(&[]);
    example.run_commands();
    let run = env.msb(&pull).failure(&["VAULT_TOKEN", "is not set"]);
    assert!(!run.stderr.contains("secret-"), "{run:?}");
    let mut command = env.command(pull.split(' '));
    Run::of(command.env("VAULT_TOKEN", TOKEN)).success();
    let asked = vault.asked();
    let [request] = asked.as_slice() else {
        panic!("{asked:?}");
    };
    assert_eq!(request.path, "/v1/secret/data/registries/ghcr");
    assert_eq!(request.header("x-vault-token"), Some(TOKEN));
}

fn the_credential_helper_is_asked_after_an_installation_as_its_readme_has_it() {
    let registry = guarded();
    let example = Example::new("credential-helper", vec![("ghcr.io", registry.host())]);
    let env = &example.env;
    example.configure();
    example.run_commands();
    let store = PasswordStore::new(env);
    let pull = |words: &[&str]| {
        let mut command = env.command(["pull", &format!("{}/app:1", registry.host())]);
        let run = Run::of(store.opened(&mut command));
        match words {
            [] => run.success(),
            words => run.failure(words),
        }
    };
    pull(&["no credentials", "`credential-helper`"]);
    let login = json!({"ServerURL": registry.host(), "Username": "ann", "Secret": PASSWORD});
    std::fs::write(env.path("login.json"), login.to_string()).unwrap();
    let mut keep = Command::new("docker-credential-pass");
    let login = std::fs::File::open(env.path("login.json")).unwrap();
    run(store.opened(keep.arg("store").stdin(login)));
    pull(&[]);
}

fn the_document_of_the_readme_is_loaded_after_an_installation_as_it_has_it() {
    let example = Example::new("image-json", vec![("amd64", architecture().to_owned())]);
    let env = &example.env;
    std::fs::create_dir_all(env.path("motd/files")).unwrap();
    env.write("motd/files/busybox", b"not really");
    env.write("motd/image.json", example.block("{\n").as_bytes());
    example.run_commands();
    assert_eq!(env.references(), ["example.com/motd:1"]);
    let layers = env.json("image inspect example.com/motd:1 --format json");
    assert_eq!(
        layers["layers"].as_array().map(Vec::len),
        Some(2),
        "{layers}"
    );
}
