//! Certificates in DER, as far as Sigstore has them. Sources: X.690, RFC 5280, Fulcio's `oid-info.md`.

use std::fmt::Write as _;

const SEQUENCE: u8 = 0x30;
const OCTETS: u8 = 0x04;
/// ecdsa-with-SHA256.
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

/// What is signed of a certificate.
pub(super) struct Tbs {
    pub(super) issuer: Vec<u8>,
    pub(super) subject: Vec<u8>,
    pub(super) key: Vec<u8>,
    /// Seconds since 1970.
    pub(super) not_before: u64,
    /// Seconds since 1970.
    pub(super) not_after: u64,
    pub(super) extensions: Vec<Vec<u8>>,
}

impl Tbs {
    pub(super) fn encode(&self) -> Vec<u8> {
        let validity = [time(self.not_before), time(self.not_after)].concat();
        let extensions = value(SEQUENCE, &self.extensions.concat());
        let parts = [
            value(0xa0, &value(0x02, &[2])),
            value(0x02, &[0x5a, 0x17]),
            algorithm(),
            self.issuer.clone(),
            value(SEQUENCE, &validity),
            self.subject.clone(),
            self.key.clone(),
            value(0xa3, &extensions),
        ];
        value(SEQUENCE, &parts.concat())
    }
}

pub(super) fn certificate(tbs: &[u8], signature: &[u8]) -> Vec<u8> {
    let signature = value(0x03, &[&[0], signature].concat());
    value(SEQUENCE, &[tbs, &algorithm(), &signature].concat())
}

/// A public key, from its point.
pub(super) fn p256_key(point: &[u8]) -> Vec<u8> {
    let key = oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01]);
    let curve = oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]);
    let algorithm = value(SEQUENCE, &[key, curve].concat());
    let bits = value(0x03, &[&[0], point].concat());
    value(SEQUENCE, &[algorithm, bits].concat())
}

/// A name with a common name.
pub(super) fn name(common: &str) -> Vec<u8> {
    let pair = [oid(&[0x55, 0x04, 0x03]), value(0x0c, common.as_bytes())].concat();
    value(SEQUENCE, &value(0x31, &value(SEQUENCE, &pair)))
}

pub(super) fn no_name() -> Vec<u8> {
    value(SEQUENCE, &[])
}

/// It may issue certificates.
pub(super) fn authority() -> Vec<u8> {
    let is_authority = value(SEQUENCE, &value(0x01, &[0xff]));
    extension(&[0x55, 0x1d, 0x13], true, &is_authority)
}

/// Its key signs certificates.
pub(super) fn signs_certificates() -> Vec<u8> {
    extension(&[0x55, 0x1d, 0x0f], true, &value(0x03, &[1, 0x06]))
}

/// Its key signs code.
pub(super) fn signs_code() -> Vec<u8> {
    let code = oid(&[0x2b, 6, 1, 5, 5, 7, 3, 3]);
    extension(&[0x55, 0x1d, 0x25], false, &value(SEQUENCE, &code))
}

/// An address of email, or a URI.
pub(super) fn identity(text: &str) -> Vec<u8> {
    let tag = if text.contains("://") { 0x86 } else { 0x81 };
    let name = value(SEQUENCE, &value(tag, text.as_bytes()));
    extension(&[0x55, 0x1d, 0x11], true, &name)
}

/// Who has issued the token of the identity: 1.3.6.1.4.1.57264.1.8.
pub(super) fn token_issuer(text: &str) -> Vec<u8> {
    let id = [0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 8];
    extension(&id, false, &value(0x0c, text.as_bytes()))
}

/// The promises of logs of certificates: 1.3.6.1.4.1.11129.2.4.2.
pub(super) fn timestamps(timestamp: &[u8]) -> Vec<u8> {
    let length = |bytes: usize| u16::try_from(bytes).unwrap().to_be_bytes();
    let mut list = length(timestamp.len() + 2).to_vec();
    list.extend(length(timestamp.len()));
    list.extend(timestamp);
    let id = [0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 2];
    extension(&id, false, &value(OCTETS, &list))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn extension(id: &[u8], critical: bool, content: &[u8]) -> Vec<u8> {
    let mut parts = oid(id);
    if critical {
        parts.extend(value(0x01, &[0xff]));
    }
    parts.extend(value(OCTETS, content));
    value(SEQUENCE, &parts)
}

fn algorithm() -> Vec<u8> {
    value(SEQUENCE, &oid(ECDSA_SHA256))
}

fn oid(bytes: &[u8]) -> Vec<u8> {
    value(0x06, bytes)
}

fn time(seconds: u64) -> Vec<u8> {
    let time = jiff::Timestamp::from_second(i64::try_from(seconds).unwrap()).unwrap();
    // Two digits for the year until 2049, four from then on.
    let long = time.strftime("%Y%m%d%H%M%SZ").to_string();
    if long.as_str() < "2050" {
        value(0x17, &long.as_bytes()[2..])
    } else {
        value(0x18, long.as_bytes())
    }
}

fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut bytes = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => bytes.push(short),
        _ => {
            let long = u32::try_from(length).unwrap().to_be_bytes();
            let first = long.iter().position(|byte| *byte != 0).unwrap();
            bytes.push(0x80 | u8::try_from(long.len() - first).unwrap());
            bytes.extend(&long[first..]);
        }
    }
    bytes.extend(content);
    bytes
}
