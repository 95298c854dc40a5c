//! The answers of one process: each registry is asked about once at a time, and again only when an
//! answer is over or good for something else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::finding::Finding;
use super::provider::{Action, Cache, Extent};

/// An answer is not used in the last moments of its life: the request takes time as well.
const MARGIN: Duration = Duration::from_mins(1);

/// What is known of all registries.
#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<HashMap<String, Arc<Registry>>>);

/// What is known of a registry. Whoever holds the lock is the one who asks.
#[derive(Debug, Default)]
pub(super) struct Registry(Mutex<Vec<Kept>>);

/// The right to ask about a registry, and what is known.
#[derive(Debug)]
pub(super) struct Turn<'a>(MutexGuard<'a, Vec<Kept>>);

#[derive(Debug)]
struct Kept {
    /// The repository that it is good for; all of them without one.
    repository: Option<String>,
    action: Action,
    until: Option<SystemTime>,
    finding: Arc<Finding>,
}

impl Answers {
    pub(super) fn of(&self, registry: &str) -> Arc<Registry> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(registry.to_owned()).or_default())
    }
}

impl Registry {
    /// Waits until nobody else asks about the registry.
    pub(super) fn turn(&self) -> Turn<'_> {
        Turn(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Turn<'_> {
    pub(super) fn get(
        &self,
        repository: Option<&str>,
        action: Action,
        now: SystemTime,
    ) -> Option<Arc<Finding>> {
        let kept = self.0.iter().find(|kept| {
            kept.action == action
                && (kept.repository.is_none() || kept.repository.as_deref() == repository)
                && kept.until.is_none_or(|until| now + MARGIN < until)
        })?;
        Some(Arc::clone(&kept.finding))
    }

    pub(super) fn put(
        &mut self,
        repository: Option<&str>,
        action: Action,
        finding: &Arc<Finding>,
        (cache, extent): (Cache, Extent),
    ) {
        let until = match cache {
            Cache::Never => return,
            Cache::Session => None,
            Cache::Until(time) => Some(time),
        };
        let repository = match extent {
            Extent::Repository => repository.map(str::to_owned),
            Extent::Registry => None,
        };
        self.0
            .retain(|kept| kept.action != action || kept.repository != repository);
        self.0.push(Kept {
            repository,
            action,
            until,
            finding: Arc::clone(finding),
        });
    }

    /// Forgets everything: somebody was not let in.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}
