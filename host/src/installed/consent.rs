//! What the user agrees to when a plugin is installed, and what of it an update makes more.
//!
//! Owns the comparison with the lock: kind, name, place taken, registries, operations, permissions,
//! limits, source and signer. Less needs no question; more does.

use std::fmt;
use std::time::Duration;

use super::locked_plugin::{LockedKind, LockedLimits, LockedPlugin};
use super::signature::Signer;
use super::source::Source;
use crate::auth;
use crate::credential::{AuthSourceKind, Tier};
use crate::plugin::{PluginBudget, builtin};

/// Something that an update has and the user has not agreed to. Its text follows the plugin's name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Increase {
    /// It is of another kind, with the limits of that kind.
    Kind {
        /// The word for the kind before.
        before: &'static str,
        /// And now.
        now: &'static str,
    },
    /// Its format or provider has another name.
    Provides {
        /// The name before.
        before: String,
        /// And now.
        now: String,
    },
    /// It takes the place of a plugin that ships with msb.
    Replaces(String),
    /// It wants to be asked about more registries.
    Registries(Vec<String>),
    /// It does what it did not do before.
    Operations(Vec<String>),
    /// It wants to be asked for another reason.
    Tier {
        /// The tier before.
        before: Tier,
        /// And now.
        now: Tier,
    },
    /// It reads a source of `registries.auth` that it did not read before.
    Reads(AuthSourceKind),
    /// It may use more.
    Limits(LockedLimits),
    /// It comes from elsewhere.
    Source {
        /// The source before.
        before: String,
        /// And now.
        now: String,
    },
    /// Another key has signed it, or none.
    Signer {
        /// The key before, if there was one.
        before: Option<String>,
        /// And now.
        now: Option<String>,
    },
}

/// All that is compared, of a plugin that is to be installed.
pub(super) struct Terms<'a> {
    pub(super) kind: &'a LockedKind,
    /// The tier that the settings have for it.
    pub(super) chosen_tier: Option<Tier>,
    pub(super) replaces: Option<&'a str>,
    pub(super) limits: LockedLimits,
    pub(super) source: &'a Source,
    pub(super) signer: Option<&'a Signer>,
}

impl Terms<'_> {
    /// Returns what is more than the lock has.
    pub(super) fn increases(&self, before: &LockedPlugin) -> Vec<Increase> {
        let mut increases = Vec::new();
        let (old, new) = (&before.kind, self.kind);
        if old.word() != new.word() {
            let (before, now) = (old.word(), new.word());
            increases.push(Increase::Kind { before, now });
            // What the user has set for it is theirs, whatever its kind.
            let of_before = LockedLimits::of(&old.budget());
            if !LockedLimits::of(&new.budget()).is_within(&of_before) {
                increases.push(Increase::Limits(self.limits));
            }
        }
        if old.name() != new.name() {
            increases.push(Increase::Provides {
                before: old.name().to_owned(),
                now: new.name().to_owned(),
            });
        }
        let took = before.replaces.clone().or_else(|| old.place_taken());
        if let Some(place) = self
            .replaces
            .filter(|place| took.as_deref() != Some(*place))
        {
            increases.push(Increase::Replaces(place.to_owned()));
        }
        let registries = new.registries().iter();
        let registries: Vec<String> = registries
            .filter(|pattern| !is_covered(pattern, old.registries()))
            .cloned()
            .collect();
        if !registries.is_empty() {
            increases.push(Increase::Registries(registries));
        }
        let can = old.operations();
        let mut operations = new.operations();
        operations.retain(|operation| !can.contains(operation));
        if !operations.is_empty() {
            let operations = operations.into_iter().map(str::to_owned).collect();
            increases.push(Increase::Operations(operations));
        }
        if self.chosen_tier.or(before.tier).is_none() && old.tier() != new.tier() {
            let (before, now) = (old.tier(), new.tier());
            increases.push(Increase::Tier { before, now });
        }
        if let Some(source) = new.reads().filter(|_| old.reads() != new.reads()) {
            increases.push(Increase::Reads(source));
        }
        // Another tag of the same repository is another version.
        let place = before.source.parse::<Source>();
        if !place.is_ok_and(|place| place.is_same_place(self.source)) {
            increases.push(Increase::Source {
                before: before.source.clone(),
                now: self.source.to_string(),
            });
        }
        let signer = Signer::of_locked(before).ok().flatten();
        let is_same = signer.is_some() && signer.as_ref() == self.signer;
        if (before.key.is_some() || before.identity.is_some()) && !is_same {
            increases.push(Increase::Signer {
                before: signer
                    .map(|it| it.to_string())
                    .or_else(|| before.key.clone()),
                now: self.signer.map(ToString::to_string),
            });
        }
        increases
    }
}

impl LockedKind {
    /// Returns the plugin that ships with msb whose place this takes.
    pub(super) fn place_taken(&self) -> Option<String> {
        builtin::packages()
            .into_iter()
            .find(|package| {
                let own = Self::of(&package.kind);
                own.word() == self.word() && own.name() == self.name()
            })
            .map(|package| package.name.to_string())
    }

    /// Returns the patterns of the registries that it is asked about.
    pub fn registries(&self) -> &[String] {
        match self {
            Self::Format { .. } => &[],
            Self::Credential { registries, .. } => registries,
        }
    }

    /// Returns what it does, in words for the user.
    pub fn operations(&self) -> Vec<&str> {
        let mut words = Vec::new();
        match self {
            Self::Format {
                reads,
                writes,
                takes_any,
                ..
            } => {
                words.extend(reads.then_some("read archives"));
                words.extend((*reads && *takes_any).then_some("read files of any other kind"));
                words.extend(writes.then_some("write archives"));
            }
            Self::Credential { operations, .. } => {
                words.push("find credentials");
                words.extend(operations.iter().map(|word| match word.as_str() {
                    "report" => "hear what became of its answers",
                    "login" => "log you in by talking to you",
                    word => word,
                }));
            }
        }
        words
    }

    /// Returns why it wants to be asked.
    fn tier(&self) -> Tier {
        match self {
            Self::Format { .. } => None,
            Self::Credential { tier, .. } => *tier,
        }
        .unwrap_or(Tier::Installed)
    }

    /// Returns the source of `registries.auth` that it reads.
    fn reads(&self) -> Option<AuthSourceKind> {
        match self {
            Self::Format { .. } => None,
            Self::Credential { reads, .. } => *reads,
        }
    }

    pub(super) fn budget(&self) -> PluginBudget {
        match self {
            Self::Format { .. } => PluginBudget::FORMAT,
            Self::Credential { .. } => PluginBudget::CREDENTIAL,
        }
    }
}

impl LockedLimits {
    pub(super) fn of(budget: &PluginBudget) -> Self {
        Self {
            memory_mib: (budget.memory >> 20) as u64,
            compute_secs: budget.compute.as_secs(),
            wall_secs: budget.wall.as_ref().map(Duration::as_secs),
            host_calls: budget.host_calls,
        }
    }

    fn is_within(&self, other: &Self) -> bool {
        let wall = |limits: &Self| limits.wall_secs.unwrap_or(u64::MAX);
        self.memory_mib <= other.memory_mib
            && self.compute_secs <= other.compute_secs
            && wall(self) <= wall(other)
            && self.host_calls <= other.host_calls
    }
}

/// Returns whether each registry of a pattern is one of these patterns as well.
fn is_covered(pattern: &str, known: &[String]) -> bool {
    known.iter().any(|known| {
        known == "*"
            || known.eq_ignore_ascii_case(pattern)
            || (!pattern.contains('*')
                && crate::reference::canonical_host(pattern)
                    .is_some_and(|host| auth::pattern_matches(known, &host)))
    })
}

impl fmt::Display for LockedLimits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} MiB, {} s of computing, {} calls",
            self.memory_mib, self.compute_secs, self.host_calls
        )?;
        match self.wall_secs {
            Some(wall) => write!(formatter, ", {wall} s in all"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Increase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signer = |key: &Option<String>| match key {
            Some(key) => format!("`{}`", key.lines().collect::<Vec<_>>().join(" ")),
            None => "nothing that was checked".to_owned(),
        };
        match self {
            Self::Kind { before, now } => {
                write!(formatter, "is a {now} plugin and was a {before} plugin")
            }
            Self::Provides { before, now } => {
                write!(formatter, "provides `{now}` and provided `{before}`")
            }
            Self::Replaces(place) => write!(formatter, "takes the place of {place}"),
            Self::Registries(registries) => {
                write!(formatter, "is also asked about {}", registries.join(", "))
            }
            Self::Operations(operations) => {
                write!(formatter, "can also {}", operations.join(", "))
            }
            Self::Tier { before, now } => {
                write!(formatter, "wants the tier `{now}` and wanted `{before}`")
            }
            Self::Reads(source) => write!(
                formatter,
                "is also asked where the settings say `{}`",
                source.word()
            ),
            Self::Limits(limits) => write!(formatter, "may use {limits}"),
            Self::Source { before, now } => {
                write!(formatter, "comes from `{now}` and came from `{before}`")
            }
            Self::Signer { before, now } => write!(
                formatter,
                "is signed with {} and was signed with {}",
                signer(now),
                signer(before)
            ),
        }
    }
}

#[cfg(test)]
#[path = "consent_tests.rs"]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
