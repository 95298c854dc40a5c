//! Locks between processes: one per layer, one for the store as a whole.
//!
//! Lock files are never removed: a name that vanished while somebody waited on it would let two
//! into the same room.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use super::catalogue::Store;
use super::{Home, StoreError, fs};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::progress::{Event, Progress};

/// How often a lock that is taken is tried again. Nobody is woken: waiting in the kernel could not
/// be stopped by the user.
const RETRY: Duration = Duration::from_millis(50);

type Lock = fn(&File) -> Result<(), TryLockError>;

/// The right to make one layer. Given back when dropped.
#[derive(Debug)]
pub struct LayerLock {
    _file: File,
}

/// The assurance that no garbage is collected. Given back when dropped.
#[derive(Debug)]
pub struct Lease {
    // None in a store that cannot be written and never was leased: nothing is collected there.
    _file: Option<File>,
}

impl Store {
    /// Waits for the right to make a layer; `on_wait` is called once if somebody else has it.
    pub fn lock_layer(
        &self,
        diff_id: &Digest,
        on_wait: &mut dyn FnMut(),
        cancel: &Cancel,
    ) -> Result<LayerLock, StoreError> {
        let path = self.home().layer_lock(diff_id);
        let file = wait(open(&path)?, &path, File::try_lock, on_wait, cancel)?;
        Ok(LayerLock { _file: file })
    }

    /// Waits until no garbage is being collected, and keeps it so.
    pub fn lease(&self, progress: &dyn Progress, cancel: &Cancel) -> Result<Lease, StoreError> {
        let path = self.home().store_lock();
        let file = match open(&path) {
            Ok(file) => file,
            Err(StoreError::Io { source, .. }) if is_read_only(&source) => {
                match File::open(&path) {
                    Ok(file) => file,
                    Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
                        return Ok(Lease { _file: None });
                    }
                    Err(failed) => return Err(fs::error("open", &path)(failed)),
                }
            }
            Err(failed) => return Err(failed),
        };
        let mut on_wait =
            || progress.report(Event::StoreBusy("another msb is removing what is not used"));
        let file = wait(file, &path, File::try_lock_shared, &mut on_wait, cancel)?;
        Ok(Lease { _file: Some(file) })
    }

    /// Waits until nobody has a lease, and keeps it so.
    pub(super) fn sole_lease(
        &self,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Lease, StoreError> {
        let path = self.home().store_lock();
        let mut on_wait = || progress.report(Event::StoreBusy("another msb is using the store"));
        let file = wait(open(&path)?, &path, File::try_lock, &mut on_wait, cancel)?;
        Ok(Lease { _file: Some(file) })
    }

    /// Returns the sole lease if it can be had at once.
    pub(super) fn try_sole_lease(&self) -> Result<Option<Lease>, StoreError> {
        let path = self.home().store_lock();
        let file = open(&path)?;
        let free = attempt(&file, &path, File::try_lock)?;
        Ok(free.then_some(Lease { _file: Some(file) }))
    }
}

/// Waits for the right to change what is installed of plugins, until the file is dropped.
pub(crate) fn lock_plugins(
    home: &Home,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<File, StoreError> {
    let path = home.plugins_lock();
    let mut on_wait = || progress.report(Event::StoreBusy("another msb is changing plugins"));
    wait(open(&path)?, &path, File::try_lock, &mut on_wait, cancel)
}

/// Opens a lock file.
pub(super) fn open(path: &Path) -> Result<File, StoreError> {
    if let Some(directory) = path.parent() {
        fs::create_directory(directory)?;
    }
    fs::open_or_create(path)
}

/// Takes a lock unless somebody else has it, and returns whether it did.
pub(super) fn attempt(file: &File, path: &Path, lock: Lock) -> Result<bool, StoreError> {
    match lock(file) {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(fs::error("lock", path)(error)),
    }
}

fn wait(
    file: File,
    path: &Path,
    lock: Lock,
    on_wait: &mut dyn FnMut(),
    cancel: &Cancel,
) -> Result<File, StoreError> {
    let mut told = false;
    while !attempt(&file, path, lock)? {
        cancel.check()?;
        if !std::mem::replace(&mut told, true) {
            on_wait();
        }
        std::thread::sleep(RETRY);
    }
    Ok(file)
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
    )
}
