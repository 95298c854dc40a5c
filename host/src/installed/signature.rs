//! Signatures of plugins: minisign over the component, or cosign over the manifest in a registry.
//!
//! Owns reading keys and checking. Sources: minisign's format; "Simple signing" of
//! containers/image, and cosign's `SIGNATURE_SPEC` with keys (no certificates, no log).

use std::fmt;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;
use crate::settings::KeySource;

/// What stands in front of the point of a P-256 key. Source: RFC 5480.
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The most bytes of a file with a key.
const MAX_KEY_FILE: u64 = 64 << 10;

/// A public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: Kind,
    text: String,
}

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Minisign(Box<minisign_verify::PublicKey>),
    Ecdsa(Vec<u8>),
}

/// What a registry or server has of signatures for a plugin.
#[derive(Clone, Debug, Default)]
pub struct Signatures {
    /// The text of a minisign file beside the component.
    pub minisign: Option<String>,
    /// What cosign has pushed: payloads and their signatures.
    pub cosign: Vec<Cosign>,
}

/// A signature as cosign pushes it.
#[derive(Clone, Debug)]
pub struct Cosign {
    /// What is signed, a JSON document that names the manifest.
    pub payload: Vec<u8>,
    /// The signature, ASN.1 in base64.
    pub signature: String,
}

/// A signature that was found right, as the lock keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The text of a minisign file, or a signature of cosign.
    pub signature: String,
    /// What cosign has signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
}

impl From<&Signature> for Signatures {
    fn from(kept: &Signature) -> Self {
        match &kept.payload {
            None => Self {
                minisign: Some(kept.signature.clone()),
                cosign: Vec::new(),
            },
            Some(payload) => Self {
                minisign: None,
                cosign: vec![Cosign {
                    payload: payload.clone().into_bytes(),
                    signature: kept.signature.clone(),
                }],
            },
        }
    }
}

/// Why a plugin is not taken for signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The key is none.
    #[error("the key `{key}` cannot be used: {reason}")]
    Key {
        /// The key or its file.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// There is no signature of that kind.
    #[error("there is no signature: {wanted} is not there")]
    Missing {
        /// What was looked for.
        wanted: String,
    },
    /// A key of this kind does not sign what comes from there.
    #[error("a key of {key} signs {signs}, and this comes from {place}")]
    OtherKind {
        /// `minisign` or `cosign`
        key: &'static str,
        /// What such keys sign.
        signs: &'static str,
        /// Where it comes from.
        place: &'static str,
    },
    /// A signature does not belong to key and content.
    #[error("the signature does not verify with key `{key}`: {reason}")]
    Invalid {
        /// The key.
        key: String,
        /// What is wrong.
        reason: String,
    },
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
            let body: String = text
                .lines()
                .map(str::trim)
                .filter(|line| !line.starts_with("-----"))
                .collect();
            let der = STANDARD
                .decode(body)
                .map_err(|error| format!("it is not PEM: {error}"))?;
            let point = der
                .strip_prefix(&P256_PREFIX[..])
                .filter(|point| point.len() == 65 && point.first() == Some(&4))
                .ok_or("it is not an ECDSA P-256 public key")?;
            return Ok(Self {
                kind: Kind::Ecdsa(point.to_vec()),
                text: STANDARD.encode(&der),
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

    /// Checks that a component, or the manifest that names it, was signed with this key, and
    /// returns the signature.
    pub fn verify(
        &self,
        component: &[u8],
        manifest: Option<&Digest>,
        signatures: &Signatures,
    ) -> Result<Signature, SignatureError> {
        match &self.kind {
            Kind::Minisign(_) if manifest.is_some() => Err(SignatureError::OtherKind {
                key: "minisign",
                signs: "files and what is at an address",
                place: "a registry",
            }),
            Kind::Ecdsa(_) if manifest.is_none() => Err(SignatureError::OtherKind {
                key: "cosign",
                signs: "what is in a registry",
                place: "a file or an address",
            }),
            Kind::Minisign(key) => self.verify_minisign(key, component, signatures),
            Kind::Ecdsa(point) => self.verify_cosign(point, manifest, signatures),
        }
    }

    fn verify_minisign(
        &self,
        key: &minisign_verify::PublicKey,
        component: &[u8],
        signatures: &Signatures,
    ) -> Result<Signature, SignatureError> {
        let text = signatures
            .minisign
            .as_deref()
            .ok_or_else(|| SignatureError::Missing {
                wanted: "a file `.minisig` next to it".to_owned(),
            })?;
        let signature = minisign_verify::Signature::decode(text)
            .map_err(|error| self.invalid(&format!("the file is not understood: {error}")))?;
        // Signatures that minisign made before 0.10 by default are as good.
        key.verify(component, &signature, true)
            .map_err(|error| self.invalid(&error.to_string()))?;
        Ok(Signature {
            signature: text.to_owned(),
            payload: None,
        })
    }

    fn verify_cosign(
        &self,
        point: &[u8],
        manifest: Option<&Digest>,
        signatures: &Signatures,
    ) -> Result<Signature, SignatureError> {
        let manifest = manifest.ok_or_else(|| SignatureError::Missing {
            wanted: "a registry, where cosign keeps signatures,".to_owned(),
        })?;
        let mut last = SignatureError::Missing {
            wanted: format!("the tag `{}`", cosign_tag(manifest)),
        };
        let key = ring::signature::UnparsedPublicKey::new(
            &ring::signature::ECDSA_P256_SHA256_ASN1,
            point,
        );
        for signed in &signatures.cosign {
            let signature = STANDARD.decode(signed.signature.trim()).unwrap_or_default();
            if key.verify(&signed.payload, &signature).is_err() {
                last = self.invalid("another key has made it, or it was changed");
                continue;
            }
            let payload: Value = serde_json::from_slice(&signed.payload).unwrap_or_default();
            let critical = &payload["critical"];
            let is_of_this = critical["image"]["docker-manifest-digest"]
                .as_str()
                .is_some_and(|digest| digest == manifest.to_string());
            if is_of_this {
                return Ok(Signature {
                    signature: signed.signature.clone(),
                    payload: Some(String::from_utf8_lossy(&signed.payload).into_owned()),
                });
            }
            last = self.invalid("it was made for another manifest");
        }
        Err(last)
    }

    fn invalid(&self, reason: &str) -> SignatureError {
        SignatureError::Invalid {
            key: self.to_string(),
            reason: reason.to_owned(),
        }
    }
}

/// Returns the tag under which cosign keeps the signatures of a manifest.
pub(super) fn cosign_tag(manifest: &Digest) -> String {
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

    fn minisign(text: &str) -> Signatures {
        Signatures {
            minisign: Some(text.to_owned()),
            cosign: Vec::new(),
        }
    }

    #[test]
    fn a_signature_of_minisign_is_for_its_bytes_and_its_key_alone() {
        let key = PublicKey::read(&KeySource::Text(KEY.to_owned())).unwrap();
        key.verify(b"test", None, &minisign(SIGNED)).unwrap();
        let error = key.verify(b"tesT", None, &minisign(SIGNED)).unwrap_err();
        assert!(error.to_string().contains(KEY), "{error}");
        for text in ["", "x", &SIGNED.replace("timestamp:1", "timestamp:2")] {
            key.verify(b"test", None, &minisign(text)).unwrap_err();
        }
        let none = key.verify(b"test", None, &Signatures::default());
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
        assert!(matches!(key.kind, Kind::Ecdsa(_)));
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
