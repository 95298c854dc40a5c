//! A plugin that may be installed: what it is, what it asks for, and what of that is new.

use std::path::Path;
use std::sync::Arc;

use super::consent::Increase;
use super::error::InstalledError;
use super::locked_plugin::{LockedKind, LockedLimits, LockedPlugin, LockedSigner, RequestedGrant};
use super::signature::{Provenance, Signature, Signer};
use crate::digest::Digest;
use crate::home::Home;
use crate::plugin::{Capability, Grant, Inspection};
use crate::store;

/// A plugin that may be installed.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// What it will be called.
    pub name: String,
    /// Where it is from.
    pub source: String,
    /// What it is.
    pub inspection: Inspection,
    /// The version that it or its artifact states. Untrusted text.
    pub version: Option<String>,
    /// The digest of its manifest.
    pub manifest: Option<Digest>,
    /// Who has signed it; the first is the one that updates are compared with.
    pub signers: Vec<(Signer, Signature)>,
    /// Where it was built, as far as that is shown.
    pub provenance: Option<Provenance>,
    /// What it asks for.
    pub asks: Vec<RequestedGrant>,
    /// What of it the user has not been asked about.
    pub news: Vec<RequestedGrant>,
    /// What else is more than the user has agreed to.
    pub increases: Vec<Increase>,
    /// The plugin of msb whose place it takes.
    pub replaces: Option<String>,
    /// How much it may use.
    pub limits: LockedLimits,
    /// What is installed under its name.
    pub previous: Option<LockedPlugin>,
    pub(super) key_pinned: bool,
    pub(super) range: Option<String>,
    /// Nothing of the lock may change with it.
    pub(super) locked: bool,
    pub(super) component: Arc<[u8]>,
}

impl Candidate {
    /// Returns whether these very bytes are installed.
    pub fn is_installed(&self) -> bool {
        let digest = &self.inspection.digest;
        let previous = self.previous.as_ref();
        previous.is_some_and(|previous| previous.sha256 == *digest)
    }

    /// Returns what it is and does, as the lock has it.
    pub fn kind(&self) -> LockedKind {
        LockedKind::of(&self.inspection.kind)
    }

    /// Returns whether it is at another source from now on, or follows another range of versions.
    pub fn moves(&self) -> bool {
        let previous = self.previous.as_ref();
        previous.is_some_and(|before| before.source != self.source || before.range != self.range)
    }

    /// Returns whether the user has agreed to all that it is and asks for.
    pub fn is_agreed(&self) -> bool {
        self.previous.is_some() && self.news.is_empty() && self.increases.is_empty()
    }

    /// Returns what it is granted when the user grants what is new and nothing else changes.
    pub fn agreed(&self) -> Vec<String> {
        let asks = self.asks.iter().map(|requested| requested.grant.clone());
        match &self.previous {
            None => asks.collect(),
            Some(previous) => {
                let mut grants = previous.grants.clone();
                for requested in &self.news {
                    if !grants.contains(&requested.grant) {
                        grants.push(requested.grant.clone());
                    }
                }
                grants
            }
        }
    }

    /// Checks permissions that the user gives, and returns them in canonical form.
    pub fn check_grants(&self, grants: &[String]) -> Result<Vec<String>, InstalledError> {
        grants
            .iter()
            .map(|text| usable(&self.name, text, &of_use(&self.inspection)))
            .collect()
    }
}

impl Candidate {
    /// Puts its bytes where those of installed plugins are.
    pub(super) fn write_component(&self, home: &Home) -> Result<(), InstalledError> {
        let path = super::component_path(home, &self.inspection.digest);
        Ok(store::write_atomically(&self.component, &path)?)
    }

    /// Returns the entry of the lock, which keeps what the user has chosen before.
    pub(super) fn locked(
        &self,
        grants: Vec<String>,
        before: Option<&LockedPlugin>,
    ) -> LockedPlugin {
        let mut signers = self.signers.iter().map(|(signer, signed)| LockedSigner {
            key: signer.key(),
            identity: signer.identity().cloned(),
            trust_root: signer.trust_root().map(Path::to_owned),
            signed: signed.clone(),
        });
        let signer = signers.next();
        LockedPlugin {
            name: self.name.clone(),
            enabled: before.is_none_or(|before| before.enabled),
            tier: before.and_then(|before| before.tier),
            source: self.source.clone(),
            range: self.range.clone(),
            version: self.version.clone(),
            sha256: self.inspection.digest.clone(),
            manifest: self.manifest.clone(),
            key: signer.as_ref().and_then(|it| it.key.clone()),
            key_pinned: self.key_pinned,
            identity: signer.as_ref().and_then(|it| it.identity.clone()),
            trust_root: signer.as_ref().and_then(|it| it.trust_root.clone()),
            signed: signer.map(|it| it.signed),
            also_signed: signers.collect(),
            provenance: self.provenance.clone(),
            api: self.inspection.api.clone(),
            imports: self.inspection.imports.clone(),
            asks: self.asks.clone(),
            grants,
            replaces: self.replaces.clone(),
            limits: Some(self.limits),
            kind: self.kind(),
            directory: None,
        }
    }
}

/// Returns what a plugin asks for: its needs that it can make use of, and what has no scope.
pub(super) fn asks(inspection: &Inspection) -> Vec<RequestedGrant> {
    let mut asks: Vec<RequestedGrant> = Vec::new();
    for need in &inspection.needs {
        let grant = need.grant.to_string();
        let is_of_use = of_use(inspection).contains(&need.grant.capability());
        if is_of_use && !asks.iter().any(|requested| requested.grant == grant) {
            asks.push(RequestedGrant {
                grant,
                reason: need.reason.clone(),
            });
        }
    }
    for capability in &inspection.capabilities {
        let grant = capability.to_string();
        if !capability.has_scope() && !asks.iter().any(|requested| requested.grant == grant) {
            asks.push(RequestedGrant {
                grant,
                reason: String::new(),
            });
        }
    }
    asks
}

pub(super) fn news(
    asks: &[RequestedGrant],
    previous: Option<&LockedPlugin>,
) -> Vec<RequestedGrant> {
    let known = |requested: &&RequestedGrant| {
        previous.is_some_and(|previous| {
            previous.grants.contains(&requested.grant)
                || previous.asks.iter().any(|old| old.grant == requested.grant)
        })
    };
    asks.iter()
        .filter(|requested| !known(requested))
        .cloned()
        .collect()
}

/// Returns what a plugin can make use of.
fn of_use(inspection: &Inspection) -> Vec<Capability> {
    let mut capabilities = inspection.capabilities.clone();
    capabilities.extend(without_import(inspection.kind.is_credential()));
    capabilities
}

/// Returns what a plugin can make use of without importing anything: the host keeps the answers of a
/// provider.
pub(super) fn without_import(is_credential: bool) -> Option<Capability> {
    is_credential.then_some(Capability::State)
}

/// Reads a permission that a plugin with these capabilities can make use of.
pub(super) fn usable(
    plugin: &str,
    text: &str,
    capabilities: &[Capability],
) -> Result<String, InstalledError> {
    let grant: Grant = text.parse()?;
    if !capabilities.contains(&grant.capability()) {
        return Err(InstalledError::Useless {
            name: plugin.to_owned(),
            grant: grant.to_string(),
            capability: grant.capability().name(),
        });
    }
    Ok(grant.to_string())
}
