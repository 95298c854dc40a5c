//! Signatures of plugins: of minisign over a component, of cosign and others as bundles of Sigstore.
//!
//! Owns who must have signed, and the search among the signatures that there are. A key or an identity is
//! the user's choice; what vouches for identities is the trust root.

mod bundle;
mod error;
mod kept;
mod key;
mod provenance;
mod ring_crypto;
mod trust_root;

use std::fmt;
use std::path::{Path, PathBuf};

pub use self::error::SignatureError;
pub use self::kept::Signature;
pub(super) use self::kept::{Cosign, Signatures, WantedSignatures};
pub use self::key::PublicKey;
pub(super) use self::key::cosign_tag;
pub use self::provenance::Provenance;
use self::trust_root::TrustRoot;
use super::locked_plugin::{LockedPlugin, LockedSigner};
use super::pattern;
use crate::digest::Digest;
use crate::settings::{CertificateIdentity, SignerName, SignerSource};

/// What is signed: a component, or the manifest in a registry that names it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The bytes of the component.
    pub component: &'a [u8],
    /// The digest of its manifest, where it comes from a registry.
    pub manifest: Option<&'a Digest>,
}

/// Who must have signed, and what vouches for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    name: Name,
    trust_root: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Key(PublicKey),
    Identity(CertificateIdentity),
}

impl Signer {
    /// Reads the key of who must have signed, where it is one. What vouches for an identity is read when
    /// there is a signature to check.
    pub fn read(source: &SignerSource) -> Result<Self, SignatureError> {
        Ok(Self {
            name: match &source.name {
                SignerName::Key(key) => Name::Key(PublicKey::read(key)?),
                SignerName::Identity(identity) => Name::Identity(identity.clone()),
            },
            trust_root: source.trust_root.clone(),
        })
    }

    /// Returns who must have signed another version of an installed plugin: who has signed this one.
    pub fn of_locked(plugin: &LockedPlugin) -> Result<Option<Self>, SignatureError> {
        Self::of(
            plugin.key.as_deref(),
            plugin.identity.as_ref(),
            plugin.trust_root.as_deref(),
        )
    }

    /// Returns one of those who have signed an installed plugin.
    pub(super) fn of_signed(signed: &LockedSigner) -> Result<Option<Self>, SignatureError> {
        Self::of(
            signed.key.as_deref(),
            signed.identity.as_ref(),
            signed.trust_root.as_deref(),
        )
    }

    fn of(
        key: Option<&str>,
        identity: Option<&CertificateIdentity>,
        trust_root: Option<&Path>,
    ) -> Result<Option<Self>, SignatureError> {
        let name = match (key, identity) {
            (Some(key), _) => Name::Key(PublicKey::from_lock(key)?),
            (None, Some(identity)) => Name::Identity(identity.clone()),
            (None, None) => return Ok(None),
        };
        Ok(Some(Self {
            name,
            trust_root: trust_root.map(Path::to_owned),
        }))
    }

    /// Returns whether the lock says that they have signed a plugin.
    pub(super) fn has_signed(&self, plugin: &LockedPlugin) -> bool {
        plugin.signers().iter().any(|signed| match &self.name {
            Name::Key(key) => signed.key.as_deref() == Some(&*key.to_string()),
            Name::Identity(wanted) => {
                let issuer = signed.identity.as_ref().map(|it| &it.issuer);
                let identity = signed.signed.identity.as_deref();
                signed.key.is_none()
                    && issuer == Some(&wanted.issuer)
                    && signed.trust_root == self.trust_root
                    && identity.is_some_and(|it| pattern::covers(&wanted.identity, it))
            }
        })
    }

    /// Returns the key, if it is one, as the lock keeps it.
    pub fn key(&self) -> Option<String> {
        match &self.name {
            Name::Key(key) => Some(key.to_string()),
            Name::Identity(_) => None,
        }
    }

    /// Returns the identity, if it is one.
    pub fn identity(&self) -> Option<&CertificateIdentity> {
        match &self.name {
            Name::Key(_) => None,
            Name::Identity(identity) => Some(identity),
        }
    }

    /// Returns the file that vouches for identities and logs; `None` is the public instance of Sigstore.
    pub fn trust_root(&self) -> Option<&Path> {
        self.trust_root.as_deref()
    }

    /// Returns the signatures that may be theirs.
    pub fn wants(&self) -> WantedSignatures {
        let minisign = matches!(&self.name, Name::Key(key) if key.pem().is_none());
        WantedSignatures {
            minisign,
            sigstore: !minisign,
            provenance: false,
        }
    }

    /// Checks that they have signed a subject, and returns the signature.
    ///
    /// # Errors
    /// Why it is not shown that they have.
    pub fn verify(
        &self,
        subject: Subject<'_>,
        signatures: &Signatures,
    ) -> Result<Signature, SignatureError> {
        match &self.name {
            Name::Key(key) if key.pem().is_none() => {
                key.verify_minisign(subject, signatures.minisign.as_deref())
            }
            Name::Key(key) => {
                let by_cosign = subject
                    .manifest
                    .filter(|_| !signatures.cosign.is_empty())
                    .map(|manifest| key.verify_cosign(manifest, &signatures.cosign));
                match by_cosign {
                    Some(Ok(signature)) => Ok(signature),
                    Some(Err(error)) if signatures.bundles.is_empty() => Err(error),
                    _ => self.verify_bundles(subject, signatures),
                }
            }
            Name::Identity(_) => self.verify_bundles(subject, signatures),
        }
    }

    /// Returns the first of the bundles that shows it. The error is of the first that is a signature.
    fn verify_bundles(
        &self,
        subject: Subject<'_>,
        signatures: &Signatures,
    ) -> Result<Signature, SignatureError> {
        if signatures.bundles.is_empty() {
            return Err(missing(subject));
        }
        let root = TrustRoot::read(self.trust_root())?;
        let (mut of_signature, mut of_other) = (None, None);
        for text in &signatures.bundles {
            match self.verify_bundle(text, subject, &root) {
                Ok(signature) => return Ok(signature),
                Err((reason, true)) => _ = of_signature.get_or_insert(reason),
                Err((reason, false)) => _ = of_other.get_or_insert(reason),
            }
        }
        let reason = of_signature.or(of_other).unwrap_or_default();
        Err(match &self.name {
            Name::Key(key) => key.invalid(&reason),
            Name::Identity(identity) => SignatureError::Unproven {
                identity: identity.to_string(),
                reason,
            },
        })
    }

    /// Checks one bundle.
    ///
    /// # Errors
    /// What is wrong, and whether the bundle is a signature at all.
    fn verify_bundle(
        &self,
        text: &str,
        subject: Subject<'_>,
        root: &TrustRoot,
    ) -> Result<Signature, (String, bool)> {
        let key = match &self.name {
            Name::Key(key) => key.pem(),
            Name::Identity(_) => None,
        };
        let verified = bundle::verify(text, subject, key, root).map_err(|reason| (reason, true))?;
        bundle::check_is_signature(verified.statement.as_ref())
            .map_err(|reason| (reason, false))?;
        if let Name::Identity(wanted) = &self.name {
            let identity = verified.identity.as_deref().unwrap_or_default();
            let issuer = verified.issuer.as_deref().unwrap_or_default();
            if issuer != wanted.issuer || !pattern::covers(&wanted.identity, identity) {
                let reason = format!("it was signed by `{identity}` (issuer {issuer})");
                return Err((reason, true));
            }
        }
        Ok(Signature {
            bundle: Some(text.to_owned()),
            identity: verified.identity,
            ..Signature::default()
        })
    }
}

impl Signatures {
    /// Returns what their bundles say of the building, as far as it is shown: by the wanted signers, or
    /// by anyone that a trust root vouches for.
    pub(super) fn provenance(
        &self,
        subject: Subject<'_>,
        signers: &[&Signer],
        trust_root: Option<&Path>,
    ) -> Option<Provenance> {
        if self.bundles.is_empty() {
            return None;
        }
        let mut tried: Vec<(Option<&PublicKey>, Option<&Path>)> = Vec::new();
        for signer in signers {
            let key = match &signer.name {
                Name::Key(key) => Some(key),
                Name::Identity(_) => None,
            };
            tried.push((key, signer.trust_root()));
        }
        tried.push((None, trust_root));
        tried.into_iter().find_map(|(key, file)| {
            let root = TrustRoot::read(file).ok()?;
            self.bundles.iter().find_map(|text| {
                let key = key.and_then(PublicKey::pem);
                let verified = bundle::verify(text, subject, key, &root).ok()?;
                Provenance::of(&verified)
            })
        })
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, &self.trust_root) {
            (Name::Key(key), _) => key.fmt(formatter),
            (Name::Identity(identity), None) => identity.fmt(formatter),
            (Name::Identity(identity), Some(file)) => {
                write!(
                    formatter,
                    "{identity}, by the trust root {}",
                    file.display()
                )
            }
        }
    }
}

fn missing(subject: Subject<'_>) -> SignatureError {
    let wanted = match subject.manifest {
        Some(manifest) => format!(
            "a bundle of Sigstore that refers to its manifest, or the tag `{}`,",
            cosign_tag(manifest)
        ),
        None => "a file `.sigstore.json` next to it".to_owned(),
    };
    SignatureError::Missing { wanted }
}

#[cfg(test)]
#[path = "signature/tests.rs"]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
