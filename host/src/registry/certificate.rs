//! Whether the certificate of a server is trusted, and in plain words why it is not.
//!
//! Owns the two ways to be trusted: a chain that ends at a trusted certificate, and being one of the
//! trusted certificates. The second is what a self-signed certificate and one whose authority is not
//! at hand have; webpki knows the first alone. Names and dates are checked in both. Sources: RFC 5280
//! section 6; RFC 9525.

use std::fmt;
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor, verify_server_name,
};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::crypto::x509;

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
    /// It names no host in the endpoint where names count.
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
    /// Its time is over.
    #[error("its certificate expired on {since}")]
    Expired {
        /// The end of its time.
        since: String,
    },
    /// Its time has not begun.
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

/// The certificates that are trusted: those of the system, which `SSL_CERT_FILE` and `SSL_CERT_DIR`
/// replace, and those that the user has named.
pub(super) struct Trust {
    /// Those that the user has named.
    named: Vec<CertificateDer<'static>>,
    /// None where no certificate is trusted at all.
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

/// The certificates of the system.
struct System {
    certificates: Vec<CertificateDer<'static>>,
    /// Those of authorities among them.
    roots: RootCertStore,
}

/// Looks at no certificate. The handshake is still checked against the one that is shown.
pub(super) struct Unverified {
    pub(super) provider: Arc<CryptoProvider>,
}

impl CertificateProblem {
    /// Returns what is wrong with a certificate, where it is that what an error is about.
    pub(super) fn of(error: &Error) -> Option<Self> {
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
}

impl Trust {
    /// Returns the trust in the system's certificates and in `named`, DER. What of the system
    /// cannot be read is skipped, as all tools do. What says of itself that it may issue nothing
    /// is trusted for itself alone.
    pub(super) fn new(named: &[Vec<u8>], provider: Arc<CryptoProvider>) -> Result<Self, Error> {
        let named: Vec<_> = named.iter().cloned().map(CertificateDer::from).collect();
        let mut roots = System::get().roots.clone();
        roots.add_parsable_certificates(issuers(&named));
        let chain = (!roots.is_empty())
            .then(|| {
                WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
                    .build()
                    .map_err(|error| Error::General(error.to_string()))
            })
            .transpose()?;
        Ok(Self {
            named,
            chain,
            provider,
        })
    }

    /// Returns whether a certificate is trusted itself.
    fn has(&self, certificate: &CertificateDer<'_>) -> bool {
        let system = &System::get().certificates;
        self.named.iter().chain(system).any(|it| it == certificate)
    }

    /// Checks a certificate that is trusted itself: it needs no issuer, and name, dates and purpose
    /// like every other one.
    fn verify_trusted(
        &self,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        // Of a certificate without any issuer all is checked that does not depend on one.
        let checked = verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &RootCertStore::empty(),
            &[],
            now,
            self.provider.signature_verification_algorithms.all,
        );
        match checked {
            // The mark of an authority hides the purpose, which is looked at after it.
            Ok(()) | Err(Error::InvalidCertificate(_)) if !x509::is_for_servers(certificate) => {
                return Err(CertificateError::InvalidPurpose.into());
            }
            Ok(()) => {}
            Err(error) if is_about_issuer(&error) => {}
            Err(error) => return Err(error),
        }
        verify_server_name(&parsed, name)?;
        Ok(ServerCertVerified::assertion())
    }
}

impl System {
    /// Returns them as they were when they were first asked for: they are read once.
    fn get() -> &'static Self {
        static SYSTEM: OnceLock<System> = OnceLock::new();
        SYSTEM.get_or_init(|| {
            let certificates = rustls_native_certs::load_native_certs().certs;
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(issuers(&certificates));
            Self {
                certificates,
                roots,
            }
        })
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = self.chain.as_ref().map_or_else(
            || Err(problem(CertificateProblem::NoAuthorities)),
            |chain| {
                chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            },
        );
        match chain {
            Err(_) if self.has(end_entity) => self.verify_trusted(end_entity, server_name, now),
            // One of the trusted has the name of its issuer, and has not issued it.
            Err(error)
                if is_about_issuer(&error) || error == CertificateError::BadSignature.into() =>
            {
                Err(problem(if is_self_issued(end_entity) {
                    CertificateProblem::SelfSigned
                } else {
                    CertificateProblem::UnknownIssuer
                }))
            }
            chain => chain,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
            .map_err(|error| of_the_key(cert, error))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
            .map_err(|error| of_the_key(cert, error))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // A certificate of version 1 cannot be read here, and whose key it is was not asked.
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Trust")
            .field("named", &self.named.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Unverified {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Unverified")
    }
}

/// Returns those of some certificates that may issue others.
fn issuers<'a>(
    certificates: &'a [CertificateDer<'static>],
) -> impl Iterator<Item = CertificateDer<'static>> + 'a {
    let issuers = certificates.iter().filter(|der| x509::may_issue(der));
    issuers.cloned()
}

fn problem(problem: CertificateProblem) -> Error {
    CertificateError::Other(OtherError(Arc::new(problem))).into()
}

/// Returns whether an error says nothing of a certificate but that its issuer is not trusted. webpki
/// looks at dates first, then at the mark of an authority, and at issuers last.
fn is_about_issuer(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => true,
        Error::InvalidCertificate(CertificateError::Other(OtherError(other))) => {
            matches!(other.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
        }
        _ => false,
    }
}

/// Returns why a signature is not accepted: ring says the same of one that is wrong and of one by a
/// key that is too short.
fn of_the_key(certificate: &CertificateDer<'_>, error: Error) -> Error {
    match error {
        Error::InvalidCertificate(CertificateError::BadSignature)
            if x509::has_short_key(certificate) =>
        {
            problem(CertificateProblem::ShortKey)
        }
        error => error,
    }
}

fn is_self_issued(certificate: &CertificateDer<'_>) -> bool {
    webpki::EndEntityCert::try_from(certificate)
        .is_ok_and(|certificate| certificate.issuer() == certificate.subject())
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
