//! The cryptography of connections: that of ring, and P-521, which ring does not have and some
//! authorities issue.
//!
//! Owns what signatures are accepted from servers, and with which keys we can sign. Tokens are signed
//! in `sign`.

use std::sync::{Arc, OnceLock};

use p521::ecdsa::signature::Signer as _;
use p521::ecdsa::signature::hazmat::PrehashVerifier as _;
use p521::ecdsa::{Signature, VerifyingKey};
use p521::pkcs8::DecodePrivateKey as _;
use rustls::crypto::{CryptoProvider, KeyProvider, WebPkiSupportedAlgorithms, ring};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{Error, InconsistentKeys, SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, PrivateKeyDer,
    SignatureVerificationAlgorithm, alg_id,
};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

#[cfg(feature = "plugins")]
pub(crate) mod sign;
pub(crate) mod x509;

/// Returns the cryptography of all connections.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| {
        let ring = ring::default_provider();
        Arc::new(CryptoProvider {
            signature_verification_algorithms: with_p521(ring.signature_verification_algorithms),
            key_provider: &Keys,
            ..ring
        })
    }))
}

/// Returns a certificate and its key as they are shown to servers.
///
/// # Errors
/// [`Error`] where the key is of an unknown kind, or that of another certificate.
pub(crate) fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, Error> {
    let certified = CertifiedKey::new(chain, provider().key_provider.load_private_key(key)?);
    match certified.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        // One of version 1, as openssl makes them, is as good for a client, and is not read there.
        Err(Error::InvalidCertificate(error)) => {
            let of_key = certified.key.public_key().map(|key| key.to_vec());
            let of_certificate = x509::public_key(certified.end_entity_cert()?);
            match (of_key, of_certificate) {
                (Some(one), Some(other)) if one == other => Ok(certified),
                (_, Some(_)) => Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)),
                (_, None) => Err(Error::InvalidCertificate(error)),
            }
        }
        Err(error) => Err(error),
    }
}

/// Adds P-521 to what is accepted. Made once, so that it may stay for ever.
fn with_p521(ring: WebPkiSupportedAlgorithms) -> WebPkiSupportedAlgorithms {
    const OWN: [&dyn SignatureVerificationAlgorithm; 3] = [
        &P521Verifier {
            hash: Hash::Sha512,
            signature: alg_id::ECDSA_SHA512,
        },
        &P521Verifier {
            hash: Hash::Sha384,
            signature: alg_id::ECDSA_SHA384,
        },
        &P521Verifier {
            hash: Hash::Sha256,
            signature: alg_id::ECDSA_SHA256,
        },
    ];
    let all: Vec<_> = ring.all.iter().copied().chain(OWN).collect();
    let mapping: Vec<_> = ring
        .mapping
        .iter()
        .copied()
        .chain([(SignatureScheme::ECDSA_NISTP521_SHA512, &OWN[..1])])
        .collect();
    WebPkiSupportedAlgorithms {
        all: all.leak(),
        mapping: mapping.leak(),
    }
}

/// What a signature is made over.
#[derive(Clone, Copy, Debug)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// Checks signatures of P-521.
#[derive(Debug)]
struct P521Verifier {
    hash: Hash,
    signature: AlgorithmIdentifier,
}

impl SignatureVerificationAlgorithm for P521Verifier {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let key = VerifyingKey::from_sec1_bytes(public_key).map_err(|_| InvalidSignature)?;
        let signature = Signature::from_der(signature).map_err(|_| InvalidSignature)?;
        let verified = match self.hash {
            Hash::Sha256 => key.verify_prehash(&padded(&Sha256::digest(message)), &signature),
            Hash::Sha384 => key.verify_prehash(&padded(&Sha384::digest(message)), &signature),
            Hash::Sha512 => key.verify_prehash(&Sha512::digest(message), &signature),
        };
        verified.map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P521
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

/// Returns a digest with zeros before it: the number stays the same, and shorter ones than half of
/// the field are refused. Source: FIPS 186-5 section 6.4.2.
fn padded(digest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; Sha512::output_size().saturating_sub(digest.len())];
    bytes.extend_from_slice(digest);
    bytes
}

/// Reads the keys that ring can sign with, and those of P-521.
#[derive(Debug)]
struct Keys;

impl KeyProvider for Keys {
    fn load_private_key(&self, key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        let own = match &key {
            PrivateKeyDer::Pkcs8(der) => {
                p521::SecretKey::from_pkcs8_der(der.secret_pkcs8_der()).ok()
            }
            PrivateKeyDer::Sec1(der) => p521::SecretKey::from_sec1_der(der.secret_sec1_der()).ok(),
            _ => None,
        };
        match own {
            Some(secret) => Ok(Arc::new(P521Key(secret.into()))),
            None => ring::default_provider().key_provider.load_private_key(key),
        }
    }
}

/// A key that signs with P-521. Never prints itself.
#[derive(Clone)]
struct P521Key(p521::ecdsa::SigningKey);

impl std::fmt::Debug for P521Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("P521Key")
    }
}

impl SigningKey for P521Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered
            .contains(&self.scheme())
            .then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<rustls_pki_types::SubjectPublicKeyInfoDer<'_>> {
        let point = self.0.verifying_key().to_sec1_point(false);
        Some(rustls::sign::public_key_to_spki(&alg_id::ECDSA_P521, point))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for P521Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature: Signature = self.0.sign(message);
        Ok(signature.to_der().as_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP521_SHA512
    }
}
