//! What an administrator allows: sources, permissions, signatures, and plugins that everyone has.
//!
//! Owns the comparison with the policy, when something is installed or granted and again when it is
//! used: what was installed before the policy, or written into the lock by hand, is held to it too.

use super::error::InstalledError;
use super::lock::Lock;
use super::locked_plugin::LockedPlugin;
use super::pattern;
use super::signature::Signer;
use super::source::Source;
use crate::home::Home;
use crate::settings::{Settings, SystemPolicy};

impl SystemPolicy {
    /// Returns whether plugins may come from a source.
    pub(super) fn allows_source(&self, source: &Source) -> bool {
        let sources = self.sources.as_ref();
        sources.is_none_or(|sources| sources.iter().any(|it| source.is_within(it)))
    }

    /// Returns whether a permission may be granted.
    pub(super) fn allows_grant(&self, grant: &str) -> bool {
        let grants = self.grants.as_ref();
        grants.is_none_or(|grants| grants.iter().any(|most| pattern::covers(most, grant)))
    }

    /// Returns an error unless plugins may come from a source.
    pub(super) fn check_source(&self, source: &Source) -> Result<(), InstalledError> {
        if self.allows_source(source) {
            return Ok(());
        }
        Err(self.forbidden(format!("plugins from `{source}`")))
    }

    /// Returns an error unless these permissions may be granted.
    pub(super) fn check_grants(&self, grants: &[String]) -> Result<(), InstalledError> {
        match grants.iter().find(|grant| !self.allows_grant(grant)) {
            Some(grant) => Err(self.forbidden(format!("`{grant}` for plugins"))),
            None => Ok(()),
        }
    }

    /// Returns those of whom one must have signed what comes from a source, if any must.
    pub(super) fn signers(&self, source: &Source) -> Result<Vec<Signer>, InstalledError> {
        let policies = self.signatures.iter();
        let signers = policies
            .filter(|policy| source.begins_with(&policy.source))
            .map(|policy| Signer::read(&policy.signer))
            .collect::<Result<_, _>>()?;
        Ok(signers)
    }

    /// Returns whether an installed plugin may be used.
    pub(super) fn allows(&self, plugin: &LockedPlugin) -> bool {
        let Ok(source) = plugin.source.parse::<Source>() else {
            return false;
        };
        let Ok(signers) = self.signers(&source) else {
            return false;
        };
        let is_signed = signers.is_empty() || signers.iter().any(|it| it.has_signed(plugin));
        self.allows_source(&source) && is_signed
    }

    fn forbidden(&self, what: String) -> InstalledError {
        InstalledError::Forbidden {
            what,
            file: self.file.clone().unwrap_or_default(),
        }
    }
}

impl Lock {
    /// Returns the plugins of a home with those that everyone has, in the place of any of their names:
    /// what is used. Plugins that are not allowed are not enabled, and permissions that are not allowed
    /// are not there.
    pub(super) fn with_system(&self, settings: &Settings) -> Result<Self, InstalledError> {
        let mut lock = self.clone();
        let policy = &settings.system;
        for plugin in &mut lock.plugins {
            plugin.enabled &= policy.allows(plugin);
            plugin.grants.retain(|grant| policy.allows_grant(grant));
        }
        if let Some(home) = &policy.home {
            let home = Home::at(home);
            for mut plugin in Self::read(&home)?.plugins {
                plugin.directory = Some(home.plugins());
                lock.plugins.retain(|own| own.name != plugin.name);
                lock.plugins.push(plugin);
            }
        }
        Ok(lock)
    }
}
