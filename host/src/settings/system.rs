//! The settings of the system: `/etc/msb/config.json`, below those of the user.
//!
//! Owns where the file is, who may have written it, how it is laid under the user's, and the keys in it
//! that the user cannot loosen.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{Settings, SettingsError, SignaturePolicy, policy};
use crate::fs::{self, FileError, IfThere as _};

/// Where administrators put it.
const PATH: &str = "/etc/msb/config.json";
/// Names another file, for a machine that has none there.
const VARIABLE: &str = "MSB_SYSTEM_CONFIG_PATH";
const ROOT: u32 = 0;
/// What an administrator may say below `plugins` and the user may say otherwise.
const USERS: [&str; 8] = [
    "order",
    "settings",
    "limits",
    "index",
    "tiers",
    "store",
    "format",
    "trust_root",
];
/// What names files in the settings of a registry.
const HOST_FILES: [&str; 3] = ["ca_certs", "client_cert", "client_key"];
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
        let folder = fs::parent(&path);
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        place_paths(&mut below, &folder);
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

impl SettingsError {
    /// Returns whether it is about the file of the system, not that of the user.
    pub fn is_of_system(&self) -> bool {
        let (Self::Read { path, .. }
        | Self::Invalid { path, .. }
        | Self::Empty { path }
        | Self::UnknownLimit { path, .. }
        | Self::NoObject { path, .. }
        | Self::RelativePath { path, .. }
        | Self::System { path, .. }
        | Self::Registries { path, .. }
        | Self::Plugins { path, .. }) = self
        else {
            return false;
        };
        file_path().is_ok_and(|system| system == *path)
    }
}

impl SystemPolicy {
    pub(super) fn of(file: &Path, system: &Map<String, Value>) -> Result<Self, SettingsError> {
        policy::check_keys(file, system)?;
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
        let grants = texts("allowed_grants")?;
        policy::check_grants(file, grants.as_deref().unwrap_or_default())?;
        Ok(Self {
            file: Some(file.to_owned()),
            sources: texts("allowed_sources")?,
            grants,
            signatures,
            home,
        })
    }
}

/// Returns the file of the system, if there is one.
pub(super) fn file() -> Result<Option<PathBuf>, SettingsError> {
    Ok(read()?.map(|file| file.path))
}

/// Returns where the file of the system is, or would be.
fn file_path() -> Result<PathBuf, SettingsError> {
    let usual = PathBuf::from(PATH);
    let named = std::env::var_os(VARIABLE).filter(|path| !path.is_empty());
    // What an administrator has put there is not set aside by a variable.
    Ok(match named {
        Some(named) if !fs::is_there(&usual).map_err(unreadable)? => PathBuf::from(named),
        _ => usual,
    })
}

/// Reads the file of the system, if there is one.
fn read() -> Result<Option<SystemFile>, SettingsError> {
    let path = file_path()?;
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

/// Makes the relative paths of settings those below a folder, before they become part of a file elsewhere.
fn place_paths(settings: &mut Map<String, Value>, folder: &Path) {
    if let Some(plugins) = settings.get_mut("plugins").and_then(Value::as_object_mut) {
        if let Some(trust_root) = plugins.get_mut("trust_root") {
            place(trust_root, folder);
        }
        // A path, an address or a reference.
        if let Some(index) = plugins.get_mut("index").filter(|it| is_marked(it)) {
            place(index, folder);
        }
    }
    let registries = settings.get_mut("registries");
    let Some(registries) = registries.and_then(Value::as_object_mut) else {
        return;
    };
    if let Some(certificates) = registries.get_mut("ca_certs") {
        place(certificates, folder);
    }
    let hosts = registries.get_mut("hosts").and_then(Value::as_object_mut);
    for host in hosts.into_iter().flat_map(Map::values_mut) {
        for key in HOST_FILES {
            if let Some(file) = host.get_mut(key) {
                place(file, folder);
            }
        }
    }
}

/// Makes a path, or each of a list, one below a folder, unless it is absolute or in the user's home.
fn place(paths: &mut Value, folder: &Path) {
    match paths {
        Value::String(path) if !path.starts_with("~/") => {
            *path = folder.join(&*path).to_string_lossy().into_owned();
        }
        Value::Array(paths) => {
            for path in paths {
                place(path, folder);
            }
        }
        _ => {}
    }
}

/// Returns whether a text is plainly a relative path.
fn is_marked(text: &Value) -> bool {
    let text = text.as_str().unwrap_or_default();
    text.starts_with("./") || text.starts_with("../")
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
    fn relative_paths_lead_from_the_folder_of_the_file() {
        let settings = json!({
            "plugins": {"trust_root": "root.json", "index": "./index.json"},
            "registries": {
                "ca_certs": ["own.pem", "/etc/ssl/all.pem", "~/mine.pem"],
                "hosts": {"a.example": {"ca_certs": "a.pem", "client_cert": "c.pem",
                                        "client_key": "../k.pem", "insecure": true},
                          "b.example": 5},
            },
        });
        let Value::Object(mut settings) = settings else {
            panic!("{settings}");
        };
        place_paths(&mut settings, Path::new("/etc/msb"));
        let expected = json!({
            "plugins": {"trust_root": "/etc/msb/root.json", "index": "/etc/msb/./index.json"},
            "registries": {
                "ca_certs": ["/etc/msb/own.pem", "/etc/ssl/all.pem", "~/mine.pem"],
                "hosts": {"a.example": {"ca_certs": "/etc/msb/a.pem",
                                        "client_cert": "/etc/msb/c.pem",
                                        "client_key": "/etc/msb/../k.pem", "insecure": true},
                          "b.example": 5},
            },
        });
        assert_eq!(Value::Object(settings), expected);
        let mut named = json!({"plugins": {"index": "ghcr.io/acme/index:1"}});
        let before = named.clone();
        place_paths(named.as_object_mut().unwrap(), Path::new("/etc/msb"));
        assert_eq!(named, before);
    }

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
