//! What a policy in the system's file may say.
//!
//! Owns that a policy with a mistake in it is an error: understood as none, it would allow everything.

use std::path::Path;

use serde_json::{Map, Value};

use super::spelling::{self, OF_FILE, OF_PLUGINS};
use super::{PluginsProblem, SettingsError};

/// What only the system's file decides.
const SYSTEMS: [&str; 3] = ["allowed_sources", "allowed_grants", "home"];
/// What permissions are about, and whether they name a scope.
const PERMISSIONS: [(&str, bool); 9] = [
    ("env", true),
    ("files", true),
    ("keychain", true),
    ("helper", true),
    ("http", true),
    ("clock", false),
    ("reveal", false),
    ("state", false),
    ("prompt", false),
];

/// Refuses keys that are not known where a policy would be.
pub(super) fn check_keys(file: &Path, system: &Map<String, Value>) -> Result<(), SettingsError> {
    let unknown = |key: String, meant: Option<String>| SettingsError::Plugins {
        path: file.to_owned(),
        key,
        source: PluginsProblem::Unknown { meant },
    };
    for key in system.keys().filter(|key| !OF_FILE.contains(&key.as_str())) {
        if SYSTEMS.contains(&key.as_str()) {
            return Err(unknown(key.clone(), Some(format!("plugins.{key}"))));
        }
        // Other keys may be of other tools.
        if let Some(meant @ "plugins") = spelling::meant(key, &OF_FILE) {
            return Err(unknown(key.clone(), Some(meant.to_owned())));
        }
    }
    let Some(Value::Object(plugins)) = system.get("plugins") else {
        return Ok(());
    };
    match plugins
        .keys()
        .find(|key| !OF_PLUGINS.contains(&key.as_str()))
    {
        Some(key) => {
            let meant = spelling::meant(key, &OF_PLUGINS);
            Err(unknown(format!("plugins.{key}"), meant.map(str::to_owned)))
        }
        None => Ok(()),
    }
}

/// Refuses patterns that no permission can match.
pub(super) fn check_grants(file: &Path, patterns: &[String]) -> Result<(), SettingsError> {
    for (number, pattern) in patterns.iter().enumerate() {
        check_permission(pattern).map_err(|reason| SettingsError::Plugins {
            path: file.to_owned(),
            key: format!("plugins.allowed_grants[{number}]"),
            source: PluginsProblem::NoGrant {
                pattern: pattern.clone(),
                reason,
            },
        })?;
    }
    Ok(())
}

/// Returns why no permission can match a pattern, if none can.
fn check_permission(pattern: &str) -> Result<(), String> {
    let (name, has_scope) = match pattern.split_once('=') {
        Some((name, _)) => (name, true),
        None => (pattern, false),
    };
    if name.contains('*') {
        return Ok(());
    }
    match PERMISSIONS.iter().find(|(known, _)| *known == name) {
        Some((_, wants_scope)) if *wants_scope == has_scope => Ok(()),
        Some((_, true)) => Err(format!("`{name}` wants a scope, as in `{name}=**`")),
        Some(_) => Err(format!("`{name}` takes no scope")),
        None => {
            let names = PERMISSIONS.map(|(name, _)| name);
            Err(format!("there are {}", names.join(", ")))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::super::SystemPolicy;
    use super::*;

    fn policy(settings: &Value) -> Result<SystemPolicy, SettingsError> {
        let path = Path::new("/etc/msb/config.json");
        SystemPolicy::of(path, settings.as_object().unwrap())
    }

    #[cfg(feature = "plugins")]
    #[test]
    fn the_permissions_are_those_that_plugins_have() {
        use crate::plugin::Capability;
        let known = Capability::ALL.map(|it| (it.name(), it.has_scope()));
        assert_eq!(PERMISSIONS, known);
    }

    #[test]
    fn a_misspelled_policy_is_an_error_that_says_what_was_meant() {
        for (settings, at, meant) in [
            (
                json!({"plugins": {"allowed_source": []}}),
                "plugins.allowed_source",
                "`allowed_sources`?",
            ),
            (
                json!({"plugins": {"Allowed-Grants": []}}),
                "plugins.Allowed-Grants",
                "`allowed_grants`?",
            ),
            (
                json!({"plugins": {"signature": []}}),
                "plugins.signature",
                "`signatures`?",
            ),
            (
                json!({"plugins": {"deny": []}}),
                "plugins.deny",
                "no such setting",
            ),
            (
                json!({"plugin": {"allowed_sources": []}}),
                "plugin",
                "`plugins`?",
            ),
            (
                json!({"allowed_sources": []}),
                "allowed_sources",
                "`plugins.allowed_sources`?",
            ),
        ] {
            let error = policy(&settings).unwrap_err();
            let SettingsError::Plugins { key, source, .. } = &error else {
                panic!("{settings}: {error}");
            };
            assert_eq!(key, at);
            assert!(source.to_string().contains(meant), "{source}");
        }
        assert!(policy(&json!({"plugins": {"order": []}, "profiles": {}})).is_ok());
    }

    #[test]
    fn a_permission_that_can_never_be_asked_for_is_an_error() {
        for pattern in ["nosuch=1", "nosuch", "env", "clock=1", ""] {
            let settings = json!({"plugins": {"allowed_grants": ["clock", pattern]}});
            let error = policy(&settings).unwrap_err();
            let SettingsError::Plugins { key, source, .. } = &error else {
                panic!("{pattern}: {error}");
            };
            assert_eq!(key, "plugins.allowed_grants[1]");
            assert!(source.to_string().contains("allows nothing"), "{source}");
        }
        for pattern in [
            "*",
            "**",
            "env=*",
            "e*",
            "clock",
            "http=https://*.acme.com:*",
        ] {
            let settings = json!({"plugins": {"allowed_grants": [pattern]}});
            assert!(policy(&settings).is_ok(), "{pattern}");
        }
    }
}
