//! What is in force, and from where: what `msb config` shows.
//!
//! Owns the list of what can be set with its defaults. Values of the files are shown as they stand there,
//! without passwords that addresses may carry.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Settings, SettingsError, key_shown, system};
use crate::address;
use crate::fs::{self, FileError, IfThere as _};
use crate::home::Home;
use crate::hosts::RetryPolicy;
use crate::limits::{Limit, Limits};

/// What our objects are called in a file that others share.
const OBJECTS: [&str; 4] = ["limits", "plugins", "registries", "store"];
/// How deep objects are shown as settings of their own; what is below is one value.
const DEPTH: usize = 4;

/// A setting that is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SettingInForce {
    /// The keys that lead to it, with dots in between; the name of a variable of the environment.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// Where it comes from.
    pub source: SettingSource,
    /// The file that it stands in.
    pub file: Option<PathBuf>,
}

/// Where a setting comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SettingSource {
    /// It is set nowhere.
    Default,
    /// The file of the system.
    System,
    /// The file of the user.
    User,
    /// A variable of the environment.
    Environment,
}

/// Variables that change what msb does. Values of those with `true` are addresses.
const VARIABLES: [(&str, bool); 16] = [
    ("MSB_HOME", false),
    ("MSB_CONFIG_PATH", false),
    ("MSB_SYSTEM_CONFIG_PATH", false),
    ("MSB_LOG", false),
    ("MSB_PLUGIN_LOCKED", false),
    ("NO_COLOR", false),
    ("HTTPS_PROXY", true),
    ("https_proxy", true),
    ("HTTP_PROXY", true),
    ("http_proxy", true),
    ("ALL_PROXY", true),
    ("all_proxy", true),
    ("NO_PROXY", false),
    ("no_proxy", false),
    ("DOCKER_CONFIG", false),
    ("REGISTRY_AUTH_FILE", false),
];

impl Settings {
    /// Returns all settings that are in force, sorted by key: what is set, and the defaults of the rest. Then
    /// the variables of the environment that are set.
    ///
    /// # Errors
    /// When a file is there and cannot be used.
    pub fn in_force(home: &Home) -> Result<Vec<SettingInForce>, SettingsError> {
        // Whatever is shown is what holds.
        Self::read(home)?;
        let path = Self::path(home);
        let user = objects(&path)?;
        let below = match system::file()? {
            Some(path) => (objects(&path)?, Some(path)),
            None => (Map::new(), None),
        };
        let mut all = defaults();
        lay(
            &mut all,
            &below.0,
            SettingSource::System,
            below.1.as_deref(),
        );
        lay(&mut all, &user, SettingSource::User, Some(&path));
        all.sort_by(|one, other| one.key.cmp(&other.key));
        all.extend(variables(|name| std::env::var_os(name)?.into_string().ok()));
        Ok(all)
    }
}

/// Returns our objects of a file.
fn objects(path: &Path) -> Result<Map<String, Value>, SettingsError> {
    let bytes = fs::read(path).if_there();
    let bytes =
        bytes.map_err(|FileError { path, source, .. }| SettingsError::Read { path, source })?;
    // It was read before.
    let whole: Map<String, Value> = bytes
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let ours = whole
        .into_iter()
        .filter(|(key, _)| OBJECTS.contains(&key.as_str()));
    Ok(ours.collect())
}

fn defaults() -> Vec<SettingInForce> {
    let limits = Limits::default();
    let retry = RetryPolicy::default();
    let of_limits = Limit::ALL
        .into_iter()
        .map(|limit| (format!("limits.{}", limit.name()), json!(limits.get(limit))));
    let others = [
        ("store.max_bytes", Value::Null),
        ("registries.attempts", json!(retry.attempts)),
        (
            "registries.retry_delay_ms",
            json!(u64::try_from(retry.delay.as_millis()).ok()),
        ),
        (
            "registries.stall_timeout_secs",
            json!(retry.stall_timeout.as_secs()),
        ),
        (
            "registries.give_up_after_secs",
            json!(retry.give_up_after.as_secs()),
        ),
        ("registries.least_bytes_per_sec", json!(retry.least_rate)),
    ];
    let others = others
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value));
    of_limits
        .chain(others)
        .map(|(key, value)| SettingInForce {
            key,
            value,
            source: SettingSource::Default,
            file: None,
        })
        .collect()
}

/// Lays what a file says over what holds without it.
fn lay(
    all: &mut Vec<SettingInForce>,
    file: &Map<String, Value>,
    source: SettingSource,
    path: Option<&Path>,
) {
    let mut set = Vec::new();
    flatten("", file, DEPTH, &mut set);
    for (key, value) in set {
        let beneath = format!("{key}.");
        all.retain(|other| other.key != key && !other.key.starts_with(&beneath));
        all.push(SettingInForce {
            key,
            value,
            source,
            file: path.map(Path::to_owned),
        });
    }
}

/// Takes objects apart into single settings.
fn flatten(at: &str, object: &Map<String, Value>, depth: usize, set: &mut Vec<(String, Value)>) {
    for (key, value) in object {
        let at = if at.is_empty() {
            key.clone()
        } else {
            format!("{at}.{key}")
        };
        match value {
            Value::Object(below) if depth > 1 && !below.is_empty() => {
                flatten(&at, below, depth - 1, set);
            }
            // That is how a setting is taken back.
            Value::Null => {}
            value => set.push((key_shown(&at), shown(value))),
        }
    }
}

/// Returns a value without the passwords of addresses in it.
fn shown(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(address::shown_in_text(text)),
        Value::Array(items) => Value::Array(items.iter().map(shown).collect()),
        Value::Object(object) => {
            let fields = object.iter();
            Value::Object(
                fields
                    .map(|(key, value)| (key.clone(), shown(value)))
                    .collect(),
            )
        }
        other => other.clone(),
    }
}

fn variables(value: impl Fn(&str) -> Option<String>) -> Vec<SettingInForce> {
    let set = VARIABLES.into_iter().filter_map(|(name, is_address)| {
        let text = value(name).filter(|text| !text.is_empty())?;
        let text = if is_address {
            address::shown_in_text(&text)
        } else {
            text
        };
        Some(SettingInForce {
            key: name.to_owned(),
            value: Value::String(text),
            source: SettingSource::Environment,
            file: None,
        })
    });
    set.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn laid(files: &[(Value, SettingSource)]) -> Vec<SettingInForce> {
        let mut all = defaults();
        for (file, source) in files {
            lay(&mut all, file.as_object().unwrap(), *source, None);
        }
        all
    }

    fn of<'a>(all: &'a [SettingInForce], key: &str) -> Vec<(&'a Value, SettingSource)> {
        let found = all.iter().filter(|setting| setting.key == key);
        found
            .map(|setting| (&setting.value, setting.source))
            .collect()
    }

    #[test]
    fn the_upper_file_holds_and_what_is_not_set_is_a_default() {
        let all = laid(&[
            (
                json!({"limits": {"entries": 1}, "store": {"max_bytes": 2}}),
                SettingSource::System,
            ),
            (
                json!({"limits": {"entries": 3, "layer_bytes": null}}),
                SettingSource::User,
            ),
        ]);
        assert_eq!(
            of(&all, "limits.entries"),
            [(&json!(3), SettingSource::User)]
        );
        assert_eq!(
            of(&all, "store.max_bytes"),
            [(&json!(2), SettingSource::System)]
        );
        assert_eq!(of(&all, "limits.layer_bytes")[0].1, SettingSource::Default);
        assert_eq!(of(&all, "registries.attempts")[0].1, SettingSource::Default);
    }

    #[test]
    fn passwords_are_not_shown() {
        let all = laid(&[(
            json!({"registries": {"hosts": {"u:secret@h:5": {"mirrors": ["https://u:secret@m"]}}}}),
            SettingSource::User,
        )]);
        let text = serde_json::to_string(&all).unwrap();
        assert!(
            !text.contains("secret") && text.contains("https://m"),
            "{text}"
        );
        let set = |name: &str| (name == "HTTPS_PROXY").then(|| "http://u:secret@p:1".to_owned());
        let variables = serde_json::to_string(&variables(set)).unwrap();
        assert!(
            !variables.contains("secret") && variables.contains("p:1"),
            "{variables}"
        );
    }
}
