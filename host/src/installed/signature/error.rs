//! Why a plugin counts as unsigned.

/// Why a plugin counts as unsigned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The key is malformed, or cannot be read.
    #[error("the key `{key}` cannot be used: {reason}")]
    Key {
        /// The key or its file.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// The file with authorities and logs cannot be used.
    #[error("the trust root `{file}` cannot be used: {reason}")]
    TrustRoot {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// No signature was found that could be checked.
    #[error("no signature found: {wanted} is missing")]
    Missing {
        /// What was looked for.
        wanted: String,
    },
    /// A key of this kind does not sign what comes from there.
    #[error("a key of {key} signs {signs}, and this comes from {place}")]
    OtherKind {
        /// `minisign` or `cosign`
        key: &'static str,
        /// What such keys sign.
        signs: &'static str,
        /// Where it comes from.
        place: &'static str,
    },
    /// A signature does not belong to key and content.
    #[error("the signature does not verify with key `{key}`: {reason}")]
    Invalid {
        /// The key.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// A bundle does not prove that the wanted identity has signed this.
    #[error("it is not shown that `{identity}` has signed it: {reason}")]
    Unproven {
        /// Who is wanted.
        identity: String,
        /// What is wrong; text from outside.
        reason: String,
    },
}
