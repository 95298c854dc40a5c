//! Signatures of tokens: those of RFC 7518 that services ask for, with keys as their consoles give
//! them out.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use rustls::SignatureScheme;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;

/// Signs by RS256 with a private key in PEM, or says what is wrong with the key. No byte of it is
/// in the words.
pub(crate) fn rs256(pem: &[u8], message: &[u8]) -> Result<Vec<u8>, &'static str> {
    let key = private_key(pem)?;
    if matches!(key, PrivateKeyDer::Sec1(_)) {
        return Err(NO_RSA);
    }
    let key = super::provider().key_provider.load_private_key(key);
    let signer = key
        .map_err(|_| NO_RSA)?
        .choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])
        .ok_or(NO_RSA)?;
    signer.sign(message).map_err(|_| "the key cannot sign")
}

/// Signs by ES256 with a private key in PEM.
pub(crate) fn es256(pem: &[u8], message: &[u8]) -> Result<Vec<u8>, &'static str> {
    let PrivateKeyDer::Pkcs8(key) = private_key(pem)? else {
        return Err(NO_P256);
    };
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let key = EcdsaKeyPair::from_pkcs8(algorithm, key.secret_pkcs8_der(), &random);
    let signature = key.map_err(|_| NO_P256)?.sign(&random, message);
    Ok(signature
        .map_err(|_| "the key cannot sign")?
        .as_ref()
        .to_vec())
}

const NO_RSA: &str = "the key is not an RSA key of 2,048 to 4,096 bits";
const NO_P256: &str = "the key is not a P-256 key in PKCS #8";

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, &'static str> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| "the key is not a private key in PEM")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::process::{Command, Stdio};

    use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
        use std::io::Write as _;
        let mut child = Command::new("openssl")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        output.stdout
    }

    /// Returns the bit string at the end of a public key's document: the key as ring wants it.
    fn public(key: &[u8], length: usize) -> Vec<u8> {
        let document = openssl(&["pkey", "-pubout", "-outform", "DER"], key);
        document[document.len() - length..].to_vec()
    }

    #[test]
    fn tokens_are_signed_as_openssl_would_accept() {
        let rsa = openssl(&["genrsa", "2048"], b"");
        let old = openssl(&["rsa", "-traditional"], &rsa);
        assert!(old.starts_with(b"-----BEGIN RSA PRIVATE KEY"));
        let public_key = public(&rsa, 270);
        let of_rsa = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &public_key);
        for key in [&rsa, &old] {
            of_rsa
                .verify(b"claims", &rs256(key, b"claims").unwrap())
                .unwrap();
        }
        let group = [
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ];
        let curve = openssl(&group, b"");
        let signature = es256(&curve, b"claims").unwrap();
        assert_eq!(signature.len(), 64);
        let public_key = public(&curve, 65);
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &public_key)
            .verify(b"claims", &signature)
            .unwrap();
        let weak = openssl(&["genrsa", "1024"], b"");
        assert_eq!(rs256(&weak, b""), Err(NO_RSA));
        assert_eq!(rs256(&curve, b""), Err(NO_RSA));
        assert_eq!(es256(&rsa, b""), Err(NO_P256));
        assert!(rs256(b"secret", b"").unwrap_err().contains("PEM"));
    }
}
