//! Whether the certificate of a server is trusted.
//!
//! Owns the two ways to be trusted: a chain that ends at a trusted certificate, and being one of the
//! trusted certificates. The second is what a self-signed certificate and one whose authority is not
//! at hand have; webpki knows the first alone. Names and dates are checked in both. Sources: RFC 5280
//! section 6; RFC 9525. Why it is not is said in [`problem`].

mod problem;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

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

pub use self::problem::CertificateProblem;
use crate::crypto::x509;

/// The certificates that are trusted: those of the system, which `SSL_CERT_FILE` and `SSL_CERT_DIR`
/// replace, and those that the user has named.
pub(super) struct Trust {
    /// Those that the user has named.
    named: Vec<CertificateDer<'static>>,
    /// `None` if no certificate is trusted at all.
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

impl Trust {
    /// Returns the trust in the system's certificates and in `named`, DER. What of the system
    /// cannot be read is skipped, as all tools do. What says of itself that it may issue nothing
    /// is trusted for itself alone.
    pub(super) fn new(named: &[Vec<u8>], provider: Arc<CryptoProvider>) -> Result<Self, Error> {
        let named: Vec<_> = named.iter().cloned().map(CertificateDer::from).collect();
        let mut roots = System::get().roots.clone();
        roots.add_parsable_certificates(issuers(&named, UnixTime::now()));
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

    /// Returns when the time of the trusted certificate was over by which a chain ends, if that is all
    /// that keeps it from being trusted as far as names tell.
    fn expired_issuer(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Option<UnixTime> {
        let trusted = self.named.iter().chain(&System::get().certificates);
        let mut issuers = trusted.filter(|der| x509::may_issue(der));
        issuers.find_map(|der| {
            let since = expired(der, now)?;
            let mut issued = intermediates.iter().chain([end_entity]);
            issued
                .any(|issued| x509::has_name_of_issuer(der, issued))
                .then_some(since)
        })
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
            roots.add_parsable_certificates(issuers(&certificates, UnixTime::now()));
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
        // Of an authority, webpki does not ask what its key is for.
        let intermediates: Vec<_> = intermediates
            .iter()
            .filter(|der| x509::may_issue(der))
            .cloned()
            .collect();
        let chain = self.chain.as_ref().map_or_else(
            || Err(CertificateProblem::NoAuthorities.into_error()),
            |chain| {
                chain.verify_server_cert(
                    end_entity,
                    &intermediates,
                    server_name,
                    ocsp_response,
                    now,
                )
            },
        );
        match chain {
            Err(_) if self.has(end_entity) => self.verify_trusted(end_entity, server_name, now),
            Err(error)
                if (is_about_issuer(&error) || self.chain.is_none())
                    && let Some(since) = self.expired_issuer(end_entity, &intermediates, now) =>
            {
                Err(CertificateProblem::authority_expired(since).into_error())
            }
            // One of the trusted has the name of its issuer, and has not issued it.
            Err(error)
                if is_about_issuer(&error) || error == CertificateError::BadSignature.into() =>
            {
                let problem = if is_self_issued(end_entity) {
                    CertificateProblem::SelfSigned
                } else {
                    CertificateProblem::UnknownIssuer
                };
                Err(problem.into_error())
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

/// Returns those of some certificates that may issue others, and whose time is not over: webpki does not
/// look at the dates of what a chain ends at.
fn issuers<'a>(
    certificates: &'a [CertificateDer<'static>],
    now: UnixTime,
) -> impl Iterator<Item = CertificateDer<'static>> + 'a {
    let issuers = certificates.iter();
    issuers
        .filter(move |der| x509::may_issue(der) && expired(der, now).is_none())
        .cloned()
}

/// Returns when the time of a certificate was over, if it is.
fn expired(certificate: &CertificateDer<'_>, now: UnixTime) -> Option<UnixTime> {
    let end = x509::end(certificate).filter(|end| *end < now.as_secs())?;
    Some(UnixTime::since_unix_epoch(Duration::from_secs(end)))
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
            CertificateProblem::ShortKey.into_error()
        }
        error => error,
    }
}

fn is_self_issued(certificate: &CertificateDer<'_>) -> bool {
    webpki::EndEntityCert::try_from(certificate)
        .is_ok_and(|certificate| certificate.issuer() == certificate.subject())
}
