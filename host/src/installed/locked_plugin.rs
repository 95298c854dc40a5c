//! What `plugins.lock` keeps of a plugin: where it comes from, who signed it, what it may do.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::signature::{Provenance, Signature};
use crate::credential::{AuthSourceKind, Tier};
use crate::digest::Digest;
use crate::settings::CertificateIdentity;

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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_false(value: &bool) -> bool {
    !value
}
