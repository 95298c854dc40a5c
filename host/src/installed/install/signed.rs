//! Who must have signed what is installed, and the search for one of them among the signatures.

use super::{InstallRequest, Installer, Purpose};
use crate::installed::error::InstalledError;
use crate::installed::fetch::Fetched;
use crate::installed::locked_plugin::LockedPlugin;
use crate::installed::signature::{Signature, SignatureError, Signer, WantedSignatures};
use crate::installed::source::Source;
use crate::settings::SignerSource;

impl Installer<'_> {
    /// Returns those of whom one each must have signed.
    pub(super) fn signers(
        &self,
        source: &Source,
        request: &InstallRequest,
        previous: Option<&LockedPlugin>,
    ) -> Result<Vec<Vec<Signer>>, InstalledError> {
        let mut groups = Vec::new();
        let policies = self.settings.plugins.signatures.iter();
        let policy = policies
            .filter(|policy| source.begins_with(&policy.source))
            .map(|policy| Signer::read(&policy.signer))
            .collect::<Result<Vec<_>, _>>()?;
        if !policy.is_empty() {
            groups.push(policy);
        }
        let wanted = self.settings.system.signers(source)?;
        if !wanted.is_empty() {
            groups.push(wanted);
        }
        if let Some(signer) = &request.signer {
            let trust_root = self.settings.plugins.trust_root.as_ref();
            let trust_root = signer.trust_root.as_ref().or(trust_root);
            groups.push(vec![Signer::read(&SignerSource {
                name: signer.name.clone(),
                trust_root: trust_root.cloned(),
            })?]);
        } else if let Some(previous) = previous
            && (groups.is_empty() || previous.key_pinned)
            && let Some(signer) = Signer::of_locked(previous)?
        {
            groups.push(vec![signer]);
        }
        Ok(groups)
    }
}

/// Returns the signatures to look for, when one of each group must have signed.
pub(super) fn wanted(groups: &[Vec<Signer>], purpose: Purpose) -> WantedSignatures {
    let mut wanted = WantedSignatures {
        provenance: purpose == Purpose::Inspect,
        ..WantedSignatures::default()
    };
    for signer in groups.iter().flatten() {
        wanted.minisign |= signer.wants().minisign;
        wanted.sigstore |= signer.wants().sigstore;
    }
    wanted
}

/// Returns the first of a group that has signed what was fetched.
pub(super) fn signed<'k>(
    signers: &'k [Signer],
    fetched: &Fetched,
    source: &str,
) -> Result<(&'k Signer, Signature), InstalledError> {
    let mut last = None;
    for signer in signers {
        match signer.verify(fetched.subject(), &fetched.signatures) {
            Ok(signature) => return Ok((signer, signature)),
            Err(error) => last = Some(error),
        }
    }
    let missing = SignatureError::Missing {
        wanted: "a key".to_owned(),
    };
    Err(InstalledError::Signature {
        place: source.to_owned(),
        source: last.unwrap_or(missing),
    })
}
