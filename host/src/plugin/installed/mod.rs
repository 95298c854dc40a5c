//! The plugins that there are: those that ship with msb, and those that the user has installed.
//!
//! Owns their order and what each may do. Runs nothing but descriptions, when one is installed.

mod artifact;
mod error;
mod fetch;
mod lock;
mod manage;
mod order;
mod prepare;
mod signature;
mod source;

use std::sync::Arc;

use lock::{Lock, LockedKind};
use order::Placed;

use super::format::Description;
use super::formats::Formats;
use super::grant::{Grant, Grants};
use super::limits::Budget;
use super::package::{ComponentBytes, CredentialDescription, Kind, Need, Package};
use super::runtime::Runtime;
use crate::auth::{Operations, Provider};
use crate::digest::Digest;
use crate::settings::{PluginSettings, Settings};
use crate::store::Home;

pub use error::InstalledError;
pub use fetch::Fetcher;
pub use manage::Verified;
pub use order::Position;
pub use prepare::{Ask, Candidate};
pub use source::{ParseSourceError, Source};

/// The plugins of a home.
#[derive(Debug)]
pub struct Installed {
    home: Home,
    runtime: Runtime,
    entries: Vec<Entry>,
    packages: Vec<Package>,
}

/// A plugin as it is listed.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What is run.
    pub package: Package,
    /// Whether the user wants it.
    pub enabled: bool,
    /// The plugin that has taken its place.
    pub replaced_by: Option<String>,
    /// Where it comes from; of what ships with msb, nowhere.
    pub origin: Option<Origin>,
    /// What it asks for.
    pub needs: Vec<Need>,
}

/// Where a plugin comes from and what was installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The source in its one spelling.
    pub source: String,
    /// The SHA-256 of the component.
    pub sha256: Digest,
    /// The digest of the manifest, of what a registry had.
    pub manifest: Option<Digest>,
    /// The version of the contract that it was built for.
    pub api: String,
    /// The interfaces that it imports.
    pub imports: Vec<String>,
    /// Whether its signature was checked when it was installed.
    pub signed: bool,
}

impl Entry {
    /// Returns whether it is asked at all.
    pub fn is_used(&self) -> bool {
        self.enabled && self.replaced_by.is_none()
    }

    /// Returns what kind it is, in a word.
    pub fn kind(&self) -> &'static str {
        match self.package.kind {
            Kind::Format(_) => "format",
            Kind::Credential(_) => "credential",
        }
    }
}

impl Installed {
    /// Reads what is installed. Starts no engine and opens no component.
    ///
    /// # Errors
    /// When the lock file cannot be read.
    pub fn open(home: &Home, settings: &Settings) -> Result<Self, InstalledError> {
        let lock = Lock::read(home)?;
        let entries = entries(home, &lock, &settings.plugins)?;
        let packages = entries
            .iter()
            .filter(|entry| entry.is_used())
            .map(|entry| entry.package.clone())
            .collect();
        Ok(Self {
            home: home.clone(),
            runtime: Runtime::with_settings(home, settings),
            entries,
            packages,
        })
    }

    /// Returns the archive formats, in the order in which they are asked.
    pub fn formats(&self) -> Formats {
        Formats::of(&self.runtime, &self.packages)
    }

    /// Returns the credential providers, in the order in which they are asked.
    pub fn providers(&self) -> Vec<Arc<dyn Provider>> {
        super::credential::providers(&self.runtime, &self.packages)
    }

    /// Returns those that are used, in their order.
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// Returns all of them, also those that are not used, in their order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns a plugin.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn entry(&self, name: &str) -> Result<&Entry, InstalledError> {
        let entry = self.entries.iter().find(|it| &*it.package.name == name);
        entry.ok_or_else(|| InstalledError::NotInstalled {
            name: name.to_owned(),
            installed: names(&self.entries),
        })
    }

    /// Returns what runs them.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}

fn names(entries: &[Entry]) -> Vec<String> {
    let names = entries.iter().map(|entry| entry.package.name.to_string());
    names.collect()
}

/// Returns all plugins in their order.
fn entries(
    home: &Home,
    lock: &Lock,
    settings: &PluginSettings,
) -> Result<Vec<Entry>, InstalledError> {
    let mut entries = Vec::new();
    for mut package in super::builtin::packages() {
        let changed = lock.builtins.iter().find(|it| *it.name == *package.name);
        if let Some(grants) = changed.and_then(|it| it.grants.as_ref()) {
            package.grants = grants_of(grants)?;
        }
        entries.push(Entry {
            enabled: changed.is_none_or(|it| it.enabled),
            replaced_by: None,
            origin: None,
            needs: match &package.kind {
                Kind::Credential(description) => description.needs.clone(),
                Kind::Format(_) => Vec::new(),
            },
            package,
        });
    }
    for plugin in &lock.plugins {
        let package = package(home, plugin)?;
        if plugin.enabled {
            let replaced = entries.iter_mut().filter(|it| replaces(&package, it));
            for entry in replaced {
                entry.replaced_by = Some(plugin.name.clone());
            }
        }
        entries.push(Entry {
            enabled: plugin.enabled,
            replaced_by: None,
            origin: Some(Origin {
                source: plugin.source.clone(),
                sha256: plugin.sha256.clone(),
                manifest: plugin.manifest.clone(),
                api: plugin.api.clone(),
                imports: plugin.imports.clone(),
                signed: plugin.signed,
            }),
            needs: needs_of(plugin)?,
            package,
        });
    }
    for entry in &mut entries {
        apply(settings, &mut entry.package);
    }
    Ok(sorted(entries, lock, settings))
}

/// Returns whether a plugin that is installed takes the place of one that ships with msb: it is
/// called the same, or reads and writes a format of the same name.
fn replaces(package: &Package, entry: &Entry) -> bool {
    let (own, other) = (&package.kind, &entry.package.kind);
    let is_format = matches!((own, other), (Kind::Format(_), Kind::Format(_)));
    entry.package.builtin
        && std::mem::discriminant(own) == std::mem::discriminant(other)
        && (package.name == entry.package.name || is_format && own.name() == other.name())
}

fn sorted(mut entries: Vec<Entry>, lock: &Lock, settings: &PluginSettings) -> Vec<Entry> {
    let placed: Vec<Placed<'_>> = entries.iter().map(placed).collect();
    let order = order::arranged(&placed, &lock.order, &settings.order);
    let place = |entry: &Entry| order.iter().position(|name| **name == *entry.package.name);
    // What takes a place stands where the other one stood, unless it was put elsewhere.
    entries.sort_by_key(|entry| (place(entry), entry.package.builtin));
    entries
}

fn placed(entry: &Entry) -> Placed<'_> {
    Placed {
        name: &entry.package.name,
        credential: matches!(entry.package.kind, Kind::Credential(_)),
    }
}

/// Gives a plugin what the settings say of it.
fn apply(settings: &PluginSettings, package: &mut Package) {
    if let Some(own) = settings.settings.get(&*package.name) {
        package.settings = Some(serde_json::Value::Object(own.clone()));
    }
    let Some(limits) = settings.limits.get(&*package.name) else {
        return;
    };
    let budget = &mut package.limits;
    if let Some(memory) = limits.memory {
        budget.memory = usize::try_from(memory).unwrap_or(usize::MAX);
    }
    budget.compute = limits.compute.unwrap_or(budget.compute);
    budget.wall = limits.wall.or(budget.wall);
    budget.host_calls = limits.host_calls.unwrap_or(budget.host_calls);
}

fn grants_of(grants: &[String]) -> Result<Grants, InstalledError> {
    let grants = grants.iter().map(|grant| grant.parse::<Grant>());
    Ok(grants.collect::<Result<_, _>>()?)
}

fn needs_of(plugin: &lock::LockedPlugin) -> Result<Vec<Need>, InstalledError> {
    let needs = plugin.asks.iter().map(|asked| {
        Ok(Need {
            grant: asked.grant.parse()?,
            reason: asked.reason.clone(),
        })
    });
    needs.collect()
}

/// Returns the file of a component.
fn component(home: &Home, digest: &Digest) -> std::path::PathBuf {
    home.plugins().join(format!("{}.wasm", digest.file_stem()))
}

fn package(home: &Home, plugin: &lock::LockedPlugin) -> Result<Package, InstalledError> {
    let (kind, limits) = match &plugin.kind {
        LockedKind::Format {
            name,
            title,
            reads,
            writes,
        } => (
            Kind::Format(Description {
                name: name.clone(),
                title: title.clone(),
                reads: *reads,
                writes: *writes,
            }),
            Budget::FORMAT,
        ),
        LockedKind::Credential {
            name,
            title,
            operations,
            registries,
        } => {
            let can = |operation: &str| operations.iter().any(|it| it == operation);
            let description = CredentialDescription {
                name: name.clone(),
                title: title.clone(),
                operations: Operations {
                    store: can("store"),
                    erase: can("erase"),
                    list: can("list"),
                    report: can("report"),
                },
                registries: registries.clone(),
                needs: needs_of(plugin)?,
            };
            (Kind::Credential(description), Budget::CREDENTIAL)
        }
    };
    Ok(Package {
        name: plugin.name.as_str().into(),
        version: plugin.version.clone(),
        kind,
        component: ComponentBytes::File {
            path: component(home, &plugin.sha256),
            digest: plugin.sha256.clone(),
        },
        grants: grants_of(&plugin.grants)?,
        limits,
        settings: None,
        builtin: false,
    })
}
