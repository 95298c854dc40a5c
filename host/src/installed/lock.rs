//! `plugins.lock`: what is installed, from where, with which content and which rights.
//!
//! Owns the file: its form, reading it, and that a change is made whole and by one at a time. It
//! may be kept in version control: it names no path of its own, and its order is the user's.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::InstalledError;
use super::locked_plugin::{LockedBuiltin, LockedPlugin};
use crate::cancel::Cancel;
use crate::credential::Tier;
use crate::home::Home;
use crate::progress::Progress;
use crate::store::{self, StoreError};

/// The form of the file that this msb writes, and the newest that it reads.
const VERSION: u32 = 1;
/// The most bytes that are read of the file.
const MAX_FILE: u64 = 64 << 20;
const HEADER: &str = "\
# The plugins of msb: written by `msb plugin`, and checked when a plugin is used.
# Keep it in version control to have the same plugins elsewhere: `msb plugin install --locked`.

";

/// What is installed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    version: u32,
    /// The order of asking, where the user has said something about it; names of plugins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<String>,
    /// The plugins, as they were installed.
    #[serde(default, rename = "plugin", skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<LockedPlugin>,
    /// What is other than usual with plugins that ship with msb.
    #[serde(default, rename = "builtin", skip_serializing_if = "Vec::is_empty")]
    pub builtins: Vec<LockedBuiltin>,
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
}

impl Lock {
    /// Returns the file of a home.
    pub fn path(home: &Home) -> PathBuf {
        home.plugins().join("plugins.lock")
    }

    /// Reads the file of a home; none is nothing installed.
    pub fn read(home: &Home) -> Result<Self, InstalledError> {
        let path = Self::path(home);
        match Self::read_file(&path) {
            Err(InstalledError::Store(StoreError::Io { source, .. }))
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Ok(Self::default())
            }
            read => read,
        }
    }

    /// Reads a file of this form.
    pub(super) fn read_file(path: &Path) -> Result<Self, InstalledError> {
        let text = read_limited(path).map_err(store::io_error("read", path))?;
        Self::parse(&text, path)
    }

    /// Returns the text of a file.
    pub(super) fn to_text(&self, path: &Path) -> Result<String, InstalledError> {
        let lock = Self {
            version: VERSION,
            ..self.clone()
        };
        let text = toml::to_string_pretty(&lock).map_err(|source| InstalledError::Lock {
            path: path.to_owned(),
            reason: source.to_string(),
        })?;
        Ok(format!("{HEADER}{text}"))
    }

    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, InstalledError> {
        let invalid = |source: toml::de::Error| {
            let before = source.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            InstalledError::Lock {
                path: path.to_owned(),
                reason: format!("line {line}: {}", source.message()),
            }
        };
        let VersionOnly { version } = toml::from_str(text).map_err(invalid)?;
        if version != VERSION {
            return Err(InstalledError::LockVersion {
                path: path.to_owned(),
                found: version,
                known: VERSION,
            });
        }
        let lock: Self = toml::from_str(text).map_err(invalid)?;
        lock.check().map_err(|reason| InstalledError::Lock {
            path: path.to_owned(),
            reason,
        })?;
        Ok(lock)
    }

    /// Changes the file of a home, alone and in one step. What `change` returns an error for stays
    /// as it is.
    pub fn change<T>(
        home: &Home,
        progress: &dyn Progress,
        cancel: &Cancel,
        change: impl FnOnce(&mut Self) -> Result<T, InstalledError>,
    ) -> Result<T, InstalledError> {
        store::create_directory(&home.plugins())?;
        let _alone = store::lock_plugins(home, progress, cancel)?;
        let mut lock = Self::read(home)?;
        let before = lock.clone();
        let answer = change(&mut lock)?;
        if lock != before {
            let path = Self::path(home);
            let text = lock.to_text(&path)?;
            store::write_atomically(text.as_bytes(), &path)?;
        }
        Ok(answer)
    }

    /// Returns what is other than usual with a plugin that ships with msb.
    pub fn builtin(&self, name: &str) -> Option<&LockedBuiltin> {
        self.builtins.iter().find(|builtin| builtin.name == name)
    }

    /// Returns the tier that the user has chosen for a plugin.
    pub(super) fn tier(&self, name: &str) -> Option<Tier> {
        match self.plugin(name) {
            Some(plugin) => plugin.tier,
            None => self.builtin(name)?.tier,
        }
    }

    /// Returns the plugin of a name.
    pub fn plugin(&self, name: &str) -> Option<&LockedPlugin> {
        self.plugins.iter().find(|plugin| plugin.name == name)
    }

    /// Returns what is wrong with the file beyond its form.
    fn check(&self) -> Result<(), String> {
        for (number, plugin) in self.plugins.iter().enumerate() {
            let name = &plugin.name;
            if !crate::settings::is_plugin_name(name) {
                return Err(format!("`{name}` is not the name of a plugin"));
            }
            if self.plugins[..number].iter().any(|it| it.name == *name) {
                return Err(format!("plugin `{name}` is listed twice"));
            }
            if plugin.sha256.algorithm() != crate::digest::Algorithm::Sha256 {
                return Err(format!(
                    "the digest of plugin `{name}` is not one of sha256"
                ));
            }
        }
        Ok(())
    }
}

fn read_limited(path: &Path) -> io::Result<String> {
    use io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    file.take(MAX_FILE).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
