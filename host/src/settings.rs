//! The settings of the user: `config.json`.
//!
//! Owns where the file is and what msb reads of it. Other tools keep settings in the same file:
//! what is not ours is not looked at.

pub mod edit;
mod in_force;
mod plugins;
mod policy;
mod registries;
mod schema;
mod shape;
mod signatures;
mod spelling;
mod store;
mod system;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};

use plugins::PluginsFile;
use registries::{RegistriesFile, ResolveContext};
use shape::Object;
use store::StoreFile;

use crate::address;
use crate::cancel::Cancelled;
use crate::fs::{self, FileError, IfThere as _};
use crate::home::Home;
use crate::hosts::{ConfigPaths, HostOverrides, Hosts, HostsError};
use crate::limits::{Limit, Limits};

pub use in_force::{SettingInForce, SettingSource};
pub use plugins::{PluginLimits, PluginSettings, PluginsProblem, is_plugin_name};
pub use registries::{
    AuthEntry, AuthProblem, AuthSettings, AuthSource, RegistriesProblem, RegistrySettings,
};
pub use schema::SCHEMA;
pub use signatures::{CertificateIdentity, KeySource, SignaturePolicy, SignerName, SignerSource};
pub use store::StoreSettings;
pub use system::SystemPolicy;

/// What the user has set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// What an input may cost: the `limits` object, each cap by its name.
    pub limits: Limits,
    /// How registries are asked: the `registries` object.
    pub registries: RegistrySettings,
    /// What is set of installed plugins: the `plugins` object.
    pub plugins: PluginSettings,
    /// What the store may take, and what is done with layers: the `store` object.
    pub store: StoreSettings,
    /// What an administrator has decided, and the user cannot loosen.
    pub system: SystemPolicy,
    /// What the user should know of the file: keys without effect that are nearly others.
    pub notices: Vec<String>,
}

/// A file of settings that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// It is there and cannot be read.
    #[error("could not read `{}`", path.display())]
    Read {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// There is nothing in it.
    #[error("`{}` is empty", path.display())]
    Empty {
        /// The path of the file.
        path: PathBuf,
    },
    /// It is not JSON, or a value is not of its type.
    #[error("`{}` is not valid at `{}`", path.display(), key_shown(key))]
    Invalid {
        /// The path of the file.
        path: PathBuf,
        /// The keys that lead to the value, `.` for the whole file.
        key: String,
        /// Why, with line and column.
        #[source]
        source: serde_json::Error,
    },
    /// It sets a cap that there is none of.
    #[error("unknown limit `{name}` in `{}`", path.display())]
    UnknownLimit {
        /// The path of the file.
        path: PathBuf,
        /// The name.
        name: String,
    },
    /// It could not be changed.
    #[error("could not {operation} `{}`", path.display())]
    Edit {
        /// What was tried.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// Something that should be an object is none.
    #[error("`{}` is not valid at `{}`: it is not an object", path.display(), key_shown(key))]
    NoObject {
        /// The path of the file.
        path: PathBuf,
        /// The keys that lead to the value.
        key: String,
    },
    /// A path that should be absolute is not.
    #[error("`{}` is not valid at `{}`: it is not an absolute path", path.display(), key_shown(key))]
    RelativePath {
        /// The path of the file.
        path: PathBuf,
        /// The keys that lead to the value.
        key: String,
    },
    /// The file of the system cannot be used.
    #[error("the settings of this system, `{}`, cannot be used: {reason}", path.display())]
    System {
        /// The path of the file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// A value of `registries` means nothing.
    #[error("`{}` is not valid at `{}`", path.display(), key_shown(key))]
    Registries {
        /// The path of the file.
        path: PathBuf,
        /// The keys that lead to the value.
        key: String,
        /// What is wrong with the entry.
        #[source]
        source: RegistriesProblem,
    },
    /// A value of `plugins` means nothing.
    #[error("`{}` is not valid at `{}`", path.display(), key_shown(key))]
    Plugins {
        /// The path of the file.
        path: PathBuf,
        /// The keys that lead to the value.
        key: String,
        /// What is wrong with the entry.
        #[source]
        source: PluginsProblem,
    },
}

#[derive(Default, Deserialize)]
struct File {
    #[serde(default)]
    limits: Option<BTreeMap<String, u64>>,
    #[serde(default)]
    registries: Option<Object<RegistriesFile>>,
    #[serde(default)]
    plugins: Option<Object<PluginsFile>>,
    #[serde(default)]
    store: Option<Object<StoreFile>>,
}

impl Settings {
    /// Reads all files that say where registries are and how they are spoken to: those that are named
    /// here, and those of other tools.
    ///
    /// # Errors
    /// When one of the files is there and cannot be used.
    pub fn hosts(&self, overrides: &HostOverrides) -> Result<Hosts, HostsError> {
        self.hosts_at(overrides, ConfigPaths::from_env())
    }

    /// As [`hosts`](Self::hosts), with the files of other tools at these paths.
    pub fn hosts_at(
        &self,
        overrides: &HostOverrides,
        paths: ConfigPaths,
    ) -> Result<Hosts, HostsError> {
        let registries = &self.registries;
        Hosts::read(&registries.ca_certs, &registries.hosts, overrides, paths)
    }

    /// Reads the file that `MSB_CONFIG_PATH` names, else `config.json` of the home. No file is
    /// no settings.
    ///
    /// `/etc/msb/config.json` lies below it: what that says and this does not holds as well, and some
    /// of it whatever this says.
    pub fn read(home: &Home) -> Result<Self, SettingsError> {
        let path = Self::path(home);
        Self::over_system(Self::read_from(&path)?, &path)
    }

    /// Returns where the file is, or would be: what `MSB_CONFIG_PATH` names, else `config.json` of
    /// the home.
    pub fn path(home: &Home) -> PathBuf {
        std::env::var_os("MSB_CONFIG_PATH")
            .filter(|path| !path.is_empty())
            .map_or_else(|| home.root().join("config.json"), PathBuf::from)
    }

    /// Reads a file.
    pub fn read_from(path: &Path) -> Result<Self, SettingsError> {
        let read = fs::read(path).if_there();
        let read =
            read.map_err(|FileError { path, source, .. }| SettingsError::Read { path, source })?;
        let Some(bytes) = read else {
            return Ok(Self::default());
        };
        Self::parse(&bytes, path)
    }

    fn parse(bytes: &[u8], path: &Path) -> Result<Self, SettingsError> {
        let invalid = |key: &str, source| SettingsError::Invalid {
            path: path.to_owned(),
            key: key.to_owned(),
            source,
        };
        if bytes.trim_ascii().is_empty() {
            return Err(SettingsError::Empty {
                path: path.to_owned(),
            });
        }
        // A struct could be read from a list as well.
        let whole = serde_json::from_slice::<Map<String, Value>>(bytes)
            .map_err(|source| invalid(".", source))?;
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let file: File = serde_path_to_error::deserialize(&mut json)
            .map_err(|error| invalid(&error.path().to_string(), error.into_inner()))?;
        let mut limits = Limits::default();
        for (name, value) in file.limits.into_iter().flatten() {
            let limit = Limit::by_name(&name).ok_or_else(|| SettingsError::UnknownLimit {
                path: path.to_owned(),
                name,
            })?;
            limits.set(limit, value);
        }
        let context = ResolveContext {
            file: path,
            home: std::env::var_os("HOME")
                .filter(|home| !home.is_empty())
                .map(PathBuf::from),
        };
        let registries = match file.registries {
            Some(Object(registries)) => registries.resolve(&context)?,
            None => RegistrySettings::default(),
        };
        let plugins = match file.plugins {
            Some(Object(plugins)) => plugins.resolve(path)?,
            None => PluginSettings::default(),
        };
        let store = match file.store {
            Some(Object(store)) => store.resolve(path)?,
            None => StoreSettings::default(),
        };
        Ok(Self {
            limits,
            registries,
            plugins,
            store,
            system: SystemPolicy::default(),
            notices: spelling::notices(&whole),
        })
    }
}

/// Returns the keys that lead to a value without what is secret in them: the name of a host may have
/// been written with a password before it.
pub(crate) fn key_shown(key: &str) -> String {
    for parent in ["registries.auth.", "registries.hosts."] {
        if let Some(host) = key.strip_prefix(parent) {
            return format!("{parent}{}", address::shown_as_registry(host));
        }
    }
    address::shown_in_text(key)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
