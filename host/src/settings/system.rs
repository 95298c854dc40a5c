//! The settings of the system: `/etc/msb/config.json`, below those of the user.
//!
//! Owns where the file is, who may have written it, how it is laid under the user's, and the keys in it
//! that the user cannot loosen.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{Settings, SettingsError, SignaturePolicy};
use crate::fs::{self, FileError, IfThere as _};

/// Where administrators put it.
const PATH: &str = "/etc/msb/config.json";
/// Names another file, for a machine that has none there.
const VARIABLE: &str = "MSB_SYSTEM_CONFIG_PATH";
const ROOT: u32 = 0;
/// What an administrator may say below `plugins` and the user may say otherwise.
const USERS: [&str; 7] = [
    "order", "settings", "limits", "index", "tiers", "store", "format",
];
/// Objects within one another that are laid over one another; what is below is one setting.
const DEPTH: u32 = 3;
/// Write permission of the group and of others.
const WRITABLE: u32 = 0o022;

/// What an administrator has decided of plugins. The user's settings do not change it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemPolicy {
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// Where plugins may come from; `None` is anywhere.
    pub sources: Option<Vec<String>>,
    /// The most that plugins may be granted; `None` is everything.
    pub grants: Option<Vec<String>>,
    /// Whose signatures are wanted, beside what the user wants.
    pub signatures: Vec<SignaturePolicy>,
    /// A home of msb whose plugins everyone has.
    pub home: Option<PathBuf>,
}

/// The file of the system, as it was read.
struct SystemFile {
    path: PathBuf,
    settings: Map<String, Value>,
}

impl Settings {
    /// Lays the settings of a user over those of the system, if there are any.
    pub(super) fn over_system(own: Self, own_path: &Path) -> Result<Self, SettingsError> {
        let Some(SystemFile { path, settings }) = read()? else {
            return Ok(own);
        };
        let policy = SystemPolicy::of(&path, &settings)?;
        let mut below = settings;
        if let Some(Value::Object(plugins)) = below.get_mut("plugins") {
            // Those are the system's alone, or wanted beside the user's.
            plugins.retain(|key, _| USERS.contains(&key.as_str()));
        }
        let user = fs::read(own_path).if_there().map_err(unreadable)?;
        let user = user.map(|bytes| serde_json::from_slice(&bytes));
        let user = user.and_then(Result::ok).unwrap_or_default();
        lay_over(&mut below, user, DEPTH);
        let merged = serde_json::to_vec(&below).map_err(|source| SettingsError::Invalid {
            path,
            key: ".".to_owned(),
            source,
        })?;
        Ok(Self {
            system: policy,
            ..Self::parse(&merged, own_path)?
        })
    }
}

impl SystemPolicy {
    fn of(file: &Path, system: &Map<String, Value>) -> Result<Self, SettingsError> {
        let bytes = serde_json::to_vec(system).unwrap_or_default();
        let signatures = Settings::parse(&bytes, file)?.plugins.signatures;
        let empty = Map::new();
        let plugins = match system.get("plugins") {
            Some(Value::Object(plugins)) => plugins,
            _ => &empty,
        };
        let texts = |key: &str| match plugins.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value::<Vec<String>>(value.clone())
                .map(Some)
                .map_err(|source| SettingsError::Invalid {
                    path: file.to_owned(),
                    key: format!("plugins.{key}"),
                    source,
                }),
        };
        let home = match plugins.get("home") {
            None | Some(Value::Null) => None,
            Some(Value::String(home)) if home.starts_with('/') => Some(PathBuf::from(home)),
            Some(_) => {
                return Err(SettingsError::System {
                    path: file.to_owned(),
                    reason: "`plugins.home` must be an absolute path".to_owned(),
                });
            }
        };
        Ok(Self {
            file: Some(file.to_owned()),
            sources: texts("allowed_sources")?,
            grants: texts("allowed_grants")?,
            signatures,
            home,
        })
    }
}

/// Reads the file of the system, if there is one.
fn read() -> Result<Option<SystemFile>, SettingsError> {
    let usual = PathBuf::from(PATH);
    let named = std::env::var_os(VARIABLE).filter(|path| !path.is_empty());
    // What an administrator has put there is not set aside by a variable.
    let path = match named {
        Some(named) if !fs::is_there(&usual).map_err(unreadable)? => PathBuf::from(named),
        _ => usual,
    };
    let is_usual = path == Path::new(PATH);
    let bytes = match fs::read(&path) {
        Err(error) if is_usual && error.is_missing() => return Ok(None),
        read => read.map_err(unreadable)?,
    };
    if is_usual {
        let metadata = fs::metadata(&path).map_err(unreadable)?;
        if metadata.uid() != ROOT || metadata.mode() & WRITABLE != 0 {
            return Err(SettingsError::System {
                path,
                reason: "it does not belong to root, or others may write to it".to_owned(),
            });
        }
    }
    Settings::parse(&bytes, &path)?;
    let settings = serde_json::from_slice(&bytes).map_err(|source| SettingsError::Invalid {
        path: path.clone(),
        key: ".".to_owned(),
        source,
    })?;
    Ok(Some(SystemFile { path, settings }))
}

fn unreadable(error: FileError) -> SettingsError {
    let FileError { path, source, .. } = error;
    SettingsError::Read { path, source }
}

/// Lays an object over another: what both have, the upper one says. Objects in them are laid over one
/// another as well, down to this depth.
fn lay_over(below: &mut Map<String, Value>, above: Map<String, Value>, depth: u32) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Object(below)), Value::Object(above)) if depth > 1 => {
                lay_over(below, above, depth - 1);
            }
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_upper_object_says_what_both_have() {
        let object = |value: Value| match value {
            Value::Object(object) => object,
            value => panic!("{value}"),
        };
        let mut below = object(json!({"a": {"x": 1, "y": [1]}, "b": 2, "c": {"d": 1}}));
        let above = object(json!({"a": {"y": [2]}, "c": 5, "e": 6}));
        lay_over(&mut below, above, DEPTH);
        assert_eq!(
            Value::Object(below),
            json!({"a": {"x": 1, "y": [2]}, "b": 2, "c": 5, "e": 6})
        );
        let mut below = object(json!({"registries": {"auth": {
            "a.example": {"username": "u", "password_env": "A"}, "b.example": {"store": "keyring"},
        }}}));
        let above = object(json!({"registries": {"auth": {"a.example": {"provider": "vault"}}}}));
        lay_over(&mut below, above, DEPTH);
        assert_eq!(
            Value::Object(below),
            json!({"registries": {"auth": {
                "a.example": {"provider": "vault"}, "b.example": {"store": "keyring"},
            }}})
        );
    }
}
