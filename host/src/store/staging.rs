//! What is being made and is not visible yet.
//!
//! Each operation has a directory of its own under `cache/tmp`, locked while it lives: a directory
//! that is not locked is left from a process that was killed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use tempfile::TempDir;

use super::catalogue::Store;
use super::lock_file::{Locks, Resource};
use super::range::Mode;
use super::{StoreError, fs, leftovers, room};
use crate::cancel::Cancel;
use crate::home::Home;

/// How many characters of the name of a staging directory are random.
const RANDOM: usize = 6;

/// A private directory of one operation, removed with all in it when dropped.
#[derive(Debug)]
pub struct Staging {
    // In the order of their end: the directory goes before its lock.
    pub(super) directory: TempDir,
    _lock: Locks,
    home: Home,
    has_made_room: AtomicBool,
}

/// The files of a layer that is being made, removed when dropped unless they are published.
#[derive(Debug)]
pub struct StagedLayer {
    pub(super) directory: TempDir,
}

impl Store {
    /// Makes a staging directory. Those of processes that were killed are removed, unless another
    /// process has a lease.
    pub fn staging(&self, cancel: &Cancel) -> Result<Staging, StoreError> {
        self.prepare()?;
        if let Some(_sole) = self.try_sole_lease()? {
            leftovers::tidy(self.home(), SystemTime::now());
        }
        let random: String = std::iter::repeat_with(fastrand::alphanumeric)
            .take(RANDOM)
            .collect();
        let name = format!("{}-{random}", std::process::id());
        // Locked before it is there, or it would be taken for one that was left.
        let lock = Locks::open(self.home())?;
        lock.try_take(Resource::Staging(&name), Mode::Exclusive)?;
        if !lock.try_take(Resource::Operations, Mode::Shared)? {
            // The catalogue is being brought back, and may be another file afterwards.
            lock.take(Resource::Operations, Mode::Shared, &mut || {}, cancel)?;
            self.reopen()?;
        }
        let directory = fs::temporary_directory(&self.home().tmp(), &name, 0)?;
        Ok(Staging {
            directory,
            _lock: lock,
            home: self.home().clone(),
            has_made_room: AtomicBool::new(false),
        })
    }
}

impl Staging {
    /// Removes compiled plugins from a full disk, so that a layer finds space. Returns whether there
    /// were any: then the layer is worth another try.
    pub fn make_room(&self) -> bool {
        if room::drop_compiled(&self.home) {
            self.has_made_room.store(true, Ordering::Release);
        }
        self.has_made_room.load(Ordering::Acquire)
    }

    /// Makes the directory of a layer.
    pub fn create_layer(&self) -> Result<StagedLayer, StoreError> {
        let directory = fs::temporary_directory(self.directory.path(), "layer-", RANDOM)?;
        Ok(StagedLayer { directory })
    }

    /// Returns an empty file without a name, which goes when it is closed.
    pub fn scratch(&self) -> Result<File, StoreError> {
        let directory = self.directory.path();
        tempfile::tempfile_in(directory).map_err(fs::error("create a file in", directory))
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

    /// Returns the bytes of disk that its files take.
    pub fn disk_size(&self) -> Result<u64, StoreError> {
        Ok(fs::disk_size(&self.erofs())? + fs::disk_size(&self.recipe())?)
    }

    pub(super) fn recipe(&self) -> PathBuf {
        self.directory.path().join("recipe")
    }
}

/// Returns whether a name in `cache/tmp` is that of the staging directory of a process that is gone.
pub(super) fn is_dead(home: &Home, name: &str) -> Result<bool, StoreError> {
    let is_ours = name.split_once('-').is_some_and(|(process, _)| {
        !process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit())
    });
    if !is_ours || !home.tmp().join(name).is_dir() {
        return Ok(false);
    }
    match Locks::open_if_writable(home)? {
        Some(locks) => locks.try_take(Resource::Staging(name), Mode::Exclusive),
        None => Ok(false),
    }
}
