//! The plugins that there are: those that ship with msb, and those that the user has installed.
//!
//! Owns installing, the lock, their order and what each may do. Calls none of them, but to have it
//! describe itself when it is installed.

mod artifact;
mod candidate;
mod consent;
mod error;
mod fetch;
mod index;
mod install;
mod lock;
mod locked_plugin;
mod manage;
mod order;
mod packages;
mod pattern;
mod push;
mod scope;
mod shared_lock;
mod signature;
mod signatures;
mod source;
mod system;
mod versions;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::auth::{Chain, Provider};
use crate::digest::Digest;
use crate::home::Home;
use crate::plugin::{self, Formats, Package, PluginKind, Runtime};
use crate::settings::{AuthEntry, Settings};

pub use candidate::Candidate;
pub use consent::Increase;
pub use error::InstalledError;
pub use fetch::Network;
pub use index::{IndexedPlugin, PluginIndex};
pub use install::{InstallRequest, Installer, Purpose};
pub use lock::Lock;
pub use locked_plugin::{
    LockedBuiltin, LockedKind, LockedLimits, LockedPlugin, LockedSigner, RequestedGrant,
};
pub use manage::{LockEditor, Verified};
pub use order::OrderPosition;
pub use push::push;
pub use shared_lock::Takeover;
pub use signature::{Provenance, PublicKey, Signature, SignatureError, Signer};
pub use source::{ParseSourceError, Source};
pub use versions::Destination;

/// The plugins of a home.
#[derive(Debug)]
pub struct Installed {
    runtime: Runtime,
    /// Those that are asked, in their order.
    packages: Vec<Package>,
    listed: Vec<Listed>,
}

/// A plugin as lists show it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The plugin.
    pub package: Package,
    /// Whether the user lets it be used.
    pub enabled: bool,
    /// The plugin that has taken its place.
    pub replaced_by: Option<String>,
    /// How it was installed, unless it ships with msb.
    pub locked: Option<LockedPlugin>,
}

impl Installed {
    /// Reads what is installed. Starts no engine and opens no component.
    ///
    /// # Errors
    /// When the lock cannot be read.
    pub fn open(home: &Home, settings: &Settings) -> Result<Self, InstalledError> {
        let lock = Lock::read(home)?;
        Self::of(home, settings, &lock)
    }

    fn of(home: &Home, settings: &Settings, lock: &Lock) -> Result<Self, InstalledError> {
        let lock = &lock.with_system(settings)?;
        let all = packages::all(&home.plugins(), lock, settings)?;
        let all = order::arrange(all, lock, settings);
        let is_enabled = |package: &Package| {
            let name = &*package.name;
            if package.builtin {
                lock.builtins
                    .iter()
                    .all(|builtin| builtin.name != name || builtin.enabled)
            } else {
                lock.plugin(name).is_some_and(|plugin| plugin.enabled)
            }
        };
        let replaces = |package: &Package, other: &Package| {
            other.builtin
                && !package.builtin
                && is_enabled(package)
                && install::same_kind(&package.kind, &other.kind)
                && package.kind.name() == other.kind.name()
        };
        let listed: Vec<Listed> = all
            .iter()
            .map(|package| Listed {
                enabled: is_enabled(package),
                replaced_by: all
                    .iter()
                    .find(|other| replaces(other, package))
                    .map(|other| other.name.to_string()),
                locked: lock.plugin(&package.name).cloned(),
                package: package.clone(),
            })
            .collect();
        let mut packages: Vec<Package> = Vec::new();
        for item in &listed {
            // Who takes another's place stands where that one stood, unless the user has moved it.
            let stands_in = listed
                .iter()
                .any(|other| replaces(&item.package, &other.package));
            let successor = item.replaced_by.as_ref().and_then(|name| {
                let by = listed.iter().find(|it| *it.package.name == **name);
                by.map(|by| by.package.clone())
            });
            match successor {
                Some(successor) => packages.push(successor),
                None if item.enabled && !stands_in => packages.push(item.package.clone()),
                None => {}
            }
        }
        Ok(Self {
            runtime: Runtime::with_settings(home, settings),
            packages,
            listed,
        })
    }

    /// Has what does not ship with msb compiled by processes of this executable: see
    /// [`Runtime::compiled_by`].
    #[must_use]
    pub fn compiled_by(mut self, executable: Option<&Path>) -> Self {
        self.runtime = self.runtime.compiled_by(executable);
        self
    }

    /// Returns the archive formats, in the order in which they are asked.
    pub fn formats(&self) -> Formats {
        Formats::of(&self.runtime, &self.packages)
    }

    /// Returns the credential providers, in the order in which they are asked.
    pub fn providers(&self) -> Vec<Arc<dyn Provider>> {
        plugin::providers(&self.runtime, &self.packages)
    }

    /// Returns the chain of providers that plugins are fetched with: one that was installed may itself
    /// be what is to be fetched. So none of those has to be there or to work, whatever the settings say.
    pub fn chain_to_fetch(&self, settings: &BTreeMap<String, AuthEntry>) -> Chain {
        let packages = self.packages.iter();
        let there = packages.filter(|package| package.component.is_there());
        let there: Vec<Package> = there.cloned().collect();
        let installed = there.iter().filter(|package| !package.builtin);
        let installed = installed.map(|package| package.name.to_string()).collect();
        let providers = plugin::providers(&self.runtime, &there);
        Chain::new(providers, settings).forgiving(&installed)
    }

    /// Returns those that are asked, in their order.
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// Returns all of them, also those that are not asked.
    pub fn listed(&self) -> &[Listed] {
        &self.listed
    }

    /// Returns the plugin of a name.
    ///
    /// # Errors
    /// When there is none, with the names that there are.
    pub fn find(&self, name: &str) -> Result<&Listed, InstalledError> {
        let mut all = self.listed.iter();
        all.find(|it| &*it.package.name == name)
            .ok_or_else(|| InstalledError::NotInstalled {
                name: name.to_owned(),
                installed: self
                    .listed
                    .iter()
                    .map(|it| it.package.name.to_string())
                    .collect(),
            })
    }

    /// Returns what runs them.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}

impl Listed {
    /// Returns the word for the kind.
    pub fn kind(&self) -> &'static str {
        match self.package.kind {
            PluginKind::Format(_) => "format",
            PluginKind::Credential(_) => "credential",
        }
    }

    /// Returns what the user has granted.
    pub fn grants(&self) -> Vec<String> {
        let grants = self.package.grants.iter();
        grants.map(ToString::to_string).collect()
    }
}

/// Returns the file of a component.
fn component_path(home: &Home, digest: &Digest) -> PathBuf {
    home.plugins().join(format!("{}.wasm", digest.file_stem()))
}
