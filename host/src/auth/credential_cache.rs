//! The credentials found by one process: each registry is asked about once at a time, and again
//! only when an answer is over or good for something else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::provider::{Cache, CredentialExtent};
use super::resolution::Resolution;
use crate::credential::Action;

/// An answer is not used in the last moments of its life: the request takes time as well.
const MARGIN: Duration = Duration::from_mins(1);

/// The credentials that were found, by registry.
#[derive(Debug, Default)]
pub(super) struct CredentialCache(Mutex<HashMap<String, Arc<RegistryCache>>>);

/// The credentials for one registry. The thread that holds the lock asks the providers.
#[derive(Debug, Default)]
pub(super) struct RegistryCache(Mutex<Vec<CachedCredential>>);

/// The lock on a registry's credentials.
#[derive(Debug)]
pub(super) struct Turn<'a>(MutexGuard<'a, Vec<CachedCredential>>);

#[derive(Debug)]
struct CachedCredential {
    /// The repository that it is good for; all of them without one.
    repository: Option<String>,
    action: Action,
    until: Option<SystemTime>,
    resolution: Arc<Resolution>,
}

impl CredentialCache {
    pub(super) fn of(&self, registry: &str) -> Arc<RegistryCache> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(registry.to_owned()).or_default())
    }
}

impl RegistryCache {
    /// Waits until no other thread searches for the registry.
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
    ) -> Option<Arc<Resolution>> {
        let kept = self.0.iter().find(|kept| {
            kept.action == action
                && (kept.repository.is_none() || kept.repository.as_deref() == repository)
                && kept.until.is_none_or(|until| now + MARGIN < until)
        })?;
        Some(Arc::clone(&kept.resolution))
    }

    pub(super) fn put(
        &mut self,
        repository: Option<&str>,
        action: Action,
        resolution: &Arc<Resolution>,
        (cache, extent): (Cache, CredentialExtent),
    ) {
        let until = match cache {
            Cache::Never => return,
            Cache::Session => None,
            Cache::Until(time) => Some(time),
        };
        let repository = match extent {
            CredentialExtent::Repository => repository.map(str::to_owned),
            CredentialExtent::Registry => None,
        };
        self.0
            .retain(|kept| kept.action != action || kept.repository != repository);
        self.0.push(CachedCredential {
            repository,
            action,
            until,
            resolution: Arc::clone(resolution),
        });
    }

    /// Forgets everything, after credentials were rejected.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}
