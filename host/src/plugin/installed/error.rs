//! What can go wrong with what is installed.

use std::path::PathBuf;

use super::source::ParseSourceError;
use crate::cancel::Cancelled;
use crate::digest::Digest;
use crate::plugin::{ParseGrantError, PluginError};
use crate::registry::hosts::HostsError;
use crate::registry::{DownloadError, RegistryError};
use crate::store::StoreError;

/// Why plugins are not known, or could not be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstalledError {
    /// The lock file is not one, or says what cannot be.
    #[error("`{}` is not valid: {reason}", path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The lock file has a form that this msb does not know.
    #[error("`{}` has form {found}, and this msb knows form {known}", path.display())]
    LockVersion {
        /// The file.
        path: PathBuf,
        /// Its form.
        found: u32,
        /// The newest form that is known.
        known: u32,
    },
    /// There is no plugin of that name.
    #[error("there is no plugin `{name}`")]
    NotInstalled {
        /// The name.
        name: String,
        /// The names that there are.
        installed: Vec<String>,
    },
    /// What ships with msb has no source and cannot be removed.
    #[error("plugin `{name}` ships with msb")]
    Builtin {
        /// The name.
        name: String,
    },
    /// The name is that of a plugin which came from elsewhere or has other bytes.
    #[error("there is a plugin `{name}` already, from {source_of_other}")]
    NameTaken {
        /// The name.
        name: String,
        /// Where that one is from.
        source_of_other: String,
    },
    /// The source gives no name, or the name is none.
    #[error("`{name}` is not a name for a plugin: small letters, digits and dashes, 32 at most")]
    Name {
        /// What was given.
        name: String,
    },
    /// A plugin cannot stand before or after one of another kind, or itself.
    #[error("plugin `{name}` cannot be put beside `{other}`: {reason}")]
    Order {
        /// The plugin to be moved.
        name: String,
        /// The one it was to stand beside.
        other: String,
        /// Why not.
        reason: &'static str,
    },
    /// The text names no source.
    #[error(transparent)]
    Source(#[from] ParseSourceError),
    /// A text is no permission.
    #[error(transparent)]
    Grant(#[from] ParseGrantError),
    /// A file could not be read.
    #[error("could not read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is more than a plugin can be.
    #[error("`{source_name}` is larger than {limit} bytes")]
    TooLarge {
        /// The source.
        source_name: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// What a registry has is no plugin.
    #[error("`{reference}` is not a plugin: {reason}")]
    Artifact {
        /// The reference.
        reference: String,
        /// What it is instead.
        reason: String,
    },
    /// The source has other bytes than the lock file wants.
    #[error("`{source_name}` is {found}, and the lock file wants {wanted}")]
    Pinned {
        /// The source.
        source_name: String,
        /// What it has.
        found: Digest,
        /// What it should have.
        wanted: Digest,
    },
    /// The lock file has nothing of this source.
    #[error("the lock file has no plugin from `{source_name}`")]
    NotLocked {
        /// The source.
        source_name: String,
    },
    /// The settings want a signature, and there is no valid one.
    #[error("`{source_name}` has no valid signature, which the settings want at `{at}`: {reason}")]
    Signature {
        /// The source.
        source_name: String,
        /// The keys that lead to the policy.
        at: String,
        /// What is wrong.
        reason: String,
    },
    /// The component is no plugin for this msb.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// The source could not be fetched.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// The registry could not be asked.
    #[error(transparent)]
    Registry(Box<RegistryError>),
    /// What is configured of registries cannot be used.
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// The home could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl From<RegistryError> for InstalledError {
    fn from(error: RegistryError) -> Self {
        Self::Registry(Box::new(error))
    }
}
