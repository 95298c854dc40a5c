//! The order in which plugins are asked.
//!
//! Owns the rule: what `plugins.order` of the settings names comes first; then what the user has
//! put in order; what neither names stands where its kind belongs.

use std::path::Path;
use std::sync::Arc;

use super::error::InstalledError;
use super::lock::Lock;
use super::packages;
use crate::credential::Tier;
use crate::plugin::{Package, PluginKind, builtin};
use crate::settings::{PluginSettings, Settings};

/// A position in the order of plugins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderPosition {
    /// Before another plugin.
    Before(String),
    /// After another plugin.
    After(String),
}

/// Puts packages in their order.
pub(super) fn arrange(packages: Vec<Package>, lock: &Lock, settings: &Settings) -> Vec<Package> {
    let (own, installed): (Vec<_>, Vec<_>) = packages.into_iter().partition(|it| it.builtin);
    let last = found_anyway();
    let mut arranged = own;
    for package in installed {
        let last = arranged.iter().position(|it| last.contains(&it.name));
        match (&package.kind, last) {
            (PluginKind::Credential(_), Some(last)) => arranged.insert(last, package),
            _ => arranged.push(package),
        }
    }
    reorder(&mut arranged, &lock.order);
    let first = &settings.plugins.order;
    arranged.sort_by_key(|package| position(first, &package.name));
    arranged
}

/// Returns the providers of msb that what is installed stands in front of: the last ones, which are
/// ambient and read nothing that the user has set.
fn found_anyway() -> Vec<Arc<str>> {
    let own = builtin::packages();
    let last = own.iter().rev().take_while(|package| {
        matches!(&package.kind, PluginKind::Credential(it)
            if it.tier == Some(Tier::Ambient) && it.reads.is_none())
    });
    last.map(|package| Arc::clone(&package.name)).collect()
}

/// Puts those that are named in the order of their names, into the places that they have together.
fn reorder(packages: &mut [Package], order: &[String]) {
    let places: Vec<usize> = (0..packages.len())
        .filter(|&number| order.iter().any(|name| **name == *packages[number].name))
        .collect();
    let mut named: Vec<Package> = places
        .iter()
        .map(|&number| packages[number].clone())
        .collect();
    named.sort_by_key(|package| position(order, &package.name));
    for (place, package) in places.into_iter().zip(named) {
        packages[place] = package;
    }
}

fn position(order: &[String], name: &str) -> usize {
    let at = order.iter().position(|it| it == name);
    at.unwrap_or(usize::MAX)
}

/// Moves a plugin to a position.
pub(super) fn put(
    lock: &mut Lock,
    settings: &Settings,
    name: &str,
    place: &OrderPosition,
) -> Result<(), InstalledError> {
    let mut names = names(lock, settings)?;
    let (OrderPosition::Before(other) | OrderPosition::After(other)) = place;
    for wanted in [name, other] {
        if !names.iter().any(|it| it == wanted) {
            return Err(InstalledError::NotInstalled {
                name: wanted.to_owned(),
                installed: names,
            });
        }
    }
    if name == other {
        return Ok(());
    }
    names.retain(|it| it != name);
    let at = position(&names, other);
    let at = match place {
        OrderPosition::Before(_) => at,
        OrderPosition::After(_) => at + 1,
    };
    names.insert(at, name.to_owned());
    lock.order = names;
    Ok(())
}

/// Makes these the first, in this order.
pub(super) fn put_first(
    lock: &mut Lock,
    settings: &Settings,
    first: &[String],
) -> Result<(), InstalledError> {
    let names = names(lock, settings)?;
    if let Some(unknown) = first.iter().find(|name| !names.contains(name)) {
        return Err(InstalledError::NotInstalled {
            name: unknown.clone(),
            installed: names,
        });
    }
    let mut order: Vec<String> = Vec::new();
    for name in first.iter().chain(&names) {
        if !order.contains(name) {
            order.push(name.clone());
        }
    }
    lock.order = order;
    Ok(())
}

/// Returns the names of all plugins in the order that the lock gives them.
fn names(lock: &Lock, settings: &Settings) -> Result<Vec<String>, InstalledError> {
    let without = Settings {
        plugins: PluginSettings {
            order: Vec::new(),
            ..settings.plugins.clone()
        },
        ..settings.clone()
    };
    let all = packages::all(Path::new(""), lock, &without)?;
    let all = arrange(all, lock, &without);
    Ok(all.iter().map(|it| it.name.to_string()).collect())
}
