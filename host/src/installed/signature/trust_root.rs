//! What vouches for identities and logs: the file `trusted_root.json` of Sigstore.
//!
//! Owns which file that is. The public instance's is part of msb, as of its release.

use std::path::Path;

use sigstore_verify::Verifier;
use sigstore_verify::trust_root::{SigstoreInstance, TrustedRoot};

use super::SignatureError;
use crate::fs;

/// The most bytes of such a file.
const MAX_FILE: usize = 4 << 20;

/// Authorities and logs that are trusted.
pub(super) struct TrustRoot {
    pub(super) verifier: Verifier,
    /// It names logs of signatures: then a certificate's must be in one.
    pub(super) has_logs: bool,
    /// It names logs of certificates: then each must be in one.
    pub(super) has_certificate_logs: bool,
}

impl TrustRoot {
    /// Reads a file, or takes the public instance of Sigstore.
    pub(super) fn read(file: Option<&Path>) -> Result<Self, SignatureError> {
        let error = |reason: String| SignatureError::TrustRoot {
            file: file.map_or_else(
                || "the trust root of Sigstore".to_owned(),
                |file| file.display().to_string(),
            ),
            reason,
        };
        let root = match file {
            None => SigstoreInstance::PublicGood
                .embedded_trusted_root()
                .map_err(|source| error(source.to_string()))?,
            Some(file) => {
                if fs::length(file).is_some_and(|length| length > MAX_FILE as u64) {
                    return Err(error(format!("it is larger than {MAX_FILE} bytes")));
                }
                let text = fs::read_text(file).map_err(|source| error(source.to_string()))?;
                TrustedRoot::from_json(&text).map_err(|source| error(source.to_string()))?
            }
        };
        Ok(Self {
            has_logs: !root.tlogs.is_empty(),
            has_certificate_logs: !root.ctlogs.is_empty(),
            verifier: Verifier::new(&root).map_err(|source| error(source.to_string()))?,
        })
    }
}
