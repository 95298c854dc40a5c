//! The `plugins` object: their order and tiers, what is set for single ones, where logins are stored,
//! and whose signatures are wanted.
//!
//! Owns its shape and what its values mean. Whether a plugin of that name is installed is not its
//! matter, and no file that it names is looked at here.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::SettingsError;
use super::shape::Object;
use super::signatures::{self, SignatureFile, SignaturePolicy};
use crate::credential::Tier;

/// What is set of plugins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginSettings {
    /// Plugins that come before all others of their kind, in this order.
    pub order: Vec<String>,
    /// Why single credential providers are asked, by their names.
    pub tiers: BTreeMap<String, Tier>,
    /// Where logins are stored, if nothing else is said: `keyring`, `file` or the name of a provider.
    pub store: Option<String>,
    /// The archive format that is written, if nothing else is said.
    pub format: Option<String>,
    /// What single plugins get to see, by their names.
    pub settings: BTreeMap<String, Map<String, Value>>,
    /// What single plugins may use, by their names.
    pub limits: BTreeMap<String, PluginLimits>,
    /// Whose signatures are wanted on what comes from where.
    pub signatures: Vec<SignaturePolicy>,
    /// The file with the authorities and logs of Sigstore to trust, unless a policy names one; `None` is
    /// its public instance.
    pub trust_root: Option<PathBuf>,
    /// The index that is searched: a path, an address or a reference.
    pub index: Option<String>,
}

/// What a plugin may use; `None` is the default of its kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PluginLimits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Its own computing, per call.
    pub compute: Option<Duration>,
    /// Time by the clock, per call.
    pub wall: Option<Duration>,
    /// Calls into the host, per call.
    pub host_calls: Option<u64>,
    /// The processor's time to compile it.
    pub compile: Option<Duration>,
    /// Bytes that it makes itself, per call.
    pub made: Option<u64>,
}

/// What is wrong with a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginsProblem {
    /// A name that no plugin can have.
    #[error("it is not the name of a plugin")]
    NotAName,
    /// A name is listed twice.
    #[error("`{0}` is listed twice")]
    Twice(String),
    /// A policy says nothing.
    #[error("it is empty")]
    Empty,
    /// A policy names nobody, or two.
    #[error("it must have either `key`, or `identity` and `issuer`")]
    NoSigner,
    /// The system's file has a key that decides nothing.
    #[error("there is no such setting{}", suggestion(meant.as_deref()))]
    Unknown {
        /// What it is probably meant to be.
        meant: Option<String>,
    },
    /// What is allowed can never be asked for.
    #[error("`{pattern}` allows nothing: {reason}")]
    NoGrant {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
}

fn suggestion(meant: Option<&str>) -> String {
    meant.map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"))
}

#[derive(Default, Deserialize)]
pub(super) struct PluginsFile {
    order: Option<Vec<String>>,
    tiers: Option<BTreeMap<String, Tier>>,
    store: Option<String>,
    format: Option<String>,
    settings: Option<BTreeMap<String, Map<String, Value>>>,
    limits: Option<BTreeMap<String, Object<LimitsFile>>>,
    signatures: Option<Vec<Object<SignatureFile>>>,
    trust_root: Option<PathBuf>,
    index: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsFile {
    memory_mib: Option<NonZeroU64>,
    compute_secs: Option<NonZeroU64>,
    wall_secs: Option<NonZeroU64>,
    host_calls: Option<NonZeroU64>,
    made_mib: Option<NonZeroU64>,
    compile_secs: Option<NonZeroU64>,
}

impl PluginsFile {
    pub(super) fn resolve(self, path: &Path) -> Result<PluginSettings, SettingsError> {
        let problem = |key: String, source| SettingsError::Plugins {
            path: path.to_owned(),
            key,
            source,
        };
        let order = self.order.unwrap_or_default();
        for (number, name) in order.iter().enumerate() {
            let at = || format!("plugins.order[{number}]");
            if !is_plugin_name(name) {
                return Err(problem(at(), PluginsProblem::NotAName));
            }
            if order.iter().take(number).any(|other| other == name) {
                return Err(problem(at(), PluginsProblem::Twice(name.clone())));
            }
        }
        for (key, name) in [("store", &self.store), ("format", &self.format)] {
            if name.as_deref().is_some_and(|it| !is_plugin_name(it)) {
                return Err(problem(format!("plugins.{key}"), PluginsProblem::NotAName));
            }
        }
        let tiers = self.tiers.unwrap_or_default();
        let settings = self.settings.unwrap_or_default();
        let limits = self.limits.unwrap_or_default();
        let named = settings.keys().map(|name| ("settings", name));
        let named = named.chain(tiers.keys().map(|name| ("tiers", name)));
        for (object, name) in named.chain(limits.keys().map(|name| ("limits", name))) {
            if !is_plugin_name(name) {
                let at = format!("plugins.{object}.{name}");
                return Err(problem(at, PluginsProblem::NotAName));
            }
        }
        let limits = limits
            .into_iter()
            .map(|(name, Object(limits))| (name, limits.resolve()))
            .collect();
        let folder = crate::fs::parent(path);
        let trust_root = self.trust_root.map(|file| folder.join(file));
        let signatures = self.signatures.unwrap_or_default();
        let signatures = signatures::policies(signatures, folder, trust_root.as_deref())
            .map_err(|(at, source)| problem(at, source))?;
        Ok(PluginSettings {
            order,
            tiers,
            store: self.store,
            format: self.format,
            settings,
            limits,
            signatures,
            trust_root,
            index: self.index,
        })
    }
}

impl LimitsFile {
    fn resolve(self) -> PluginLimits {
        let seconds = |count: NonZeroU64| Duration::from_secs(count.get());
        let mib = |count: NonZeroU64| count.get().saturating_mul(1 << 20);
        PluginLimits {
            memory: self.memory_mib.map(mib),
            compute: self.compute_secs.map(seconds),
            wall: self.wall_secs.map(seconds),
            host_calls: self.host_calls.map(NonZeroU64::get),
            made: self.made_mib.map(mib),
            compile: self.compile_secs.map(seconds),
        }
    }
}

/// Returns whether a plugin can have a name: lower-case letters, digits and dashes, beginning with
/// a letter, at most 32 of them.
pub fn is_plugin_name(name: &str) -> bool {
    name.len() <= 32
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::super::Settings;
    use super::super::signatures::{CertificateIdentity, KeySource, SignerName};
    use super::*;

    fn read(text: &str) -> Result<PluginSettings, SettingsError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{{\"plugins\": {text}}}")).unwrap();
        Settings::read_from(file.path()).map(|settings| settings.plugins)
    }

    #[test]
    fn everything_is_read_and_what_is_not_there_is_the_default() {
        assert_eq!(read("{}").unwrap(), PluginSettings::default());
        let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
        let settings = read(&format!(
            r#"{{"order": ["vault", "keychain"],
                "tiers": {{"vault": "ambient", "keychain": "configured"}},
                "store": "vault",
                "format": "oci",
                "settings": {{"vault": {{"url": "https://v"}}}},
                "limits": {{"vault": {{"memory_mib": 2, "wall_secs": 5}}}},
                "signatures": [{{"source": "oci://ghcr.io/acme/", "key": "{key}"}},
                               {{"source": "*", "key": "keys/acme.pem"}},
                               {{"source": "*", "identity": "dev@acme.example",
                                 "issuer": "https://accounts.example", "trust_root": "keys/own.json"}}],
                "trust_root": "root.json"}}"#
        ))
        .unwrap();
        assert_eq!(settings.order, ["vault", "keychain"]);
        assert_eq!(settings.tiers["vault"], Tier::Ambient);
        assert_eq!(settings.tiers["keychain"], Tier::Configured);
        assert_eq!(settings.store.as_deref(), Some("vault"));
        assert_eq!(settings.format.as_deref(), Some("oci"));
        assert_eq!(settings.settings["vault"]["url"], "https://v");
        let limits = settings.limits["vault"];
        assert_eq!(limits.memory, Some(2 << 20));
        assert_eq!(limits.wall, Some(Duration::from_secs(5)));
        assert_eq!(limits.compute, None);
        let named = |number: usize| &settings.signatures[number].signer;
        let text = KeySource::Text(key.to_owned());
        assert_eq!(named(0).name, SignerName::Key(text));
        let SignerName::Key(KeySource::File(path)) = &named(1).name else {
            panic!();
        };
        assert!(path.is_absolute() && path.ends_with("keys/acme.pem"));
        let identity = CertificateIdentity {
            identity: "dev@acme.example".to_owned(),
            issuer: "https://accounts.example".to_owned(),
        };
        assert_eq!(named(2).name, SignerName::Identity(identity));
        let root = |number: usize| named(number).trust_root.as_deref().unwrap();
        assert!(root(1).is_absolute() && root(1).ends_with("root.json"));
        assert!(root(2).is_absolute() && root(2).ends_with("keys/own.json"));
    }

    #[test]
    fn what_makes_no_sense_is_an_error_with_its_key() {
        for (text, at) in [
            (r#"{"order": ["Vault"]}"#, "plugins.order[0]"),
            (r#"{"order": ["a", "a"]}"#, "plugins.order[1]"),
            (r#"{"tiers": {"a": "best"}}"#, "plugins.tiers.a"),
            (r#"{"tiers": {"A": "ambient"}}"#, "plugins.tiers.A"),
            (r#"{"store": "a/b"}"#, "plugins.store"),
            (r#"{"format": ""}"#, "plugins.format"),
            (r#"{"settings": {"": {}}}"#, "plugins.settings."),
            (r#"{"settings": {"a": []}}"#, "plugins.settings.a"),
            (
                r#"{"limits": {"a": {"memory": 5}}}"#,
                "plugins.limits.a.memory",
            ),
            (
                r#"{"limits": {"a": {"wall_secs": 0}}}"#,
                "plugins.limits.a.wall_secs",
            ),
            (r#"{"limits": {"-": {}}}"#, "plugins.limits.-"),
            (
                r#"{"signatures": [{"source": "", "key": "k"}]}"#,
                "plugins.signatures[0].source",
            ),
            (
                r#"{"signatures": [{"source": "*"}]}"#,
                "plugins.signatures[0]",
            ),
            (
                r#"{"signatures": [{"source": "*", "identity": "a@b.example"}]}"#,
                "plugins.signatures[0]",
            ),
            (
                r#"{"signatures": [{"source": "*", "key": "k", "identity": "a", "issuer": "i"}]}"#,
                "plugins.signatures[0]",
            ),
            (
                r#"{"signatures": [{"source": "*", "identity": "a", "issuer": " "}]}"#,
                "plugins.signatures[0].issuer",
            ),
        ] {
            let error = read(text).unwrap_err();
            let (SettingsError::Invalid { key, .. } | SettingsError::Plugins { key, .. }) = &error
            else {
                panic!("{text}: {error}");
            };
            assert_eq!(key, at, "{text}");
        }
    }
}
