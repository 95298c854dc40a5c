//! The directory that a mount is put together in, and what is left of it when its process was killed.
//!
//! Owns `/run/msb`: a directory for each process that mounts, with a lock, which also names the loop
//! devices of that process.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::MountImageError;
use crate::fs::{self, IfThere as _, PRIVATE_DIRECTORY};
use crate::mount::mapper::{self, LoopDevice};
use crate::mount::{self, MountError};

/// Where layers are mounted until they lie over each other.
const WORKSHOP: &str = "/run/msb";
/// How the names of locks end there: one for each directory, held by the process that mounts in it.
const LOCK: &str = ".lock";
/// The most bytes of a lock that are read.
const LOCK_SIZE: u64 = 1 << 20;

/// A directory to mount layers in. When it is dropped, the mounts in it are detached: what lies over
/// them keeps them.
pub(super) struct Workshop {
    name: String,
    directory: PathBuf,
    lock_path: PathBuf,
    lock: File,
}

impl Workshop {
    /// Makes one.
    pub(super) fn open() -> Result<Self, MountImageError> {
        let parent = Path::new(WORKSHOP);
        let failed = |source| MountImageError::io("create", parent, source);
        fs::create_directory(parent, PRIVATE_DIRECTORY).map_err(failed)?;
        for _ in 0..100 {
            let name = format!("{}-{:x}", std::process::id(), fastrand::u32(..));
            let lock_path = parent.join(format!("{name}{LOCK}"));
            let mut options = File::options();
            let lock = match options.write(true).create_new(true).open(&lock_path) {
                Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => continue,
                lock => lock.map_err(failed)?,
            };
            lock.lock().map_err(failed)?;
            let workshop = Self {
                directory: parent.join(&name),
                name,
                lock_path,
                lock,
            };
            fs::create_directory(&workshop.directory, PRIVATE_DIRECTORY).map_err(failed)?;
            mount::private_tmpfs(&workshop.directory)?;
            return Ok(workshop);
        }
        Err(failed(Errno::EXIST.into()))
    }

    /// Returns its name, which no other one has.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Notes a loop device, which is to go if this process is killed.
    pub(super) fn note(&self, device: &LoopDevice) -> Result<(), MountImageError> {
        let LoopDevice { path, backing_file } = device;
        let line = format!("{} {backing_file}\n", path.display());
        let written = (&self.lock).write_all(line.as_bytes());
        written.map_err(|source| MountImageError::io("write", &self.lock_path, source))
    }

    pub(super) fn make(&self, name: &str) -> Result<PathBuf, MountImageError> {
        let directory = self.directory.join(name);
        let made = fs::create_directory(&directory, fs::SHARED_DIRECTORY);
        made.map_err(|source| MountImageError::io("create", &directory, source))?;
        Ok(directory)
    }

    /// Takes away those whose process is gone.
    pub(super) fn tidy() -> Result<(), MountImageError> {
        let entries = fs::entries(Path::new(WORKSHOP)).if_there()?;
        for entry in entries.into_iter().flatten() {
            let lock_path = entry?.path();
            let file_name = lock_path.file_name().unwrap_or_default().to_string_lossy();
            let Some(name) = file_name.strip_suffix(LOCK).map(str::to_owned) else {
                continue;
            };
            let Ok(lock) = File::open(&lock_path) else {
                continue;
            };
            if lock.try_lock().is_ok() {
                mapper::remove_left(&name, &noted(&lock));
                drop(Self {
                    directory: Path::new(WORKSHOP).join(&name),
                    name,
                    lock_path,
                    lock,
                });
            }
        }
        Ok(())
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // What cannot be taken away now is by the next one.
        let detached = mount::unmount_lazily(&self.directory);
        let is_gone = match detached {
            Ok(()) => true,
            Err(MountError::Unmount { source, .. }) => matches!(
                Errno::from_io_error(&source),
                Some(Errno::INVAL | Errno::NOENT)
            ),
            Err(_) => false,
        };
        if is_gone {
            let _ = fs::remove_directory(&self.directory);
            let _ = fs::remove_file(&self.lock_path);
        }
    }
}

/// Returns the loop devices that a lock names.
fn noted(lock: &File) -> Vec<LoopDevice> {
    let mut text = String::new();
    // What cannot be read names none.
    let _ = lock.take(LOCK_SIZE).read_to_string(&mut text);
    let devices = text.lines().filter_map(|line| line.split_once(' '));
    devices
        .map(|(path, backing_file)| LoopDevice {
            path: path.into(),
            backing_file: backing_file.to_owned(),
        })
        .collect()
}
