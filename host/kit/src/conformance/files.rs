//! The files in the made-up environment: where they lie, and what is in them.
//!
//! Knows nothing of who reads them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::canary::{CANARY, USER, pair};
use super::fake_environment::{SECRET_NAME, Scenario};
use msb_host::plugin::symbolic_path::{self, Root, SymbolicPath};
use msb_host::plugin::{Capability, Grants};

/// A file that the author has set.
#[derive(Debug)]
pub(super) struct OwnFile {
    path: SymbolicPath,
    sample: String,
}

impl OwnFile {
    /// Takes the path as a plugin names it, and a sample of what is in the file.
    pub(super) fn parse(path: &str, sample: &str) -> Result<Self, String> {
        Ok(Self {
            path: symbolic_path::path(path)?,
            sample: sample.to_owned(),
        })
    }

    fn contents(&self, registry: &str) -> String {
        filled(&self.sample, registry)
    }
}

/// Returns a sample of the author's with what stands for the registry and the secret put in.
pub(super) fn filled(sample: &str, registry: &str) -> String {
    sample
        .replace("{{registry}}", registry)
        .replace("{{secret}}", CANARY)
}

/// Lays the files that are granted, and those of the author where the scene has anything that makes
/// sense. Returns what variables name.
pub(super) fn lay(
    root: &Path,
    msb_home: &Path,
    grants: &Grants,
    own: &[OwnFile],
    scenario: Scenario,
    registry: &str,
) -> io::Result<BTreeMap<String, PathBuf>> {
    let mut places = BTreeMap::new();
    let mut base = |path: &SymbolicPath| match &path.root {
        Root::Absolute => root.to_owned(),
        Root::MsbHome => msb_home.to_owned(),
        Root::UserHome => root.join("home/user"),
        Root::Variable(name) => {
            let place = root.join("places").join(name);
            places.insert(name.clone(), place.clone());
            place
        }
    };
    let scopes = grants
        .iter()
        .filter(|it| it.capability() == Capability::Files);
    for scope in scopes.filter_map(|grant| grant.scope()) {
        let Ok(pattern) = symbolic_path::pattern(scope) else {
            continue;
        };
        let base = base(&pattern);
        let Some(contents) = contents(scenario, registry) else {
            continue;
        };
        let names = [SECRET_NAME, registry, "config.json"];
        let several = pattern
            .components
            .last()
            .is_some_and(|last| last.contains('*'));
        for name in names.iter().take(if several { names.len() } else { 1 }) {
            let mut path = base.clone();
            path.extend(
                pattern
                    .components
                    .iter()
                    .map(|it| it.replace("**", name).replace('*', name)),
            );
            put(&path, &contents)?;
        }
    }
    if matches!(scenario, Scenario::Token | Scenario::Documents) {
        for file in own {
            let mut path = base(&file.path);
            path.extend(&file.path.components);
            put(&path, &file.contents(registry))?;
        }
    }
    Ok(places)
}

fn put(path: &Path, contents: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // A pattern may name what another one has as a directory.
    if path.is_dir() {
        return Ok(());
    }
    fs::write(path, contents)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

/// Returns what stands in a variable or a file.
pub(super) fn contents(scenario: Scenario, registry: &str) -> Option<String> {
    match scenario {
        Scenario::Bare => None,
        Scenario::Token => Some(format!("{CANARY}\n")),
        Scenario::Documents => Some(document(registry)),
        Scenario::Rubbish => Some(format!(
            "{{\"auths\": {{\"{registry}\": {{\"auth\": \"{CANARY}\", \"password\": {CANARY}, \
             \"username\": [\"{CANARY}\"]}}"
        )),
    }
}

/// Returns a document in which any parser of logins finds one: that of Docker's files, that of
/// secrets servers, and the fields that others use.
pub(super) fn document(registry: &str) -> String {
    let login = json!({"username": USER, "password": CANARY});
    let entry = json!({"auth": pair()});
    let mut document = json!({
        "auths": {registry: entry, format!("https://{registry}"): entry},
        "registries": {registry: login},
        "data": {"username": USER, "password": CANARY, "data": login},
        "lease_duration": 600,
        "expires_in": 600,
    });
    if registry == "docker.io" {
        document["auths"]["https://index.docker.io/v1/"] = entry;
    }
    for field in ["username", "user", "login"] {
        document[field] = USER.into();
    }
    for field in [
        "password",
        "secret",
        "token",
        "access_token",
        "refresh_token",
        "value",
    ] {
        document[field] = CANARY.into();
    }
    document.to_string()
}
