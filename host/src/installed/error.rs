//! What can go wrong with installed plugins.

use std::path::PathBuf;

use super::consent::Increase;
use super::signature::SignatureError;
use super::source::ParseSourceError;
use crate::address;
use crate::cancel::Cancelled;
use crate::digest::Digest;
use crate::hosts::HostsError;
use crate::plugin::{ParseGrantError, PluginError};
use crate::registry::{DownloadError, RegistryError};
use crate::store::StoreError;

/// An operation on installed plugins that did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstalledError {
    /// A file failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lock cannot be used.
    #[error("`{}` cannot be used: {reason}", path.display())]
    Lock {
        /// The path of the file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A newer msb has written the lock.
    #[error("`{}` has form {found}, this msb knows form {known}", path.display())]
    LockVersion {
        /// The path of the file.
        path: PathBuf,
        /// Its form.
        found: u32,
        /// The form that this msb knows.
        known: u32,
    },
    /// There is no plugin of that name.
    #[error("there is no plugin `{}`", address::shown_as_name(name))]
    NotInstalled {
        /// The name.
        name: String,
        /// The names that there are.
        installed: Vec<String>,
    },
    /// A plugin that ships with msb cannot be removed or updated.
    #[error("plugin `{name}` ships with msb and cannot be {what}")]
    Builtin {
        /// The name.
        name: String,
        /// What was tried.
        what: &'static str,
    },
    /// A text names no source.
    #[error(transparent)]
    Source(#[from] ParseSourceError),
    /// A list of plugins is none.
    #[error("`{place}` is not an index of plugins: {reason}")]
    Index {
        /// Where it is.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// The settings of the system do not allow it.
    #[error("`{}` does not allow {what}", file.display())]
    Forbidden {
        /// What is not allowed.
        what: String,
        /// The file that says so.
        file: PathBuf,
    },
    /// A plugin cannot be updated to this.
    #[error("cannot update to `{to}`: {reason}")]
    Destination {
        /// What was named.
        to: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The list of plugins may not be changed.
    #[error("the plugins are locked, and this would change {what}")]
    Frozen {
        /// What it would change.
        what: String,
    },
    /// A plugin cannot have this name.
    #[error("`{name}` cannot be the name of a plugin: {reason}")]
    Name {
        /// The name.
        name: String,
        /// The reason, for a sentence.
        reason: String,
    },
    /// Another plugin has the name.
    #[error("a plugin `{name}` is installed already, from `{place}`")]
    Taken {
        /// The name.
        name: String,
        /// Where the other one is from.
        place: String,
    },
    /// Another plugin does the same.
    #[error("plugin `{by}` is the {kind} `{provides}` already")]
    Provided {
        /// `format` or `credential`.
        kind: &'static str,
        /// The name of the format or provider.
        provides: String,
        /// The plugin.
        by: String,
    },
    /// What is at the source is not what was installed from there.
    #[error(
        "`{place}` has other bytes than when plugin `{name}` was installed: {locked} then, {found} now"
    )]
    Changed {
        /// The plugin.
        name: String,
        /// The source.
        place: String,
        /// What was installed.
        locked: Digest,
        /// What is there now.
        found: Digest,
    },
    /// With `--locked` nothing is installed that the lock does not have.
    #[error("what is at `{place}` ({found}) is not in the lock")]
    NotLocked {
        /// The source.
        place: String,
        /// What is there.
        found: Digest,
    },
    /// What is at the source is not what the lock has of it.
    #[error(
        "`{place}` has other bytes than the lock has of plugin `{name}`: {locked} there, {found} now"
    )]
    Unlike {
        /// The plugin.
        name: String,
        /// The source.
        place: String,
        /// What the lock has.
        locked: Digest,
        /// What is there.
        found: Digest,
    },
    /// A plugin is pushed as something else than it is.
    #[error("`{reference}` names another digest than its manifest has, which is {actual}")]
    OtherDigest {
        /// What was named.
        reference: String,
        /// The digest of the manifest.
        actual: Digest,
    },
    /// What the lock describes is less than what its component is.
    #[error("plugin `{name}` is more than the lock says: it {}", listed(increases))]
    Exceeds {
        /// The plugin.
        name: String,
        /// What is more.
        increases: Vec<Increase>,
    },
    /// What the lock has is neither kept nor to be had.
    #[error("plugin `{name}` is not kept here, and `{place}` does not give it")]
    Gone {
        /// The plugin.
        name: String,
        /// Where it is from.
        place: String,
        /// What it was.
        digest: Digest,
        /// Why it is not to be had.
        #[source]
        source: Box<InstalledError>,
    },
    /// A component is larger than any plugin should be.
    #[error("`{place}` is larger than {limit} bytes")]
    TooLarge {
        /// The source.
        place: String,
        /// The limit.
        limit: u64,
    },
    /// A registry has something else.
    #[error("`{place}` is not a plugin: {reason}")]
    NoArtifact {
        /// The source.
        place: String,
        /// What it is.
        reason: String,
    },
    /// A signature is missing or wrong.
    #[error("the plugin at `{place}` is not taken for signed")]
    Signature {
        /// The source.
        place: String,
        /// What is wrong with the signature.
        #[source]
        source: SignatureError,
    },
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] SignatureError),
    /// The bytes are not a plugin for this msb.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// A text is not a permission.
    #[error(transparent)]
    Grant(#[from] ParseGrantError),
    /// A permission that the plugin has no use for.
    #[error("plugin `{name}` cannot make use of `{grant}`: it does not import `{capability}`")]
    Useless {
        /// The plugin.
        name: String,
        /// The permission.
        grant: String,
        /// The interface.
        capability: &'static str,
    },
    /// An archive format is asked about archives, whatever else there is.
    #[error("plugin `{name}` is an archive format: only credential providers have a tier")]
    NoTier {
        /// The plugin.
        name: String,
    },
    /// A permission that the plugin does not have.
    #[error("plugin `{name}` does not have `{grant}`")]
    NotGranted {
        /// The plugin.
        name: String,
        /// The permission.
        grant: String,
        /// What it has.
        has: Vec<String>,
    },
    /// Somebody else has changed the plugin in the meantime.
    #[error("plugin `{name}` was changed by another msb in the meantime")]
    Raced {
        /// The plugin.
        name: String,
    },
    /// A file of a server could not be had.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// A registry could not be asked.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// What is configured of registries cannot be used.
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// The documents of an artifact could not be made.
    #[error("could not write the documents of the artifact")]
    Documents(#[from] serde_json::Error),
    /// The user asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

fn listed(increases: &[Increase]) -> String {
    let increases: Vec<String> = increases.iter().map(ToString::to_string).collect();
    increases.join(", it ")
}
