//! A credential provider that does what it is told, with grants and an environment of a test's
//! choosing.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::access::Environment;
use super::{
    ComponentBytes, CredentialDescription, Package, PluginBudget, PluginKind, Runtime, credential,
};
use crate::auth::{Answer, Operations, Provider, ProviderError};
use crate::cancel::Cancel;
use crate::context::Context;
use crate::credential::{Action, CredentialRequest};
use crate::home::Home;
use crate::progress::{Progress, Silent};

/// What a test gives a guest that is going to break its limits.
pub(super) const TIGHT: PluginBudget = PluginBudget {
    memory: 32 << 20,
    compute: Duration::from_millis(800),
    host_calls: 10_000,
    table_elements: 10_000,
    wall: None,
    transfer: 1 << 20,
    made: 100 << 20,
};

/// Returns a component that was built for tests.
pub(super) fn component(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("MSB_COMPONENTS_DIR"));
    std::fs::read(folder.join(name).with_extension("wasm")).unwrap()
}

/// Returns an error with all of its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// A home, an environment, and a provider in them.
pub(super) struct Bench {
    pub(super) home: tempfile::TempDir,
    runtime: Runtime,
    component: Arc<[u8]>,
    progress: Arc<dyn Progress>,
    pub(super) cancel: Cancel,
}

impl Bench {
    /// Makes a home in which `HOME` and `PATH` are `user` and `bin`, beside what `variables` says.
    pub(super) fn new(variables: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        for folder in ["user", "bin", "msb"] {
            std::fs::create_dir(home.path().join(folder)).unwrap();
        }
        let mut environment: BTreeMap<String, OsString> = variables
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.into()))
            .collect();
        environment.insert("HOME".to_owned(), home.path().join("user").into());
        environment.insert("PATH".to_owned(), home.path().join("bin").into());
        let runtime = Runtime::with_environment(
            &Home::at(home.path().join("msb")),
            Environment::Fixed(environment),
        );
        Self {
            home,
            runtime,
            component: component("misbehaving-credentials").into(),
            progress: Arc::new(Silent),
            cancel: Cancel::default(),
        }
    }

    pub(super) fn context(&self) -> Context {
        Context {
            progress: Arc::clone(&self.progress),
            cancel: self.cancel.clone(),
        }
    }

    pub(super) fn provider(&self, grants: &[&str], limits: PluginBudget) -> Arc<dyn Provider> {
        let package = Package {
            name: "rogue".into(),
            version: Some("6.6.6".to_owned()),
            kind: PluginKind::Credential(CredentialDescription {
                name: "rogue".to_owned(),
                title: "Does what it is told".to_owned(),
                operations: Operations {
                    login: true,
                    ..Operations::default()
                },
                registries: vec!["*".to_owned()],
                needs: Vec::new(),
                tier: None,
                reads: None,
            }),
            component: ComponentBytes::Memory(Arc::clone(&self.component)),
            grants: grants.iter().map(|grant| grant.parse().unwrap()).collect(),
            limits,
            settings: Some(serde_json::json!({"colour": "blue"})),
            builtin: false,
        };
        credential::providers(&self.runtime, &[package]).remove(0)
    }

    /// Has the provider do `what` to `argument` under these grants.
    pub(super) fn get(
        &self,
        grants: &[&str],
        what: &str,
        argument: &str,
    ) -> Result<Answer, ProviderError> {
        let provider = self.provider(grants, PluginBudget::CREDENTIAL);
        provider.get(&request(what, argument), &self.context())
    }

    /// The same, where the end is the provider's own words about what it found.
    pub(super) fn words(&self, grants: &[&str], what: &str, argument: &str) -> String {
        self.get(grants, what, argument).unwrap_err().to_string()
    }

    /// Asserts that a capability is denied, and that the command to grant it is named.
    pub(super) fn is_denied(&self, grants: &[&str], what: &str, argument: &str, missing: &str) {
        let words = self.words(grants, what, argument);
        let command = format!("msb plugin grant rogue {missing}`");
        assert!(
            words.starts_with("denied: ") && words.ends_with(&command),
            "{what} {argument}: {words}"
        );
    }

    pub(super) fn write(&self, path: &str, contents: &[u8], mode: u32) -> PathBuf {
        let path = self.home.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, contents).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// Puts a credential helper into `PATH`. Another process writes it: while one of ours has it
    /// open for writing, which a fork of another test may inherit, it cannot be run.
    pub(super) fn helper(&self, name: &str, script: &str) {
        let path = self
            .home
            .path()
            .join("bin")
            .join(format!("docker-credential-{name}"));
        let mut writer = Command::new("sh")
            .args(["-c", "cat > \"$1\" && chmod 755 \"$1\"", "sh"])
            .arg(path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let script = format!("#!/bin/sh\n{script}\n");
        let mut stdin = writer.stdin.take().unwrap();
        stdin.write_all(script.as_bytes()).unwrap();
        drop(stdin);
        assert!(writer.wait().unwrap().success());
    }
}

/// Returns the request that has the provider do `what` to `argument`. `registries.auth` says that
/// the password is in `CONFIGURED_PASSWORD`.
pub(super) fn request(what: &str, argument: &str) -> CredentialRequest {
    CredentialRequest {
        repository: Some(argument.to_owned()),
        settings: Some(serde_json::json!({"password_env": "CONFIGURED_PASSWORD"})),
        ..CredentialRequest::new(what, Action::Pull)
    }
}
