//! Changing the file of settings.
//!
//! Only the value that changes is rewritten: everything else keeps its order, its spaces and its
//! meaning, also where it is none of ours. The new file takes the place of the old one at once,
//! readable by the user alone; two who change it at once do so one after the other. Others
//! cannot open the lock, so they cannot hold it.

mod text;

use std::fs::{File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::{Settings, SettingsError};
use crate::cancel::Cancel;
use crate::fs::atomic::{self, FORMER_SETTINGS, Mode};
use crate::fs::{self, FileError, IfThere as _, PRIVATE_FILE, SHARED_DIRECTORY, create_directory};

/// How often a lock that is taken is tried again. Waiting in the kernel could not be cancelled.
const RETRY: Duration = Duration::from_millis(10);

/// A file of settings, locked against other writers until this is dropped.
#[derive(Debug)]
pub struct Edit {
    path: PathBuf,
    text: String,
    /// What the file had; `None` if there was none.
    before: Option<String>,
    lock: File,
}

impl Drop for Edit {
    fn drop(&mut self) {
        // A child process may have the file as well, until it runs another program.
        let _ = self.lock.unlock();
    }
}

impl Edit {
    /// Opens a file for changes; one that is not there is empty. Waits for others who change it.
    ///
    /// # Errors
    /// Those of [`Settings::read_from`]: what is broken is not changed.
    pub fn open(path: &Path, cancel: &Cancel) -> Result<Self, SettingsError> {
        let failed = |operation, path: &Path, source| SettingsError::Edit {
            operation,
            path: path.to_owned(),
            source,
        };
        let of_file = |error: FileError| failed(error.operation, &error.path, error.source);
        // What a link leads to is replaced, not the link.
        let found = fs::canonicalize(path).if_there().map_err(of_file)?;
        let path = found.unwrap_or_else(|| path.to_owned());
        let folder = fs::parent(&path);
        create_directory(folder, SHARED_DIRECTORY)
            .map_err(|error| failed("create", folder, error))?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".lock");
        let lock_path = path.with_file_name(name);
        let failed_to_lock = |error| failed("lock", &lock_path, error);
        let lock = open_lock(&lock_path).map_err(failed_to_lock)?;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => cancel.check()?,
                Err(TryLockError::Error(error)) => return Err(failed_to_lock(error)),
            }
            std::thread::sleep(RETRY);
        }
        atomic::remove_left(fs::parent(&path), Some(FORMER_SETTINGS));
        Settings::read_from(&path)?;
        let before = fs::read_text(&path).if_there().map_err(of_file)?;
        Ok(Self {
            path,
            text: before.clone().unwrap_or_else(|| "{}\n".to_owned()),
            before,
            lock,
        })
    }

    /// Returns the value at the end of a path of keys.
    pub fn get(&self, keys: &[&str]) -> Option<Value> {
        let mut value: Value = serde_json::from_str(&self.text).ok()?;
        for key in keys {
            value = value.get_mut(key)?.take();
        }
        Some(value)
    }

    /// Sets the value at the end of a path of keys. Objects on the way that are not there are made.
    ///
    /// # Errors
    /// [`SettingsError::NoObject`] where something else than an object is in the way.
    pub fn set(&mut self, keys: &[&str], value: &Value) -> Result<(), SettingsError> {
        self.text =
            text::set(&self.text, keys, value).map_err(|depth| SettingsError::NoObject {
                path: self.path.clone(),
                key: keys.get(..depth).unwrap_or(keys).join("."),
            })?;
        Ok(())
    }

    /// Removes the value at the end of a path of keys, and the objects on the way that are empty
    /// then. Returns whether there was one.
    pub fn remove(&mut self, keys: &[&str]) -> bool {
        let Some(mut text) = text::remove(&self.text, keys) else {
            return false;
        };
        let mut keys = keys;
        while let [parents @ .., _] = keys
            && !parents.is_empty()
        {
            match text::remove_if_empty(&text, parents) {
                Some(shorter) => text = shorter,
                None => break,
            }
            keys = parents;
        }
        self.text = text;
        true
    }

    /// Writes the file.
    pub fn save(&self) -> Result<(), SettingsError> {
        self.write(&self.text)
    }

    /// Makes the file what it was before, after it was written.
    pub fn undo(&self) -> Result<(), SettingsError> {
        match &self.before {
            Some(before) => self.write(before),
            None => fs::remove_file(&self.path).map_err(|error| self.failed(error.source)),
        }
    }

    fn write(&self, text: &str) -> Result<(), SettingsError> {
        atomic::write(&self.path, Mode::Exactly(PRIVATE_FILE), text.as_bytes())
            .map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> SettingsError {
        SettingsError::Edit {
            operation: "write",
            path: self.path.clone(),
            source,
        }
    }
}

/// Opens the lock, and makes it if there is none. Earlier versions left it open to others.
fn open_lock(path: &Path) -> io::Result<File> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(PRIVATE_FILE)
        .open(path)?;
    if file.metadata()?.mode() & 0o777 != PRIVATE_FILE {
        file.set_permissions(Permissions::from_mode(PRIVATE_FILE))?;
    }
    Ok(file)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::symlink;

    use serde_json::json;

    use super::*;

    fn open(path: &Path) -> Result<Edit, SettingsError> {
        Edit::open(path, &Cancel::default())
    }

    #[test]
    fn a_file_is_replaced_by_one_that_only_the_user_may_read_and_links_stay() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("real.json");
        let link = folder.path().join("config.json");
        std::fs::write(&real, "{\"x\": 1}").unwrap();
        std::fs::set_permissions(&real, Permissions::from_mode(0o644)).unwrap();
        symlink("real.json", &link).unwrap();
        let mut edit = open(&link).unwrap();
        edit.set(&["y"], &json!(2)).unwrap();
        edit.save().unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(&real).unwrap(), r#"{"x": 1,"y":2}"#);
        let mode = std::fs::metadata(&real).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["config.json", "real.json", "real.json.lock"]);
    }

    #[test]
    fn a_file_that_is_not_there_is_made_with_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/config.json");
        let mut edit = open(&path).unwrap();
        assert!(!edit.remove(&["registries", "auth"]));
        edit.set(&["registries", "auth", "h"], &json!({"store": "keyring"}))
            .unwrap();
        assert_eq!(
            edit.get(&["registries", "auth", "h", "store"]),
            Some(json!("keyring"))
        );
        edit.save().unwrap();
        let expected = "{\n  \"registries\": {\n    \"auth\": {\n      \"h\": {\n        \
                        \"store\": \"keyring\"\n      }\n    }\n  }\n}\n";
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    }

    #[test]
    fn a_file_that_is_broken_is_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        for text in ["", "{", "[]", r#"{"registries": 5}"#] {
            std::fs::write(&path, text).unwrap();
            assert!(open(&path).is_err(), "{text}");
        }
        std::fs::write(&path, r#"{"x": {"y": []}}"#).unwrap();
        let mut edit = open(&path).unwrap();
        let error = edit.set(&["x", "y", "z"], &json!(1)).unwrap_err();
        assert!(error.to_string().contains("`x.y`"), "{error}");
    }

    #[test]
    fn the_lock_is_closed_to_others_and_what_was_left_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let lock = folder.path().join("config.json.lock");
        std::fs::write(&lock, "").unwrap();
        std::fs::set_permissions(&lock, Permissions::from_mode(0o666)).unwrap();
        let left = folder.path().join(".config.aB3dE6");
        std::fs::write(&left, "").unwrap();
        std::fs::set_permissions(&left, Permissions::from_mode(0o600)).unwrap();
        let edit = open(&path).unwrap();
        let mode = std::fs::metadata(&lock).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!left.exists());
        let cancel = Cancel::default();
        cancel.cancel();
        let waited = Edit::open(&path, &cancel);
        assert!(matches!(waited, Err(SettingsError::Cancelled(_))));
        drop(edit);
        open(&path).unwrap();
    }

    #[test]
    fn what_was_written_can_be_undone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        for before in [None, Some("{\"x\": 1}")] {
            if let Some(before) = before {
                std::fs::write(&path, before).unwrap();
            }
            let mut edit = open(&path).unwrap();
            edit.set(&["y"], &json!(2)).unwrap();
            edit.save().unwrap();
            assert!(std::fs::read_to_string(&path).unwrap().contains('y'));
            edit.undo().unwrap();
            assert_eq!(std::fs::read_to_string(&path).ok().as_deref(), before);
        }
    }

    #[test]
    fn two_who_change_the_file_do_so_one_after_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::thread::scope(|scope| {
            for number in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    let mut edit = open(path).unwrap();
                    edit.set(&["x", &format!("key{number}")], &json!(number))
                        .unwrap();
                    edit.save().unwrap();
                });
            }
        });
        let all: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(all["x"].as_object().unwrap().len(), 8);
    }
}
