//! Where logins are stored: the providers, the file of settings and the files with
//! passwords.
//!
//! Owns where the metadata of a login is in the settings, and the file that holds a password where
//! the user has chosen one.

use std::error::Error;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::chain::Chain;
use super::login_error::LoginError;
use crate::fs::atomic::{self, AtomicFile, FORMER_PASSWORD, Mode, SetAside};
use crate::fs::{self, PRIVATE_DIRECTORY, PRIVATE_FILE, SHARED_DIRECTORY, create_directory};
use crate::home::Home;
use crate::reference::canonical_host;
use crate::settings::edit::Edit;

/// Where a login is stored: what a login changes, and a logout.
#[derive(Clone, Debug)]
pub struct LoginStore<'a> {
    /// The home of msb.
    pub home: &'a Home,
    /// The file of settings.
    pub settings: PathBuf,
    /// The providers.
    pub chain: &'a Chain,
}

impl LoginStore<'_> {
    /// Returns the file with the password for a registry, of a login that chose a file.
    pub(super) fn file(&self, registry: &str) -> PathBuf {
        self.home.passwords().join(file_name(registry))
    }

    /// Writes a password, for the user alone to read, to a file that gets its name later: then
    /// little can go wrong any more, and a process that is killed until then leaves no password.
    pub(super) fn prepare_file(
        &self,
        registry: &str,
        password: &SecretString,
    ) -> Result<AtomicFile, LoginError> {
        let path = self.file(registry);
        let folder = self.home.passwords();
        let make = || -> io::Result<()> {
            create_directory(self.home.root(), SHARED_DIRECTORY)?;
            let secrets = folder.parent().unwrap_or(&folder);
            create_directory(secrets, PRIVATE_DIRECTORY)?;
            create_directory(&folder, PRIVATE_DIRECTORY)?;
            Ok(fs::set_mode(&folder, PRIVATE_DIRECTORY)?)
        };
        make().map_err(failed("create the directory of", &path))?;
        let write = || -> io::Result<AtomicFile> {
            let file = AtomicFile::create(&path, Mode::Exactly(PRIVATE_FILE))?;
            file.file().write_all(password.expose_secret().as_bytes())?;
            file.file().sync_all()?;
            Ok(file)
        };
        write().map_err(failed("write", &path))
    }

    /// Takes its name from the file with a password, if there is one, before the settings lose it as
    /// well: then it is removed, or gets its name back where the settings cannot be written.
    pub(super) fn set_aside(&self, registry: &str) -> Result<Option<SetAside>, LoginError> {
        let path = self.file(registry);
        atomic::set_aside(&path).map_err(failed("remove", &path))
    }

    /// Removes a file that was set aside.
    pub(super) fn remove(&self, registry: &str, file: Option<&SetAside>) -> Result<(), LoginError> {
        let removed = file.map_or(Ok(()), SetAside::remove);
        removed.map_err(failed("remove", &self.file(registry)))
    }

    /// Gives a file that was set aside its name back after an error, and makes the settings what
    /// they were where they were written. Returns the error, with the file for which this fails.
    pub(super) fn undone(
        &self,
        registry: &str,
        file: Option<SetAside>,
        written: Option<&Edit>,
        error: LoginError,
    ) -> LoginError {
        let error = match file.map_or(Ok(()), SetAside::restore) {
            Ok(()) => error,
            Err(reason) => not_restored(self.file(registry), &reason, error),
        };
        match written.map_or(Ok(()), Edit::undo) {
            Ok(()) => error,
            Err(reason) => not_restored(self.settings.clone(), &reason, error),
        }
    }

    /// Removes what logins that were killed have left.
    pub(super) fn tidy(&self) {
        atomic::remove_left(&self.home.passwords(), Some(FORMER_PASSWORD));
    }
}

pub(super) fn failed(
    operation: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> LoginError + use<> {
    let path = path.to_owned();
    move |source| LoginError::File {
        operation,
        path,
        source,
    }
}

fn not_restored(path: PathBuf, reason: &dyn Error, first: LoginError) -> LoginError {
    let cause = std::iter::successors(Some(reason), |&error| error.source()).last();
    LoginError::NotRestored {
        path,
        reason: cause.map_or_else(String::new, ToString::to_string),
        first: Box::new(first),
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

/// Writes the metadata of a login into the settings, where an entry of the registry is already.
pub(super) fn write_down(
    edit: &mut Edit,
    registry: &str,
    username: Option<&str>,
    source: (&str, &str),
) -> Result<(), LoginError> {
    let mut places = places(edit, registry).into_iter();
    let place = places
        .next()
        .unwrap_or_else(|| ["registries", "auth", registry].map(str::to_owned).to_vec());
    let mut entry = json!({});
    if let Some(username) = username {
        entry["username"] = username.into();
    }
    entry[source.0] = source.1.into();
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
