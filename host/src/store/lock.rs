//! Locks between processes: one per layer, one for the store as a whole.
//!
//! Lock files are never removed: a name that vanished while somebody waited on it would let two
//! into the same room.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use super::catalogue::Store;
use super::{StoreError, fs};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::progress::{Event, Progress};

/// How often a lock that is taken is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// The right to make one layer. Given back when dropped.
#[derive(Debug)]
pub struct LayerLock {
    _file: File,
}

/// The assurance that no garbage is collected. Given back when dropped.
#[derive(Debug)]
pub struct Lease {
    _file: File,
}

impl Store {
    /// Waits for the right to make a layer; `on_wait` is called once if somebody else has it.
    pub fn lock_layer(
        &self,
        diff_id: &Digest,
        on_wait: &mut dyn FnMut(),
        cancel: &Cancel,
    ) -> Result<LayerLock, StoreError> {
        let path = self
            .home()
            .locks()
            .join(format!("{}.lock", diff_id.file_stem()));
        let file = wait(&path, File::try_lock, on_wait, cancel)?;
        Ok(LayerLock { _file: file })
    }

    /// Waits until no garbage is being collected, and keeps it so.
    pub fn lease(&self, progress: &dyn Progress, cancel: &Cancel) -> Result<Lease, StoreError> {
        let path = self.home().locks().join("store.lock");
        let mut waits =
            || progress.report(Event::StoreBusy("another msb is removing what is not used"));
        let file = wait(&path, File::try_lock_shared, &mut waits, cancel)?;
        Ok(Lease { _file: file })
    }

    /// Waits until nobody holds a lease, and keeps it so.
    pub(super) fn sole_lease(
        &self,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Lease, StoreError> {
        let path = self.home().locks().join("store.lock");
        let mut waits = || progress.report(Event::StoreBusy("another msb is using the store"));
        let file = wait(&path, File::try_lock, &mut waits, cancel)?;
        Ok(Lease { _file: file })
    }

    /// Returns the sole lease if it can be had at once.
    pub(super) fn try_sole_lease(&self) -> Result<Option<Lease>, StoreError> {
        let path = self.home().locks().join("store.lock");
        Ok(attempt(&path, File::try_lock)?.map(|file| Lease { _file: file }))
    }
}

/// Takes a lock on a file if nobody has it.
pub(super) fn attempt(
    path: &Path,
    lock: fn(&File) -> Result<(), TryLockError>,
) -> Result<Option<File>, StoreError> {
    if let Some(parent) = path.parent() {
        fs::create_directory(parent)?;
    }
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(fs::error("open", path))?;
    match lock(&file) {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(fs::error("lock", path)(error)),
    }
}

fn wait(
    path: &Path,
    lock: fn(&File) -> Result<(), TryLockError>,
    on_wait: &mut dyn FnMut(),
    cancel: &Cancel,
) -> Result<File, StoreError> {
    let mut told = false;
    loop {
        if let Some(file) = attempt(path, lock)? {
            return Ok(file);
        }
        cancel.check()?;
        if !std::mem::replace(&mut told, true) {
            on_wait();
        }
        std::thread::sleep(RETRY);
    }
}
