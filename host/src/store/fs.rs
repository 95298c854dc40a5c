//! The file operations of the store: each error with path and operation, each write durable.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use super::StoreError;

const FILE_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o755;

/// Gives an I/O error its path and operation.
pub(super) fn error(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io {
        operation,
        path: path.clone(),
        source,
    }
}

/// Makes a directory and those above it.
pub(super) fn create_directory(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(path)
        .map_err(error("create", path))
}

/// Gives a file the mode that every file of the store has, whatever the umask.
pub(super) fn set_mode(file: &File, path: &Path) -> Result<(), StoreError> {
    file.set_permissions(fs::Permissions::from_mode(FILE_MODE))
        .map_err(error("set the mode of", path))
}

/// Renames a synchronised file into a directory, and makes that durable.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(error("rename to", to))
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(error("synchronise", path))
}

/// Writes a whole file in one step: aside, synchronised, renamed.
pub(super) fn write_atomically(bytes: &[u8], path: &Path, aside: &Path) -> Result<(), StoreError> {
    let mut file = tempfile::NamedTempFile::new_in(aside).map_err(error("create", aside))?;
    file.write_all(bytes).map_err(error("write", path))?;
    set_mode(file.as_file(), path)?;
    file.as_file().sync_all().map_err(error("write", path))?;
    file.persist(path)
        .map_err(|failed| error("rename to", path)(failed.error))?;
    if let Some(parent) = path.parent() {
        sync_directory(parent)?;
    }
    Ok(())
}

/// Removes a file that may be gone already, and returns the bytes of disk that it took.
pub(super) fn remove(path: &Path) -> Result<u64, StoreError> {
    use std::os::unix::fs::MetadataExt as _;
    let size = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.blocks() * 512,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(failed) => return Err(error("inspect", path)(failed)),
    };
    match fs::remove_file(path) {
        Ok(()) => Ok(size),
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(failed) => Err(error("remove", path)(failed)),
    }
}
