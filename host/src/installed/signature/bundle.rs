//! Bundles of Sigstore: a signature with what proves who made it and when.
//!
//! Owns what is required of one, for a key and for an identity, and which statements are signatures at
//! all. The proofs themselves are checked by `sigstore-verify`. Source: the bundle format v0.3 of
//! sigstore/protobuf-specs, as cosign 3 writes it.

use sigstore_verify::crypto::{KeyAlgorithm, VerificationKey};
use sigstore_verify::types::{
    Artifact, ArtifactDigest, Bundle, DerPublicKey, DsseEnvelope, HashAlgorithm, Sha256Hash,
    Sha512Hash, SignatureContent, Statement,
};
use sigstore_verify::{PublicKeyVerificationPolicy, VerificationPolicy, VerificationResult};

use super::trust_root::TrustRoot;
use super::{Subject, ring_crypto};
use crate::digest::{Algorithm, Digest};

/// The type of payload that is a statement of in-toto.
const STATEMENT: &str = "application/vnd.in-toto+json";
/// The statement by which cosign 3 signs what is in a registry.
const COSIGN: &str = "https://sigstore.dev/cosign/sign/v1";
/// The statements by which builders sign what they have built.
pub(super) const PROVENANCE: &str = "https://slsa.dev/provenance/";

/// A bundle that was found right.
pub(super) struct VerifiedBundle {
    /// Who the certificate is for; `None` where a key has signed.
    pub(super) identity: Option<String>,
    /// Who has vouched for the identity.
    pub(super) issuer: Option<String>,
    /// What is said of the subject, where that is a statement.
    pub(super) statement: Option<Statement>,
}

/// Reads a bundle and checks it for a key, or, without one, for any identity. Not whether the statement
/// in it is a signature.
///
/// # Errors
/// What is wrong with it, for a sentence.
pub(super) fn verify(
    text: &str,
    subject: Subject<'_>,
    key: Option<&DerPublicKey>,
    root: &TrustRoot,
) -> Result<VerifiedBundle, String> {
    let bundle = Bundle::from_json(text)
        .map_err(|error| format!("it is not a bundle of Sigstore: {error}"))?;
    let statement = statement(&bundle.content)?;
    let material = &bundle.verification_material;
    let is_logged = !material.tlog_entries.is_empty();
    let timestamps = &material.timestamp_verification_data.rfc3161_timestamps;
    let has_proof = is_logged || !timestamps.is_empty();
    let verified = ring_crypto::with(message(subject), || match key {
        Some(key) if has_proof => {
            let policy = PublicKeyVerificationPolicy::new(key.clone());
            let policy = if is_logged {
                policy
            } else {
                policy.skip_tlog_unsafe()
            };
            let verified = root.verifier.verify(artifact(subject)?, &bundle, &policy);
            verified.map(Some).map_err(|error| error.to_string())
        }
        // The key says who; when is not known then.
        Some(key) => verify_without_proof(&bundle, subject, key, statement.as_ref()).map(|()| None),
        None => {
            let mut policy = VerificationPolicy::any_identity();
            if !root.has_certificate_logs {
                policy = policy.skip_sct();
            }
            if !root.has_logs {
                policy = policy.skip_tlog_unsafe();
            }
            let verified = root.verifier.verify(artifact(subject)?, &bundle, &policy);
            verified.map(Some).map_err(|error| error.to_string())
        }
    })?;
    let certified = |of: fn(&VerificationResult) -> Option<String>| {
        verified.as_ref().filter(|_| key.is_none()).and_then(of)
    };
    Ok(VerifiedBundle {
        identity: certified(|it| it.identity().map(ToString::to_string)),
        issuer: certified(|it| it.issuer().map(str::to_owned)),
        statement,
    })
}

/// Checks that a statement, if it is one, is a signature: by signing, or by having built. Others are said
/// of bad things as well, such as the result of a scan.
///
/// # Errors
/// What it is instead, for a sentence.
pub(super) fn check_is_signature(statement: Option<&Statement>) -> Result<(), String> {
    match statement.map(|statement| statement.predicate_type.as_str()) {
        None | Some(COSIGN) => Ok(()),
        Some(other) if other.starts_with(PROVENANCE) => Ok(()),
        Some(other) => {
            let other: String = other.chars().take(200).collect();
            Err(format!(
                "it is a statement of type {other}, not a signature"
            ))
        }
    }
}

/// Checks a signature by a key that neither a log nor a clock has seen.
fn verify_without_proof(
    bundle: &Bundle,
    subject: Subject<'_>,
    key: &DerPublicKey,
    statement: Option<&Statement>,
) -> Result<(), String> {
    let sentence = |error: sigstore_verify::crypto::Error| error.to_string();
    match &bundle.content {
        SignatureContent::DsseEnvelope(envelope) => {
            let verifier = VerificationKey::from_spki(key).map_err(sentence)?;
            verifier
                .verify(envelope.pae(), &envelope.signature.sig)
                .map_err(sentence)?;
            is_about(statement, subject)
        }
        SignatureContent::MessageSignature(signed) => {
            let algorithm = KeyAlgorithm::from_spki(key).map_err(sentence)?;
            let stated = signed.message_digest.as_ref();
            let scheme = match stated {
                Some(stated) => algorithm.resolve_signing_scheme(stated.algorithm),
                None => Ok(algorithm.default_signing_scheme()),
            };
            let message = message(subject)
                .ok_or("it signs bytes, and the manifest is signed by a statement")?;
            VerificationKey::from_der(key, scheme.map_err(sentence)?)
                .and_then(|key| key.verify(message, &signed.signature))
                .map_err(sentence)
        }
        _ => Err("it has a signature of an unknown kind".to_owned()),
    }
}

fn is_about(statement: Option<&Statement>, subject: Subject<'_>) -> Result<(), String> {
    let digest = digest(subject)?;
    let bytes = digest.as_bytes();
    let matches = statement.is_some_and(|statement| {
        statement.subject.iter().any(|it| {
            let sha256 = it.digest.sha256.as_ref().map(Sha256Hash::as_slice);
            let sha512 = it.digest.sha512.as_ref().map(Sha512Hash::as_slice);
            sha256 == Some(bytes) || sha512 == Some(bytes)
        })
    });
    if matches {
        return Ok(());
    }
    Err("it was made for something else".to_owned())
}

fn statement(content: &SignatureContent) -> Result<Option<Statement>, String> {
    let SignatureContent::DsseEnvelope(DsseEnvelope {
        payload_type,
        payload,
        ..
    }) = content
    else {
        return Ok(None);
    };
    if payload_type != STATEMENT {
        let kind: String = payload_type.chars().take(200).collect();
        return Err(format!("what it signs is of type {kind}, not a statement"));
    }
    serde_json::from_slice(payload.as_bytes())
        .map(Some)
        .map_err(|error| format!("its statement is not understood: {error}"))
}

/// Returns the bytes that a signature may be over: those of a component that no manifest names.
fn message(subject: Subject<'_>) -> Option<&[u8]> {
    subject.manifest.is_none().then_some(subject.component)
}

fn artifact(subject: Subject<'_>) -> Result<Artifact<'_>, String> {
    Ok(match message(subject) {
        Some(bytes) => Artifact::from_blob(bytes),
        None => Artifact::from_digest(digest(subject)?),
    })
}

fn digest(subject: Subject<'_>) -> Result<ArtifactDigest, String> {
    let digest = match subject.manifest {
        Some(manifest) => manifest.clone(),
        None => Digest::of(subject.component),
    };
    let algorithm = match digest.algorithm() {
        Algorithm::Sha256 => HashAlgorithm::Sha2256,
        Algorithm::Sha512 => HashAlgorithm::Sha2512,
    };
    let value = sigstore_verify::types::DigestBytes::from_hex(digest.hex());
    value
        .and_then(|value| ArtifactDigest::new(algorithm, value))
        .map_err(|error| error.to_string())
}
