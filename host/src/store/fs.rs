//! The file operations of the store: each error with path and operation, each write durable, each
//! mode the same whatever the umask.

use std::fs::{File, Metadata, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::StoreError;
use crate::cancel::Cancel;
use crate::fs::atomic::{self, AtomicFile, Mode};
use crate::fs::{self, FileError, IfThere as _, PRIVATE_DIRECTORY, PRIVATE_FILE, SHARED_DIRECTORY};

pub(super) const FILE_MODE: u32 = 0o644;
/// How many files are made durable at once.
const SYNCHRONISERS: usize = 8;

/// Gives an I/O error its path and operation.
pub(crate) fn error(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io {
        operation,
        path: path.clone(),
        source,
    }
}

/// Makes a directory and those above it.
pub(crate) fn create_directory(path: &Path) -> Result<(), StoreError> {
    fs::create_directory(path, SHARED_DIRECTORY).map_err(error("create", path))
}

/// Makes a directory that only its owner can enter, and those above it. One that is there and open
/// to others is closed to them.
pub(super) fn create_private_directory(path: &Path) -> Result<(), StoreError> {
    fs::create_directory(path, PRIVATE_DIRECTORY).map_err(error("create", path))?;
    if is_open_to_others(&fs::metadata(path)?) {
        fs::set_mode(path, PRIVATE_DIRECTORY)?;
    }
    Ok(())
}

/// Makes a directory that only its owner can enter, removed with all in it when dropped. Its name is
/// `prefix` and so many random characters.
pub(super) fn temporary_directory(
    parent: &Path,
    prefix: &str,
    random: usize,
) -> Result<TempDir, StoreError> {
    let directory = tempfile::Builder::new()
        .prefix(prefix)
        .rand_bytes(random)
        .tempdir_in(parent)
        .map_err(error("create a directory in", parent))?;
    // The umask may have taken away what its owner needs.
    fs::set_mode(directory.path(), PRIVATE_DIRECTORY)?;
    Ok(directory)
}

/// Opens a file for reading and writing, and makes it if there is none. Only its owner has access
/// to it, also where it was open to others before.
pub(super) fn open_or_create_private(path: &Path) -> Result<File, StoreError> {
    let file = open_or_create_with(path, PRIVATE_FILE)?;
    let metadata = file.metadata().map_err(error("inspect", path))?;
    if is_open_to_others(&metadata) {
        file.set_permissions(Permissions::from_mode(PRIVATE_FILE))
            .map_err(error("set the mode of", path))?;
    }
    Ok(file)
}

fn is_open_to_others(metadata: &Metadata) -> bool {
    metadata.mode() & 0o077 != 0
}

/// Returns whether there is a regular file with this length, in bytes.
pub(super) fn has_length(path: &Path, length: u64) -> Result<bool, StoreError> {
    let found = fs::metadata(path).if_there()?;
    Ok(found.is_some_and(|metadata| metadata.is_file() && metadata.len() == length))
}

/// Opens a file for reading and writing, and makes it if there is none.
pub(super) fn open_or_create(path: &Path) -> Result<File, StoreError> {
    open_or_create_with(path, FILE_MODE)
}

fn open_or_create_with(path: &Path, mode: u32) -> Result<File, StoreError> {
    let mut options = File::options();
    options.read(true).write(true);
    match options.open(path) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => {}
        opened => return opened.map_err(error("open", path)),
    }
    match options.clone().create_new(true).mode(mode).open(path) {
        Ok(file) => {
            file.set_permissions(Permissions::from_mode(mode))
                .map_err(error("set the mode of", path))?;
            Ok(file)
        }
        Err(raced) if raced.kind() == io::ErrorKind::AlreadyExists => {
            options.open(path).map_err(error("open", path))
        }
        Err(failed) => Err(error("create", path)(failed)),
    }
}

/// Gives a file the mode that every file of the store has.
pub(super) fn set_mode(file: &File, path: &Path) -> Result<(), StoreError> {
    file.set_permissions(Permissions::from_mode(FILE_MODE))
        .map_err(error("set the mode of", path))
}

/// Makes the contents of files durable, and returns their lengths in the same order. Several at a
/// time, which takes a disk about as long as one.
pub(super) fn sync_files(paths: &[PathBuf], cancel: &Cancel) -> Result<Vec<u64>, StoreError> {
    let mut lengths = vec![0; paths.len()];
    let share = paths.len().div_ceil(SYNCHRONISERS).max(1);
    std::thread::scope(|scope| {
        let shares = paths.chunks(share).zip(lengths.chunks_mut(share));
        let workers: Vec<_> = shares
            .map(|(paths, lengths)| {
                scope.spawn(|| -> Result<(), StoreError> {
                    for (path, length) in paths.iter().zip(lengths) {
                        cancel.check()?;
                        *length = sync_file(path)?;
                    }
                    Ok(())
                })
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| match worker.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
    })?;
    Ok(lengths)
}

fn sync_file(path: &Path) -> Result<u64, StoreError> {
    let sync = || {
        let file = File::open(path)?;
        file.sync_all()?;
        Ok(file.metadata()?.len())
    };
    sync().map_err(error("synchronise", path))
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    fs::sync_directory(path).map_err(error("synchronise", path))
}

/// Gives a synchronised file its name. [`sync_directory`] makes that durable.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    step(to)?;
    Ok(fs::rename(from, to)?)
}

/// Writes a whole file in one step, in the place of the one that is there.
pub(crate) fn write_atomically(bytes: &[u8], path: &Path) -> Result<(), StoreError> {
    write_aside(bytes, path)?.persist()?;
    sync_directory(fs::parent(path))
}

/// A file that was written and is synchronised, removed when dropped.
pub(super) struct Aside {
    file: AtomicFile,
    path: PathBuf,
}

/// Writes a file that is to be put in its place at `path`.
pub(super) fn write_aside(bytes: &[u8], path: &Path) -> Result<Aside, StoreError> {
    let write = || -> io::Result<AtomicFile> {
        let file = AtomicFile::create(path, Mode::Exactly(FILE_MODE))?;
        file.file().write_all(bytes)?;
        file.file().sync_all()?;
        Ok(file)
    };
    let file = write().map_err(error("write", path))?;
    let path = path.to_owned();
    Ok(Aside { file, path })
}

impl Aside {
    /// Puts the file in its place. [`sync_directory`] makes that durable.
    pub(super) fn persist(self) -> Result<(), StoreError> {
        let Self { file, path } = self;
        step(&path)?;
        file.give_name().map_err(error("write", &path))
    }
}

/// Returns the bytes of disk that a file takes; none if it is not there.
pub(super) fn disk_size(path: &Path) -> Result<u64, StoreError> {
    let found = fs::link_metadata(path).if_there()?;
    Ok(found.map_or(0, |metadata| metadata.blocks().saturating_mul(512)))
}

/// Removes a file, or a directory with all in it, that may be gone already.
pub(crate) fn remove(path: &Path) -> Result<(), StoreError> {
    step(path)?;
    if atomic::is_unfinished(path) {
        // Another process may be at it by now.
        atomic::remove_if_left(path);
        return Ok(());
    }
    let removed = match fs::link_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_tree(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(FileError {
            operation: "remove",
            ..error
        }),
    };
    removed.if_there()?;
    Ok(())
}

/// Stands in front of each step that others see. Tests let the process die here.
#[cfg(not(test))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "the one that tests are built with can fail"
)]
pub(super) fn step(_path: &Path) -> Result<(), StoreError> {
    Ok(())
}

#[cfg(test)]
pub(super) use crash::step;

#[cfg(test)]
pub(super) mod crash {
    //! A death at a chosen step, for tests.

    use std::cell::Cell;
    use std::io;
    use std::path::Path;

    use super::StoreError;

    thread_local! {
        static STEPS_LEFT: Cell<u32> = const { Cell::new(u32::MAX) };
    }

    /// Lets this thread go that many steps before it dies.
    pub(crate) fn after(steps: u32) {
        STEPS_LEFT.set(steps);
    }

    pub(crate) fn step(path: &Path) -> Result<(), StoreError> {
        match STEPS_LEFT.get() {
            u32::MAX => Ok(()),
            0 => Err(super::error("go on with", path)(io::Error::other("crash"))),
            left => {
                STEPS_LEFT.set(left - 1);
                Ok(())
            }
        }
    }
}
