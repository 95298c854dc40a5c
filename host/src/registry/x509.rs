//! What a certificate says of itself: whether it may issue others, what it is for, and how long its
//! key is.
//!
//! Owns the questions that the TLS library does not ask of a certificate that the user has named.
//! Of one that cannot be read all is left to that library. Source: RFC 5280 section 4.2.1.

use x509_cert::certificate::{Certificate, Version};
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage};

const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const ANY_PURPOSE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// Bytes of an RSA key of 2048 bits, at least.
const LONG_ENOUGH: usize = 256;

/// Returns whether a certificate may issue others. One of version 1 cannot say that it may not.
pub(super) fn may_issue(der: &[u8]) -> bool {
    let Some(certificate) = read(der) else {
        return true;
    };
    let inner = certificate.tbs_certificate();
    match inner.get_extension::<BasicConstraints>() {
        Ok(Some((_, constraints))) => constraints.ca,
        Ok(None) => inner.version() != Version::V3,
        Err(_) => true,
    }
}

/// Returns whether a certificate is for servers, or for anything.
pub(super) fn is_for_servers(der: &[u8]) -> bool {
    let Some(certificate) = read(der) else {
        return true;
    };
    match certificate
        .tbs_certificate()
        .get_extension::<ExtendedKeyUsage>()
    {
        Ok(Some((_, ExtendedKeyUsage(purposes)))) => purposes
            .iter()
            .any(|purpose| [SERVER_AUTH, ANY_PURPOSE].contains(purpose)),
        Ok(None) | Err(_) => true,
    }
}

/// Returns whether the key of a certificate is one of RSA with fewer bits than are accepted.
pub(super) fn has_short_key(der: &[u8]) -> bool {
    read(der).is_some_and(|certificate| {
        let key = certificate.tbs_certificate().subject_public_key_info();
        key.algorithm.oid == RSA && key.subject_public_key.raw_bytes().len() < LONG_ENOUGH
    })
}

/// Returns the public key of a certificate, DER.
pub(super) fn public_key(der: &[u8]) -> Option<Vec<u8>> {
    let certificate = read(der)?;
    let key = certificate.tbs_certificate().subject_public_key_info();
    key.to_der().ok()
}

fn read(der: &[u8]) -> Option<Certificate> {
    Certificate::from_der(der).ok()
}
