//! The cryptography that `sigstore-verify` asks for, by `ring`, which all else of msb uses.
//!
//! Owns the signatures that are understood. What a signature has to be of is decided elsewhere.

use std::cell::RefCell;
use std::sync::Arc;

use ring::{digest, signature as algorithms};
use sigstore_verify::crypto::{
    CryptoProvider, Error, HashContext, SigningScheme, install_default_provider,
};
use sigstore_verify::types::HashAlgorithm;

type Result<T> = std::result::Result<T, Error>;

thread_local! {
    /// What is being verified on this thread: `ring` takes a message whole, and is handed a digest.
    static MESSAGE: RefCell<Option<Arc<[u8]>>> = const { RefCell::new(None) };
}

#[derive(Debug)]
struct Ring;

struct Hashing(digest::Context);

/// Verifies with a message at hand for signatures that are made over its digest.
pub(super) fn with<T>(message: Option<&[u8]>, verify: impl FnOnce() -> T) -> T {
    // Another that a program has installed before does the same.
    let _ = install_default_provider(&Ring);
    let before = MESSAGE.with(|held| held.replace(message.map(Arc::from)));
    let answer = verify();
    MESSAGE.with(|held| held.replace(before));
    answer
}

impl HashContext for Hashing {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn finalize(self: Box<Self>) -> Vec<u8> {
        self.0.finish().as_ref().to_vec()
    }
}

impl CryptoProvider for Ring {
    fn hash(&self, algorithm: HashAlgorithm) -> Result<Box<dyn HashContext>> {
        let context = digest::Context::new(hash(algorithm)?);
        Ok(Box::new(Hashing(context)))
    }

    fn verify_raw(
        &self,
        scheme: SigningScheme,
        spki_pubkey_bytes: &[u8],
        data: &[u8],
        signature: &[u8],
    ) -> Result<()> {
        let algorithm = algorithm(scheme)?;
        algorithms::UnparsedPublicKey::new(algorithm, spki_pubkey_bytes)
            .verify(data, signature)
            .map_err(|_| {
                Error::Verification("another key has made it, or it was changed".to_owned())
            })
    }

    fn verify_prehashed(
        &self,
        scheme: SigningScheme,
        spki_pubkey_bytes: &[u8],
        digest: &[u8],
        signature: &[u8],
    ) -> Result<()> {
        let message = MESSAGE.with(|held| held.borrow().clone());
        let of = scheme.hash_algorithm().unwrap_or(HashAlgorithm::Sha2256);
        match message {
            Some(message) if digest::digest(hash(of)?, &message).as_ref() == digest => {
                self.verify_raw(scheme, spki_pubkey_bytes, &message, signature)
            }
            _ => Err(Error::Verification(
                "it is a signature over bytes that are not at hand".to_owned(),
            )),
        }
    }
}

fn hash(algorithm: HashAlgorithm) -> Result<&'static digest::Algorithm> {
    match algorithm {
        HashAlgorithm::Sha2256 => Ok(&digest::SHA256),
        HashAlgorithm::Sha2384 => Ok(&digest::SHA384),
        HashAlgorithm::Sha2512 => Ok(&digest::SHA512),
        other => Err(Error::UnsupportedAlgorithm(format!("digests of {other}"))),
    }
}

fn algorithm(scheme: SigningScheme) -> Result<&'static dyn algorithms::VerificationAlgorithm> {
    Ok(match scheme {
        SigningScheme::EcdsaP256Sha256 => &algorithms::ECDSA_P256_SHA256_ASN1,
        SigningScheme::EcdsaP256Sha384 => &algorithms::ECDSA_P256_SHA384_ASN1,
        SigningScheme::EcdsaP384Sha256 => &algorithms::ECDSA_P384_SHA256_ASN1,
        SigningScheme::EcdsaP384Sha384 => &algorithms::ECDSA_P384_SHA384_ASN1,
        SigningScheme::Ed25519 => &algorithms::ED25519,
        SigningScheme::RsaPssSha256 => &algorithms::RSA_PSS_2048_8192_SHA256,
        SigningScheme::RsaPssSha384 => &algorithms::RSA_PSS_2048_8192_SHA384,
        SigningScheme::RsaPssSha512 => &algorithms::RSA_PSS_2048_8192_SHA512,
        SigningScheme::RsaPkcs1Sha256 => &algorithms::RSA_PKCS1_2048_8192_SHA256,
        SigningScheme::RsaPkcs1Sha384 => &algorithms::RSA_PKCS1_2048_8192_SHA384,
        SigningScheme::RsaPkcs1Sha512 => &algorithms::RSA_PKCS1_2048_8192_SHA512,
        other => return Err(Error::UnsupportedAlgorithm(other.name().to_owned())),
    })
}
