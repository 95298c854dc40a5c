//! Getting a component from where it is, with its signatures where they are required.

use std::fmt;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use super::artifact;
use super::error::InstalledError;
use super::signature::{Signatures, Subject, WantedSignatures};
use super::signatures;
use super::source::Source;
use crate::cancel::Cancel;
use crate::credential::{Action, Credentials};
use crate::digest::Digest;
use crate::plugin::MAX_COMPONENT;
use crate::progress::Progress;
use crate::reference::Reference;
use crate::registry::{Client, ManifestRef};
use crate::store;

/// The most bytes of a manifest.
const MAX_DOCUMENT: u64 = 4 << 20;

/// How plugins are fetched and pushed: with the credentials that plugins of msb know.
#[derive(Clone)]
pub struct Network {
    /// The client.
    pub client: Arc<Client>,
    /// Who we are.
    pub credentials: Arc<dyn Credentials>,
    /// Who hears of requests.
    pub progress: Arc<dyn Progress>,
}

impl fmt::Debug for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Network")
            .field("client", &self.client)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

/// A component and what came with it.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) component: Vec<u8>,
    pub(super) manifest: Option<Digest>,
    pub(super) version: Option<String>,
    pub(super) signatures: Signatures,
}

impl Fetched {
    /// Returns what its signatures are about.
    pub(super) fn subject(&self) -> Subject<'_> {
        Subject {
            component: &self.component,
            manifest: self.manifest.as_ref(),
        }
    }
}

/// Fetches a component; of its signatures only those that are `wanted`.
pub(super) fn fetch(
    source: &Source,
    network: &Network,
    wanted: WantedSignatures,
    cancel: &Cancel,
) -> Result<Fetched, InstalledError> {
    match source {
        Source::File(path) => {
            let component = read(path, MAX_COMPONENT)?.ok_or_else(|| too_large(source))?;
            let beside = |ending: &str, limit| {
                let mut beside = path.clone().into_os_string();
                beside.push(ending);
                let beside = Path::new(&beside);
                if beside.exists() {
                    read(beside, limit)
                } else {
                    Ok(None)
                }
            };
            let signatures = signatures::beside(wanted, beside)?;
            Ok(plain(component, signatures))
        }
        Source::Url(url) => {
            let progress = network.progress.as_ref();
            let client = &network.client;
            let component = client.download(url, MAX_COMPONENT, progress, cancel)?;
            let beside = |ending: &str, limit| match client.download(
                &url.beside(ending),
                limit,
                progress,
                cancel,
            ) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.is_not_found() => Ok(None),
                Err(error) => Err(error.into()),
            };
            let signatures = signatures::beside(wanted, beside)?;
            Ok(plain(component, signatures))
        }
        Source::Oci(reference) => from_registry(source, reference, network, wanted, cancel),
    }
}

/// Reads a component out of a file.
pub(super) fn read_component(path: &Path) -> Result<Vec<u8>, InstalledError> {
    read(path, MAX_COMPONENT)?.ok_or_else(|| too_large(&Source::File(path.to_owned())))
}

fn from_registry(
    source: &Source,
    reference: &Reference,
    network: &Network,
    wanted: WantedSignatures,
    cancel: &Cancel,
) -> Result<Fetched, InstalledError> {
    let credentials = Arc::clone(&network.credentials);
    let repository = network
        .client
        .repository(reference, Action::Pull, credentials)?
        .telling(Arc::clone(&network.progress));
    let which = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => ManifestRef::Digest(digest),
        (None, tag) => ManifestRef::Tag(tag.unwrap_or("latest")),
    };
    let fetched = repository.manifest(which, MAX_DOCUMENT, &|_| {}, cancel)?;
    let found = artifact::find(&fetched.bytes).map_err(|reason| InstalledError::NoArtifact {
        place: source.to_string(),
        reason,
    })?;
    if found.layer.size > MAX_COMPONENT {
        return Err(too_large(source));
    }
    let size = Some(found.layer.size);
    let component =
        repository.small_blob(&found.layer.digest, size, MAX_COMPONENT, &|_| {}, cancel)?;
    let signatures = signatures::of_manifest(&repository, &fetched.digest, wanted, cancel)?;
    Ok(Fetched {
        component,
        manifest: Some(fetched.digest),
        version: found.version,
        signatures,
    })
}

fn plain(component: Vec<u8>, signatures: Signatures) -> Fetched {
    Fetched {
        component,
        manifest: None,
        version: None,
        signatures,
    }
}

/// Reads a file whole, `None` where it is larger than the limit.
pub(super) fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, InstalledError> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .map_err(store::io_error("read", path))?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

fn too_large(source: &Source) -> InstalledError {
    InstalledError::TooLarge {
        place: source.to_string(),
        limit: MAX_COMPONENT,
    }
}
