//! What an administrator allows: sources, permissions, signatures, and plugins that everyone has.
//!
//! Owns the comparison with the policy, when something is installed or granted and again when it is
//! used: what was installed before the policy, or written into the lock by hand, is held to it too.

use super::error::InstalledError;
use super::lock::{Lock, LockedPlugin};
use super::signature::PublicKey;
use super::source::Source;
use crate::glob::{self, Stars};
use crate::home::Home;
use crate::settings::{Settings, SystemPolicy};

impl SystemPolicy {
    /// Returns whether plugins may come from a source.
    pub(super) fn allows_source(&self, source: &Source) -> bool {
        let sources = self.sources.as_ref();
        sources.is_none_or(|sources| sources.iter().any(|it| source.begins_with(it)))
    }

    /// Returns whether a permission may be granted.
    pub(super) fn allows_grant(&self, grant: &str) -> bool {
        let grants = self.grants.as_ref();
        grants.is_none_or(|grants| grants.iter().any(|most| is_within(most, grant)))
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

    /// Returns the keys of which one must have signed what comes from a source, if any must.
    pub(super) fn keys(&self, source: &Source) -> Result<Vec<PublicKey>, InstalledError> {
        let policies = self.signatures.iter();
        let keys = policies
            .filter(|policy| source.begins_with(&policy.source))
            .map(|policy| PublicKey::read(&policy.key))
            .collect::<Result<_, _>>()?;
        Ok(keys)
    }

    /// Returns whether an installed plugin may be used.
    pub(super) fn allows(&self, plugin: &LockedPlugin) -> bool {
        let Ok(source) = plugin.source.parse::<Source>() else {
            return false;
        };
        let Ok(keys) = self.keys(&source) else {
            return false;
        };
        let is_signed = keys.is_empty()
            || keys
                .iter()
                .any(|key| plugin.key.as_deref() == Some(&*key.to_string()));
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

/// Returns whether a permission is no more than another one: a `*` there stands for any characters but
/// `/` and `@`, and `**` for these as well; alone it is every permission.
fn is_within(most: &str, grant: &str) -> bool {
    // A star of the permission itself is a character: only another star allows it.
    most == "*" || glob::matches(most, Stars::WithinOrDeep(b"/@"), grant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_is_within_another_or_not() {
        for (most, grant, expected) in [
            ("*", "http=*", true),
            ("clock", "clock", true),
            ("clock", "reveal", false),
            ("env=ACME_*", "env=ACME_TOKEN", true),
            ("env=ACME_*", "env=ACME_*", true),
            ("env=ACME_*", "env=*", false),
            ("env=ACME_*", "env=HOME", false),
            (
                "http=https://*.acme.com",
                "http=https://vault.acme.com",
                true,
            ),
            (
                "http=https://*.acme.com",
                "http=https://evil.example/x.acme.com",
                false,
            ),
            (
                "http=https://*.acme.com",
                "http=https://me@evil.example:1@x.acme.com",
                false,
            ),
            (
                "http=https://*.acme.com",
                "http=https://vault.acme.com:8200",
                false,
            ),
            (
                "http=https://*.acme.com*",
                "http=https://vault.acme.com:8200",
                true,
            ),
            (
                "http=https://*.acme.com:*",
                "http=https://vault.acme.com:8200",
                true,
            ),
            (
                "http=https://*.acme.com:*",
                "http=https://vault.acme.com.evil.example",
                false,
            ),
            ("files=~/.acme/*", "files=~/.acme/token", true),
            ("files=~/.acme/*", "files=~/.acme/a/b", false),
            ("files=~/.acme/**", "files=~/.acme/a/b", true),
            ("files=~/.acme/**", "files=~/.ssh/id", false),
        ] {
            assert_eq!(is_within(most, grant), expected, "{most} {grant}");
        }
    }
}
