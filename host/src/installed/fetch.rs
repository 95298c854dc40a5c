//! Getting a component from where it is, with its signatures where they are required.

use std::fmt;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use super::artifact;
use super::error::InstalledError;
use super::signature::{self, Cosign, Signatures};
use super::source::Source;
use crate::cancel::Cancel;
use crate::credential::{Action, Credentials};
use crate::digest::Digest;
use crate::plugin::MAX_COMPONENT;
use crate::progress::Progress;
use crate::reference::Reference;
use crate::registry::{Client, ManifestRef, Repository};
use crate::store;

/// The most bytes of a manifest, and of what cosign signs.
const MAX_DOCUMENT: u64 = 4 << 20;
/// The most bytes of a file with a signature.
const MAX_SIGNATURE: u64 = 64 << 10;

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

/// Fetches a component; its signatures only where they are `wanted`.
pub(super) fn fetch(
    source: &Source,
    network: &Network,
    wanted: bool,
    cancel: &Cancel,
) -> Result<Fetched, InstalledError> {
    match source {
        Source::File(path) => {
            let component = read(path, MAX_COMPONENT)?.ok_or_else(|| too_large(source))?;
            let mut beside = path.clone().into_os_string();
            beside.push(".minisig");
            let beside = Path::new(&beside);
            let minisign = if wanted && beside.exists() {
                read(beside, MAX_SIGNATURE)?
            } else {
                None
            };
            Ok(plain(component, minisign))
        }
        Source::Url(url) => {
            let progress = network.progress.as_ref();
            let client = &network.client;
            let component = client.download(url, MAX_COMPONENT, progress, cancel)?;
            let minisign = if wanted {
                let beside = url.beside(".minisig");
                match client.download(&beside, MAX_SIGNATURE, progress, cancel) {
                    Ok(bytes) => Some(bytes),
                    Err(error) if error.is_not_found() => None,
                    Err(error) => return Err(error.into()),
                }
            } else {
                None
            };
            Ok(plain(component, minisign))
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
    wanted: bool,
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
    let mut signatures = Signatures::default();
    if wanted {
        signatures.cosign = cosign(&repository, &fetched.digest, cancel)?;
    }
    Ok(Fetched {
        component,
        manifest: Some(fetched.digest),
        version: found.version,
        signatures,
    })
}

fn cosign(
    repository: &Repository,
    manifest: &Digest,
    cancel: &Cancel,
) -> Result<Vec<Cosign>, InstalledError> {
    let tag = signature::cosign_tag(manifest);
    let fetched = match repository.manifest(ManifestRef::Tag(&tag), MAX_DOCUMENT, &|_| {}, cancel) {
        Ok(fetched) => fetched,
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut signed = Vec::new();
    for (payload, signature) in artifact::signatures(&fetched.bytes).unwrap_or_default() {
        let size = Some(payload.size);
        let payload =
            repository.small_blob(&payload.digest, size, MAX_DOCUMENT, &|_| {}, cancel)?;
        signed.push(Cosign { payload, signature });
    }
    Ok(signed)
}

fn plain(component: Vec<u8>, minisign: Option<Vec<u8>>) -> Fetched {
    Fetched {
        component,
        manifest: None,
        version: None,
        signatures: Signatures {
            minisign: minisign.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            cosign: Vec::new(),
        },
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
