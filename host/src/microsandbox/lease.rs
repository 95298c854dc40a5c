//! The locks and leases of microsandbox.
//!
//! Owns which file is locked for what, and for how long it is waited. A *lock* is for who makes a file
//! of a name. A *lease* is for the file: who reads it or refers to it shares one, and who removes it
//! must have it alone, for which microsandbox never waits. The *gate* of a record is for the moment in
//! which the record is replaced. Files that are locked are never removed: two processes could hold
//! locks of one name.
//!
//! The order is: shared leases, a lock, the gate. Since those who remove do not wait, every wait ends.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

use crate::cancel::{Cancel, Cancelled};
use crate::digest::Digest;
use crate::fs::{self, FileError, PRIVATE_FILE, SHARED_DIRECTORY};

/// Where leases are, in the directory of the files.
const LEASES: &str = ".msb-leases";
/// How long it is waited for microsandbox. It holds a lock for as long as it fetches an image.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is tried.
const RETRY: Duration = Duration::from_millis(10);

/// A lock, a lease or a gate that is held. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    _file: File,
}

/// Why none was had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CacheError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Shared,
    Alone,
}

/// Shares the leases of files, which need not be there; `None` if one is being removed.
pub(crate) fn share(
    paths: impl IntoIterator<Item = PathBuf>,
    cancel: &Cancel,
) -> Result<Option<Vec<Lease>>, CacheError> {
    let mut paths: Vec<PathBuf> = paths.into_iter().collect();
    paths.sort_unstable();
    paths.dedup();
    let mut leases = Vec::with_capacity(paths.len());
    for path in paths {
        match wait(&lease_path(&path)?, Mode::Shared, cancel)? {
            Some(lease) => leases.push(lease),
            None => return Ok(None),
        }
    }
    Ok(Some(leases))
}

/// Has the lease of a file alone, for removing it; `None` if another process has it.
fn claim(path: &Path) -> Result<Option<Lease>, CacheError> {
    attempt(&lease_path(path)?, Mode::Alone)
}

/// Has the leases of files alone; `None` if another process has one.
pub(crate) fn claim_all(paths: &[PathBuf]) -> Result<Option<Vec<Lease>>, CacheError> {
    let mut leases = Vec::with_capacity(paths.len());
    for path in paths {
        match claim(path)? {
            Some(lease) => leases.push(lease),
            None => return Ok(None),
        }
    }
    Ok(Some(leases))
}

/// Waits for the right to replace a record. Its lease is shared before.
pub(crate) fn gate(record: &Path, cancel: &Cancel) -> Result<Option<Lease>, CacheError> {
    let publication = record.with_extension("publication");
    wait(&lease_path(&publication)?, Mode::Alone, cancel)
}

/// Waits for the right to make a file: `<file>.lock`, or of a record `<key>.lock`.
pub(crate) fn lock(path: &Path, cancel: &Cancel) -> Result<Option<Lease>, CacheError> {
    wait(path, Mode::Alone, cancel)
}

/// Returns where the lease of a file is.
fn lease_path(path: &Path) -> Result<PathBuf, FileError> {
    let name = path.file_name().unwrap_or_default();
    let directory = fs::parent(path).join(LEASES);
    fs::create_directory(&directory, SHARED_DIRECTORY)
        .map_err(FileError::of("create", &directory))?;
    if !fs::link_metadata(&directory)?.is_dir() {
        let error = io::Error::from(io::ErrorKind::NotADirectory);
        return Err(FileError::of("use", &directory)(error));
    }
    let key = Digest::of(name.as_encoded_bytes());
    Ok(directory.join(format!("{}.lock", key.hex())))
}

fn wait(path: &Path, mode: Mode, cancel: &Cancel) -> Result<Option<Lease>, CacheError> {
    let started = Instant::now();
    loop {
        if let Some(lease) = attempt(path, mode)? {
            return Ok(Some(lease));
        }
        cancel.check()?;
        if started.elapsed() >= PATIENCE {
            return Ok(None);
        }
        std::thread::sleep(RETRY);
    }
}

fn attempt(path: &Path, mode: Mode) -> Result<Option<Lease>, CacheError> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options
        .mode(PRIVATE_FILE)
        .custom_flags(flags.bits().cast_signed());
    let file = options.open(path).map_err(FileError::of("open", path))?;
    let locked = match mode {
        Mode::Shared => file.try_lock_shared(),
        Mode::Alone => file.try_lock(),
    };
    match locked {
        Ok(()) => Ok(Some(Lease { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(FileError::of("lock", path)(error).into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_a_lock_next_to_the_file_by_the_digest_of_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sha256_aa.erofs");
        let cancel = Cancel::default();
        let shared = share([path.clone()], &cancel).unwrap().unwrap();
        let key = Digest::of(b"sha256_aa.erofs");
        let lock = directory
            .path()
            .join(".msb-leases")
            .join(format!("{}.lock", key.hex()));
        let other = File::open(lock).unwrap();
        assert!(other.try_lock().is_err() && other.try_lock_shared().is_ok());
        other.unlock().unwrap();
        assert!(claim(&path).unwrap().is_none());
        drop(shared);
        assert!(claim(&path).unwrap().is_some());
        assert!(!path.exists());
    }

    #[test]
    fn a_directory_of_leases_that_leads_elsewhere_is_not_used() {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/tmp", directory.path().join(LEASES)).unwrap();
        let error = claim(&directory.path().join("file")).unwrap_err();
        assert!(error.to_string().contains(".msb-leases"), "{error}");
    }

    #[test]
    fn a_wait_ends_when_the_user_asks_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.lock");
        let cancel = Cancel::default();
        let _held = lock(&path, &cancel).unwrap().unwrap();
        cancel.cancel();
        assert!(matches!(
            lock(&path, &cancel),
            Err(CacheError::Cancelled(_))
        ));
    }
}
