//! The right to make layers: who has it, and who waits.

use std::collections::BTreeSet;

use super::LoadError;
use super::convert::Workshop;
use crate::digest::Digest;
use crate::progress::{Event, LayerNumber};
use crate::store::{LayerLocks, Store};

/// The layers that are to be made, with the right to do so.
pub(super) struct Locks {
    held: BTreeSet<Digest>,
    _locks: LayerLocks,
}

impl Locks {
    /// Returns whether a layer is to be made.
    pub(super) fn has(&self, diff_id: &Digest) -> bool {
        self.held.contains(diff_id)
    }
}

impl Workshop<'_> {
    /// Locks the layers that the store does not have, and looks again once a lock is there.
    pub(super) fn lock_missing<'a>(
        &self,
        store: &Store,
        wanted: impl Iterator<Item = &'a Digest>,
    ) -> Result<Locks, LoadError> {
        let locks = store.layer_locks()?;
        let mut held = BTreeSet::new();
        let wanted: BTreeSet<&Digest> = wanted.collect();
        for (number, diff_id) in wanted.into_iter().enumerate() {
            self.cancel.check()?;
            if store.layer_over_any(diff_id)?.is_some() {
                continue;
            }
            self.lock(&locks, number, diff_id)?;
            if store.layer_over_any(diff_id)?.is_some() {
                locks.unlock(diff_id)?;
            } else {
                held.insert(diff_id.clone());
            }
        }
        Ok(Locks {
            held,
            _locks: locks,
        })
    }

    /// Locks layers, whether the store has them or not.
    pub(super) fn lock_all<'a>(
        &self,
        store: &Store,
        wanted: impl Iterator<Item = &'a Digest>,
    ) -> Result<Locks, LoadError> {
        let locks = store.layer_locks()?;
        let held: BTreeSet<Digest> = wanted.cloned().collect();
        for (number, diff_id) in held.iter().enumerate() {
            self.lock(&locks, number, diff_id)?;
        }
        Ok(Locks {
            held,
            _locks: locks,
        })
    }

    /// Waits for the right to make a layer. Everybody asks in the order of the digests, so nobody
    /// waits for somebody who waits for them.
    fn lock(&self, locks: &LayerLocks, number: usize, diff_id: &Digest) -> Result<(), LoadError> {
        let mut waits = || {
            self.progress.report(Event::LayerWaiting {
                layer: LayerNumber(number),
                diff_id,
            });
        };
        Ok(locks.lock(diff_id, &mut waits, self.cancel)?)
    }
}
