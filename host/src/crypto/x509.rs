//! What a certificate says of itself: whether it may issue others, what it is for, how long it is good,
//! and how long its key is.
//!
//! Owns the questions that the TLS library does not ask of a certificate that the user has named.
//! Of one that cannot be read all is left to that library. Source: RFC 5280 section 4.2.1.

use x509_cert::certificate::{Certificate, Version};
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier, UintRef};
use x509_cert::der::{self, Decode as _, Encode as _};
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};

const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const ANY_PURPOSE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// Bits of the modulus of an RSA key that is accepted, at least.
const LONG_ENOUGH: usize = 2048;

/// Returns whether a certificate may issue others: it is an authority, and nothing says that its key is
/// for other things. One of version 1 cannot say that it may not.
pub(crate) fn may_issue(der: &[u8]) -> bool {
    let Some(certificate) = read(der) else {
        return true;
    };
    let inner = certificate.tbs_certificate();
    if let Ok(Some((_, usage))) = inner.get_extension::<KeyUsage>()
        && !usage.key_cert_sign()
    {
        return false;
    }
    match inner.get_extension::<BasicConstraints>() {
        Ok(Some((_, constraints))) => constraints.ca,
        Ok(None) => inner.version() != Version::V3,
        Err(_) => true,
    }
}

/// Returns when the time of a certificate is over, in seconds since 1970.
pub(crate) fn end(der: &[u8]) -> Option<u64> {
    let certificate = read(der)?;
    let validity = certificate.tbs_certificate().validity();
    Some(validity.not_after.to_unix_duration().as_secs())
}

/// Returns whether a certificate has the name that another has for its issuer.
pub(crate) fn has_name_of_issuer(der: &[u8], issued: &[u8]) -> bool {
    let (Some(certificate), Some(issued)) = (read(der), read(issued)) else {
        return false;
    };
    certificate.tbs_certificate().subject() == issued.tbs_certificate().issuer()
}

/// Returns whether a certificate is for servers, or for anything.
pub(crate) fn is_for_servers(der: &[u8]) -> bool {
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
pub(crate) fn has_short_key(der: &[u8]) -> bool {
    read(der).is_some_and(|certificate| {
        let key = certificate.tbs_certificate().subject_public_key_info();
        let bits = rsa_bits(key.subject_public_key.raw_bytes());
        key.algorithm.oid == RSA && bits.is_some_and(|bits| bits < LONG_ENOUGH)
    })
}

/// Returns the bits of the modulus of an RSA key. Source: RFC 8017 appendix A.1.1.
fn rsa_bits(key: &[u8]) -> Option<usize> {
    let modulus = AnyRef::from_der(key).ok()?.sequence(|reader| {
        let modulus = UintRef::decode(reader)?;
        UintRef::decode(reader)?;
        Ok::<_, der::Error>(modulus)
    });
    let modulus = modulus.ok()?.as_bytes();
    let zeros = modulus.first()?.leading_zeros() as usize;
    Some(modulus.len() * 8 - zeros)
}

/// Returns the public key of a certificate, DER.
pub(crate) fn public_key(der: &[u8]) -> Option<Vec<u8>> {
    let certificate = read(der)?;
    let key = certificate.tbs_certificate().subject_public_key_info();
    key.to_der().ok()
}

fn read(der: &[u8]) -> Option<Certificate> {
    Certificate::from_der(der).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an RSA key, DER: a modulus of these bits, and 65537.
    fn key(bits: usize) -> Vec<u8> {
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        match bits % 8 {
            // The highest bit would make it negative.
            0 => modulus.insert(0, 0),
            rest => modulus[0] = 0xff >> (8 - rest),
        }
        let number = |bytes: &[u8]| {
            let [high, low] = u16::try_from(bytes.len()).unwrap_or_default().to_be_bytes();
            let head: &[u8] = match high {
                0 if low < 128 => &[2, low],
                0 => &[2, 0x81, low],
                _ => &[2, 0x82, high, low],
            };
            [head, bytes].concat()
        };
        let content = [number(&modulus), number(&[1, 0, 1])].concat();
        let [high, low] = u16::try_from(content.len())
            .unwrap_or_default()
            .to_be_bytes();
        let head: &[u8] = match high {
            0 => &[0x30, 0x81, low],
            _ => &[0x30, 0x82, high, low],
        };
        [head, &content].concat()
    }

    #[test]
    fn the_length_of_a_key_is_that_of_its_modulus() {
        for bits in [1024, 1984, 2047, 2048, 3072] {
            assert_eq!(rsa_bits(&key(bits)), Some(bits));
        }
        assert_eq!(rsa_bits(b"x"), None);
    }
}
