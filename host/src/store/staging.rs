//! What is being made and nobody sees yet.
//!
//! Each operation has a directory of its own under `cache/tmp`, locked while it lives: a directory
//! that nobody has locked is left from a process that was killed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::TempDir;

use super::catalogue::Store;
use super::lock::Lease;
use super::{StoreError, fs, lock, sweep};
use crate::cancel::Cancel;
use crate::progress::Progress;

/// The name of the lock in a staging directory.
const LOCK: &str = "lock";

/// A private directory of one operation, removed with all in it when dropped. While it lives, no
/// garbage is collected.
#[derive(Debug)]
pub struct Staging {
    // In the order of their end: the directory goes before its lock, the lease last.
    pub(super) directory: TempDir,
    _lock: File,
    _lease: Lease,
}

/// The files of a layer that is being made, removed when dropped unless they are published.
#[derive(Debug)]
pub struct StagedLayer {
    pub(super) directory: TempDir,
}

impl Store {
    /// Makes a staging directory. Waits while garbage is being collected. Those of processes that
    /// were killed are removed, unless other operations are under way.
    pub fn staging(&self, progress: &dyn Progress, cancel: &Cancel) -> Result<Staging, StoreError> {
        self.prepare()?;
        if let Some(_sole) = self.try_sole_lease()? {
            sweep::tidy(self.home(), SystemTime::now());
        }
        let lease = self.lease(progress, cancel)?;
        let tmp = self.home().tmp();
        let directory = tempfile::Builder::new()
            .prefix(&format!("{}-", std::process::id()))
            .tempdir_in(&tmp)
            .map_err(fs::error("create a directory in", &tmp))?;
        let path = directory.path().join(LOCK);
        let file = lock::open(&path)?;
        // Nobody else has it: who collects garbage has no lease now.
        lock::attempt(&file, &path, File::try_lock)?;
        Ok(Staging {
            directory,
            _lock: file,
            _lease: lease,
        })
    }
}

impl Staging {
    /// Makes room for a layer.
    pub fn create_layer(&self) -> Result<StagedLayer, StoreError> {
        let path = self.directory.path();
        let directory = tempfile::Builder::new()
            .prefix("layer-")
            .tempdir_in(path)
            .map_err(fs::error("create a directory in", path))?;
        Ok(StagedLayer { directory })
    }
}

impl StagedLayer {
    /// Returns the directory that it is made in.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Makes the two files of the layer, empty and open for reading and writing: the EROFS image
    /// and the tar recipe.
    pub fn files(&self) -> Result<(File, File), StoreError> {
        let create = |path: &Path| -> Result<File, StoreError> {
            let file = File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .open(path)
                .map_err(fs::error("create", path))?;
            fs::set_mode(&file, path)?;
            Ok(file)
        };
        Ok((create(&self.erofs())?, create(&self.recipe())?))
    }

    /// Opens the two files, for reading.
    pub fn open(&self) -> Result<(File, File), StoreError> {
        let open = |path: &Path| File::open(path).map_err(fs::error("open", path));
        Ok((open(&self.erofs())?, open(&self.recipe())?))
    }

    /// Returns where the EROFS image is.
    pub fn erofs(&self) -> PathBuf {
        self.directory.path().join("erofs")
    }

    pub(super) fn recipe(&self) -> PathBuf {
        self.directory.path().join("recipe")
    }
}

/// Returns whether a path in `cache/tmp` is the staging directory of a process that is gone.
pub(super) fn is_dead(path: &Path) -> Result<bool, StoreError> {
    let is_ours = path
        .file_name()
        .and_then(|name| name.to_str())
        .and_then(|name| name.split_once('-'))
        .is_some_and(|(process, _)| {
            !process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit())
        });
    if !is_ours || !path.is_dir() {
        return Ok(false);
    }
    let lock = path.join(LOCK);
    match File::open(&lock) {
        Ok(file) => lock::attempt(&file, &lock, File::try_lock),
        // Killed before it had a lock.
        Err(_) => Ok(true),
    }
}
