//! Locks between processes: who makes a layer, who uses it, who removes what nothing needs.
//!
//! Owns which locks of the [`lock_file`](super::lock_file) stand for which right.

use std::time::{Duration, Instant};

use super::StoreError;
use super::catalogue::Store;
use super::lock_file::{Locks, RETRY, Resource};
use super::range::Mode;
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::home::Home;
use crate::progress::{Event, Progress};

/// How long another process may have the turn to write to the catalogue, which takes it a moment.
const WRITER_PATIENCE: Duration = Duration::from_mins(1);

const COLLECTING: &str = "another msb is removing what is not used";

/// The right to make and to fetch layers, as many as are locked. Given back when dropped.
#[derive(Debug)]
pub struct LayerLocks(Locks);

/// The assurance that some layers are not removed. Given back when dropped.
#[derive(Debug)]
pub struct LayerPins {
    // None in a store that cannot be written.
    _locks: Option<Locks>,
}

/// The assurance that nothing is removed. Given back when dropped. Who holds one must not ask for
/// another: a process that waits for the sole lease would be between the two.
#[derive(Debug)]
pub struct Lease {
    // None in a store that cannot be written.
    _locks: Option<Locks>,
}

/// The right to change what is installed of plugins. Given back when dropped.
#[derive(Debug)]
pub(crate) struct PluginsLock {
    _locks: Locks,
}

impl Store {
    /// Returns the locks of layers, none of which is taken.
    pub fn layer_locks(&self) -> Result<LayerLocks, StoreError> {
        Locks::open(self.home()).map(LayerLocks)
    }

    /// Waits for the right to make a layer; `on_wait` is called once if the wait is long.
    pub fn lock_layer(
        &self,
        diff_id: &Digest,
        on_wait: &mut dyn FnMut(),
        cancel: &Cancel,
    ) -> Result<LayerLocks, StoreError> {
        let locks = self.layer_locks()?;
        locks.lock(diff_id, on_wait, cancel)?;
        Ok(locks)
    }

    /// Keeps layers from being removed, those that are there and those that will be. What has the
    /// files of a layer in use, or has published it and not yet recorded an image with it, holds
    /// pins for as long as that takes: they are in the way of nothing but removal.
    pub fn pin_layers<'a>(
        &self,
        diff_ids: impl IntoIterator<Item = &'a Digest>,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<LayerPins, StoreError> {
        let Some(locks) = Locks::open_if_writable(self.home())? else {
            return Ok(LayerPins { _locks: None });
        };
        let mut on_wait = || progress.report(Event::StoreBusy(COLLECTING));
        for diff_id in diff_ids {
            let files = Resource::LayerFiles(diff_id);
            locks.take(files, Mode::Shared, &mut on_wait, cancel)?;
        }
        Ok(LayerPins {
            _locks: Some(locks),
        })
    }

    /// Waits until nothing is being removed, and keeps it so. To be held for a moment only: the
    /// process that wants to remove something waits for it, and all others wait behind that one.
    pub fn lease(&self, progress: &dyn Progress, cancel: &Cancel) -> Result<Lease, StoreError> {
        let Some(locks) = Locks::open_if_writable(self.home())? else {
            return Ok(Lease { _locks: None });
        };
        let mut on_wait = || progress.report(Event::StoreBusy(COLLECTING));
        locks.queue_for_store(Mode::Shared, &mut on_wait, cancel)?;
        Ok(Lease {
            _locks: Some(locks),
        })
    }

    /// Waits for the lease that excludes all others.
    pub(super) fn sole_lease(
        &self,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Lease, StoreError> {
        let locks = Locks::open(self.home())?;
        let mut on_wait = || progress.report(Event::StoreBusy("another msb is using the store"));
        locks.queue_for_store(Mode::Exclusive, &mut on_wait, cancel)?;
        Ok(Lease {
            _locks: Some(locks),
        })
    }

    /// Waits until no load or pull is under way, each of which has the catalogue open, and lets none
    /// begin.
    pub(super) fn without_operations(
        &self,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Lease, StoreError> {
        let locks = Locks::open(self.home())?;
        let mut on_wait = || progress.report(Event::StoreBusy("another msb is using the store"));
        locks.take(Resource::Operations, Mode::Exclusive, &mut on_wait, cancel)?;
        Ok(Lease {
            _locks: Some(locks),
        })
    }

    /// Returns the sole lease if it can be had at once.
    pub(super) fn try_sole_lease(&self) -> Result<Option<Lease>, StoreError> {
        let locks = Locks::open(self.home())?;
        let is_free = locks.try_take(Resource::Store, Mode::Exclusive)?;
        Ok(is_free.then_some(Lease {
            _locks: Some(locks),
        }))
    }
}

impl LayerLocks {
    /// Waits for the right to make one more layer; `on_wait` is called once if the wait is long.
    /// Whoever locks several does so in the order of their digests.
    pub fn lock(
        &self,
        diff_id: &Digest,
        on_wait: &mut dyn FnMut(),
        cancel: &Cancel,
    ) -> Result<(), StoreError> {
        self.0
            .take(Resource::Layer(diff_id), Mode::Exclusive, on_wait, cancel)
    }

    /// Takes the right to fetch a layer unless another pull has it, and returns whether it did.
    pub fn try_fetch(&self, diff_id: &Digest) -> Result<bool, StoreError> {
        self.0.try_take(Resource::Fetch(diff_id), Mode::Exclusive)
    }

    /// Gives the right to fetch a layer back.
    pub fn end_fetch(&self, diff_id: &Digest) -> Result<(), StoreError> {
        self.0.give_back(Resource::Fetch(diff_id))
    }

    /// Gives the right to make a layer back, and keeps the others.
    pub fn unlock(&self, diff_id: &Digest) -> Result<(), StoreError> {
        self.0.give_back(Resource::Layer(diff_id))
    }
}

/// Waits for the turn to write to the catalogue, so that writers do not depend on the luck of
/// `SQLite`'s own retries. `None` where there is no lock file, or a process that was stopped has the
/// turn: what becomes of the write is then for `SQLite` to say.
pub(super) fn turn_to_write(home: &Home) -> Option<Locks> {
    let locks = Locks::open(home).ok()?;
    let started = Instant::now();
    while !locks.try_take(Resource::Catalogue, Mode::Exclusive).ok()? {
        if started.elapsed() > WRITER_PATIENCE {
            return None;
        }
        std::thread::sleep(RETRY);
    }
    Some(locks)
}

/// Waits for the right to change what is installed of plugins, until the lock is dropped.
pub(crate) fn lock_plugins(
    home: &Home,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<PluginsLock, StoreError> {
    let locks = Locks::open(home)?;
    let mut on_wait = || progress.report(Event::StoreBusy("another msb is changing plugins"));
    locks.take(Resource::Plugins, Mode::Exclusive, &mut on_wait, cancel)?;
    Ok(PluginsLock { _locks: locks })
}

/// Removes the lock files that earlier versions had: one for each layer, and one for each purpose.
/// The caller has the sole lease.
pub(super) fn remove_old(home: &Home) {
    let entries = crate::fs::entries(&home.locks());
    for entry in entries.into_iter().flatten().flatten() {
        let name = entry.file_name();
        let old = name.to_str().and_then(|name| name.strip_suffix(".lock"));
        let is_old = old.is_some_and(|old| {
            matches!(old, "layers" | "plugins")
                || old.replacen('_', ":", 1).parse::<Digest>().is_ok()
        });
        if is_old {
            let _ = crate::fs::remove_file(&entry.path());
        }
    }
}
