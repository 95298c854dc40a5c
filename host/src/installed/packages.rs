//! From the lock to packages: what the runtime is given to call, and why it is asked.

use std::path::Path;

use super::error::InstalledError;
use super::lock::Lock;
use super::locked_plugin::{LockedKind, LockedPlugin};
use crate::auth::Operations;
use crate::credential::Tier;
use crate::plugin::{
    ComponentBytes, CredentialDescription, Description, Grant, Grants, Need, Package, PluginBudget,
    PluginKind, builtin,
};
use crate::settings::Settings;

/// Returns all packages, those of msb first, with what is granted and set. `directory` is where
/// the components are.
pub(super) fn all(
    directory: &Path,
    lock: &Lock,
    settings: &Settings,
) -> Result<Vec<Package>, InstalledError> {
    let mut packages = builtin::packages();
    for package in &mut packages {
        let changed = lock.builtin(&package.name);
        if let Some(grants) = changed.and_then(|it| it.grants.as_ref()) {
            package.grants = parse(grants)?;
        }
    }
    for plugin in &lock.plugins {
        packages.push(package(directory, plugin)?);
    }
    for package in &mut packages {
        let name = &*package.name;
        if let Some(set) = settings.plugins.settings.get(name) {
            package.settings = Some(serde_json::Value::Object(set.clone()));
        }
        limit(&mut package.limits, settings, name);
        set_role(package, lock, settings);
    }
    Ok(packages)
}

/// Says why a provider is asked: the user's choice, or the provider's wish, or what is due to the one of
/// msb whose place it takes.
fn set_role(package: &mut Package, lock: &Lock, settings: &Settings) {
    let PluginKind::Credential(description) = &mut package.kind else {
        return;
    };
    let own = builtin::packages();
    let replaced = own.iter().find_map(|own| match &own.kind {
        PluginKind::Credential(other) if other.name == description.name => Some(other),
        _ => None,
    });
    let chosen = settings.plugins.tiers.get(&*package.name).copied();
    description.tier = chosen
        .or_else(|| lock.tier(&package.name))
        .or(description.tier)
        .or_else(|| replaced?.tier)
        .or(Some(Tier::Installed));
    description.reads = description.reads.or_else(|| replaced?.reads);
}

/// Sets a budget as the user wants it for a plugin of this name.
pub(super) fn limit(budget: &mut PluginBudget, settings: &Settings, name: &str) {
    let Some(limits) = settings.plugins.limits.get(name) else {
        return;
    };
    if let Some(memory) = limits.memory {
        budget.memory = usize::try_from(memory).unwrap_or(usize::MAX);
    }
    budget.compute = limits.compute.unwrap_or(budget.compute);
    budget.wall = limits.wall.or(budget.wall);
    budget.host_calls = limits.host_calls.unwrap_or(budget.host_calls);
    budget.made = limits.made.unwrap_or(budget.made);
}

fn package(directory: &Path, plugin: &LockedPlugin) -> Result<Package, InstalledError> {
    let kind = plugin.kind.kind(&plugin.asks);
    Ok(Package {
        name: plugin.name.as_str().into(),
        version: plugin.version.clone(),
        component: ComponentBytes::File {
            path: plugin
                .directory
                .as_deref()
                .unwrap_or(directory)
                .join(format!("{}.wasm", plugin.sha256.file_stem())),
            digest: plugin.sha256.clone(),
        },
        grants: parse(&plugin.grants)?,
        limits: plugin.kind.budget(),
        kind,
        settings: None,
        builtin: false,
    })
}

fn parse(grants: &[String]) -> Result<Grants, InstalledError> {
    let mut set = Grants::default();
    for text in grants {
        set.insert(text.parse::<Grant>()?);
    }
    Ok(set)
}

impl LockedKind {
    pub(super) fn of(kind: &PluginKind) -> Self {
        match kind {
            PluginKind::Format(said) => Self::Format {
                name: said.name.clone(),
                title: said.title.clone(),
                reads: said.reads,
                writes: said.writes,
                keeps_input: said.keeps_input,
                takes_any: said.takes_any,
            },
            PluginKind::Credential(said) => {
                let operations = [
                    ("store", said.operations.store),
                    ("erase", said.operations.erase),
                    ("list", said.operations.list),
                    ("report", said.operations.report),
                    ("login", said.operations.login),
                ];
                Self::Credential {
                    name: said.name.clone(),
                    title: said.title.clone(),
                    operations: operations
                        .into_iter()
                        .filter(|(_, does)| *does)
                        .map(|(word, _)| word.to_owned())
                        .collect(),
                    registries: said.registries.clone(),
                    tier: said.tier,
                    reads: said.reads,
                }
            }
        }
    }

    fn kind(&self, asks: &[super::locked_plugin::RequestedGrant]) -> PluginKind {
        match self {
            Self::Format {
                name,
                title,
                reads,
                writes,
                keeps_input,
                takes_any,
            } => PluginKind::Format(Description {
                name: name.clone(),
                title: title.clone(),
                reads: *reads,
                writes: *writes,
                keeps_input: *keeps_input,
                takes_any: *takes_any,
            }),
            Self::Credential {
                name,
                title,
                operations,
                registries,
                tier,
                reads,
            } => {
                let does = |word: &str| operations.iter().any(|it| it == word);
                PluginKind::Credential(CredentialDescription {
                    name: name.clone(),
                    title: title.clone(),
                    operations: Operations {
                        store: does("store"),
                        erase: does("erase"),
                        list: does("list"),
                        report: does("report"),
                        login: does("login"),
                    },
                    registries: registries.clone(),
                    needs: asks
                        .iter()
                        .filter_map(|requested| {
                            Some(Need {
                                grant: requested.grant.parse().ok()?,
                                reason: requested.reason.clone(),
                            })
                        })
                        .collect(),
                    tier: *tier,
                    reads: *reads,
                })
            }
        }
    }
}
