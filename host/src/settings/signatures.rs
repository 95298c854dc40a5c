//! `plugins.signatures`: whose signatures are wanted on what comes from where.
//!
//! Owns the shape of a policy. No file that it names is looked at here.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::plugins::PluginsProblem;
use super::shape::Object;

/// Characters of a minisign public key.
const MINISIGN_KEY: usize = 56;

/// What comes from a source must be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignaturePolicy {
    /// What the source begins with; `*` is every source.
    pub source: String,
    /// By whom.
    pub signer: SignerSource,
    /// The keys that lead to it in the file of settings.
    pub at: String,
}

/// Who must have signed, as the user names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerSource {
    /// A key or an identity.
    pub name: SignerName,
    /// The file with the authorities and logs of Sigstore to trust; `None` is its public instance.
    pub trust_root: Option<PathBuf>,
}

/// A key, or an identity that a certificate is issued for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignerName {
    /// A public key.
    Key(KeySource),
    /// Who Sigstore must have issued the certificate for.
    Identity(CertificateIdentity),
}

/// Who a certificate of Sigstore is issued for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateIdentity {
    /// An address of email or of a workflow. A `*` stands for any characters but `/` and `@`, and `**`
    /// for these as well.
    pub identity: String,
    /// Who has vouched for it: the address of the issuer of its token, as it is.
    pub issuer: String,
}

/// A public key as the user named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The text of the key.
    Text(String),
    /// The file that it is in.
    File(PathBuf),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignatureFile {
    source: String,
    key: Option<String>,
    identity: Option<String>,
    issuer: Option<String>,
    trust_root: Option<PathBuf>,
}

/// Reads the policies of a file, whose other `trust_root` holds for those that have none of their own.
///
/// # Errors
/// The key of what is wrong, and what is wrong with it.
pub(super) fn policies(
    policies: Vec<Object<SignatureFile>>,
    folder: &Path,
    trust_root: Option<&Path>,
) -> Result<Vec<SignaturePolicy>, (String, PluginsProblem)> {
    let policies = policies.into_iter().enumerate();
    policies
        .map(|(number, Object(policy))| {
            let at = format!("plugins.signatures[{number}]");
            policy.resolve(at, folder, trust_root)
        })
        .collect()
}

impl SignatureFile {
    fn resolve(
        self,
        at: String,
        folder: &Path,
        trust_root: Option<&Path>,
    ) -> Result<SignaturePolicy, (String, PluginsProblem)> {
        for (field, text) in [
            ("source", Some(&self.source)),
            ("key", self.key.as_ref()),
            ("identity", self.identity.as_ref()),
            ("issuer", self.issuer.as_ref()),
        ] {
            if text.is_some_and(|text| text.trim().is_empty()) {
                return Err((format!("{at}.{field}"), PluginsProblem::Empty));
            }
        }
        let name = match (self.key, self.identity, self.issuer) {
            (Some(key), None, None) => SignerName::Key(KeySource::parse(&key, folder)),
            (None, Some(identity), Some(issuer)) => {
                SignerName::Identity(CertificateIdentity { identity, issuer })
            }
            _ => return Err((at, PluginsProblem::NoSigner)),
        };
        let own = self.trust_root.map(|path| folder.join(path));
        Ok(SignaturePolicy {
            source: self.source,
            signer: SignerSource {
                name,
                trust_root: own.or_else(|| trust_root.map(Path::to_owned)),
            },
            at,
        })
    }
}

impl KeySource {
    /// Reads how somebody names a key: the base64 text of a minisign key, the PEM of another key, or
    /// else a file, relative to `directory`.
    pub fn parse(text: &str, directory: &Path) -> Self {
        let text = text.trim();
        let is_minisign = text.len() == MINISIGN_KEY && text.starts_with("RW");
        if is_minisign || text.starts_with("-----BEGIN") {
            return Self::Text(text.to_owned());
        }
        Self::File(directory.join(text))
    }
}

impl fmt::Display for CertificateIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (issuer {})", self.identity, self.issuer)
    }
}
