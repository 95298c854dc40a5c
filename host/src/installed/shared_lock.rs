//! A lock file of a project: what is installed, for others to have the same.
//!
//! Owns writing one and taking one over. Sources and trust roots that are files are relative to the lock
//! file, so that they can be kept together.

use std::path::{Component, Path, PathBuf};

use super::candidate::Candidate;
use super::error::InstalledError;
use super::install::{InstallRequest, Installer};
use super::lock::Lock;
use super::locked_plugin::{LockedBuiltin, LockedPlugin};
use super::source::Source;
use crate::fs;
use crate::home::Home;
use crate::store;

/// The plugins of a lock file, fetched and compared with it.
#[derive(Clone, Debug)]
pub struct Takeover {
    lock: Lock,
    candidates: Vec<Candidate>,
    /// What the user has not agreed to here: plugins that are not installed here, or with other than the
    /// same bytes, source, tier, key, limits and at least the same permissions.
    pub news: Vec<LockedPlugin>,
    /// What it would make other than here with plugins that ship with msb.
    pub builtins: Vec<LockedBuiltin>,
    /// The order of asking that it would make of another one.
    pub order: Option<Vec<String>>,
}

impl Takeover {
    /// Returns whether the user has agreed to all of it here.
    pub fn is_agreed(&self) -> bool {
        self.news.is_empty() && self.builtins.is_empty() && self.order.is_none()
    }
}

impl Lock {
    /// Writes what is installed in a home to a file, for others.
    pub fn write_shared(home: &Home, file: &Path) -> Result<(), InstalledError> {
        let mut lock = Self::read(home)?;
        let folder = folder_of(file)?;
        for plugin in &mut lock.plugins {
            if let Ok(Source::File(path)) = plugin.source.parse() {
                plugin.source = relative(&path, &folder).display().to_string();
            }
            for file in trust_roots(plugin) {
                *file = relative(file, &folder);
            }
        }
        let text = lock.to_text(file)?;
        Ok(store::write_atomically(text.as_bytes(), file)?)
    }

    /// Reads such a file. The sources in it that are files are absolute then.
    pub fn read_shared(file: &Path) -> Result<Self, InstalledError> {
        let mut lock = Self::read_file(file)?;
        let folder = folder_of(file)?;
        for plugin in &mut lock.plugins {
            if plugin.source.starts_with("./") || plugin.source.starts_with("../") {
                let path = folder.join(&plugin.source);
                // In the spelling that sources have, also of a file that is not there.
                let source: Source = path.display().to_string().parse()?;
                plugin.source = source.to_string();
            }
            for file in trust_roots(plugin) {
                *file = folder.join(&*file);
                *file = fs::canonicalize(file).unwrap_or_else(|_| file.clone());
            }
        }
        Ok(lock)
    }
}

impl Installer<'_> {
    /// Fetches all that a lock file has. Changes nothing.
    pub fn take_over(&self, lock: Lock) -> Result<Takeover, InstalledError> {
        let here = Lock::read(self.home)?;
        let mut candidates = Vec::new();
        for plugin in &lock.plugins {
            let request = InstallRequest {
                name: Some(plugin.name.clone()),
                locked: true,
                kept: true,
                lock: Some(lock.clone()),
                ..InstallRequest::default()
            };
            let candidate = self.prepare(&plugin.source.parse()?, &request)?;
            candidate.check_grants(&plugin.grants)?;
            self.settings.system.check_grants(&plugin.grants)?;
            candidates.push(candidate);
        }
        let is_news = |plugin: &&LockedPlugin| {
            let known = here.plugin(&plugin.name);
            known.is_none_or(|known| !is_no_more(plugin, known))
        };
        let news = lock.plugins.iter().filter(is_news).cloned().collect();
        let is_other = |builtin: &&LockedBuiltin| here.builtin(&builtin.name) != Some(*builtin);
        let builtins = lock.builtins.iter().filter(is_other).cloned().collect();
        let order =
            (!lock.order.is_empty() && lock.order != here.order).then(|| lock.order.clone());
        Ok(Takeover {
            lock,
            candidates,
            news,
            builtins,
            order,
        })
    }

    /// Installs them all, or none: those of the same names are replaced, others stay.
    pub fn commit_all(&self, takeover: &Takeover) -> Result<(), InstalledError> {
        Lock::change(self.home, self.progress.as_ref(), self.cancel, |lock| {
            for candidate in &takeover.candidates {
                candidate.write_component(self.home)?;
            }
            let wanted = &takeover.lock;
            for plugin in &wanted.plugins {
                match lock.plugins.iter_mut().find(|it| it.name == plugin.name) {
                    Some(known) => *known = plugin.clone(),
                    None => lock.plugins.push(plugin.clone()),
                }
            }
            for builtin in &wanted.builtins {
                lock.builtins.retain(|it| it.name != builtin.name);
                lock.builtins.push(builtin.clone());
            }
            if !wanted.order.is_empty() {
                lock.order.clone_from(&wanted.order);
            }
            Ok(())
        })?;
        super::manage::collect(self.home, self.progress.as_ref(), self.cancel)
    }
}

/// Returns whether a plugin of another lock is what is installed here, or has fewer permissions or is
/// disabled: nothing that the user would have to agree to.
fn is_no_more(other: &LockedPlugin, known: &LockedPlugin) -> bool {
    let is_granted = |grant| known.grants.contains(grant);
    let less = LockedPlugin {
        enabled: known.enabled,
        grants: known.grants.clone(),
        directory: known.directory.clone(),
        ..other.clone()
    };
    less == *known && (known.enabled || !other.enabled) && other.grants.iter().all(is_granted)
}

/// Returns the files that vouch for who has signed a plugin.
fn trust_roots(plugin: &mut LockedPlugin) -> impl Iterator<Item = &mut PathBuf> {
    let also = plugin.also_signed.iter_mut();
    let also = also.filter_map(|signer| signer.trust_root.as_mut());
    plugin.trust_root.as_mut().into_iter().chain(also)
}

fn folder_of(file: &Path) -> Result<PathBuf, InstalledError> {
    fs::canonicalize(fs::parent(file)).map_err(|error| InstalledError::Store(error.into()))
}

/// Returns the way from a folder to a path, both without links.
fn relative(path: &Path, folder: &Path) -> PathBuf {
    let shared = path
        .components()
        .zip(folder.components())
        .take_while(|(one, other)| one == other)
        .count();
    let up = folder.components().count() - shared;
    let mut way = PathBuf::from(if up == 0 { "." } else { "" });
    way.extend(std::iter::repeat_n(Component::ParentDir, up));
    way.extend(path.components().skip(shared));
    way
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_file_leads_from_the_folder_to_it() {
        for (path, folder, way) in [
            ("/a/b/p.wasm", "/a/b", "./p.wasm"),
            ("/a/b/p.wasm", "/a", "./b/p.wasm"),
            ("/a/b/p.wasm", "/a/c/d", "../../b/p.wasm"),
            ("/p.wasm", "/a", "../p.wasm"),
        ] {
            assert_eq!(relative(Path::new(path), Path::new(folder)), Path::new(way));
        }
    }

    #[test]
    fn what_drops_a_key_or_raises_a_limit_is_news_and_what_drops_a_grant_is_not() {
        let text = |change: (&str, &str)| {
            r#"version = 1
[[plugin]]
name = "vault"
enabled = true
source = "/vault.wasm"
sha256 = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
key = "RWQ"
key_pinned = true
api = "0.1.1"
imports = []
asks = []
grants = ["clock", "reveal"]
limits = {memory_mib = 64, compute_secs = 10, host_calls = 100}
credential = {name = "vault", title = "", operations = [], registries = ["*"]}
"#
            .replace(change.0, change.1)
        };
        let read = |change| {
            let text = text(change);
            Lock::parse(&text, Path::new("plugins.lock"))
                .unwrap()
                .plugins
        };
        let known = read(("", ""));
        for (change, expected) in [
            (("clock", "clock"), true),
            (("\"clock\", ", ""), true),
            (("enabled = true", "enabled = false"), true),
            (("\"clock\"", "\"env=A\""), false),
            (("key_pinned = true\n", ""), false),
            (("key = \"RWQ\"\nkey_pinned = true\n", ""), false),
            (("memory_mib = 64", "memory_mib = 65"), false),
            (("/vault.wasm", "/other.wasm"), false),
            (("[\"*\"]", "[\"ghcr.io\"]"), false),
        ] {
            assert_eq!(
                is_no_more(&read(change)[0], &known[0]),
                expected,
                "{change:?}"
            );
        }
    }
}
