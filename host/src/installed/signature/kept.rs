//! Signatures as they are fetched, and as the lock keeps them. Knows nothing of who must have signed.

use serde::{Deserialize, Serialize};

/// What a registry or server has of signatures for a plugin.
#[derive(Clone, Debug, Default)]
pub struct Signatures {
    /// The text of a minisign file next to the component.
    pub minisign: Option<String>,
    /// What cosign 2 has pushed: payloads and their signatures.
    pub cosign: Vec<Cosign>,
    /// The texts of bundles of Sigstore, as cosign 3 makes them.
    pub bundles: Vec<String>,
}

/// A signature as cosign 2 pushes it.
#[derive(Clone, Debug)]
pub struct Cosign {
    /// What is signed, a JSON document that names the manifest.
    pub payload: Vec<u8>,
    /// The signature, ASN.1 in base64.
    pub signature: String,
}

/// A signature that was found right, as the lock keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The text of a minisign file, or a signature of cosign 2.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub signature: String,
    /// What cosign 2 has signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// A bundle of Sigstore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<String>,
    /// Who its certificate is for; text of who has issued it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}

/// Which signatures are looked for, of all that there can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WantedSignatures {
    /// Those of minisign.
    pub minisign: bool,
    /// Those of cosign, and bundles.
    pub sigstore: bool,
    /// Bundles, where they can be had, for what they say of the building.
    pub provenance: bool,
}

impl Signature {
    pub(super) fn of_text(text: &str) -> Self {
        Self {
            signature: text.to_owned(),
            ..Self::default()
        }
    }
}

impl From<&Signature> for Signatures {
    fn from(kept: &Signature) -> Self {
        let mut signatures = Self::default();
        match (&kept.bundle, &kept.payload) {
            (Some(bundle), _) => signatures.bundles.push(bundle.clone()),
            (None, None) => signatures.minisign = Some(kept.signature.clone()),
            (None, Some(payload)) => signatures.cosign.push(Cosign {
                payload: payload.clone().into_bytes(),
                signature: kept.signature.clone(),
            }),
        }
        signatures
    }
}

impl FromIterator<Signatures> for Signatures {
    fn from_iter<I: IntoIterator<Item = Self>>(all: I) -> Self {
        all.into_iter().fold(Self::default(), |mut sum, other| {
            sum.minisign = sum.minisign.or(other.minisign);
            sum.cosign.extend(other.cosign);
            sum.bundles.extend(other.bundles);
            sum
        })
    }
}
