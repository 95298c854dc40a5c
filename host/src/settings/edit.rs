//! Changing the file of settings.
//!
//! Only the value that changes is written anew: everything else keeps its order, its spaces and its
//! meaning, also where it is none of ours. The new file takes the place of the old one at once,
//! for nobody but the user to read; two who change it at once do so one after the other.

mod text;

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Settings, SettingsError};

/// A file of settings that nobody else changes meanwhile.
#[derive(Debug)]
pub struct Edit {
    path: PathBuf,
    text: String,
    _lock: File,
}

impl Edit {
    /// Opens a file for changes; one that is not there is empty. Waits for others who change it.
    ///
    /// # Errors
    /// Those of [`Settings::read_from`]: what is broken is not changed.
    pub fn open(path: &Path) -> Result<Self, SettingsError> {
        let failed = |operation, path: &Path, source| SettingsError::Edit {
            operation,
            path: path.to_owned(),
            source,
        };
        // What a link leads to is replaced, not the link.
        let path = match path.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            found => found.map_err(|error| failed("find", path, error))?,
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| failed("create", folder, error))?;
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".lock");
        let lock_path = path.with_file_name(name);
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(|error| failed("lock", &lock_path, error))?;
        Settings::read_from(&path)?;
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => "{}\n".to_owned(),
            read => read.map_err(|error| failed("read", &path, error))?,
        };
        Ok(Self {
            path,
            text,
            _lock: lock,
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
    pub fn save(self) -> Result<(), SettingsError> {
        let failed = |source| SettingsError::Edit {
            operation: "write",
            path: self.path.clone(),
            source,
        };
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // Only its owner may read what `tempfile` makes.
        let mut file = tempfile::Builder::new()
            .prefix(".config.")
            .tempfile_in(folder)
            .map_err(failed)?;
        file.write_all(self.text.as_bytes())
            .and_then(|()| file.as_file().sync_all())
            .map_err(failed)?;
        file.persist(&self.path)
            .map_err(|error| failed(error.error))?;
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_is_replaced_by_one_that_only_the_user_may_read_and_links_stay() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("real.json");
        let link = folder.path().join("config.json");
        std::fs::write(&real, "{\"x\": 1}").unwrap();
        std::fs::set_permissions(&real, PermissionsExt::from_mode(0o644)).unwrap();
        symlink("real.json", &link).unwrap();
        let mut edit = Edit::open(&link).unwrap();
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
        let mut edit = Edit::open(&path).unwrap();
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
            assert!(Edit::open(&path).is_err(), "{text}");
        }
        std::fs::write(&path, r#"{"x": {"y": []}}"#).unwrap();
        let mut edit = Edit::open(&path).unwrap();
        let error = edit.set(&["x", "y", "z"], &json!(1)).unwrap_err();
        assert!(error.to_string().contains("`x.y`"), "{error}");
    }

    #[test]
    fn two_who_change_the_file_do_so_one_after_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::thread::scope(|scope| {
            for number in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    let mut edit = Edit::open(path).unwrap();
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
