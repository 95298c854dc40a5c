//! Public keys: reading them, and what minisign and cosign 2 have signed with them.
//!
//! Sources: minisign's format; "Simple signing" of containers/image, and cosign's `SIGNATURE_SPEC`.

use std::fmt;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sigstore_verify::crypto::VerificationKey;
use sigstore_verify::types::{DerPublicKey, SignatureBytes};

use super::{Cosign, Signature, SignatureError, Subject, ring_crypto};
use crate::digest::Digest;
use crate::settings::KeySource;

/// The most bytes of a file with a key.
const MAX_KEY_FILE: u64 = 64 << 10;

/// A public key: of minisign, or in PEM (ECDSA P-256 or P-384, Ed25519, RSA).
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: Kind,
    text: String,
}

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Minisign(Box<minisign_verify::PublicKey>),
    Pem(DerPublicKey),
}

impl PublicKey {
    /// Reads a key.
    pub fn read(source: &KeySource) -> Result<Self, SignatureError> {
        let (name, text) = match source {
            KeySource::Text(text) => (text.clone(), text.clone()),
            KeySource::File(path) => (path.display().to_string(), read_file(path)?),
        };
        Self::parse(&text).map_err(|reason| SignatureError::Key { key: name, reason })
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.trim_start().starts_with("-----BEGIN") {
            let key = DerPublicKey::from_pem(text)
                .map_err(|error| format!("it is not a public key in PEM: {error}"))?;
            VerificationKey::from_spki(&key)
                .map_err(|error| format!("it is of no kind that signs: {error}"))?;
            return Ok(Self {
                text: STANDARD.encode(key.as_bytes()),
                kind: Kind::Pem(key),
            });
        }
        // A file of minisign has a comment above the key.
        let line = text
            .lines()
            .map(str::trim)
            .rfind(|line| !line.is_empty())
            .unwrap_or_default();
        let key = minisign_verify::PublicKey::from_base64(line)
            .map_err(|_| "it is neither a key of minisign nor a PEM file".to_owned())?;
        Ok(Self {
            kind: Kind::Minisign(Box::new(key)),
            text: line.to_owned(),
        })
    }

    /// Reads a key as [`Self::to_string`] writes it.
    pub(super) fn from_lock(text: &str) -> Result<Self, SignatureError> {
        let pem =
            |text: &str| format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----");
        Self::parse(text)
            .or_else(|_| Self::parse(&pem(text)))
            .map_err(|reason| SignatureError::Key {
                key: text.to_owned(),
                reason,
            })
    }

    /// Returns the key of a PEM file; those of minisign sign no bundles of Sigstore.
    pub(super) fn pem(&self) -> Option<&DerPublicKey> {
        match &self.kind {
            Kind::Minisign(_) => None,
            Kind::Pem(key) => Some(key),
        }
    }

    /// Checks that minisign has signed a component with this key.
    pub(super) fn verify_minisign(
        &self,
        subject: Subject<'_>,
        text: Option<&str>,
    ) -> Result<Signature, SignatureError> {
        let Kind::Minisign(key) = &self.kind else {
            return Err(self.invalid("it is not a key of minisign"));
        };
        if subject.manifest.is_some() {
            return Err(SignatureError::OtherKind {
                key: "minisign",
                signs: "files and what is at an address",
                place: "a registry",
            });
        }
        let text = text.ok_or_else(|| SignatureError::Missing {
            wanted: "a file `.minisig` next to it".to_owned(),
        })?;
        let signature = minisign_verify::Signature::decode(text)
            .map_err(|error| self.invalid(&format!("the file is not understood: {error}")))?;
        // Signatures that minisign made before 0.10 by default are as good.
        key.verify(subject.component, &signature, true)
            .map_err(|error| self.invalid(&error.to_string()))?;
        Ok(Signature::of_text(text))
    }

    /// Checks that cosign 2 has signed a manifest with this key. The error is of the last signature.
    pub(super) fn verify_cosign(
        &self,
        manifest: &Digest,
        signed: &[Cosign],
    ) -> Result<Signature, SignatureError> {
        let mut last = SignatureError::Missing {
            wanted: format!("the tag `{}`", cosign_tag(manifest)),
        };
        let key = self.pem().map(VerificationKey::from_spki);
        let Some(Ok(key)) = key else {
            return Err(self.invalid("it is not a key of cosign"));
        };
        for Cosign { payload, signature } in signed {
            let bytes = STANDARD.decode(signature.trim()).unwrap_or_default();
            let bytes = SignatureBytes::new(bytes);
            if ring_crypto::with(None, || key.verify(payload, &bytes)).is_err() {
                last = self.invalid("another key has made it, or it was changed");
                continue;
            }
            let document: Value = serde_json::from_slice(payload).unwrap_or_default();
            let critical = &document["critical"];
            let is_of_this = critical["image"]["docker-manifest-digest"]
                .as_str()
                .is_some_and(|digest| digest == manifest.to_string());
            if is_of_this {
                return Ok(Signature {
                    payload: Some(String::from_utf8_lossy(payload).into_owned()),
                    ..Signature::of_text(signature)
                });
            }
            last = self.invalid("it was made for another manifest");
        }
        Err(last)
    }

    pub(super) fn invalid(&self, reason: &str) -> SignatureError {
        SignatureError::Invalid {
            key: self.to_string(),
            reason: reason.to_owned(),
        }
    }
}

/// Returns the tag under which cosign 2 keeps the signatures of a manifest.
pub(in super::super) fn cosign_tag(manifest: &Digest) -> String {
    format!("{}-{}.sig", manifest.algorithm().name(), manifest.hex())
}

fn read_file(path: &PathBuf) -> Result<String, SignatureError> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_KEY_FILE).read_to_string(&mut text))
        .map_err(|error| SignatureError::Key {
            key: path.display().to_string(),
            reason: error.to_string(),
        })?;
    Ok(text)
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PublicKey({self})")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    // Made with minisign 0.11 over `test`. Source: the documentation of minisign-verify.
    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    const SIGNED: &str = "untrusted comment: signature from minisign secret key
RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=
trusted comment: timestamp:1633700835\tfile:test\tprehashed
wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==";

    fn of(component: &[u8]) -> Subject<'_> {
        Subject {
            component,
            manifest: None,
        }
    }

    #[test]
    fn a_signature_of_minisign_is_for_its_bytes_and_its_key_alone() {
        let key = PublicKey::read(&KeySource::Text(KEY.to_owned())).unwrap();
        key.verify_minisign(of(b"test"), Some(SIGNED)).unwrap();
        let error = key.verify_minisign(of(b"tesT"), Some(SIGNED)).unwrap_err();
        assert!(error.to_string().contains(KEY), "{error}");
        for text in ["", "x", &SIGNED.replace("timestamp:1", "timestamp:2")] {
            key.verify_minisign(of(b"test"), Some(text)).unwrap_err();
        }
        let none = key.verify_minisign(of(b"test"), None);
        assert!(matches!(none, Err(SignatureError::Missing { .. })));
    }

    #[test]
    fn a_key_reads_back_as_itself_and_what_is_no_key_is_refused() {
        let commented = format!("untrusted comment: minisign public key\n{KEY}\n");
        let key = PublicKey::parse(&commented).unwrap();
        assert_eq!(PublicKey::from_lock(&key.to_string()).unwrap(), key);
        let pem = "-----BEGIN PUBLIC KEY-----\n\
            MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf0nCxMkBNkX4CkGz3k1mV3XJ8dRk\n\
            eQ1sTgNq0cT0lJY8Vb7F8q6p0S8k3m1f7uQ3dOa0bqX7s9m4o2q6lR1sNA==\n\
            -----END PUBLIC KEY-----\n";
        let key = PublicKey::parse(pem).unwrap();
        assert!(matches!(key.kind, Kind::Pem(_)));
        assert_eq!(PublicKey::from_lock(&key.to_string()).unwrap(), key);
        for text in [
            "",
            "RW",
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        ] {
            PublicKey::parse(text).unwrap_err();
        }
    }
}
