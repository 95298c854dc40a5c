//! Directories and files as every room makes them: durable, and with the mode that is meant,
//! whatever the umask.

pub(crate) mod atomic;

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::io::Errno;

/// The mode of directories that others may read.
pub(crate) const SHARED_DIRECTORY: u32 = 0o755;
/// The mode of directories that only their owner may enter.
pub(crate) const PRIVATE_DIRECTORY: u32 = 0o700;
/// The mode of files that only their owner may read.
pub(crate) const PRIVATE_FILE: u32 = 0o600;

/// Makes a directory of a mode, and those above it as [`SHARED_DIRECTORY`]. One that is there stays
/// as it is.
pub(crate) fn create_directory(path: &Path, mode: u32) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        create_directory(parent, SHARED_DIRECTORY)?;
    }
    match DirBuilder::new().mode(mode).create(path) {
        Err(raced) if raced.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {
            return Ok(());
        }
        created => created?,
    }
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    sync_directory(parent(path))
}

/// Returns the directory that a file is in: `.` for a relative path of one name.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    ignoring_what_cannot_be_synchronised(File::open(path)?.sync_all())
}

/// Pipes, devices, and directories of some filesystems have no such thing.
pub(crate) fn ignoring_what_cannot_be_synchronised(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error)
            if matches!(
                Errno::from_io_error(&error),
                Some(Errno::INVAL | Errno::ROFS | Errno::NOTSUP)
            ) =>
        {
            Ok(())
        }
        result => result,
    }
}
