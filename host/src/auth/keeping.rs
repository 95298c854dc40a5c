//! What `msb registry` has to do with: the providers, the file of settings and the files with
//! passwords.
//!
//! Owns where the metadata of a login is in the settings, and the file that holds a password where
//! the user has chosen one.

use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::chain::Chain;
use super::login::KeepError;
use crate::reference::canonical_host;
use crate::settings::edit::Edit;
use crate::store::Home;

/// What a login changes, and a logout.
#[derive(Clone, Debug)]
pub struct Keeping<'a> {
    /// The home of msb.
    pub home: &'a Home,
    /// The file of settings.
    pub settings: PathBuf,
    /// The providers.
    pub chain: &'a Chain,
}

impl Keeping<'_> {
    /// Returns the file with the password for a registry, of a login that chose a file.
    pub(super) fn file(&self, registry: &str) -> PathBuf {
        self.folder().join(file_name(registry))
    }

    fn folder(&self) -> PathBuf {
        self.home.root().join("secrets/registries")
    }

    /// Writes the file with a password, which nobody else may read.
    pub(super) fn write_file(
        &self,
        registry: &str,
        password: &SecretString,
    ) -> Result<(), KeepError> {
        let path = self.file(registry);
        let failed = |operation| {
            let path = path.clone();
            move |source: io::Error| KeepError::File {
                operation,
                path,
                source,
            }
        };
        let folder = self.folder();
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(failed("create the directory of"))?;
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o700))
            .map_err(failed("protect the directory of"))?;
        // Only its owner may read what `tempfile` makes.
        let mut file = tempfile::NamedTempFile::new_in(&folder).map_err(failed("write"))?;
        file.write_all(password.expose_secret().as_bytes())
            .and_then(|()| file.as_file().sync_all())
            .map_err(failed("write"))?;
        file.persist(&path)
            .map_err(|error| failed("write")(error.error))?;
        Ok(())
    }

    /// Removes the file with a password, and returns whether there was one.
    pub(super) fn remove_file(&self, registry: &str) -> Result<bool, KeepError> {
        let path = self.file(registry);
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(KeepError::File {
                operation: "remove",
                path,
                source,
            }),
        }
    }

    /// Returns the bytes of the file with a password, if there is one.
    pub(super) fn read_file(&self, registry: &str) -> Option<SecretString> {
        let text = std::fs::read_to_string(self.file(registry)).ok()?;
        Some(SecretString::from(text))
    }
}

/// Returns where the settings say something of a registry, in whatever spelling: the keys.
pub(super) fn places(edit: &Edit, registry: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let keys = |parent: &str| match edit.get(&["registries", parent]) {
        Some(Value::Object(object)) => object,
        _ => serde_json::Map::new(),
    };
    let is_it = |key: &str| canonical_host(key).as_deref() == Some(registry);
    for (key, value) in keys("auth") {
        if is_it(&key) && !value.is_null() {
            found.push(vec!["registries".to_owned(), "auth".to_owned(), key]);
        }
    }
    for (key, value) in keys("hosts") {
        if is_it(&key) && !value["auth"].is_null() {
            let keys = ["registries", "hosts", &key, "auth"];
            found.push(keys.map(str::to_owned).to_vec());
        }
    }
    found
}

/// Writes down who the user is, in the place where the settings say it already.
pub(super) fn write_down(
    path: &Path,
    registry: &str,
    username: &str,
    source: (&str, &str),
) -> Result<(), KeepError> {
    let mut edit = Edit::open(path)?;
    let mut places = places(&edit, registry).into_iter();
    let place = places
        .next()
        .unwrap_or_else(|| ["registries", "auth", registry].map(str::to_owned).to_vec());
    let entry = json!({"username": username, source.0: source.1});
    edit.set(&strs(&place), &entry)?;
    for other in places {
        edit.remove(&strs(&other));
    }
    edit.save()?;
    Ok(())
}

/// Returns what the file with the password for a registry is called: the registry, with `_` for
/// every character that no file should have in its name. No host has a `_` of its own.
pub(super) fn file_name(registry: &str) -> String {
    registry.replace([':', '[', ']'], "_")
}

pub(super) fn strs(keys: &[String]) -> Vec<&str> {
    keys.iter().map(String::as_str).collect()
}
