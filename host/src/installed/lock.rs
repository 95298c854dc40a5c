//! `plugins.lock`: what is installed, from where, with which content and which rights.
//!
//! Owns the file: its form, reading it, and that a change is made whole and by one at a time. It
//! may be kept in version control: it names no path of its own, and its order is the user's.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::InstalledError;
use super::signature::{Provenance, Signature};
use crate::cancel::Cancel;
use crate::credential::{AuthSourceKind, Tier};
use crate::digest::Digest;
use crate::home::Home;
use crate::progress::Progress;
use crate::settings::CertificateIdentity;
use crate::store::{self, StoreError};

/// The form of the file that this msb writes, and the newest that it reads.
const VERSION: u32 = 1;
/// The most bytes that are read of the file.
const MAX_FILE: u64 = 64 << 20;
const HEADER: &str = "\
# The plugins of msb: written by `msb plugin`, and checked when a plugin is used.
# Keep it in version control to have the same plugins elsewhere: `msb plugin install --locked`.

";

/// What is installed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    version: u32,
    /// The order of asking, where the user has said something about it; names of plugins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<String>,
    /// The plugins, as they were installed.
    #[serde(default, rename = "plugin", skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<LockedPlugin>,
    /// What is other than usual with plugins that ship with msb.
    #[serde(default, rename = "builtin", skip_serializing_if = "Vec::is_empty")]
    pub builtins: Vec<LockedBuiltin>,
}

/// A plugin as it was installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedPlugin {
    /// What the user calls it.
    pub name: String,
    /// Whether it may be used.
    pub enabled: bool,
    /// Why it is asked, where the user has chosen that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// Where it comes from, in canonical form.
    pub source: String,
    /// The range of versions that updates stay in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    /// The version that it states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The digest of the component.
    pub sha256: Digest,
    /// The digest of the manifest in the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
    /// The key that it was signed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether the user has named the key for this plugin: then it stays the one that is wanted,
    /// whatever the settings want besides.
    #[serde(default, skip_serializing_if = "is_false")]
    pub key_pinned: bool,
    /// Who the certificate must be for that it was signed with, where that is not a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<CertificateIdentity>,
    /// The file that vouches for the identity; `None` is the public instance of Sigstore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_root: Option<PathBuf>,
    /// The signature, to be checked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signature>,
    /// Others who had to sign it as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_signed: Vec<LockedSigner>,
    /// Where it was built, as far as that was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// The version of the contract that it was built for.
    pub api: String,
    /// The interfaces that it imports.
    pub imports: Vec<String>,
    /// The plugin that ships with msb whose place it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// What it asks for.
    pub asks: Vec<RequestedGrant>,
    /// What the user has granted.
    pub grants: Vec<String>,
    /// How much it could use when it was agreed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<LockedLimits>,
    /// What it said of itself.
    #[serde(flatten)]
    pub kind: LockedKind,
    /// Where its bytes are, unless where the lock is.
    #[serde(skip)]
    pub directory: Option<PathBuf>,
}

/// Who has signed a plugin, with the signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedSigner {
    /// The key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Who the certificate must be for, where it is not a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<CertificateIdentity>,
    /// The file that vouches for the identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_root: Option<PathBuf>,
    /// The signature.
    pub signed: Signature,
}

/// A permission that a plugin asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedGrant {
    /// The permission.
    pub grant: String,
    /// What for; untrusted text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// How much a plugin may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedLimits {
    /// MiB of memory.
    pub memory_mib: u64,
    /// Seconds of its own computing.
    pub compute_secs: u64,
    /// Seconds by the clock, where they are limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_secs: Option<u64>,
    /// Calls into the host.
    pub host_calls: u64,
}

/// What a plugin said of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockedKind {
    /// An archive format.
    Format {
        /// Its name.
        name: String,
        /// What it is called in lists; untrusted text.
        title: String,
        /// It reads archives.
        reads: bool,
        /// It writes archives.
        writes: bool,
        /// It wants all of an input to be kept, also of a pipe.
        #[serde(default, skip_serializing_if = "is_false")]
        keeps_input: bool,
        /// It reads inputs that are not tar archives as well.
        #[serde(default, skip_serializing_if = "is_false")]
        takes_any: bool,
    },
    /// A credential provider.
    Credential {
        /// Its name.
        name: String,
        /// What it is called in lists; untrusted text.
        title: String,
        /// What it does beside `get`.
        operations: Vec<String>,
        /// The registries that it is asked about.
        registries: Vec<String>,
        /// Why it wants to be asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tier: Option<Tier>,
        /// The source of `registries.auth` that it reads.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reads: Option<AuthSourceKind>,
    },
}

/// What is other than usual with a plugin that ships with msb.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedBuiltin {
    /// Its name.
    pub name: String,
    /// Whether it may be used.
    pub enabled: bool,
    /// Why it is asked, where the user has chosen that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// What the user has granted instead of what is usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
}

impl LockedPlugin {
    /// Returns all who have signed it; the first is the one that updates are compared with.
    pub(super) fn signers(&self) -> Vec<LockedSigner> {
        let own = self.signed.as_ref().map(|signed| LockedSigner {
            key: self.key.clone(),
            identity: self.identity.clone(),
            trust_root: self.trust_root.clone(),
            signed: signed.clone(),
        });
        own.into_iter().chain(self.also_signed.clone()).collect()
    }
}

impl LockedKind {
    /// Returns the word for the kind.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Format { .. } => "format",
            Self::Credential { .. } => "credential",
        }
    }

    /// Returns the name of the format or provider.
    pub fn name(&self) -> &str {
        let (Self::Format { name, .. } | Self::Credential { name, .. }) = self;
        name
    }
}

impl Lock {
    /// Returns the file of a home.
    pub fn path(home: &Home) -> PathBuf {
        home.plugins().join("plugins.lock")
    }

    /// Reads the file of a home; none is nothing installed.
    pub fn read(home: &Home) -> Result<Self, InstalledError> {
        let path = Self::path(home);
        match Self::read_file(&path) {
            Err(InstalledError::Store(StoreError::Io { source, .. }))
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Ok(Self::default())
            }
            read => read,
        }
    }

    /// Reads a file of this form.
    pub(super) fn read_file(path: &Path) -> Result<Self, InstalledError> {
        let text = read_limited(path).map_err(store::io_error("read", path))?;
        Self::parse(&text, path)
    }

    /// Returns the text of a file.
    pub(super) fn to_text(&self, path: &Path) -> Result<String, InstalledError> {
        let lock = Self {
            version: VERSION,
            ..self.clone()
        };
        let text = toml::to_string_pretty(&lock).map_err(|source| InstalledError::Lock {
            path: path.to_owned(),
            reason: source.to_string(),
        })?;
        Ok(format!("{HEADER}{text}"))
    }

    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, InstalledError> {
        let invalid = |source: toml::de::Error| {
            let before = source.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            InstalledError::Lock {
                path: path.to_owned(),
                reason: format!("line {line}: {}", source.message()),
            }
        };
        let VersionOnly { version } = toml::from_str(text).map_err(invalid)?;
        if version != VERSION {
            return Err(InstalledError::LockVersion {
                path: path.to_owned(),
                found: version,
                known: VERSION,
            });
        }
        let lock: Self = toml::from_str(text).map_err(invalid)?;
        lock.check().map_err(|reason| InstalledError::Lock {
            path: path.to_owned(),
            reason,
        })?;
        Ok(lock)
    }

    /// Changes the file of a home, alone and in one step. What `change` returns an error for stays
    /// as it is.
    pub fn change<T>(
        home: &Home,
        progress: &dyn Progress,
        cancel: &Cancel,
        change: impl FnOnce(&mut Self) -> Result<T, InstalledError>,
    ) -> Result<T, InstalledError> {
        store::create_directory(&home.plugins())?;
        let _alone = store::lock_plugins(home, progress, cancel)?;
        let mut lock = Self::read(home)?;
        let before = lock.clone();
        let answer = change(&mut lock)?;
        if lock != before {
            let path = Self::path(home);
            let text = lock.to_text(&path)?;
            store::write_atomically(text.as_bytes(), &path)?;
        }
        Ok(answer)
    }

    /// Returns what is other than usual with a plugin that ships with msb.
    pub fn builtin(&self, name: &str) -> Option<&LockedBuiltin> {
        self.builtins.iter().find(|builtin| builtin.name == name)
    }

    /// Returns the tier that the user has chosen for a plugin.
    pub(super) fn tier(&self, name: &str) -> Option<Tier> {
        match self.plugin(name) {
            Some(plugin) => plugin.tier,
            None => self.builtin(name)?.tier,
        }
    }

    /// Returns the plugin of a name.
    pub fn plugin(&self, name: &str) -> Option<&LockedPlugin> {
        self.plugins.iter().find(|plugin| plugin.name == name)
    }

    /// Returns what is wrong with the file beyond its form.
    fn check(&self) -> Result<(), String> {
        for (number, plugin) in self.plugins.iter().enumerate() {
            let name = &plugin.name;
            if !crate::settings::is_plugin_name(name) {
                return Err(format!("`{name}` is not the name of a plugin"));
            }
            if self.plugins[..number].iter().any(|it| it.name == *name) {
                return Err(format!("plugin `{name}` is listed twice"));
            }
            if plugin.sha256.algorithm() != crate::digest::Algorithm::Sha256 {
                return Err(format!(
                    "the digest of plugin `{name}` is not one of sha256"
                ));
            }
        }
        Ok(())
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_false(value: &bool) -> bool {
    !value
}

fn read_limited(path: &Path) -> io::Result<String> {
    use io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    file.take(MAX_FILE).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
