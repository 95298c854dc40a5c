//! A plugin as the host keeps it: what it is, where its bytes are, and what it may do.
//!
//! Owns the note of a plugin. Knows nothing of how it came to be installed and runs nothing.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::error::Failure;
use super::format::Description;
use super::grant::{Capability, Grant};
use super::grants::Grants;
use super::limits::PluginBudget;
use crate::auth::Operations;
use crate::credential::{AuthSourceKind, Tier};
use crate::digest::Digest;
use crate::fs::{self, FileError};

/// A plugin and everything that is needed to call it.
#[derive(Clone, Debug)]
pub struct Package {
    /// The plugin's name: what messages and commands call it.
    pub name: Arc<str>,
    /// Its version, if it states one.
    pub version: Option<String>,
    /// What it does, as it said itself when it was installed.
    pub kind: PluginKind,
    /// Its bytes.
    pub component: ComponentBytes,
    /// What it may use.
    pub grants: Grants,
    /// How much it may use.
    pub limits: PluginBudget,
    /// What the user has set for it: `plugins.settings.<name>`.
    pub settings: Option<serde_json::Value>,
    /// Whether it ships with msb.
    pub builtin: bool,
}

impl Package {
    pub(super) fn origin(&self) -> Origin {
        match self.component {
            ComponentBytes::Static(_) => Origin::Builtin,
            ComponentBytes::Memory(_) | ComponentBytes::File { .. } => Origin::Author,
        }
    }
}

/// What a plugin does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PluginKind {
    /// It reads or writes an archive format.
    Format(Description),
    /// It knows credentials.
    Credential(CredentialDescription),
}

impl PluginKind {
    /// Returns what it calls itself.
    pub fn name(&self) -> &str {
        match self {
            Self::Format(description) => &description.name,
            Self::Credential(description) => &description.name,
        }
    }

    /// Returns whether it is a credential provider.
    pub(crate) fn is_credential(&self) -> bool {
        matches!(self, Self::Credential(_))
    }

    /// Returns what it is in a few words. Untrusted text.
    pub fn title(&self) -> &str {
        match self {
            Self::Format(description) => &description.title,
            Self::Credential(description) => &description.title,
        }
    }
}

/// What a credential provider says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialDescription {
    /// The provider's name.
    pub name: String,
    /// Where it looks, in a few words. Untrusted text.
    pub title: String,
    /// What it can do besides `get`.
    pub operations: Operations,
    /// The patterns of the registries it is asked about.
    pub registries: Vec<String>,
    /// The permissions it asks for.
    pub needs: Vec<Need>,
    /// Why it wants to be asked. In an installed package, what the user has chosen instead.
    pub tier: Option<Tier>,
    /// The source of `registries.auth` that it reads.
    pub reads: Option<AuthSourceKind>,
}

/// A permission that a plugin asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The permission.
    pub grant: Grant,
    /// What for. Untrusted text.
    pub reason: String,
}

/// Who has written a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It ships with msb.
    Builtin,
    /// Anyone: it is compiled within bounds.
    Author,
}

/// Where the bytes of a component are.
#[derive(Clone, Debug)]
pub enum ComponentBytes {
    /// Inside of msb.
    Static(&'static [u8]),
    /// In memory.
    Memory(Arc<[u8]>),
    /// In a file, which is checked each time it is read.
    File {
        /// Where.
        path: PathBuf,
        /// What its SHA-256 must be.
        digest: Digest,
    },
}

impl ComponentBytes {
    /// Returns whether there are any bytes, whatever they are.
    pub(crate) fn is_there(&self) -> bool {
        match self {
            Self::Static(_) | Self::Memory(_) => true,
            Self::File { path, .. } => path.exists(),
        }
    }

    /// Returns the bytes.
    ///
    /// # Errors
    /// When the file cannot be read, or has other bytes than were installed.
    pub(super) fn read(&self) -> Result<Bytes, Failure> {
        match self {
            Self::Static(bytes) => Ok(Bytes::from_static(bytes)),
            Self::Memory(bytes) => Ok(Bytes::from_owner(Arc::clone(bytes))),
            Self::File { path, digest } => {
                let bytes = fs::read(path).map_err(|FileError { path, source, .. }| {
                    Failure::Component { path, source }
                })?;
                if Digest::of(&bytes) != *digest {
                    return Err(Failure::Changed {
                        path: path.clone(),
                        expected: digest.clone(),
                    });
                }
                Ok(bytes.into())
            }
        }
    }
}

/// What the bytes of a component say, and what the plugin in them says of itself.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// What it does.
    pub kind: PluginKind,
    /// The version of the contract that it was built for: `0.1.0`.
    pub api: String,
    /// Everything it imports, as written in it: `msb:plugin/env@0.1.0`.
    pub imports: Vec<String>,
    /// What its imports can make use of: without a grant for these it gets nothing from them.
    pub capabilities: Vec<Capability>,
    /// Whether it imports WASI, of which it gets a clock, random numbers and an empty environment.
    pub wasi: bool,
    /// The permissions it asks for. Of a format, none.
    pub needs: Vec<Need>,
    /// What the author wrote into it.
    pub metadata: PluginMetadata,
    /// The SHA-256 of its bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
}

/// What an author writes into a component: the registry metadata of WebAssembly. Untrusted text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginMetadata {
    /// The name of the package.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// What it is.
    pub description: Option<String>,
    /// Its licences, as an SPDX expression.
    pub licenses: Option<String>,
    /// Who wrote it.
    pub authors: Option<String>,
    /// Where its source is.
    pub source: Option<String>,
    /// Where it is explained.
    pub homepage: Option<String>,
    /// The commit it was built from.
    pub revision: Option<String>,
}
