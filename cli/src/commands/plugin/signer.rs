//! Who must have signed a plugin, as options of a command.

use std::path::{Path, PathBuf};

use msb_host::plugin::shell_word;
use msb_host::settings::{CertificateIdentity, KeySource, SignerName, SignerSource};

/// Who must have signed what is fetched.
#[derive(Debug, clap::Args)]
pub(super) struct SignerArgs {
    /// It must be signed with this key: of minisign, or in PEM as cosign has it; or the one in this file.
    #[arg(long, value_name = "KEY", group = "signed_by")]
    pub(super) key: Option<String>,
    /// It must be signed by this identity, with a certificate of Sigstore: an email address or the URI of a
    /// workflow, with `*` for any characters but `/` and `@`.
    #[arg(long, requires = "issuer", group = "signed_by")]
    pub(super) identity: Option<String>,
    /// Who must have vouched for the identity: the URL of the issuer of its token.
    #[arg(long, value_name = "URL", requires = "identity")]
    pub(super) issuer: Option<String>,
    /// The authorities and logs of Sigstore to trust, instead of its public instance.
    #[arg(long, value_name = "FILE", requires = "signed_by")]
    pub(super) trust_root: Option<PathBuf>,
}

impl SignerArgs {
    /// Returns who must have signed.
    pub(super) fn source(&self) -> Option<SignerSource> {
        let name = match (&self.key, &self.identity, &self.issuer) {
            (Some(key), ..) => SignerName::Key(KeySource::parse(key, Path::new("."))),
            (None, Some(identity), Some(issuer)) => SignerName::Identity(CertificateIdentity {
                identity: identity.clone(),
                issuer: issuer.clone(),
            }),
            _ => return None,
        };
        let trust_root = self.trust_root.as_ref();
        Some(SignerSource {
            name,
            trust_root: trust_root.map(|file| std::path::absolute(file).unwrap_or(file.clone())),
        })
    }

    /// Returns the options as they were given.
    pub(super) fn options(&self) -> String {
        let trust_root = self.trust_root.as_ref();
        let trust_root = trust_root.map(|file| file.to_string_lossy().into_owned());
        let named = [
            ("--key", &self.key),
            ("--identity", &self.identity),
            ("--issuer", &self.issuer),
            ("--trust-root", &trust_root),
        ];
        let mut options = String::new();
        for (name, value) in named {
            if let Some(value) = value {
                options.extend([" ", name, " ", &shell_word(value)]);
            }
        }
        options
    }
}
