//! What becomes of plugins that are installed: enabled, disabled, granted, revoked, put in order,
//! removed, verified.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::candidate::{usable, without_import};
use super::error::InstalledError;
use super::install::check_provides;
use super::lock::Lock;
use super::locked_plugin::{LockedBuiltin, LockedKind, LockedPlugin};
use super::order::{self, OrderPosition};
use super::signature::{Signatures, Signer, Subject};
use super::{component_path, packages};
use crate::cancel::Cancel;
use crate::credential::Tier;
use crate::digest::Digest;
use crate::fs::{self, atomic};
use crate::home::Home;
use crate::plugin::plugin_state;
use crate::plugin::{Capability, Grant, Package, PluginKind, builtin};
use crate::progress::Progress;
use crate::settings::Settings;
use crate::store;

/// Changes which plugins a home has, their grants and their order.
#[derive(Clone, Copy)]
pub struct LockEditor<'a> {
    /// Where they are kept.
    pub home: &'a Home,
    /// What is set of them.
    pub settings: &'a Settings,
    /// Where progress is reported.
    pub progress: &'a Arc<dyn Progress>,
    /// Stops it early.
    pub cancel: &'a Cancel,
    /// Change nothing: what would is an error.
    pub locked: bool,
}

/// What is wrong with a plugin that is installed.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Its name.
    pub name: String,
    /// What is wrong; nothing where all is well.
    pub problem: Option<String>,
}

impl LockEditor<'_> {
    /// Lets a plugin be used, or not.
    pub fn enable(&self, name: &str, enabled: bool) -> Result<(), InstalledError> {
        self.change(|lock| {
            if let Some(plugin) = lock.plugins.iter_mut().find(|it| it.name == name) {
                plugin.enabled = enabled;
                if enabled {
                    let all = packages::all(&self.home.plugins(), lock, self.settings)?;
                    if let Some(package) = all.iter().find(|it| &*it.name == name) {
                        check_provides(lock, name, &package.kind)?;
                    }
                }
                return Ok(());
            }
            changed_builtin(lock, name)?.enabled = enabled;
            Ok(())
        })
    }

    /// Chooses why a credential provider is asked; `None` leaves that to the provider.
    pub fn set_tier(&self, name: &str, tier: Option<Tier>) -> Result<(), InstalledError> {
        self.change(|lock| {
            if !matches!(self.package(lock, name)?.kind, PluginKind::Credential(_)) {
                return Err(InstalledError::NoTier {
                    name: name.to_owned(),
                });
            }
            match lock.plugins.iter_mut().find(|it| it.name == name) {
                Some(plugin) => plugin.tier = tier,
                None => changed_builtin(lock, name)?.tier = tier,
            }
            Ok(())
        })
    }

    /// Adds permissions.
    pub fn grant(&self, name: &str, grants: &[String]) -> Result<(), InstalledError> {
        self.change(|lock| {
            let imports = usable_by(lock, name)?;
            let mut has = self.granted(lock, name)?;
            for text in grants {
                let grant = match &imports {
                    Some(imports) => usable(name, text, imports)?,
                    None => text.parse::<Grant>()?.to_string(),
                };
                self.settings
                    .system
                    .check_grants(std::slice::from_ref(&grant))?;
                if !has.contains(&grant) {
                    has.push(grant);
                }
            }
            set_granted(lock, name, has)
        })
    }

    /// Takes permissions away; all of them where none is named.
    pub fn revoke(&self, name: &str, grants: &[String]) -> Result<(), InstalledError> {
        self.change(|lock| {
            let mut has = self.granted(lock, name)?;
            for text in grants {
                let grant = text.parse::<Grant>()?.to_string();
                if !has.contains(&grant) {
                    return Err(InstalledError::NotGranted {
                        name: name.to_owned(),
                        grant,
                        has,
                    });
                }
                has.retain(|it| *it != grant);
            }
            if grants.is_empty() {
                has.clear();
            }
            set_granted(lock, name, has)
        })
    }

    /// Moves a plugin.
    pub fn put(&self, name: &str, position: &OrderPosition) -> Result<(), InstalledError> {
        self.change(|lock| order::put(lock, self.settings, name, position))
    }

    /// Makes these the first, in this order.
    pub fn put_first(&self, names: &[String]) -> Result<(), InstalledError> {
        self.change(|lock| order::put_first(lock, self.settings, names))
    }

    /// Removes a plugin.
    pub fn remove(&self, name: &str) -> Result<(), InstalledError> {
        self.change(|lock| {
            if is_builtin(name) {
                return Err(InstalledError::Builtin {
                    name: name.to_owned(),
                    what: "removed",
                });
            }
            let before = lock.plugins.len();
            lock.plugins.retain(|plugin| plugin.name != name);
            if lock.plugins.len() == before {
                return Err(not_installed(lock, name));
            }
            lock.order.retain(|it| it != name);
            Ok(())
        })?;
        plugin_state::forget(&self.home.plugin_cache(), name)?;
        collect(self.home, self.progress.as_ref(), self.cancel)
    }

    /// Compares the files of plugins with the lock, and checks signatures once more.
    pub fn verify(&self) -> Result<Vec<Verified>, InstalledError> {
        let lock = Lock::read(self.home)?;
        let plugins = lock.plugins.iter();
        Ok(plugins
            .map(|plugin| Verified {
                name: plugin.name.clone(),
                problem: problem(self.home, plugin),
            })
            .collect())
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut Lock) -> Result<T, InstalledError>,
    ) -> Result<T, InstalledError> {
        if self.locked {
            let mut lock = Lock::read(self.home)?;
            let before = lock.clone();
            let done = change(&mut lock)?;
            if lock != before {
                return Err(InstalledError::Frozen {
                    what: "plugins.lock".to_owned(),
                });
            }
            return Ok(done);
        }
        Lock::change(self.home, self.progress.as_ref(), self.cancel, change)
    }

    fn package(&self, lock: &Lock, name: &str) -> Result<Package, InstalledError> {
        packages::all(&self.home.plugins(), lock, self.settings)?
            .into_iter()
            .find(|package| &*package.name == name)
            .ok_or_else(|| not_installed(lock, name))
    }

    fn granted(&self, lock: &Lock, name: &str) -> Result<Vec<String>, InstalledError> {
        let package = self.package(lock, name)?;
        Ok(package.grants.iter().map(ToString::to_string).collect())
    }
}

impl std::fmt::Debug for LockEditor<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LockEditor").finish_non_exhaustive()
    }
}

fn changed_builtin<'l>(
    lock: &'l mut Lock,
    name: &str,
) -> Result<&'l mut LockedBuiltin, InstalledError> {
    if !is_builtin(name) {
        return Err(not_installed(lock, name));
    }
    let known = lock.builtins.iter().position(|it| it.name == name);
    let at = known.unwrap_or_else(|| {
        lock.builtins.push(LockedBuiltin {
            name: name.to_owned(),
            enabled: true,
            tier: None,
            grants: None,
        });
        lock.builtins.len() - 1
    });
    Ok(&mut lock.builtins[at])
}

/// Returns what a plugin can make use of, where that is known without looking into it.
fn usable_by(lock: &Lock, name: &str) -> Result<Option<Vec<Capability>>, InstalledError> {
    if is_builtin(name) {
        return Ok(None);
    }
    let plugin = lock.plugin(name).ok_or_else(|| not_installed(lock, name))?;
    let is_credential = matches!(plugin.kind, LockedKind::Credential { .. });
    let mut of_use = capabilities(&plugin.imports);
    of_use.extend(without_import(is_credential));
    Ok(Some(of_use))
}

fn set_granted(lock: &mut Lock, name: &str, grants: Vec<String>) -> Result<(), InstalledError> {
    if let Some(plugin) = lock.plugins.iter_mut().find(|it| it.name == name) {
        plugin.grants = grants;
        return Ok(());
    }
    changed_builtin(lock, name)?.grants = Some(grants);
    Ok(())
}

/// Removes the files of components that no plugin has any more.
pub(super) fn collect(
    home: &Home,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<(), InstalledError> {
    let _alone = store::lock_plugins(home, progress, cancel)?;
    let lock = Lock::read(home)?;
    let used: BTreeSet<_> = lock
        .plugins
        .iter()
        .map(|plugin| component_path(home, &plugin.sha256))
        .collect();
    let Ok(entries) = fs::entries(&home.plugins()) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        let path = entry.path();
        // What a process that was killed has not finished; also an msb of before, which wrote
        // components and the lock file under such names.
        let name = entry.file_name();
        let is_unfinished =
            atomic::is_left(&path, None) || name.to_string_lossy().starts_with(".plugin");
        let is_component = path.extension().is_some_and(|it| it == "wasm");
        if (is_component || is_unfinished) && !used.contains(&path) {
            store::remove(&path)?;
        }
    }
    Ok(())
}

fn capabilities(imports: &[String]) -> Vec<Capability> {
    let used = imports.iter().map(String::as_str);
    used.filter_map(Capability::of_import).collect()
}

fn problem(home: &Home, plugin: &LockedPlugin) -> Option<String> {
    let path = component_path(home, &plugin.sha256);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => {
            return Some(format!(
                "`{}` cannot be read: {}",
                path.display(),
                error.source
            ));
        }
    };
    let actual = Digest::of(&bytes);
    if actual != plugin.sha256 {
        return Some(format!(
            "`{}` was changed: its digest is {actual}",
            path.display()
        ));
    }
    unsigned(plugin, &bytes)
}

/// Returns what is wrong with the signatures of a plugin that was installed with some.
fn unsigned(plugin: &LockedPlugin, bytes: &[u8]) -> Option<String> {
    let signer = plugin.key.clone();
    let signer = signer.or_else(|| Some(plugin.identity.as_ref()?.to_string()));
    if let (Some(signer), None) = (signer, &plugin.signed) {
        return Some(format!(
            "plugins.lock names the signer {signer} and has no signature of it"
        ));
    }
    let subject = Subject {
        component: bytes,
        manifest: plugin.manifest.as_ref(),
    };
    plugin.signers().iter().find_map(|it| {
        let signer = Signer::of_signed(it).and_then(|signer| match signer {
            Some(signer) => signer
                .verify(subject, &Signatures::from(&it.signed))
                .map(drop),
            None => Ok(()),
        });
        signer.err().map(|error| error.to_string())
    })
}

fn is_builtin(name: &str) -> bool {
    builtin::packages().iter().any(|it| &*it.name == name)
}

pub(super) fn not_installed(lock: &Lock, name: &str) -> InstalledError {
    let own = builtin::packages();
    let own = own.iter().map(|package| package.name.to_string());
    InstalledError::NotInstalled {
        name: name.to_owned(),
        installed: own
            .chain(lock.plugins.iter().map(|plugin| plugin.name.clone()))
            .collect(),
    }
}
