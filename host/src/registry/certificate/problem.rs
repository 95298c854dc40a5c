//! What is wrong with the certificate of a server, in plain words.
//!
//! Owns the words, and which error of rustls and webpki means what. Checks nothing.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::{CertificateError, Error, OtherError};
use rustls_pki_types::{ServerName, UnixTime};

/// What is wrong with the certificate of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// No trusted authority has issued it, and it is not trusted itself.
    #[error("its certificate is not trusted: no trusted authority has issued it")]
    UnknownIssuer,
    /// It has issued itself, and is not trusted.
    #[error("its certificate is not trusted: it is self-signed")]
    SelfSigned,
    /// It is for other hosts.
    #[error("its certificate is for {}, not for the name `{wanted}`", listed(.names))]
    Name {
        /// The host that was asked.
        wanted: String,
        /// The hosts that it is for; untrusted text.
        names: Vec<String>,
    },
    /// It names no host where names count.
    #[error(
        "its certificate has no name of a host: it lacks a subject alternative name, and a common name does not count"
    )]
    NoName,
    /// It has the address that was asked as the name of a host.
    #[error("its certificate has `{wanted}` as the name of a host, and not as an address")]
    AddressAsName {
        /// The address that was asked.
        wanted: String,
    },
    /// No certificate of an authority is there to check it by.
    #[error("its certificate cannot be checked: this machine has no certificates of authorities")]
    NoAuthorities,
    /// Its key is too short.
    #[error("its certificate has a key of RSA that is shorter than 2048 bits")]
    ShortKey,
    /// It must not be used where a part of it is not understood.
    #[error("its certificate has a critical extension that is not known")]
    Extension,
    /// It has expired.
    #[error("its certificate expired on {since}")]
    Expired {
        /// The end of its time.
        since: String,
    },
    /// What it was issued by has expired.
    #[error("the certificate of the authority that issued its certificate expired on {since}")]
    AuthorityExpired {
        /// The end of its time.
        since: String,
    },
    /// It is not valid yet.
    #[error("its certificate is not valid before {from}, and this machine's clock says {now}")]
    NotYetValid {
        /// The beginning of its time.
        from: String,
        /// The time on this machine.
        now: String,
    },
    /// It has a form that has no names of hosts.
    #[error("its certificate has version 1 of X.509, which has no place for the name of a host")]
    Version,
    /// It is for something else than servers.
    #[error("its certificate is not meant for servers (extended key usage)")]
    Purpose,
    /// It was signed in a way that is not safe any more, or not known.
    #[error(
        "its certificate is signed in a way that is not accepted, such as SHA-1 or a short key"
    )]
    Algorithm,
    /// Its signature is not that of its issuer.
    #[error("its certificate, or its proof of having the key, has a wrong signature")]
    Signature,
    /// It is not one that can be read.
    #[error("its certificate is malformed")]
    Malformed,
    /// There is none.
    #[error("it shows no certificate")]
    Missing,
    /// Anything else.
    #[error("its certificate cannot be used")]
    Other,
}

impl CertificateProblem {
    /// Returns what is wrong with a certificate, if that is what an error is about.
    pub(in crate::registry) fn of(error: &Error) -> Option<Self> {
        let error = match error {
            Error::InvalidCertificate(error) => error,
            Error::NoCertificatesPresented => return Some(Self::Missing),
            Error::UnsupportedNameType => return Some(Self::Other),
            _ => return None,
        };
        Some(match error {
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
                Self::NoName
            }
            CertificateError::NotValidForNameContext {
                expected,
                presented,
            } => {
                let wanted = expected.to_str().into_owned();
                let names: Vec<String> = presented.iter().map(|name| bare(name)).collect();
                if matches!(expected, ServerName::IpAddress(_)) && names.contains(&wanted) {
                    Self::AddressAsName { wanted }
                } else {
                    Self::Name { wanted, names }
                }
            }
            CertificateError::NotValidForName => Self::NoName,
            CertificateError::ExpiredContext { not_after, .. } => Self::Expired {
                since: date(*not_after),
            },
            CertificateError::NotValidYetContext { time, not_before } => Self::NotYetValid {
                from: date(*not_before),
                now: date(*time),
            },
            CertificateError::BadSignature => Self::Signature,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::Purpose
            }
            CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                Self::Algorithm
            }
            CertificateError::BadEncoding => Self::Malformed,
            CertificateError::UnhandledCriticalExtension => Self::Extension,
            CertificateError::Other(OtherError(other)) => {
                match (other.downcast_ref::<Self>(), other.downcast_ref()) {
                    (Some(problem), _) => problem.clone(),
                    (_, Some(webpki::Error::CaUsedAsEndEntity)) => Self::SelfSigned,
                    (_, Some(webpki::Error::UnsupportedCertVersion)) => Self::Version,
                    (_, Some(webpki::Error::UnsupportedCriticalExtension)) => Self::Extension,
                    _ => Self::Other,
                }
            }
            _ => Self::Other,
        })
    }

    /// Returns that what it was issued by has expired.
    pub(super) fn authority_expired(since: UnixTime) -> Self {
        Self::AuthorityExpired { since: date(since) }
    }

    /// Returns the error by which rustls hears of it.
    pub(super) fn into_error(self) -> Error {
        CertificateError::Other(OtherError(Arc::new(self))).into()
    }
}

/// Returns a name as people write it: webpki gives `DnsName("a.example")`.
fn bare(name: &str) -> String {
    let inner = name
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"').to_owned()
}

fn listed(names: &[String]) -> String {
    /// As many as fit into a line.
    const SHOWN: usize = 5;
    let mut quoted: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    if names.len() > SHOWN {
        quoted.push(format!("{} more", names.len() - SHOWN));
    }
    quoted.join(", ")
}

fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(
        |_| "a day beyond the calendar".to_owned(),
        |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
    )
}
