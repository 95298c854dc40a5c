//! What is being made and nobody sees yet.
//!
//! Each operation has a directory of its own under `cache/tmp`, locked while it lives: a directory
//! that nobody has locked is left from a process that was killed.

use std::fs::File;
use std::path::PathBuf;

use tempfile::TempDir;

use super::catalogue::Store;
use super::lock::Lease;
use super::{StoreError, fs, lock};
use crate::cancel::Cancel;
use crate::progress::Progress;

/// The name of the lock in a staging directory.
pub(super) const LOCK: &str = "lock";

/// A private directory of one operation, removed with all in it when dropped. While it lives, no
/// garbage is collected.
#[derive(Debug)]
pub struct Staging {
    // In the order of their end: the directory goes before its lock, the lease last.
    directory: TempDir,
    _lock: File,
    _lease: Lease,
}

/// The files of a layer that is being made, removed when dropped unless they are published.
#[derive(Debug)]
pub struct StagedLayer {
    pub(super) directory: TempDir,
}

impl Store {
    /// Makes a staging directory.
    pub fn staging(&self, progress: &dyn Progress, cancel: &Cancel) -> Result<Staging, StoreError> {
        self.prepare()?;
        let lease = self.lease(progress, cancel)?;
        let tmp = self.home().tmp();
        let directory = tempfile::Builder::new()
            .prefix(&format!("{}-", std::process::id()))
            .tempdir_in(&tmp)
            .map_err(fs::error("create a directory in", &tmp))?;
        let path = directory.path().join(LOCK);
        let lock = lock::attempt(&path, File::try_lock)?.ok_or_else(|| {
            let busy = std::io::ErrorKind::WouldBlock.into();
            fs::error("lock", &path)(busy)
        })?;
        Ok(Staging {
            directory,
            _lock: lock,
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
    /// Opens the two empty files of the layer: the EROFS image and the tar recipe.
    pub fn files(&self) -> Result<(File, File), StoreError> {
        let open = |path: PathBuf| -> Result<File, StoreError> {
            let file = File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .open(&path)
                .map_err(fs::error("create", &path))?;
            fs::set_mode(&file, &path)?;
            Ok(file)
        };
        Ok((open(self.erofs())?, open(self.recipe())?))
    }

    pub(super) fn erofs(&self) -> PathBuf {
        self.directory.path().join("erofs")
    }

    pub(super) fn recipe(&self) -> PathBuf {
        self.directory.path().join("recipe")
    }
}
