//! Signatures that the settings want on what comes from a source.
//!
//! Owns the question whether a component is signed with a key of minisign. Fetches nothing.

use minisign_verify::{PublicKey, Signature};

use super::error::InstalledError;
use super::source::Source;
use crate::settings::{KeySource, PluginSettings, SignaturePolicy};

/// What is wanted of a source: the first policy whose source is its beginning.
pub(super) fn wanted<'a>(
    settings: &'a PluginSettings,
    source: &Source,
) -> Option<&'a SignaturePolicy> {
    settings
        .signatures
        .iter()
        .find(|policy| source.begins_with(&policy.source))
}

/// Checks a component against a signature file of minisign, and returns the key's text.
pub(super) fn check(
    policy: &SignaturePolicy,
    source: &Source,
    component: &[u8],
    signature: &str,
) -> Result<(), InstalledError> {
    let refused = |reason: String| InstalledError::Signature {
        source_name: source.to_string(),
        at: policy.at.clone(),
        reason,
    };
    let key = match &policy.key {
        KeySource::Text(text) => PublicKey::from_base64(text),
        KeySource::File(path) => {
            let text = std::fs::read_to_string(path).map_err(|source| InstalledError::Read {
                path: path.clone(),
                source,
            })?;
            PublicKey::decode(&text)
        }
    };
    let key = key.map_err(|error| refused(format!("the key is not one of minisign: {error}")))?;
    let signature = Signature::decode(signature)
        .map_err(|error| refused(format!("the signature is not one of minisign: {error}")))?;
    key.verify(component, &signature, false)
        .map_err(|error| refused(error.to_string()))
}

/// Returns the error of a source that has no signature at all.
pub(super) fn missing(policy: &SignaturePolicy, source: &Source, reason: &str) -> InstalledError {
    InstalledError::Signature {
        source_name: source.to_string(),
        at: policy.at.clone(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    // The example of the crate `minisign-verify`: a key, and its signature of `test`.
    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    const SIGNATURE: &str = "untrusted comment: signature from minisign secret key
RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=
trusted comment: timestamp:1633700835\tfile:test\tprehashed
wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==";

    fn check_of(component: &[u8], signature: &str) -> Result<(), InstalledError> {
        let policy = SignaturePolicy {
            source: "/".to_owned(),
            key: KeySource::Text(KEY.to_owned()),
            at: "plugins.signatures[0]".to_owned(),
        };
        let source = "/a/b.wasm".parse().unwrap();
        check(&policy, &source, component, signature)
    }

    #[test]
    fn only_what_the_key_has_signed_is_accepted() {
        check_of(b"test", SIGNATURE).unwrap();
        for (component, signature) in [
            (&b"test2"[..], SIGNATURE),
            (b"test", "nonsense"),
            (b"test", ""),
        ] {
            let error = check_of(component, signature).unwrap_err().to_string();
            assert!(error.contains("plugins.signatures[0]"), "{error}");
        }
    }
}
