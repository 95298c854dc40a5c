//! Where the signatures of a component are: in files next to it, or in its registry.
//!
//! Owns finding them. Sources: the referrers API of the distribution specification 1.1 and its fallback
//! tag, where cosign 3 keeps bundles; cosign's `SIGNATURE_SPEC` for the tags of cosign 2.

use super::artifact;
use super::error::InstalledError;
use super::signature::{self, Cosign, Signatures, WantedSignatures};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::registry::{ManifestRef, Referrer, RegistryError, RegistryErrorKind, Repository};

/// The type of a bundle of Sigstore, without its version.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
/// The most bytes of a document in a registry.
const MAX_DOCUMENT: u64 = 4 << 20;
/// The most bytes of a file of minisign.
const MAX_MINISIGN: u64 = 64 << 10;
/// The most bytes of a bundle, which the lock keeps. They have some ten thousand.
const MAX_BUNDLE: u64 = 512 << 10;
/// More bundles of one manifest than this are not looked at.
const MAX_BUNDLES: usize = 32;
/// The most bytes of all bundles of one manifest.
const MAX_BUNDLES_BYTES: usize = 8 << 20;

/// Returns the signatures in files next to a component, which `read` gives by what their names end with.
pub(super) fn beside(
    wanted: WantedSignatures,
    read: impl Fn(&str, u64) -> Result<Option<Vec<u8>>, InstalledError>,
) -> Result<Signatures, InstalledError> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let mut signatures = Signatures::default();
    if wanted.minisign {
        signatures.minisign = read(".minisig", MAX_MINISIGN)?.map(text);
    }
    if wanted.sigstore || wanted.provenance {
        let bundle = match read(".sigstore.json", MAX_BUNDLE) {
            Ok(bundle) => bundle,
            Err(error) if wanted.sigstore || matches!(error, InstalledError::Cancelled(_)) => {
                return Err(error);
            }
            Err(_) => None,
        };
        signatures.bundles.extend(bundle.map(text));
    }
    Ok(signatures)
}

/// Returns the signatures of a manifest in its registry.
pub(super) fn of_manifest(
    repository: &Repository,
    manifest: &Digest,
    wanted: WantedSignatures,
    cancel: &Cancel,
) -> Result<Signatures, InstalledError> {
    let mut signatures = Signatures::default();
    if wanted.sigstore {
        signatures.bundles = bundles(repository, manifest, cancel)?;
        signatures.cosign = cosign(repository, manifest, cancel)?;
    } else if wanted.provenance {
        signatures.bundles = match bundles(repository, manifest, cancel) {
            Err(error) if is_cancelled(&error) => return Err(error.into()),
            bundles => bundles.unwrap_or_default(),
        };
    }
    Ok(signatures)
}

fn bundles(
    repository: &Repository,
    manifest: &Digest,
    cancel: &Cancel,
) -> Result<Vec<String>, RegistryError> {
    let is_bundle = |it: &Referrer| it.artifact_type.starts_with(BUNDLE);
    let referrers = repository.referrers(manifest, BUNDLE, MAX_DOCUMENT, cancel)?;
    let mut bundles = Vec::new();
    let mut left = MAX_BUNDLES_BYTES;
    for referrer in referrers
        .iter()
        .filter(|it| is_bundle(it))
        .take(MAX_BUNDLES)
    {
        let which = ManifestRef::Digest(&referrer.digest);
        let fetched = match repository.manifest(which, MAX_DOCUMENT, &|_| {}, cancel) {
            Ok(fetched) => fetched,
            // The tag still lists what was removed.
            Err(error) if error.is_not_found() => continue,
            Err(error) => return Err(error),
        };
        // One that is about something else would not verify either.
        for layer in artifact::layers(&fetched.bytes, BUNDLE) {
            let size = usize::try_from(layer.size).unwrap_or(usize::MAX);
            let Some(rest) = left.checked_sub(size).filter(|_| layer.size <= MAX_BUNDLE) else {
                continue;
            };
            left = rest;
            let digest = &layer.digest;
            let bytes =
                repository.small_blob(digest, Some(layer.size), MAX_BUNDLE, &|_| {}, cancel)?;
            bundles.push(String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    Ok(bundles)
}

/// Returns what cosign 2 has pushed under the tag of a manifest.
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

fn is_cancelled(error: &RegistryError) -> bool {
    matches!(error.kind, RegistryErrorKind::Cancelled(_))
}
