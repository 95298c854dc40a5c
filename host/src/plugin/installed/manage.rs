//! Changes of what is installed: each is made whole, by one msb at a time.
//!
//! Owns the second half of an installation, and what else `msb plugin` changes. A component is
//! there before the lock file names it, and goes after.

use std::sync::Arc;

use super::error::InstalledError;
use super::fetch::Fetcher;
use super::lock::{Asked, Lock, LockedBuiltin, LockedKind, LockedPlugin};
use super::order::{self, Position};
use super::prepare::Candidate;
use super::source::Source;
use super::{Installed, Kind, component, grants_of};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::plugin::{Grant, Grants, PluginError};
use crate::progress::Progress;
use crate::store;

/// What the check of a plugin came to.
#[derive(Debug)]
pub struct Verified {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub problem: Option<PluginError>,
}

impl Installed {
    /// Installs what was prepared, with these permissions: a new plugin, or another version of
    /// one that is there.
    ///
    /// # Errors
    /// When another msb has changed the plugin meanwhile, or the home cannot be written.
    pub fn commit(
        &self,
        candidate: &Candidate,
        grants: &Grants,
        position: Option<&Position>,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<(), InstalledError> {
        let order = match position {
            Some(position) => Some(self.order_with(&candidate.name, candidate.kind(), position)?),
            None => None,
        };
        let plugin = locked(candidate, grants);
        Lock::change(&self.home, progress, cancel, |lock| {
            let name = &candidate.name;
            let old = lock.plugins.iter().position(|it| it.name == *name);
            let before = old.map(|old| &lock.plugins[old]);
            if before.map(|old| &old.sha256) != candidate.updates.as_ref() {
                return Err(InstalledError::NameTaken {
                    name: name.clone(),
                    source_of_other: before
                        .map_or_else(|| "nowhere any more".to_owned(), |old| old.source.clone()),
                });
            }
            let directory = self.home.plugins();
            store::create_directory(&directory)?;
            let path = component(&self.home, &plugin.sha256);
            store::write_atomically(&candidate.bytes, &path, &directory, ".component-")?;
            match old {
                Some(old) => {
                    let enabled = lock.plugins[old].enabled;
                    lock.plugins[old] = LockedPlugin { enabled, ..plugin };
                }
                None => lock.plugins.push(plugin),
            }
            if let Some(order) = order {
                lock.order = order;
            }
            Ok(())
        })?;
        match &candidate.updates {
            Some(old) => self.drop_component(old, progress, cancel),
            None => Ok(()),
        }
    }

    /// Removes a plugin.
    ///
    /// # Errors
    /// When there is none, or it ships with msb.
    pub fn remove(
        &self,
        name: &str,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<(), InstalledError> {
        let digest = Lock::change(&self.home, progress, cancel, |lock| {
            let Some(at) = lock.plugins.iter().position(|it| it.name == name) else {
                self.entry(name)?;
                return Err(InstalledError::Builtin {
                    name: name.to_owned(),
                });
            };
            let removed = lock.plugins.remove(at);
            if !self
                .entries
                .iter()
                .any(|it| it.package.builtin && *it.package.name == *name)
            {
                lock.order.retain(|it| it != name);
            }
            Ok(removed.sha256)
        })?;
        self.drop_component(&digest, progress, cancel)
    }

    /// Has a plugin used or not, and returns whether that is new.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn enable(
        &self,
        name: &str,
        enabled: bool,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<bool, InstalledError> {
        self.change(name, progress, cancel, |target| {
            let own = match target {
                Target::Plugin(plugin) => &mut plugin.enabled,
                Target::Builtin(builtin) => &mut builtin.enabled,
            };
            std::mem::replace(own, enabled) != enabled
        })
    }

    /// Gives and takes permissions, and returns those that are new or gone.
    ///
    /// # Errors
    /// When there is no plugin of that name.
    pub fn change_grants(
        &self,
        name: &str,
        grants: &[Grant],
        give: bool,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Vec<Grant>, InstalledError> {
        // Grants of what ships with msb are written down when they are other than usual.
        let usual = self.entry(name)?.package.grants.clone();
        self.change(name, progress, cancel, |target| {
            let mut own = match &target {
                Target::Plugin(plugin) => grants_of(&plugin.grants)?,
                Target::Builtin(builtin) => match &builtin.grants {
                    Some(grants) => grants_of(grants)?,
                    None => usual,
                },
            };
            let changed = grants.iter().filter(|grant| {
                if give {
                    own.insert((*grant).clone())
                } else {
                    own.remove(grant)
                }
            });
            let changed = changed.cloned().collect();
            let texts = texts(&own);
            match target {
                Target::Plugin(plugin) => plugin.grants = texts,
                Target::Builtin(builtin) => builtin.grants = Some(texts),
            }
            Ok(changed)
        })?
    }

    /// Puts a plugin before or after another one of its kind.
    ///
    /// # Errors
    /// When one of them is not there, or they are of two kinds.
    pub fn reorder(
        &self,
        name: &str,
        position: &Position,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<(), InstalledError> {
        let kind = self.entry(name)?.kind();
        let order = self.order_with(name, kind, position)?;
        Lock::change(&self.home, progress, cancel, |lock| {
            lock.order = order;
            Ok(())
        })
    }

    /// Checks that the components are what was installed, of all plugins or of one.
    ///
    /// # Errors
    /// When there is no plugin of that name.
    pub fn verify(&self, name: Option<&str>) -> Result<Vec<Verified>, InstalledError> {
        let entries = match name {
            Some(name) => vec![self.entry(name)?],
            None => self.entries.iter().collect(),
        };
        let checked = entries.into_iter().map(|entry| {
            let package = &entry.package;
            let problem = package.component.read().err();
            Verified {
                name: package.name.to_string(),
                problem: problem.map(|failure| {
                    PluginError::new(&package.name, package.version.as_deref(), failure)
                }),
            }
        });
        Ok(checked.collect())
    }

    /// Returns the plugins whose components are not what the lock file says.
    pub fn damaged(&self) -> Vec<String> {
        let damaged = self
            .entries
            .iter()
            .filter(|entry| entry.package.component.read().is_err());
        damaged
            .map(|entry| entry.package.name.to_string())
            .collect()
    }

    /// Fetches the component of a plugin once more, which must be the one that the lock file wants.
    ///
    /// # Errors
    /// When its source has another one, or cannot be asked.
    pub fn restore(
        &self,
        fetcher: &Fetcher,
        name: &str,
        progress: &Arc<dyn Progress>,
        cancel: &Cancel,
    ) -> Result<(), InstalledError> {
        let Some(origin) = &self.entry(name)?.origin else {
            return Ok(());
        };
        let source: Source = origin.source.parse()?;
        let bytes = fetcher.fetch(&source, progress, cancel)?.bytes;
        let found = Digest::of(&bytes);
        if found != origin.sha256 {
            return Err(InstalledError::Pinned {
                source_name: origin.source.clone(),
                found,
                wanted: origin.sha256.clone(),
            });
        }
        let directory = self.home.plugins();
        store::create_directory(&directory)?;
        let path = component(&self.home, &found);
        Ok(store::write_atomically(
            &bytes,
            &path,
            &directory,
            ".component-",
        )?)
    }

    /// Returns the plugin that the lock file has from a source.
    ///
    /// # Errors
    /// When it has none.
    pub fn locked_from(&self, source: &Source) -> Result<&str, InstalledError> {
        let spelling = source.to_string();
        self.entries
            .iter()
            .find(|entry| {
                entry
                    .origin
                    .as_ref()
                    .is_some_and(|it| it.source == spelling)
            })
            .map(|entry| &*entry.package.name)
            .ok_or(InstalledError::NotLocked {
                source_name: spelling,
            })
    }

    fn change<T>(
        &self,
        name: &str,
        progress: &dyn Progress,
        cancel: &Cancel,
        change: impl FnOnce(Target<'_>) -> T,
    ) -> Result<T, InstalledError> {
        Lock::change(&self.home, progress, cancel, |lock| {
            if let Some(plugin) = lock.plugins.iter_mut().find(|it| it.name == name) {
                return Ok(change(Target::Plugin(plugin)));
            }
            self.entry(name)?;
            let at = lock.builtins.iter().position(|it| it.name == name);
            let at = at.unwrap_or_else(|| {
                lock.builtins.push(LockedBuiltin {
                    name: name.to_owned(),
                    enabled: true,
                    grants: None,
                });
                lock.builtins.len() - 1
            });
            let answer = change(Target::Builtin(&mut lock.builtins[at]));
            lock.builtins
                .retain(|it| !it.enabled || it.grants.is_some());
            Ok(answer)
        })
    }

    /// Returns the order of asking with a plugin at another place.
    fn order_with(
        &self,
        name: &str,
        kind: &str,
        position: &Position,
    ) -> Result<Vec<String>, InstalledError> {
        let other = position.other();
        let refused = |reason| InstalledError::Order {
            name: name.to_owned(),
            other: other.to_owned(),
            reason,
        };
        if other == name {
            return Err(refused("they are the same"));
        }
        if self.entry(other)?.kind() != kind {
            return Err(refused("formats and credential providers are asked apart"));
        }
        let mut names = super::names(&self.entries);
        names.dedup();
        order::moved(&mut names, name, position);
        Ok(names)
    }

    /// Removes a component that no plugin is any more.
    fn drop_component(
        &self,
        digest: &Digest,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<(), InstalledError> {
        Lock::change(&self.home, progress, cancel, |lock| {
            if lock.plugins.iter().all(|it| it.sha256 != *digest) {
                store::remove(&component(&self.home, digest))?;
            }
            Ok(())
        })
    }
}

/// What is changed.
enum Target<'a> {
    Plugin(&'a mut LockedPlugin),
    Builtin(&'a mut LockedBuiltin),
}

fn texts(grants: &Grants) -> Vec<String> {
    grants.iter().map(ToString::to_string).collect()
}

fn locked(candidate: &Candidate, grants: &Grants) -> LockedPlugin {
    let inspection = &candidate.inspection;
    LockedPlugin {
        name: candidate.name.clone(),
        enabled: true,
        source: candidate.source.to_string(),
        version: inspection.metadata.version.clone(),
        sha256: inspection.digest.clone(),
        manifest: candidate.manifest.clone(),
        signed: candidate.signed,
        api: inspection.api.clone(),
        imports: inspection.imports.clone(),
        asks: inspection
            .needs
            .iter()
            .map(|need| Asked {
                grant: need.grant.to_string(),
                reason: need.reason.clone(),
            })
            .collect(),
        grants: texts(grants),
        kind: match &inspection.kind {
            Kind::Format(it) => LockedKind::Format {
                name: it.name.clone(),
                title: it.title.clone(),
                reads: it.reads,
                writes: it.writes,
            },
            Kind::Credential(it) => LockedKind::Credential {
                name: it.name.clone(),
                title: it.title.clone(),
                operations: [
                    ("store", it.operations.store),
                    ("erase", it.operations.erase),
                    ("list", it.operations.list),
                    ("report", it.operations.report),
                ]
                .into_iter()
                .filter(|(_, can)| *can)
                .map(|(name, _)| name.to_owned())
                .collect(),
                registries: it.registries.clone(),
            },
        },
    }
}
