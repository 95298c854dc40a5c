//! How secrets are written into requests: as they are, as JSON, for URLs, in base64.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::plugin::bindings::msb::plugin::derive::Encoding;

/// Adds bytes as they are written in an encoding. JSON takes bytes for UTF-8, which the caller has
/// seen to.
pub(super) fn write(out: &mut Vec<u8>, bytes: &[u8], encoding: Encoding) {
    const UPPER: &[u8; 16] = b"0123456789ABCDEF";
    const LOWER: &[u8; 16] = b"0123456789abcdef";
    let digits = |byte: u8, of: &[u8; 16]| [of[usize::from(byte >> 4)], of[usize::from(byte & 15)]];
    match encoding {
        Encoding::Plain => out.extend_from_slice(bytes),
        Encoding::Json => {
            for &byte in bytes {
                match byte {
                    b'"' | b'\\' => out.extend([b'\\', byte]),
                    b'\n' => out.extend(b"\\n"),
                    b'\r' => out.extend(b"\\r"),
                    b'\t' => out.extend(b"\\t"),
                    0..=0x1f => {
                        out.extend(b"\\u00");
                        out.extend(digits(byte, LOWER));
                    }
                    _ => out.push(byte),
                }
            }
        }
        Encoding::Percent => {
            for &byte in bytes {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    out.push(byte);
                } else {
                    out.push(b'%');
                    out.extend(digits(byte, UPPER));
                }
            }
        }
        Encoding::Base64 => out.extend(Zeroizing::new(STANDARD.encode(bytes)).as_bytes()),
        Encoding::Base64Url => {
            out.extend(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes)).as_bytes());
        }
        Encoding::Hex => {
            for &byte in bytes {
                out.extend(digits(byte, LOWER));
            }
        }
    }
}

/// Returns how many bytes [`write`] adds at most.
pub(super) fn length(bytes: usize, encoding: Encoding) -> usize {
    let times = match encoding {
        Encoding::Plain => 1,
        Encoding::Base64 | Encoding::Base64Url | Encoding::Hex => 2,
        Encoding::Percent => 3,
        Encoding::Json => 6,
    };
    // Base64 of few bytes has its padding.
    bytes.saturating_mul(times).saturating_add(4)
}
