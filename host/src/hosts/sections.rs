//! The certificates and keys in a file, whatever a program or a copy has made of it.
//!
//! Owns the forms that are read: PEM, with a byte order mark before it or sections that follow each
//! other without a line end, and one certificate or key as DER. What is damaged in one section says
//! nothing of the others. Sources: RFC 7468; the labels that OpenSSL knows.

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

/// How a section begins, whatever it is called.
const BEGIN: &[u8] = b"-----BEGIN ";
/// Other names of a certificate, which OpenSSL writes and reads.
const LABELS: [&str; 2] = ["X509 CERTIFICATE", "TRUSTED CERTIFICATE"];

/// Why a section is not what it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PemDamage {
    /// The last line is missing.
    #[error("its last line, `-----END …-----`, is missing")]
    NoEnd,
    /// The first line is not one.
    #[error("its first line is malformed")]
    Begin,
    /// The lines between are not base64.
    #[error("it is not base64 between the first line and the last")]
    Base64,
    /// The bytes are not a certificate.
    #[error("it is not a certificate of X.509")]
    Certificate,
}

/// What a file is that has no certificate and no key to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    Pkcs7,
    Pkcs12,
}

/// The bytes of a file, to be read as PEM or DER.
pub(super) struct Sections {
    bytes: Zeroizing<Vec<u8>>,
}

impl Sections {
    pub(super) fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        let bytes = match bytes.as_slice() {
            [0xef, 0xbb, 0xbf, rest @ ..] => Zeroizing::new(rest.to_vec()),
            [0xff, 0xfe, rest @ ..] => from_utf16(rest, u16::from_le_bytes),
            [0xfe, 0xff, rest @ ..] => from_utf16(rest, u16::from_be_bytes),
            _ => bytes,
        };
        Self { bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.trim_ascii().is_empty()
    }

    /// Returns the certificates, in their order; the damage for one that cannot be read.
    pub(super) fn certificates(&self) -> Vec<Result<CertificateDer<'static>, PemDamage>> {
        let sections: Vec<_> = self.each().filter_map(certificate).collect();
        if !sections.is_empty() {
            return sections;
        }
        match element(&self.bytes) {
            Some(der) if is_certificate(der) => vec![Ok(der.to_vec().into())],
            _ => Vec::new(),
        }
    }

    /// Returns the first private key; the damage where there is one that cannot be read.
    pub(super) fn key(&self) -> Option<Result<PrivateKeyDer<'static>, PemDamage>> {
        let mut damage = None;
        for section in self.each().filter(|section| is_key(label(section))) {
            match PrivateKeyDer::from_pem_slice(section) {
                Ok(key) => return Some(Ok(key)),
                Err(pem::Error::NoItemsFound) => {}
                Err(error) => damage = damage.or(Some(Err(PemDamage::from(error)))),
            }
        }
        damage.or_else(|| {
            let key = PrivateKeyDer::try_from(self.bytes.as_slice()).ok()?;
            let is_other = is_certificate(&self.bytes) || self.container().is_some();
            (!is_other).then(|| Ok(key.clone_key()))
        })
    }

    /// Returns whether a key is there that has a passphrase.
    pub(super) fn has_encrypted_key(&self) -> bool {
        let mark = b"Proc-Type: 4,ENCRYPTED";
        self.each().any(|section| {
            label(section) == b"ENCRYPTED PRIVATE KEY"
                || section.windows(mark.len()).any(|window| window == mark)
        })
    }

    /// Returns what the file is instead of a list of certificates or keys, if that is known.
    pub(super) fn container(&self) -> Option<Container> {
        /// `pkcs7-signedData`, which a bundle without signatures is.
        const SIGNED_DATA: &[u8] = &[
            0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02,
        ];
        if self.each().any(|section| label(section) == b"PKCS7") {
            return Some(Container::Pkcs7);
        }
        let inner = content(&self.bytes)?;
        if inner.starts_with(SIGNED_DATA) {
            Some(Container::Pkcs7)
        } else {
            inner
                .starts_with(&[0x02, 0x01, 0x03])
                .then_some(Container::Pkcs12)
        }
    }

    /// Returns the sections, each from its first line to the first line of the next.
    fn each(&self) -> impl Iterator<Item = &[u8]> {
        let starts: Vec<usize> = self
            .bytes
            .windows(BEGIN.len())
            .enumerate()
            .filter_map(|(at, window)| (window == BEGIN).then_some(at))
            .collect();
        let ends: Vec<usize> = starts.iter().skip(1).copied().collect();
        let ends = ends.into_iter().chain([self.bytes.len()]);
        starts
            .into_iter()
            .zip(ends)
            .filter_map(|(start, end)| self.bytes.get(start..end))
    }
}

impl From<pem::Error> for PemDamage {
    fn from(error: pem::Error) -> Self {
        match error {
            pem::Error::MissingSectionEnd { .. } => Self::NoEnd,
            pem::Error::IllegalSectionStart { .. } => Self::Begin,
            _ => Self::Base64,
        }
    }
}

fn from_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Zeroizing<Vec<u8>> {
    let (pairs, _) = bytes.as_chunks::<2>();
    let characters = char::decode_utf16(pairs.iter().map(|pair| unit(*pair)));
    let text: String = characters
        .map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    Zeroizing::new(text.into_bytes())
}

/// Returns the certificate of a section; `None` where the section is something else.
fn certificate(section: &[u8]) -> Option<Result<CertificateDer<'static>, PemDamage>> {
    let other = LABELS.iter().find(|it| label(section) == it.as_bytes());
    let renamed = match other {
        Some(name) => String::from_utf8_lossy(section)
            .replace(name, "CERTIFICATE")
            .into_bytes(),
        None if label(section) == b"CERTIFICATE" => section.to_vec(),
        None => return None,
    };
    Some(
        CertificateDer::from_pem_slice(&renamed)
            .map_err(PemDamage::from)
            .and_then(|der| {
                // What OpenSSL trusts a certificate for comes after it.
                let der = if other.is_some() {
                    element(&der)
                } else {
                    Some(&*der)
                };
                let der = der.filter(|der| is_certificate(der));
                Ok(der.ok_or(PemDamage::Certificate)?.to_vec().into())
            }),
    )
}

/// Returns whether the bytes are a certificate, also one of version 1, which may be an authority.
fn is_certificate(der: &[u8]) -> bool {
    webpki::anchor_from_trusted_cert(&CertificateDer::from(der)).is_ok()
}

/// Returns what a section is called in its first line.
fn label(section: &[u8]) -> &[u8] {
    let rest = section.strip_prefix(BEGIN).unwrap_or_default();
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'-' | b'\n' | b'\r'));
    rest.get(..end.unwrap_or(rest.len())).unwrap_or_default()
}

fn is_key(label: &[u8]) -> bool {
    label.ends_with(b"PRIVATE KEY")
}

/// Returns the first element of DER that bytes begin with, if they begin with a sequence.
fn element(bytes: &[u8]) -> Option<&[u8]> {
    let inner = content(bytes)?;
    let head = inner.as_ptr() as usize - bytes.as_ptr() as usize;
    bytes.get(..head + inner.len())
}

/// Returns what is in the sequence that bytes begin with.
fn content(bytes: &[u8]) -> Option<&[u8]> {
    let (first, rest) = bytes.strip_prefix(&[0x30])?.split_first()?;
    let first = usize::from(*first);
    if first < 0x80 {
        return rest.get(..first);
    }
    // The number of digits of the length, of which four are more than any file has.
    let (digits, rest) = rest.split_at_checked(first - 0x80)?;
    if digits.len() > 4 {
        return None;
    }
    let length = digits
        .iter()
        .fold(0, |sum, digit| sum << 8 | usize::from(*digit));
    rest.get(..length)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::hosts::fixtures::{CERTIFICATE, KEY, SEC1_KEY};

    fn sections(bytes: impl Into<Vec<u8>>) -> Sections {
        Sections::new(Zeroizing::new(bytes.into()))
    }

    fn utf16(text: &str) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xfe];
        bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        bytes
    }

    fn der() -> Vec<u8> {
        CertificateDer::from_pem_slice(CERTIFICATE.as_bytes())
            .unwrap()
            .to_vec()
    }

    #[test]
    fn a_certificate_is_found_in_every_form_that_programs_write() {
        let x509 = CERTIFICATE.replace("CERTIFICATE", "X509 CERTIFICATE");
        for bytes in [
            CERTIFICATE.as_bytes().to_vec(),
            CERTIFICATE.replace('\n', "\r\n").into_bytes(),
            format!("\u{feff}{CERTIFICATE}").into_bytes(),
            utf16(CERTIFICATE),
            format!("{KEY}{CERTIFICATE}").into_bytes(),
            format!("Certificate:\n    Data: ...\n{CERTIFICATE}").into_bytes(),
            CERTIFICATE.trim_end().as_bytes().to_vec(),
            x509.into_bytes(),
            der(),
        ] {
            let found = sections(bytes).certificates();
            assert_eq!(found, [Ok(der().into())]);
        }
        // Files that were joined without a line end between them.
        let glued = format!("{}{CERTIFICATE}", CERTIFICATE.trim_end());
        assert_eq!(sections(glued).certificates().len(), 2);
    }

    #[test]
    fn damage_in_a_section_says_nothing_of_the_others() {
        let cut: String = CERTIFICATE.chars().take(200).collect();
        for (damaged, expected) in [
            (cut, PemDamage::NoEnd),
            (
                "-----BEGIN CERTIFICATE-----\n%%\n-----END CERTIFICATE-----\n".to_owned(),
                PemDamage::Base64,
            ),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
                PemDamage::Certificate,
            ),
        ] {
            let first = sections(format!("{damaged}\n{CERTIFICATE}")).certificates();
            assert_eq!(first, [Err(expected), Ok(der().into())]);
            let last = sections(format!("{CERTIFICATE}{damaged}")).certificates();
            assert_eq!(last, [Ok(der().into()), Err(expected)]);
        }
    }

    #[test]
    fn a_key_is_found_in_every_form_that_programs_write() {
        let parameters =
            "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
        let expected = PrivateKeyDer::from_pem_slice(SEC1_KEY.as_bytes()).unwrap();
        for bytes in [
            SEC1_KEY.as_bytes().to_vec(),
            SEC1_KEY.replace('\n', "\r\n").into_bytes(),
            format!("\u{feff}{SEC1_KEY}").into_bytes(),
            format!("{parameters}{SEC1_KEY}").into_bytes(),
            format!("{CERTIFICATE}{SEC1_KEY}").into_bytes(),
            utf16(SEC1_KEY),
            expected.secret_der().to_vec(),
        ] {
            assert_eq!(sections(bytes).key().unwrap().unwrap(), expected);
        }
        assert!(sections(CERTIFICATE).key().is_none());
        assert!(sections(der()).key().is_none());
    }

    #[test]
    fn other_containers_are_known() {
        let pem = "-----BEGIN PKCS7-----\nMAA=\n-----END PKCS7-----\n";
        assert_eq!(sections(pem).container(), Some(Container::Pkcs7));
        let pkcs12 = [0x30, 0x03, 0x02, 0x01, 0x03];
        assert_eq!(sections(pkcs12).container(), Some(Container::Pkcs12));
        for bytes in [&b""[..], b"\x30", b"\x30\x84\xff\xff\xff\xff", b"text"] {
            assert_eq!(sections(bytes).container(), None);
            assert!(sections(bytes).certificates().is_empty());
        }
    }
}
