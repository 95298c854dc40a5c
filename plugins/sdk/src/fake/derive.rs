//! Secrets made of secrets, natively.

use sha2::{Digest as _, Sha256};

use super::FakeSystem;
use super::system::bytes_of;
use crate::system::{Derive, Encoding, Part, Refusal, Secret};

/// What the host makes, and instead of a signature by a key its digest: `RS256 <hex>`, `ES256
/// <hex>`, of SHA-256 over the key and then the message.
impl Derive for FakeSystem {
    fn join(&self, parts: &[Part<'_>]) -> Result<Secret, Refusal> {
        let mut bytes = Vec::new();
        for part in parts {
            match part {
                Part::Text(text) => bytes.extend(text.as_bytes()),
                Part::Secret(secret, encoding) => write(&mut bytes, &bytes_of(secret), *encoding)?,
            }
        }
        Ok(Secret::new(bytes))
    }

    fn member(&self, document: &Secret, pointer: &str) -> Result<Option<Secret>, Refusal> {
        let json: serde_json::Value = serde_json::from_slice(&bytes_of(document))
            .map_err(|_| Refusal::Invalid("the secret is not JSON".to_owned()))?;
        Ok(super::exchange::text_at(&json, pointer))
    }

    fn sha256(&self, message: &Secret) -> Result<Secret, Refusal> {
        Ok(Secret::new(Sha256::digest(bytes_of(message)).to_vec()))
    }

    fn hmac_sha256(&self, key: &Secret, message: &Secret) -> Result<Secret, Refusal> {
        Ok(Secret::new(hmac(&bytes_of(key), &bytes_of(message))))
    }

    fn rs256(&self, key: &Secret, message: &Secret) -> Result<Secret, Refusal> {
        signed("RS256", key, message)
    }

    fn es256(&self, key: &Secret, message: &Secret) -> Result<Secret, Refusal> {
        signed("ES256", key, message)
    }
}

fn signed(algorithm: &str, key: &Secret, message: &Secret) -> Result<Secret, Refusal> {
    let digest = Sha256::digest([bytes_of(key), bytes_of(message)].concat());
    let mut text = format!("{algorithm} ").into_bytes();
    write(&mut text, &digest, Encoding::Hex)?;
    Ok(Secret::new(text))
}

/// Source: RFC 2104.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let padded = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::digest([&padded(0x36)[..], message].concat());
    Sha256::digest([&padded(0x5c)[..], &inner[..]].concat()).to_vec()
}

fn write(out: &mut Vec<u8>, bytes: &[u8], encoding: Encoding) -> Result<(), Refusal> {
    match encoding {
        Encoding::Plain => out.extend(bytes),
        Encoding::Json => {
            let text = std::str::from_utf8(bytes)
                .map_err(|_| Refusal::Invalid("the secret is not UTF-8".to_owned()))?;
            let quoted = serde_json::Value::from(text).to_string();
            out.extend(&quoted.as_bytes()[1..quoted.len() - 1]);
        }
        Encoding::Percent => {
            for &byte in bytes {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    out.push(byte);
                } else {
                    out.extend(format!("%{byte:02X}").into_bytes());
                }
            }
        }
        Encoding::Base64 => base64(out, bytes, *b"+/", true),
        Encoding::Base64Url => base64(out, bytes, *b"-_", false),
        Encoding::Hex => {
            for byte in bytes {
                out.extend(format!("{byte:02x}").into_bytes());
            }
        }
    }
    Ok(())
}

fn base64(out: &mut Vec<u8>, bytes: &[u8], last: [u8; 2], is_padded: bool) {
    let letters: Vec<u8> = (b'A'..=b'Z')
        .chain(b'a'..=b'z')
        .chain(b'0'..=b'9')
        .chain(last)
        .collect();
    for chunk in bytes.chunks(3) {
        let mut bits = [0; 4];
        bits[1..=chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes(bits);
        for at in 0..4 {
            if at <= chunk.len() {
                out.push(letters[(bits >> (18 - 6 * at)) as usize & 63]);
            } else if is_padded {
                out.push(b'=');
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_what_others_make() {
        let system = FakeSystem::new();
        let hex = |secret: &Secret| {
            let text = system.encoded(secret, Encoding::Hex).unwrap();
            String::from_utf8(bytes_of(&text)).unwrap()
        };
        // RFC 4231, case 2; RFC 4648 section 10.
        let tag = system.hmac_sha256(
            &Secret::new("Jefe"),
            &Secret::new("what do ya want for nothing?"),
        );
        assert_eq!(
            hex(&tag.unwrap()),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        for (text, written) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foob", "Zm9vYg=="),
        ] {
            let secret = Secret::new(text);
            let made = system.encoded(&secret, Encoding::Base64).unwrap();
            assert_eq!(bytes_of(&made), written.as_bytes());
            let made = system.encoded(&secret, Encoding::Base64Url).unwrap();
            assert_eq!(bytes_of(&made), written.trim_end_matches('=').as_bytes());
        }
        let made = system
            .encoded(&Secret::new("a \"~/"), Encoding::Percent)
            .unwrap();
        assert_eq!(bytes_of(&made), b"a%20%22~%2F");
    }
}
