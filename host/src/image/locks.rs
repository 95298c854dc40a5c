//! The layers of one operation: which of them it has to make, and that none of them goes meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::ImageError;
use super::convert::ConvertContext;
use crate::digest::Digest;
use crate::progress::{Event, LayerNumber};
use crate::store::{LayerLocks, LayerPins, Store};

/// How often a pull looks what has become of a layer that another one fetches.
const RETRY: Duration = Duration::from_millis(50);
/// The time over which it looks how fast that is.
const WATCHED: Duration = Duration::from_secs(10);
/// Bytes per second of another pull that are worth waiting for.
const WORTH_WAITING: u64 = 64 << 10;

/// The layers that are to be made. All layers of the operation are pinned while this lives.
pub(super) struct Locks {
    missing: BTreeSet<Digest>,
    making: LayerLocks,
    _pins: LayerPins,
}

impl Locks {
    /// Returns whether a layer is to be made.
    pub(super) fn has(&self, diff_id: &Digest) -> bool {
        self.missing.contains(diff_id)
    }
}

impl ConvertContext<'_> {
    /// Finds the layers that are to be fetched: those that the store does not have, or all of them
    /// with `again`. Each comes with its blob. What another pull fetches is waited for, unless it
    /// comes slowly; who has the bytes already, as a load has, need not wait for us.
    pub(super) fn find_to_fetch<'a>(
        &self,
        store: &Store,
        wanted: impl Iterator<Item = (&'a Digest, &'a Digest)>,
        again: bool,
    ) -> Result<Locks, ImageError> {
        let blobs: BTreeMap<&Digest, &Digest> = wanted.collect();
        let mut locks = self.find_missing(store, blobs.keys().copied(), again)?;
        let mut numbers = 0..;
        let mut to_fetch = BTreeSet::new();
        for diff_id in &locks.missing {
            let number = LayerNumber(numbers.next().unwrap_or_default());
            let blob = blobs.get(diff_id).copied().unwrap_or(diff_id);
            let is_missing = || -> Result<bool, ImageError> {
                Ok(again || store.layer_over_any(diff_id)?.is_none())
            };
            self.wait_for_fetch(store, &locks.making, (number, diff_id, blob), &is_missing)?;
            if is_missing()? {
                to_fetch.insert(diff_id.clone());
            } else {
                locks.making.end_fetch(diff_id)?;
            }
        }
        locks.missing = to_fetch;
        Ok(locks)
    }

    /// Waits for the right to fetch a layer, until it is there, or comes too slowly to wait for.
    fn wait_for_fetch(
        &self,
        store: &Store,
        locks: &LayerLocks,
        (layer, diff_id, blob): (LayerNumber, &Digest, &Digest),
        is_missing: &dyn Fn() -> Result<bool, ImageError>,
    ) -> Result<(), ImageError> {
        let mut told = false;
        let mut since = (Instant::now(), store.part_length(blob));
        while !locks.try_fetch(diff_id)? && is_missing()? {
            self.cancel.check()?;
            if !std::mem::replace(&mut told, true) {
                self.progress.report(Event::LayerWaiting { layer, diff_id });
            }
            if since.0.elapsed() >= WATCHED {
                let length = store.part_length(blob);
                if length.saturating_sub(since.1) < WATCHED.as_secs() * WORTH_WAITING {
                    return Ok(());
                }
                since = (Instant::now(), length);
            }
            std::thread::sleep(RETRY);
        }
        Ok(())
    }

    /// Finds the layers that the store does not have, or takes all of them with `again`.
    fn find_missing<'a>(
        &self,
        store: &Store,
        wanted: impl Iterator<Item = &'a Digest>,
        again: bool,
    ) -> Result<Locks, ImageError> {
        let wanted: BTreeSet<&Digest> = wanted.collect();
        // Before the look at what is there, which then stays.
        let pins = store.pin_layers(wanted.iter().copied(), self.progress.as_ref(), self.cancel)?;
        let mut missing = BTreeSet::new();
        for diff_id in wanted {
            self.cancel.check()?;
            if again || store.layer_over_any(diff_id)?.is_none() {
                missing.insert(diff_id.clone());
            }
        }
        Ok(Locks {
            missing,
            making: store.layer_locks()?,
            _pins: pins,
        })
    }

    /// The same, with the layers locked that are to be made. What another operation makes meanwhile
    /// is waited for and not made once more.
    pub(super) fn lock_missing<'a>(
        &self,
        store: &Store,
        wanted: impl Iterator<Item = &'a Digest>,
    ) -> Result<Locks, ImageError> {
        let mut locks = self.find_missing(store, wanted, false)?;
        for (number, diff_id) in locks.missing.clone().into_iter().enumerate() {
            self.lock(&locks, number, &diff_id)?;
            if store.layer_over_any(&diff_id)?.is_some() {
                locks.making.unlock(&diff_id)?;
                locks.missing.remove(&diff_id);
            }
        }
        Ok(locks)
    }

    /// Locks the layers that were to be made and are to be published now.
    pub(super) fn lock_made(&self, locks: &Locks) -> Result<(), ImageError> {
        for (number, diff_id) in locks.missing.iter().enumerate() {
            self.lock(locks, number, diff_id)?;
        }
        Ok(())
    }

    /// Waits for the right to make a layer. All processes ask in the order of the digests, so none
    /// waits for one that waits for it.
    fn lock(&self, locks: &Locks, number: usize, diff_id: &Digest) -> Result<(), ImageError> {
        let mut on_wait = || {
            self.progress.report(Event::LayerWaiting {
                layer: LayerNumber(number),
                diff_id,
            });
        };
        Ok(locks.making.lock(diff_id, &mut on_wait, self.cancel)?)
    }
}
