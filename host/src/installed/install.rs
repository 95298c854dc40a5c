//! Installing a plugin: fetched, checked, described; then, with the user's consent, kept.
//!
//! Owns the pins and the comparison of what is asked for with what was agreed to. Nothing changes
//! before the last step, which happens whole or not at all.

mod allowed;
mod signed;

use std::sync::Arc;

use self::allowed::{check_bytes, check_name};
pub(super) use self::allowed::{check_provides, same_kind};
use self::signed::{signed, wanted};
use super::candidate::{Candidate, asks, news};
use super::consent::Terms;
use super::error::InstalledError;
use super::fetch::{self, Network};
use super::lock::Lock;
use super::locked_plugin::{LockedKind, LockedLimits, LockedPlugin};
use super::order::OrderPosition;
use super::packages;
use super::signature::{Provenance, Signature, Signatures, Signer, WantedSignatures};
use super::source::Source;
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::home::Home;
use crate::plugin::{Inspection, Runtime};
use crate::progress::{Event, Progress};
use crate::settings::{Settings, SignerSource};

/// What plugins are installed with.
#[derive(Clone)]
pub struct Installer<'a> {
    /// Where they are kept.
    pub home: &'a Home,
    /// What is set of them.
    pub settings: &'a Settings,
    /// What describes them.
    pub runtime: &'a Runtime,
    /// How they are fetched.
    pub network: &'a Network,
    /// Where progress is reported.
    pub progress: &'a Arc<dyn Progress>,
    /// Stops it early.
    pub cancel: &'a Cancel,
}

/// What a plugin is fetched for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// To be installed; what is installed already stays as it is.
    #[default]
    Install,
    /// To take the place of what was installed from there.
    Update,
    /// To be looked at: nothing of what is installed matters.
    Inspect,
}

/// What is to be installed, and under which conditions.
#[derive(Clone, Debug, Default)]
pub struct InstallRequest {
    /// What for.
    pub purpose: Purpose,
    /// What to call it, other than its source says.
    pub name: Option<String>,
    /// Who must have signed it.
    pub signer: Option<SignerSource>,
    /// Take nothing that the lock does not have.
    pub locked: bool,
    /// The lock to compare with, in place of that of the home.
    pub lock: Option<Lock>,
    /// The range of versions that updates stay in from now on.
    pub range: Option<String>,
    /// Where the bytes that the lock has are still kept, do not look at the source.
    pub kept: bool,
}

/// What was fetched, and is signed and described as it should be.
struct Accepted<'a> {
    name: String,
    source: &'a Source,
    fetched: fetch::Fetched,
    inspection: Inspection,
    /// The one that updates are compared with comes first.
    signers: Vec<(Signer, Signature)>,
    provenance: Option<Provenance>,
    previous: Option<LockedPlugin>,
}

impl Installer<'_> {
    /// Fetches and checks what is at a source. Changes nothing.
    pub fn prepare(
        &self,
        source: &Source,
        request: &InstallRequest,
    ) -> Result<Candidate, InstalledError> {
        let lock = match &request.lock {
            Some(lock) => lock.clone(),
            None => Lock::read(self.home)?,
        };
        let is_inspected = request.purpose == Purpose::Inspect;
        let is_update = request.purpose == Purpose::Update;
        let spelling = source.to_string();
        let name = match &request.name {
            Some(name) => name.clone(),
            None if is_inspected => source.name().unwrap_or_else(|| "plugin".to_owned()),
            None => source.name().unwrap_or_default(),
        };
        let lock = if is_inspected { Lock::default() } else { lock };
        if !is_inspected {
            check_name(&name)?;
        }
        let previous = lock.plugin(&name).cloned();
        if let Some(previous) = &previous
            && previous.source != spelling
            && !is_update
        {
            return Err(InstalledError::Taken {
                name,
                place: previous.source.clone(),
            });
        }
        if !is_inspected {
            self.settings.system.check_source(source)?;
        }
        let groups = self.signers(source, request, previous.as_ref())?;
        let wanted = wanted(&groups, request.purpose);
        let locked_only = previous.as_ref().filter(|_| request.kept && request.locked);
        let kept = locked_only
            .filter(|locked| groups.is_empty() || locked.signed.is_some())
            .and_then(|locked| self.kept(locked));
        let fetched = match kept {
            Some(kept) => kept,
            None => self
                .fetch(source, wanted)
                .map_err(|error| match locked_only {
                    Some(locked) if !matches!(error, InstalledError::Cancelled(_)) => {
                        InstalledError::Gone {
                            name: locked.name.clone(),
                            place: spelling.clone(),
                            digest: locked.sha256.clone(),
                            source: Box::new(error),
                        }
                    }
                    _ => error,
                })?,
        };
        let digest = Digest::of(&fetched.component);
        let locked = previous.as_ref().map(|previous| &previous.sha256);
        check_bytes(&name, &spelling, locked, &digest, request)?;
        let mut signers: Vec<(Signer, Signature)> = Vec::new();
        for group in &groups {
            let (by, found) = signed(group, &fetched, &spelling)?;
            if signers.iter().all(|(known, _)| known != by) {
                signers.insert(0, (by.clone(), found));
            }
        }
        let all: Vec<&Signer> = groups.iter().flatten().collect();
        let trust_root = self.settings.plugins.trust_root.as_deref();
        let provenance = fetched
            .signatures
            .provenance(fetched.subject(), &all, trust_root);
        let inspection =
            self.runtime
                .inspect(&name, &fetched.component, self.progress, self.cancel)?;
        if previous.as_ref().is_none_or(|before| before.enabled) {
            check_provides(&lock, &name, &inspection.kind)?;
        }
        let accepted = Accepted {
            name,
            source,
            fetched,
            inspection,
            signers,
            provenance,
            previous,
        };
        self.compared(accepted, request)
    }

    /// Compares what was fetched with what the user has agreed to.
    fn compared(
        &self,
        accepted: Accepted<'_>,
        request: &InstallRequest,
    ) -> Result<Candidate, InstalledError> {
        let Accepted {
            name,
            source,
            fetched,
            inspection,
            signers,
            provenance,
            previous,
        } = accepted;
        let kind = LockedKind::of(&inspection.kind);
        let replaces = kind.place_taken();
        let mut budget = kind.budget();
        packages::limit(&mut budget, self.settings, &name);
        let limits = LockedLimits::of(&budget);
        let terms = Terms {
            kind: &kind,
            chosen_tier: self.settings.plugins.tiers.get(&name).copied(),
            replaces: replaces.as_deref(),
            limits,
            source,
            signer: signers.first().map(|(signer, _)| signer),
        };
        let increases = previous.as_ref().map(|before| terms.increases(before));
        let increases = increases.unwrap_or_default();
        if request.locked && !increases.is_empty() {
            return Err(InstalledError::Exceeds { name, increases });
        }
        let asks = asks(&inspection);
        let news = news(&asks, previous.as_ref());
        let pinned_before = previous.as_ref().is_some_and(|before| before.key_pinned);
        Ok(Candidate {
            version: inspection.metadata.version.clone().or(fetched.version),
            name,
            source: source.to_string(),
            range: if request.purpose == Purpose::Update {
                request.range.clone()
            } else {
                previous.as_ref().and_then(|before| before.range.clone())
            },
            locked: request.locked,
            manifest: fetched.manifest,
            key_pinned: !signers.is_empty() && (request.signer.is_some() || pinned_before),
            signers,
            provenance,
            asks,
            news,
            increases,
            replaces,
            limits,
            previous,
            component: fetched.component.into(),
            inspection,
        })
    }

    /// Keeps a plugin, with these permissions and at this position.
    pub fn commit(
        &self,
        candidate: &Candidate,
        grants: &[String],
        place: Option<&OrderPosition>,
    ) -> Result<(), InstalledError> {
        let grants = candidate.check_grants(grants)?;
        self.settings.system.check_grants(&grants)?;
        let before = candidate.previous.as_ref();
        let is_other = before.is_none_or(|before| before.grants != grants);
        if candidate.locked && (is_other || place.is_some()) {
            return Err(InstalledError::Frozen {
                what: format!("what plugin `{}` may do, or its place", candidate.name),
            });
        }
        Lock::change(self.home, self.progress.as_ref(), self.cancel, |lock| {
            let now = lock.plugin(&candidate.name);
            let is_same = now.map(|now| (&now.source, &now.sha256))
                == candidate
                    .previous
                    .as_ref()
                    .map(|before| (&before.source, &before.sha256));
            let is_done = now.is_some_and(|now| {
                now.source == candidate.source && now.sha256 == candidate.inspection.digest
            });
            if !is_same && !is_done {
                return Err(InstalledError::Raced {
                    name: candidate.name.clone(),
                });
            }
            // One that is disabled stays so.
            if now.is_none_or(|now| now.enabled) {
                check_provides(lock, &candidate.name, &candidate.inspection.kind)?;
            }
            candidate.write_component(self.home)?;
            let locked = candidate.locked(grants, now);
            match lock.plugins.iter_mut().find(|it| it.name == candidate.name) {
                Some(plugin) => *plugin = locked,
                None => lock.plugins.push(locked),
            }
            if let Some(place) = place {
                super::order::put(lock, self.settings, &candidate.name, place)?;
            }
            Ok(())
        })?;
        super::manage::collect(self.home, self.progress.as_ref(), self.cancel)
    }

    /// Fetches what is at a source, and passes on what its server wants the user to know.
    fn fetch(
        &self,
        source: &Source,
        signed: WantedSignatures,
    ) -> Result<fetch::Fetched, InstalledError> {
        let fetched = fetch::fetch(source, self.network, signed, self.cancel);
        for notice in self.network.client.notices() {
            self.progress.report(Event::Notice(&notice));
        }
        fetched
    }

    /// Returns the component of the lock where it is kept, whole.
    fn kept(&self, locked: &LockedPlugin) -> Option<fetch::Fetched> {
        let path = super::component_path(self.home, &locked.sha256);
        let component = fetch::read_component(&path).ok()?;
        (Digest::of(&component) == locked.sha256).then(|| fetch::Fetched {
            component,
            manifest: locked.manifest.clone(),
            version: locked.version.clone(),
            signatures: locked
                .signers()
                .iter()
                .map(|signer| Signatures::from(&signer.signed))
                .collect(),
        })
    }
}

impl std::fmt::Debug for Installer<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Installer").finish_non_exhaustive()
    }
}
