//! An index of plugins: a list to search before anything is installed.
//!
//! Owns its form and getting it: a JSON file, at an address, or as the only layer of an artifact in a
//! registry. It says where plugins are, and is believed in nothing else.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::InstalledError;
use super::fetch::{self, Network};
use super::source::Source;
use crate::cancel::Cancel;
use crate::credential::Action;
use crate::digest::Digest;
use crate::registry::ManifestRef;

/// The most bytes of an index, and of its manifest.
const MAX_INDEX: u64 = 16 << 20;
/// The form that this msb reads.
const VERSION: u32 = 1;

/// An index of plugins.
#[derive(Clone, Debug, Deserialize)]
pub struct PluginIndex {
    version: u32,
    /// The plugins; all of it is untrusted text.
    pub plugins: Vec<IndexedPlugin>,
}

/// A plugin of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexedPlugin {
    /// Its name.
    pub name: String,
    /// `credential` or `format`.
    #[serde(default)]
    pub kind: Option<String>,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// What `msb plugin install` takes.
    pub source: String,
    /// Its newest version.
    #[serde(default)]
    pub version: Option<String>,
    /// Where it is explained.
    #[serde(default)]
    pub homepage: Option<String>,
}

#[derive(Deserialize)]
struct Manifest {
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
struct Layer {
    digest: Digest,
    size: u64,
}

impl PluginIndex {
    /// Fetches an index.
    ///
    /// # Errors
    /// When it cannot be had, or is none.
    pub fn fetch(
        source: &Source,
        network: &Network,
        cancel: &Cancel,
    ) -> Result<Self, InstalledError> {
        let invalid = |reason: String| InstalledError::Index {
            place: source.to_string(),
            reason,
        };
        let bytes = match source {
            Source::File(path) => fetch::read(path, MAX_INDEX)?
                .ok_or_else(|| invalid(format!("it is larger than {MAX_INDEX} bytes")))?,
            Source::Url(url) => {
                let progress = network.progress.as_ref();
                network.client.download(url, MAX_INDEX, progress, cancel)?
            }
            Source::Oci(reference) => {
                let repository = network
                    .client
                    .repository(reference, Action::Pull, Arc::clone(&network.credentials))?
                    .telling(Arc::clone(&network.progress));
                let which = match reference.digest() {
                    Some(digest) => ManifestRef::Digest(digest),
                    None => ManifestRef::Tag(reference.tag().unwrap_or("latest")),
                };
                let manifest = repository.manifest(which, MAX_INDEX, &|_| {}, cancel)?;
                let manifest: Manifest = serde_json::from_slice(&manifest.bytes)
                    .map_err(|error| invalid(error.to_string()))?;
                let [layer] = manifest.layers.as_slice() else {
                    return Err(invalid("it does not have one layer".to_owned()));
                };
                let size = Some(layer.size);
                repository.small_blob(&layer.digest, size, MAX_INDEX, &|_| {}, cancel)?
            }
        };
        // A struct could be read from a list as well.
        let whole: Value =
            serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
        if !["version", "plugins"]
            .iter()
            .all(|key| whole.get(key).is_some())
        {
            let wanted = "it must be an object with `version` and `plugins`";
            return Err(invalid(wanted.to_owned()));
        }
        let index: Self =
            serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
        if index.version != VERSION {
            return Err(invalid(format!(
                "it has form {}, this msb knows form {VERSION}",
                index.version
            )));
        }
        Ok(index)
    }

    /// Returns the plugins that have all of these words in what is said of them.
    pub fn search<'i>(&'i self, words: &[String]) -> Vec<&'i IndexedPlugin> {
        let words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
        let has_all = |plugin: &&IndexedPlugin| {
            let kind = plugin.kind.as_deref().unwrap_or_default();
            let text = format!("{} {kind} {}", plugin.name, plugin.description).to_lowercase();
            words.iter().all(|word| text.contains(word))
        };
        self.plugins.iter().filter(has_all).collect()
    }
}
