//! Locks between processes: one per layer, one for the store as a whole.
//!
//! Lock files are never removed: a name that vanished while somebody waited on it would let two
//! into the same room. There are few of them: all layers have their locks in one file, each at a
//! byte of its own, so that thousands of layers need one open file.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::catalogue::Store;
use super::{Home, StoreError, fs, range};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::progress::{Event, Progress};

/// How often a lock that is taken is tried again. Nobody is woken: waiting in the kernel could not
/// be stopped by the user.
const RETRY: Duration = Duration::from_millis(50);

type Lock = fn(&File) -> Result<(), TryLockError>;

/// The right to make layers, as many as are locked. Given back when dropped.
#[derive(Debug)]
pub struct LayerLocks {
    file: File,
    path: PathBuf,
}

/// The assurance that no garbage is collected. Given back when dropped.
#[derive(Debug)]
pub struct Lease {
    // None in a store that cannot be written and never was leased: nothing is collected there.
    _file: Option<File>,
}

impl Store {
    /// Returns the locks of layers, none of which is taken.
    pub fn layer_locks(&self) -> Result<LayerLocks, StoreError> {
        let path = self.home().layers_lock();
        let file = open(&path)?;
        Ok(LayerLocks { file, path })
    }

    /// Waits for the right to make a layer; `on_wait` is called once if somebody else has it.
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

impl LayerLocks {
    /// Waits for the right to make one more layer; `on_wait` is called once if somebody else has
    /// it. Whoever locks several does so in the order of their digests.
    pub fn lock(
        &self,
        diff_id: &Digest,
        on_wait: &mut dyn FnMut(),
        cancel: &Cancel,
    ) -> Result<(), StoreError> {
        let number = number(diff_id);
        let take = || range::try_lock(&self.file, number).map_err(fs::error("lock", &self.path));
        let mut told = false;
        while !take()? {
            cancel.check()?;
            if !std::mem::replace(&mut told, true) {
                on_wait();
            }
            std::thread::sleep(RETRY);
        }
        Ok(())
    }

    /// Gives the right to make a layer back, and keeps the others.
    pub fn unlock(&self, diff_id: &Digest) -> Result<(), StoreError> {
        range::unlock(&self.file, number(diff_id)).map_err(fs::error("unlock", &self.path))
    }
}

/// Returns the number of a layer's lock. Two layers of one number would take turns, and that is
/// all.
fn number(diff_id: &Digest) -> u64 {
    let digits = diff_id.hex().get(..16).unwrap_or_default();
    u64::from_str_radix(digits, 16).unwrap_or_default()
}

/// Removes the lock files that earlier versions had for each layer. Nothing may be under way.
pub(super) fn remove_old(home: &Home) {
    let entries = std::fs::read_dir(home.locks());
    for entry in entries.into_iter().flatten().flatten() {
        let name = entry.file_name();
        let digest = name.to_str().and_then(|name| name.strip_suffix(".lock"));
        let is_of_layer =
            digest.is_some_and(|digest| digest.replacen('_', ":", 1).parse::<Digest>().is_ok());
        if is_of_layer {
            let _ = std::fs::remove_file(entry.path());
        }
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
