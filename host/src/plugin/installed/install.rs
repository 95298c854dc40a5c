//! Installing a plugin: fetched, checked, described; then, with the user's consent, kept.
//!
//! Owns the pins and the comparison of what is asked for with what was agreed to. Nothing changes
//! before the last step, which happens whole or not at all.

use std::sync::Arc;

use super::consent::{Increase, Terms};
use super::error::InstalledError;
use super::fetch::{self, Network};
use super::lock::{Lock, LockedKind, LockedLimits, LockedPlugin, RequestedGrant};
use super::order::OrderPosition;
use super::packages;
use super::signature::{PublicKey, Signature, Signatures};
use super::source::Source;
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::plugin::{Capability, Grant, Inspection, PluginKind, Runtime, builtin};
use crate::progress::{Event, Progress};
use crate::settings::{KeySource, Settings, is_plugin_name};
use crate::store::{self, Home};

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

/// What is to be installed, and under which conditions.
#[derive(Clone, Debug, Default)]
pub struct InstallRequest {
    /// What to call it, other than its source says.
    pub name: Option<String>,
    /// Whose signature it must have.
    pub key: Option<KeySource>,
    /// Take nothing that the lock does not have.
    pub locked: bool,
    /// Take what is there now instead of what was installed.
    pub update: bool,
    /// Where the bytes that the lock has are still kept, do not look at the source.
    pub kept: bool,
}

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
    /// The key that it is signed with.
    pub key: Option<String>,
    /// The signature of that key.
    pub signed: Option<Signature>,
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
    key_pinned: bool,
    component: Arc<[u8]>,
}

/// What was fetched, and is signed and described as it should be.
struct Accepted {
    name: String,
    source: String,
    fetched: fetch::Fetched,
    inspection: Inspection,
    key: Option<String>,
    signature: Option<Signature>,
    previous: Option<LockedPlugin>,
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
            .map(|text| usable(&self.name, text, &self.inspection.capabilities))
            .collect()
    }
}

impl Installer<'_> {
    /// Fetches and checks what is at a source. Changes nothing.
    pub fn prepare(
        &self,
        source: &Source,
        request: &InstallRequest,
    ) -> Result<Candidate, InstalledError> {
        let lock = Lock::read(self.home)?;
        let spelling = source.to_string();
        let name = match &request.name {
            Some(name) => name.clone(),
            None => source.name().unwrap_or_default(),
        };
        check_name(&name)?;
        let previous = lock.plugin(&name).cloned();
        if let Some(previous) = &previous
            && previous.source != spelling
            && !request.update
        {
            return Err(InstalledError::Taken {
                name,
                place: previous.source.clone(),
            });
        }
        let keys = self.keys(source, request, previous.as_ref())?;
        let locked_only = previous.as_ref().filter(|_| request.kept && request.locked);
        let kept = locked_only
            .filter(|locked| keys.is_empty() || locked.signed.is_some())
            .and_then(|locked| self.kept(locked));
        let fetched = match kept {
            Some(kept) => kept,
            None => self
                .fetch(source, !keys.is_empty())
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
        if request.locked && locked != Some(&digest) {
            return Err(InstalledError::NotLocked {
                place: spelling,
                found: digest,
            });
        }
        if let Some(locked) = locked
            && !request.update
            && *locked != digest
        {
            return Err(InstalledError::Changed {
                name,
                place: spelling,
                locked: locked.clone(),
                found: digest,
            });
        }
        let (mut key, mut signature) = (None, None);
        for group in &keys {
            let (by, found) = signed(group, &fetched, &spelling)?;
            (key, signature) = (Some(by), Some(found));
        }
        let inspection =
            self.runtime
                .inspect(&name, &fetched.component, self.progress, self.cancel)?;
        check_provides(&lock, &name, &inspection.kind)?;
        let accepted = Accepted {
            name,
            source: spelling,
            fetched,
            inspection,
            key: key.map(ToString::to_string),
            signature,
            previous,
        };
        self.compared(accepted, request)
    }

    /// Compares what was fetched with what the user has agreed to.
    fn compared(
        &self,
        accepted: Accepted,
        request: &InstallRequest,
    ) -> Result<Candidate, InstalledError> {
        let Accepted {
            name,
            source,
            fetched,
            inspection,
            key,
            signature,
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
            source: &source,
            key: key.as_deref(),
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
            source,
            manifest: fetched.manifest,
            key_pinned: key.is_some() && (request.key.is_some() || pinned_before),
            key,
            signed: signature,
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
            check_provides(lock, &candidate.name, &candidate.inspection.kind)?;
            let digest = &candidate.inspection.digest;
            let path = super::component_path(self.home, digest);
            store::write_atomically(&candidate.component, &path)?;
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
    fn fetch(&self, source: &Source, signed: bool) -> Result<fetch::Fetched, InstalledError> {
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
                .signed
                .as_ref()
                .map(Signatures::from)
                .unwrap_or_default(),
        })
    }

    /// Returns the keys of which one each must have signed.
    fn keys(
        &self,
        source: &Source,
        request: &InstallRequest,
        previous: Option<&LockedPlugin>,
    ) -> Result<Vec<Vec<PublicKey>>, InstalledError> {
        let mut groups = Vec::new();
        let policies = self.settings.plugins.signatures.iter();
        let policy = policies
            .filter(|policy| source.begins_with(&policy.source))
            .map(|policy| PublicKey::read(&policy.key))
            .collect::<Result<Vec<_>, _>>()?;
        if !policy.is_empty() {
            groups.push(policy);
        }
        if let Some(key) = &request.key {
            groups.push(vec![PublicKey::read(key)?]);
        } else if let Some(previous) = previous
            && let Some(key) = &previous.key
            && (groups.is_empty() || previous.key_pinned)
        {
            groups.push(vec![PublicKey::from_lock(key)?]);
        }
        Ok(groups)
    }
}

impl std::fmt::Debug for Installer<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Installer").finish_non_exhaustive()
    }
}

impl Candidate {
    /// Returns the entry of the lock, which keeps what the user has chosen before.
    fn locked(&self, grants: Vec<String>, before: Option<&LockedPlugin>) -> LockedPlugin {
        LockedPlugin {
            name: self.name.clone(),
            enabled: before.is_none_or(|before| before.enabled),
            tier: before.and_then(|before| before.tier),
            source: self.source.clone(),
            version: self.version.clone(),
            sha256: self.inspection.digest.clone(),
            manifest: self.manifest.clone(),
            key: self.key.clone(),
            key_pinned: self.key_pinned,
            signed: self.signed.clone(),
            api: self.inspection.api.clone(),
            imports: self.inspection.imports.clone(),
            asks: self.asks.clone(),
            grants,
            replaces: self.replaces.clone(),
            limits: Some(self.limits),
            kind: self.kind(),
        }
    }
}

/// Returns the first of the keys that has signed what was fetched.
fn signed<'k>(
    keys: &'k [PublicKey],
    fetched: &fetch::Fetched,
    source: &str,
) -> Result<(&'k PublicKey, Signature), InstalledError> {
    let mut last = None;
    for key in keys {
        let manifest = fetched.manifest.as_ref();
        match key.verify(&fetched.component, manifest, &fetched.signatures) {
            Ok(signature) => return Ok((key, signature)),
            Err(error) => last = Some(error),
        }
    }
    let missing = super::signature::SignatureError::Missing {
        wanted: "a key".to_owned(),
    };
    Err(InstalledError::Signature {
        place: source.to_owned(),
        source: last.unwrap_or(missing),
    })
}

/// Returns what a plugin asks for: its needs that it can make use of, and what has no scope.
fn asks(inspection: &Inspection) -> Vec<RequestedGrant> {
    let mut asks: Vec<RequestedGrant> = Vec::new();
    for need in &inspection.needs {
        let grant = need.grant.to_string();
        let is_of_use = inspection.capabilities.contains(&need.grant.capability());
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

fn news(asks: &[RequestedGrant], previous: Option<&LockedPlugin>) -> Vec<RequestedGrant> {
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

fn check_name(name: &str) -> Result<(), InstalledError> {
    let error = |reason: &str| {
        Err(InstalledError::Name {
            name: name.to_owned(),
            reason: reason.to_owned(),
        })
    };
    if !is_plugin_name(name) {
        return error(
            "a name has lower-case letters, digits and dashes, begins with a letter, and is at \
             most 32 long",
        );
    }
    if builtin::packages().iter().any(|it| &*it.name == name) {
        return error("a plugin that ships with msb has it");
    }
    Ok(())
}

pub(super) fn check_provides(
    lock: &Lock,
    name: &str,
    kind: &PluginKind,
) -> Result<(), InstalledError> {
    let kind = LockedKind::of(kind);
    let other = lock.plugins.iter().find(|other| {
        other.enabled
            && other.name != name
            && other.kind.word() == kind.word()
            && other.kind.name() == kind.name()
    });
    match other {
        Some(other) => Err(InstalledError::Provided {
            kind: kind.word(),
            provides: kind.name().to_owned(),
            by: other.name.clone(),
        }),
        None => Ok(()),
    }
}

pub(super) fn same_kind(one: &PluginKind, other: &PluginKind) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}
