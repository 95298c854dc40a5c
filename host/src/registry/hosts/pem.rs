//! Certificates and keys in files. Source: RFC 7468.
//!
//! Owns what such a file must hold. Everything is tried here: what this file lets through, the TLS
//! library takes.

use std::fmt;
use std::path::PathBuf;

use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::HostsError;

/// A file, and who named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// The file.
    pub path: PathBuf,
    /// Who named it.
    pub named_by: NamedBy,
}

/// Who named a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedBy {
    /// `--ca-certs`, or the caller of this crate.
    CommandLine,
    /// A key of the settings.
    Settings {
        /// The file of settings.
        file: PathBuf,
        /// The key.
        key: String,
    },
    /// It lies in a directory of certificates.
    CertsD,
}

/// A client certificate and its key.
#[derive(Clone)]
pub struct ClientIdentity {
    /// The certificates, DER.
    pub certificates: Vec<Vec<u8>>,
    /// The key.
    pub key: ClientKey,
}

/// A private key, DER. Never prints itself.
#[derive(Clone)]
pub struct ClientKey {
    der: Zeroizing<Vec<u8>>,
    label: &'static str,
}

/// What is wrong with a file of certificates or keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// It is not PEM.
    #[error("it is not PEM")]
    NotPem(#[source] pem::Error),
    /// It has nothing in it.
    #[error("it is empty")]
    Empty,
    /// It has no certificate.
    #[error("it has no PEM certificate")]
    NoCertificate,
    /// It has a key, and no certificate.
    #[error("it has a private key and no certificate")]
    KeyInstead,
    /// It has no key.
    #[error("it has no PEM private key")]
    NoKey,
    /// Its key has a passphrase.
    #[error("its private key is encrypted with a passphrase")]
    EncryptedKey,
    /// One of its certificates is none.
    #[error("certificate {number} of it is not valid")]
    Certificate {
        /// Which, from 1.
        number: usize,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The key is of an unknown kind, or belongs to another certificate.
    #[error("certificate and key are no pair that can be used")]
    Pair(#[source] rustls::Error),
}

impl fmt::Display for NamedBy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => formatter.write_str("--ca-certs"),
            Self::Settings { file, key } => write!(formatter, "`{key}` of `{}`", file.display()),
            Self::CertsD => formatter.write_str("certs.d"),
        }
    }
}

impl ClientKey {
    /// Returns the label that the key has in PEM.
    pub fn label(&self) -> &'static str {
        self.label
    }
}

impl AsRef<[u8]> for ClientKey {
    fn as_ref(&self) -> &[u8] {
        &self.der
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ClientKey")
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClientIdentity")
            .field("certificates", &self.certificates.len())
            .finish_non_exhaustive()
    }
}

/// Reads CA certificates.
pub(super) fn read_roots(file: &NamedFile) -> Result<Vec<Vec<u8>>, HostsError> {
    let certificates = read_certificates(file, &read(file)?)?;
    let mut store = RootCertStore::empty();
    for (index, certificate) in certificates.iter().enumerate() {
        store.add(certificate.clone()).map_err(|source| {
            let number = index + 1;
            file.broken(PemError::Certificate { number, source })
        })?;
    }
    Ok(owned(&certificates))
}

/// Reads a client certificate. Without a file for the key, the key is with the certificates.
pub(super) fn read_identity(
    cert: &NamedFile,
    key: Option<&NamedFile>,
) -> Result<ClientIdentity, HostsError> {
    let cert_bytes = read(cert)?;
    let certificates = read_certificates(cert, &cert_bytes)?;
    let (key_file, key) = match key {
        Some(key) => (key, read_key(key, &read(key)?)?),
        None => (cert, read_key(cert, &cert_bytes)?),
    };
    CertifiedKey::from_der(certificates.clone(), key.clone_key(), &default_provider())
        .map_err(|source| key_file.broken(PemError::Pair(source)))?;
    Ok(ClientIdentity {
        certificates: owned(&certificates),
        key: ClientKey {
            label: match &key {
                PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
                PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
                _ => "PRIVATE KEY",
            },
            der: Zeroizing::new(key.secret_der().to_vec()),
        },
    })
}

fn read(file: &NamedFile) -> Result<Zeroizing<Vec<u8>>, HostsError> {
    let bytes = std::fs::read(&file.path).map_err(|source| HostsError::Certificates {
        path: file.path.clone(),
        named_by: Box::new(file.named_by.clone()),
        source,
    })?;
    Ok(Zeroizing::new(bytes))
}

fn read_certificates(
    file: &NamedFile,
    bytes: &[u8],
) -> Result<Vec<CertificateDer<'static>>, HostsError> {
    let certificates = CertificateDer::pem_slice_iter(bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| file.broken(PemError::NotPem(source)))?;
    if !certificates.is_empty() {
        return Ok(certificates);
    }
    Err(file.broken(if bytes.trim_ascii().is_empty() {
        PemError::Empty
    } else if PrivateKeyDer::from_pem_slice(bytes).is_ok() {
        PemError::KeyInstead
    } else {
        PemError::NoCertificate
    }))
}

fn read_key(file: &NamedFile, bytes: &[u8]) -> Result<PrivateKeyDer<'static>, HostsError> {
    let is_encrypted = || {
        [&b"ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"]
            .iter()
            .any(|mark| bytes.windows(mark.len()).any(|window| window == *mark))
    };
    match PrivateKeyDer::from_pem_slice(bytes) {
        Ok(key) => Ok(key),
        Err(_) if bytes.trim_ascii().is_empty() => Err(file.broken(PemError::Empty)),
        Err(_) if is_encrypted() => Err(file.broken(PemError::EncryptedKey)),
        Err(pem::Error::NoItemsFound) => Err(file.broken(PemError::NoKey)),
        Err(source) => Err(file.broken(PemError::NotPem(source))),
    }
}

fn owned(certificates: &[CertificateDer<'_>]) -> Vec<Vec<u8>> {
    certificates.iter().map(|one| one.to_vec()).collect()
}

impl NamedFile {
    fn broken(&self, source: PemError) -> HostsError {
        HostsError::Pem {
            path: self.path.clone(),
            named_by: Box::new(self.named_by.clone()),
            source,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::registry::hosts::fixtures::{CERTIFICATE, ENCRYPTED_KEY, KEY, OTHER_KEY, SEC1_KEY};

    fn file(text: &str) -> (tempfile::NamedTempFile, NamedFile) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let named = NamedFile {
            path: file.path().to_owned(),
            named_by: NamedBy::CommandLine,
        };
        (file, named)
    }

    fn problem(error: HostsError) -> PemError {
        match error {
            HostsError::Pem { source, .. } => source,
            error => panic!("{error:?}"),
        }
    }

    fn roots_problem(text: &str) -> PemError {
        problem(read_roots(&file(text).1).unwrap_err())
    }

    #[test]
    fn a_file_may_have_many_ca_certificates_and_text_between_them() {
        let (_kept, named) = file(&format!("# first\n{CERTIFICATE}\nsecond\n{CERTIFICATE}"));
        assert_eq!(read_roots(&named).unwrap().len(), 2);
    }

    #[test]
    fn a_file_that_has_no_certificate_says_what_it_has_instead() {
        assert!(matches!(roots_problem(" \n"), PemError::Empty));
        assert!(matches!(roots_problem(KEY), PemError::KeyInstead));
        assert!(matches!(roots_problem("\0\x01"), PemError::NoCertificate));
        let cut = &CERTIFICATE[..200];
        assert!(matches!(roots_problem(cut), PemError::NotPem(_)));
    }

    #[test]
    fn a_certificate_that_is_none_is_named_by_its_number() {
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let found = roots_problem(&format!("{CERTIFICATE}{garbage}"));
        assert!(matches!(found, PemError::Certificate { number: 2, .. }));
    }

    #[test]
    fn a_file_that_is_missing_is_named_with_who_named_it() {
        let error = read_roots(&NamedFile {
            path: "/nowhere/ca.pem".into(),
            named_by: NamedBy::Settings {
                file: "/c.json".into(),
                key: "registries.ca_certs".to_owned(),
            },
        });
        assert_eq!(
            error.unwrap_err().to_string(),
            "could not read `/nowhere/ca.pem`, which `registries.ca_certs` of `/c.json` names"
        );
    }

    #[test]
    fn a_key_lies_beside_its_certificate_or_in_the_same_file() {
        let (_cert, cert) = file(CERTIFICATE);
        for (text, label) in [(KEY, "PRIVATE KEY"), (SEC1_KEY, "EC PRIVATE KEY")] {
            let (_key, key) = file(text);
            let identity = read_identity(&cert, Some(&key)).unwrap();
            assert_eq!(identity.key.label(), label);
            let (_both, both) = file(&format!("{text}{CERTIFICATE}"));
            let same = read_identity(&both, None).unwrap();
            assert_eq!(same.key.as_ref(), identity.key.as_ref());
            assert_eq!(same.certificates, identity.certificates);
        }
    }

    #[test]
    fn a_key_that_cannot_be_used_is_an_error() {
        let (_cert, cert) = file(CERTIFICATE);
        let with = |text: &str| problem(read_identity(&cert, Some(&file(text).1)).unwrap_err());
        assert!(matches!(with(OTHER_KEY), PemError::Pair(_)));
        assert!(matches!(with(ENCRYPTED_KEY), PemError::EncryptedKey));
        assert!(matches!(with(CERTIFICATE), PemError::NoKey));
        assert!(matches!(with(""), PemError::Empty));
        let alone = problem(read_identity(&cert, None).unwrap_err());
        assert!(matches!(alone, PemError::NoKey));
    }

    #[test]
    fn a_key_is_never_printed() {
        let (_both, both) = file(&format!("{KEY}{CERTIFICATE}"));
        let identity = read_identity(&both, None).unwrap();
        let printed = format!("{identity:?} {:?}", identity.key);
        assert_eq!(printed, "ClientIdentity { certificates: 1, .. } ClientKey");
    }
}
