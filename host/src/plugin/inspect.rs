//! What the bytes of a component are, before anything of it is believed or run.
//!
//! Owns the words for components that are not plugins for this msb. The versions of the contract that msb
//! offers are named here.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::component::Component;
use super::error::Failure;
use super::grant::Capability;
use super::limits::PluginBudget;
use super::outside::{Outside, outside};
use super::package::{Inspection, Origin, PluginKind};
use super::runtime::Runtime;
use super::{credential, format};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::progress::Progress;

/// The version of the contract that this msb offers, and its compatible range.
pub const API: &str = "0.1.1";
const API_MINOR: &str = "0.1";
/// The versions of WASI that this msb offers.
const WASI_MINOR: &str = "0.2";

/// What kind of plugin a component is from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum World {
    Format,
    Credential,
}

pub(super) fn inspect(
    runtime: &Runtime,
    name: &str,
    bytes: &[u8],
    progress: &Arc<dyn Progress>,
    cancel: &Cancel,
) -> Result<Inspection, Failure> {
    let outside = outside(bytes)?;
    let (world, api) = world(&outside)?;
    let engine = runtime.engine_for_call()?;
    let call_context = format::CallContext {
        plugin: &name.into(),
        progress,
        cancel,
    };
    let component = Arc::new(Component::compile(
        runtime,
        engine,
        &Bytes::copy_from_slice(bytes),
        Origin::Author,
        PluginBudget::DESCRIPTION,
        &call_context,
    )?);
    let (kind, needs) = match world {
        World::Format => (
            PluginKind::Format(format::describe(&component, &call_context)?),
            Vec::new(),
        ),
        World::Credential => {
            let description = credential::describe(&component, &call_context)?;
            let needs = description.needs.clone();
            (PluginKind::Credential(description), needs)
        }
    };
    let capabilities: BTreeSet<Capability> = outside
        .imports
        .iter()
        .filter_map(|import| Capability::of_import(import))
        .collect();
    Ok(Inspection {
        kind,
        api,
        capabilities: capabilities.into_iter().collect(),
        wasi: outside
            .imports
            .iter()
            .any(|import| import.starts_with("wasi:")),
        imports: outside.imports,
        needs,
        metadata: outside.metadata,
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
    })
}

/// Returns what kind of plugin it is and for which version of the contract, or says what it is
/// instead.
fn world(outside: &Outside) -> Result<(World, String), Failure> {
    let mismatch = |text: String| Err(Failure::Mismatch(text));
    if outside.exports.is_empty() || !outside.code {
        return Err(Failure::Unusable(
            "it is a package of interfaces (WIT) and has no code; build a component that exports \
             one of its worlds"
                .to_owned(),
        ));
    }
    for name in outside.imports.iter().chain(&outside.exports) {
        let Some((interface, version)) = ours(name) else {
            continue;
        };
        if minor(version) != API_MINOR {
            let text = format!(
                "it was built for msb:plugin@{version} (`{interface}`), and this msb offers \
                 msb:plugin@{API}"
            );
            return Err(if numbers(version) > numbers(API) {
                Failure::TooNew(text)
            } else {
                Failure::Mismatch(text)
            });
        }
    }
    if let Some((interface, version)) = outside.imports.iter().find_map(|name| newer_wasi(name)) {
        return Err(Failure::NewerWasi(format!(
            "it was built for WASI {version} (`{interface}`), and this msb offers WASI {WASI_MINOR}"
        )));
    }
    let version_of = |interface: &str| {
        outside
            .exports
            .iter()
            .find_map(|export| match ours(export) {
                Some((found, version)) if found == interface => Some(version.to_owned()),
                _ => None,
            })
    };
    match (version_of("archive"), version_of("credentials")) {
        (Some(_), Some(_)) => mismatch(
            "it is an archive format and a credential provider at once; build two components"
                .to_owned(),
        ),
        (Some(version), None) => Ok((World::Format, version)),
        (None, Some(version)) => Ok((World::Credential, version)),
        (None, None) => mismatch(format!(
            "it exports {}, and this msb takes components that export \
             `msb:plugin/archive@{API}` or `msb:plugin/credentials@{API}`",
            listed(&outside.exports)
        )),
    }
}

/// Takes the name of an interface of ours apart: `msb:plugin/archive@0.1.0`.
fn ours(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix("msb:plugin/")?.split_once('@')
}

/// Takes the name of an interface of WASI apart if it is of a later version than msb offers.
fn newer_wasi(name: &str) -> Option<(&str, &str)> {
    let (interface, version) = name.split_once('@')?;
    let is_newer = numbers(minor(version)) > numbers(WASI_MINOR);
    (interface.starts_with("wasi:") && is_newer).then_some((interface, version))
}

/// Returns what versions have in common that understand each other: `0.1` of `0.1.7`.
fn minor(version: &str) -> &str {
    version.rsplit_once('.').map_or(version, |(minor, _)| minor)
}

/// Returns the numbers of a version, which compare as versions do.
fn numbers(version: &str) -> Vec<u64> {
    let parts = version.split('.');
    parts.map_while(|part| part.parse().ok()).collect()
}

/// Says why a component cannot be linked: what it was built for may have more than this msb.
pub(super) fn unlinked<'a>(
    imports: impl Iterator<Item = &'a str>,
    error: &wasmtime::Error,
) -> Failure {
    let newest = imports
        .filter_map(ours)
        .filter(|(_, version)| numbers(version) > numbers(API))
        .max_by_key(|(_, version)| numbers(version));
    match newest {
        Some((_, version)) => Failure::TooNew(format!(
            "it was built for msb:plugin@{version} and uses what msb:plugin@{API}, which this msb \
             offers, does not have: {error:#}"
        )),
        None => Failure::Mismatch(format!("{error:#}")),
    }
}

fn listed(names: &[String]) -> String {
    const SHOWN: usize = 4;
    let mut text: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    if names.len() > SHOWN {
        text.push(format!("{} more", names.len() - SHOWN));
    }
    text.join(", ")
}

#[cfg(test)]
#[path = "inspect_tests.rs"]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
