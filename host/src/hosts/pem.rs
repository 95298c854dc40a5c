//! Certificates and keys that the user has named, in files.
//!
//! Owns what such a file must hold. Everything is tried here: what this file lets through, the TLS
//! library takes.

use std::fmt;
use std::path::PathBuf;

use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::sections::{Container, PemDamage, Sections};
use super::{HostsError, error};
use crate::crypto::certified;
use crate::fs;

/// How many damaged certificates of a file are told one by one.
const MAX_TOLD: usize = 3;

/// A file, and who named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedFile {
    /// The path of the file.
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

/// CA certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Roots {
    /// DER.
    pub(super) certificates: Vec<Vec<u8>>,
    /// What was skipped, and why, for people.
    pub(super) skipped: Vec<String>,
}

/// What is wrong with a file of certificates or keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// It has nothing in it.
    #[error("it is empty")]
    Empty,
    /// It has no certificate.
    #[error("it has no certificate, neither as PEM nor as DER")]
    NoCertificate,
    /// It has a key, and no certificate.
    #[error("it has a private key and no certificate")]
    KeyInstead,
    /// It is a list of certificates in another form.
    #[error("it is a bundle of PKCS #7, not a list of PEM certificates")]
    Pkcs7,
    /// It is a store of certificates and keys in another form.
    #[error("it is a store of PKCS #12, not PEM")]
    Pkcs12,
    /// It has no key.
    #[error("it has no private key")]
    NoKey,
    /// Its key cannot be read.
    #[error("its private key is damaged")]
    Key(#[source] PemDamage),
    /// Its key has a passphrase.
    #[error("its private key is encrypted with a passphrase")]
    EncryptedKey,
    /// One of its certificates is damaged.
    #[error("certificate {number} of it is damaged")]
    Certificate {
        /// Which, from 1.
        number: usize,
        /// What is wrong with the contents.
        #[source]
        source: PemDamage,
    },
    /// The key is of a kind that signs nothing here.
    #[error("its private key is of a kind that cannot be used")]
    KeyKind,
    /// The key is damaged, or belongs to another certificate.
    #[error("certificate and key cannot be used together")]
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

impl Roots {
    pub(super) fn extend(&mut self, other: Self) {
        self.certificates.extend(other.certificates);
        self.skipped.extend(other.skipped);
    }
}

/// Reads CA certificates. One that is damaged does not keep the others from being used.
pub(super) fn read_roots(file: &NamedFile) -> Result<Roots, HostsError> {
    let mut roots = Roots::default();
    let mut first = None;
    let mut damaged = 0;
    for (index, found) in found_in(file, &read(file)?)?.into_iter().enumerate() {
        let number = index + 1;
        match found {
            Ok(certificate) => roots.certificates.push(certificate.to_vec()),
            Err(source) => {
                damaged += 1;
                if damaged <= MAX_TOLD {
                    let of = error::inserted(&file.path, &file.named_by);
                    roots.skipped.push(format!(
                        "certificate {number} of {of} was skipped: {source}"
                    ));
                }
                first.get_or_insert(PemError::Certificate { number, source });
            }
        }
    }
    if damaged > MAX_TOLD {
        roots.skipped.push(format!(
            "{} more certificates of `{}` were skipped",
            damaged - MAX_TOLD,
            file.path.display()
        ));
    }
    match first {
        Some(problem) if roots.certificates.is_empty() => Err(file.broken(problem)),
        _ => Ok(roots),
    }
}

/// Reads a client certificate. Without a file for the key, the key is with the certificates.
pub(super) fn read_identity(
    cert: &NamedFile,
    key: Option<&NamedFile>,
) -> Result<ClientIdentity, HostsError> {
    let sections = read(cert)?;
    let mut certificates: Vec<CertificateDer<'static>> = Vec::new();
    for (index, found) in found_in(cert, &sections)?.into_iter().enumerate() {
        let number = index + 1;
        let certificate =
            found.map_err(|source| cert.broken(PemError::Certificate { number, source }))?;
        certificates.push(certificate);
    }
    let (key_file, key) = match key {
        Some(key) => (key, read_key(key, &read(key)?)?),
        None => (cert, read_key(cert, &sections)?),
    };
    certified(certificates.clone(), key.clone_key()).map_err(|source| {
        key_file.broken(match source {
            // That is all that is said of a key that cannot be read.
            rustls::Error::General(_) => PemError::KeyKind,
            source => PemError::Pair(source),
        })
    })?;
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

fn read(file: &NamedFile) -> Result<Sections, HostsError> {
    let bytes = fs::read(&file.path).map_err(|error| HostsError::Certificates {
        path: error.path,
        named_by: Box::new(file.named_by.clone()),
        source: error.source,
    })?;
    Ok(Sections::new(Zeroizing::new(bytes)))
}

/// Returns the certificates of a file, of which there has to be one.
fn found_in(
    file: &NamedFile,
    sections: &Sections,
) -> Result<Vec<Result<CertificateDer<'static>, PemDamage>>, HostsError> {
    let certificates = sections.certificates();
    if !certificates.is_empty() {
        return Ok(certificates);
    }
    Err(file.broken(if sections.is_empty() {
        PemError::Empty
    } else if sections.key().is_some() || sections.has_encrypted_key() {
        PemError::KeyInstead
    } else {
        match sections.container() {
            Some(Container::Pkcs7) => PemError::Pkcs7,
            Some(Container::Pkcs12) => PemError::Pkcs12,
            None => PemError::NoCertificate,
        }
    }))
}

fn read_key(file: &NamedFile, sections: &Sections) -> Result<PrivateKeyDer<'static>, HostsError> {
    if sections.has_encrypted_key() {
        return Err(file.broken(PemError::EncryptedKey));
    }
    match sections.key() {
        Some(Ok(key)) => Ok(key),
        Some(Err(damage)) => Err(file.broken(PemError::Key(damage))),
        None if sections.is_empty() => Err(file.broken(PemError::Empty)),
        None if sections.container() == Some(Container::Pkcs12) => {
            Err(file.broken(PemError::Pkcs12))
        }
        None => Err(file.broken(PemError::NoKey)),
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
mod tests;
