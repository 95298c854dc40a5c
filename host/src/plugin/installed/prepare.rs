//! The first half of an installation: fetched, looked at, and nothing changed yet.
//!
//! Owns what the user has to be asked. Whoever calls shows it and asks.

use std::sync::Arc;

use super::error::InstalledError;
use super::fetch::Fetcher;
use super::source::Source;
use super::{Installed, Kind, replaces};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::plugin::package::{ComponentBytes, Inspection, Need, Package};
use crate::plugin::{Budget, Capability, Grants};
use crate::progress::{Event, Progress};
use crate::settings::is_plugin_name;

/// A plugin that may be installed.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// What it will be called.
    pub name: String,
    /// Where it comes from.
    pub source: Source,
    /// What it is.
    pub inspection: Inspection,
    /// What the user has to be asked.
    pub ask: Ask,
    /// The one that ships with msb whose place it takes.
    pub replaces: Option<String>,
    /// What was granted to the plugin that it updates.
    pub granted: Grants,
    /// The digest of the component that it updates.
    pub updates: Option<Digest>,
    /// Whether its signature was checked.
    pub signed: bool,
    pub(super) manifest: Option<Digest>,
    pub(super) bytes: Arc<[u8]>,
}

/// What a candidate wants that the user has not agreed to yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// Permissions that it asks for.
    pub needs: Vec<Need>,
    /// Capabilities that it imports, and no version of it that was agreed to.
    pub capabilities: Vec<Capability>,
}

impl Candidate {
    /// Returns what kind it is, in a word.
    pub fn kind(&self) -> &'static str {
        match self.inspection.kind {
            Kind::Format(_) => "format",
            Kind::Credential(_) => "credential",
        }
    }

    /// Returns whether the user has to agree before it is installed.
    pub fn wants_consent(&self) -> bool {
        let is_new = self.updates.is_none();
        !self.ask.needs.is_empty()
            || !is_new && !self.ask.capabilities.is_empty()
            || is_new && self.replaces.is_some()
    }

    /// Returns whether it is the same as what is installed.
    pub fn is_current(&self) -> bool {
        self.updates.as_ref() == Some(&self.inspection.digest)
    }
}

impl Installed {
    /// Fetches and looks at a plugin that is to be installed as `name`, or as its source suggests.
    ///
    /// # Errors
    /// When it cannot be had, is no plugin for this msb, or its name is taken by another.
    pub fn prepare(
        &self,
        fetcher: &Fetcher,
        source: &Source,
        name: Option<&str>,
        progress: &Arc<dyn Progress>,
        cancel: &Cancel,
    ) -> Result<Candidate, InstalledError> {
        let name = match name {
            Some(name) => name.to_owned(),
            None => source.name().ok_or_else(|| InstalledError::Name {
                name: source.to_string(),
            })?,
        };
        if !is_plugin_name(&name) {
            return Err(InstalledError::Name { name });
        }
        let candidate = self.look(fetcher, source, name, progress, cancel)?;
        let taken = self.entries.iter().find(|entry| {
            *entry.package.name == *candidate.name
                && (candidate.replaces.is_none() || !entry.package.builtin)
        });
        match taken {
            Some(entry) if !candidate.is_current() || !same_source(entry, source) => {
                let origin = entry.origin.as_ref();
                Err(InstalledError::NameTaken {
                    name: candidate.name,
                    source_of_other: origin
                        .map_or_else(|| "msb itself".to_owned(), |origin| origin.source.clone()),
                })
            }
            _ => Ok(candidate),
        }
    }

    /// Fetches what the source of an installed plugin has now.
    ///
    /// # Errors
    /// When there is no such plugin, it ships with msb, or what is there now is no plugin.
    pub fn prepare_update(
        &self,
        fetcher: &Fetcher,
        name: &str,
        progress: &Arc<dyn Progress>,
        cancel: &Cancel,
    ) -> Result<Candidate, InstalledError> {
        let entry = self.entry(name)?;
        let Some(origin) = &entry.origin else {
            return Err(InstalledError::Builtin {
                name: name.to_owned(),
            });
        };
        let source = origin.source.parse()?;
        self.look(fetcher, &source, name.to_owned(), progress, cancel)
    }

    fn look(
        &self,
        fetcher: &Fetcher,
        source: &Source,
        name: String,
        progress: &Arc<dyn Progress>,
        cancel: &Cancel,
    ) -> Result<Candidate, InstalledError> {
        let found = fetcher.fetch(source, progress, cancel)?;
        progress.report(Event::Phase(&format!("Checking {name}")));
        let inspection = self
            .runtime
            .inspect(&name, &found.bytes, progress, cancel)?;
        let bytes: Arc<[u8]> = found.bytes.into();
        let package = Package {
            name: name.as_str().into(),
            version: None,
            kind: inspection.kind.clone(),
            component: ComponentBytes::Memory(Arc::clone(&bytes)),
            grants: Grants::default(),
            limits: Budget::DESCRIPTION,
            settings: None,
            builtin: false,
        };
        let replaced = self.entries.iter().find(|entry| replaces(&package, entry));
        let old = self
            .entries
            .iter()
            .find(|entry| !entry.package.builtin && *entry.package.name == *name);
        let granted = old.map(|entry| entry.package.grants.clone());
        let known = |need: &&Need| {
            old.is_some_and(|entry| {
                entry.package.grants.contains(&need.grant)
                    || entry.needs.iter().any(|old| old.grant == need.grant)
            })
        };
        let imported = |capability: &&Capability| {
            old.and_then(|entry| entry.origin.as_ref())
                .is_some_and(|origin| {
                    let interface = format!("msb:plugin/{capability}@");
                    origin.imports.iter().any(|it| it.starts_with(&interface))
                })
        };
        Ok(Candidate {
            ask: Ask {
                needs: inspection
                    .needs
                    .iter()
                    .filter(|need| !known(need))
                    .cloned()
                    .collect(),
                capabilities: inspection
                    .capabilities
                    .iter()
                    .filter(|capability| !imported(capability))
                    .copied()
                    .collect(),
            },
            replaces: replaced.map(|entry| entry.package.name.to_string()),
            granted: granted.unwrap_or_default(),
            updates: old
                .and_then(|entry| entry.origin.as_ref())
                .map(|origin| origin.sha256.clone()),
            signed: found.signed,
            manifest: found.manifest,
            source: source.clone(),
            name,
            inspection,
            bytes,
        })
    }
}

fn same_source(entry: &super::Entry, source: &Source) -> bool {
    let origin = entry.origin.as_ref();
    origin.is_some_and(|origin| origin.source == source.to_string())
}
