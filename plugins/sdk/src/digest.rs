//! Digests as plugins need them: their shape, and SHA-256 of small documents.

use sha2::{Digest as _, Sha256};

/// Returns `sha256:<hex>` of some bytes.
pub fn sha256(bytes: &[u8]) -> String {
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(bytes) {
        for half in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(half), 16));
        }
    }
    text
}

/// Tells whether a text has the shape of a digest, `<algorithm>:<encoded>`, as the OCI image
/// specification (`descriptor.md`, "Digests") defines it. Such a text holds no `/` and neither of
/// its parts is `.` or `..`, so it is safe in a path.
pub fn is_digest(text: &str) -> bool {
    let Some((algorithm, encoded)) = text.split_once(':') else {
        return false;
    };
    let is_component = |component: &str| {
        !component.is_empty()
            && component
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    algorithm.split(['+', '.', '_', '-']).all(is_component)
        && !encoded.is_empty()
        && encoded
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'=' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_nothing_is_the_well_known_one() {
        assert_eq!(
            sha256(b""),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn digests_have_an_algorithm_and_a_value_that_are_safe_in_paths() {
        for text in [
            "sha256:ab",
            "sha512:0",
            "blake3:A_-=",
            "multihash+base58:Qm",
        ] {
            assert!(is_digest(text), "{text}");
        }
        for text in [
            "",
            "sha256",
            "sha256:",
            ":ab",
            "..:ab",
            "sha256:..",
            "sha256:a/b",
            "a/b:c",
            "SHA256:ab",
        ] {
            assert!(!is_digest(text), "{text}");
        }
    }
}
