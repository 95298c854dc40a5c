//! The bytes of a plugin from where its source says.
//!
//! Owns the size limit and that wanted signatures are checked. Knows nothing of what is in the
//! bytes.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use super::artifact;
use super::error::InstalledError;
use super::signature;
use super::source::Source;
use crate::auth::{Chain, Lookup};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::progress::{Event, Progress};
use crate::reference::Reference;
use crate::registry::{Access, Client, DownloadError, Retry, Which};
use crate::settings::{PluginSettings, SignaturePolicy};

/// The most bytes of a component. Those with a whole language inside have 18 MiB.
const MAX_COMPONENT: u64 = 64 << 20;
/// The most bytes of a manifest.
const MAX_MANIFEST: u64 = 4 << 20;
/// The most bytes of a signature file.
const MAX_SIGNATURE: u64 = 64 << 10;
/// What stands behind the name of a file for the name of its signature.
const SIGNATURE: &str = ".minisig";

/// What plugins are fetched with.
#[derive(Clone, Debug)]
pub struct Fetcher {
    /// Who speaks to servers and registries.
    pub client: Arc<Client>,
    /// Who knows credentials for registries.
    pub chain: Arc<Chain>,
    /// Whose signatures are wanted.
    pub settings: PluginSettings,
}

/// What was fetched.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) bytes: Vec<u8>,
    /// The digest of the manifest, of what a registry has.
    pub(super) manifest: Option<Digest>,
    /// Whether there is a signature, and the settings want it.
    pub(super) signed: bool,
}

impl Fetcher {
    /// Fetches a component, and its signature where one is wanted.
    pub(super) fn fetch(
        &self,
        source: &Source,
        progress: &Arc<dyn Progress>,
        cancel: &Cancel,
    ) -> Result<Fetched, InstalledError> {
        progress.report(Event::Phase(&format!("Fetching {source}")));
        let policy = signature::wanted(&self.settings, source);
        let (bytes, manifest) = match source {
            Source::File(path) => (read(path, MAX_COMPONENT)?, None),
            Source::Url(url) => (self.client.download(url, MAX_COMPONENT, cancel)?, None),
            Source::Oci(reference) => {
                let (bytes, manifest) = self.pull(reference, progress, cancel)?;
                (bytes, Some(manifest))
            }
        };
        if let Some(policy) = policy {
            let text = self.signature(policy, source, cancel)?;
            signature::check(policy, source, &bytes, &text)?;
        }
        Ok(Fetched {
            bytes,
            manifest,
            signed: policy.is_some(),
        })
    }

    fn signature(
        &self,
        policy: &SignaturePolicy,
        source: &Source,
        cancel: &Cancel,
    ) -> Result<String, InstalledError> {
        let missing = |reason: &str| signature::missing(policy, source, reason);
        let bytes = match source {
            Source::File(path) => {
                let mut name = path.clone().into_os_string();
                name.push(SIGNATURE);
                match read(Path::new(&name), MAX_SIGNATURE) {
                    Err(InstalledError::Read { source, .. })
                        if source.kind() == std::io::ErrorKind::NotFound =>
                    {
                        return Err(missing("there is no file of that name with `.minisig`"));
                    }
                    read => read?,
                }
            }
            Source::Url(url) => {
                let url = match url.split_once('?') {
                    Some((path, query)) => format!("{path}{SIGNATURE}?{query}"),
                    None => format!("{url}{SIGNATURE}"),
                };
                match self.client.download(&url, MAX_SIGNATURE, cancel) {
                    Err(error) if DownloadError::is_not_found(&error) => {
                        return Err(missing(
                            "the server has no file of that name with `.minisig`",
                        ));
                    }
                    download => download?,
                }
            }
            Source::Oci(_) => {
                return Err(missing(
                    "signatures in registries are not read; install it from a file or an address",
                ));
            }
        };
        String::from_utf8(bytes).map_err(|_| missing("the signature is not a text"))
    }

    fn pull(
        &self,
        reference: &Reference,
        progress: &Arc<dyn Progress>,
        cancel: &Cancel,
    ) -> Result<(Vec<u8>, Digest), InstalledError> {
        let lookup = Lookup::new(Arc::clone(&self.chain), Arc::clone(progress));
        let repository = self
            .client
            .repository(reference, Access::Pull, Arc::new(lookup))?;
        let on_retry = |retry: &Retry<'_>| {
            progress.report(Event::Retrying {
                reason: &retry.error.to_string(),
                after: retry.after,
            });
        };
        let which = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => Which::Digest(digest),
            (None, tag) => Which::Tag(tag.unwrap_or("latest")),
        };
        let manifest = repository.manifest(which, MAX_MANIFEST, &on_retry, cancel)?;
        let not_one = |reason: String| InstalledError::Artifact {
            reference: reference.familiar(),
            reason,
        };
        let layer = artifact::find(&manifest.bytes).map_err(not_one)?;
        if layer.size > MAX_COMPONENT {
            return Err(InstalledError::TooLarge {
                source_name: reference.familiar(),
                limit: MAX_COMPONENT,
            });
        }
        let size = Some(layer.size);
        let bytes = repository.small_blob(&layer.digest, size, MAX_COMPONENT, &on_retry, cancel)?;
        Ok((bytes, manifest.digest))
    }
}

/// Reads a file of at most `limit` bytes.
fn read(path: &Path, limit: u64) -> Result<Vec<u8>, InstalledError> {
    let failed = |source| InstalledError::Read {
        path: path.to_owned(),
        source,
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(InstalledError::TooLarge {
            source_name: path.display().to_string(),
            limit,
        });
    }
    Ok(bytes)
}
