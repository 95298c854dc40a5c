//! The right to make layers: who has it, and who waits.

use std::collections::{BTreeMap, BTreeSet};

use super::LoadError;
use super::convert::Workshop;
use crate::digest::Digest;
use crate::progress::{Event, LayerNumber};
use crate::store::{LayerLock, Store};

/// The layers that are to be made, with the right to do so.
pub(super) type Locks = BTreeMap<Digest, LayerLock>;

impl Workshop<'_> {
    /// Locks the layers that the store does not have, and looks again once a lock is there.
    pub(super) fn lock_missing<'a>(
        &self,
        store: &Store,
        wanted: impl Iterator<Item = &'a Digest>,
    ) -> Result<Locks, LoadError> {
        let mut locks = BTreeMap::new();
        let wanted: BTreeSet<&Digest> = wanted.collect();
        for (number, diff_id) in wanted.into_iter().enumerate() {
            if store.layer_over_any(diff_id)?.is_some() {
                continue;
            }
            let lock = self.lock(store, number, diff_id)?;
            if store.layer_over_any(diff_id)?.is_none() {
                locks.insert(diff_id.clone(), lock);
            }
        }
        Ok(locks)
    }

    /// Locks layers, whether the store has them or not.
    pub(super) fn lock_all<'a>(
        &self,
        store: &Store,
        wanted: impl Iterator<Item = &'a Digest>,
    ) -> Result<Locks, LoadError> {
        let wanted: BTreeSet<&Digest> = wanted.collect();
        wanted
            .into_iter()
            .enumerate()
            .map(|(number, diff_id)| Ok((diff_id.clone(), self.lock(store, number, diff_id)?)))
            .collect()
    }

    /// Waits for the right to make a layer. Everybody asks in the order of the digests, so nobody
    /// waits for somebody who waits for them.
    fn lock(&self, store: &Store, number: usize, diff_id: &Digest) -> Result<LayerLock, LoadError> {
        let mut waits = || {
            self.progress.report(Event::LayerWaiting {
                layer: LayerNumber(number),
                diff_id,
            });
        };
        Ok(store.lock_layer(diff_id, &mut waits, self.cancel)?)
    }
}
