//! Files and directories as every room reaches them. What is made is durable and has the mode that is
//! meant, whatever the umask; an error says what was done to which path.

#![expect(
    clippy::disallowed_methods,
    reason = "the one module that calls `std::fs`; `clippy.toml` sends all others here"
)]

pub(crate) mod atomic;
mod error;

use std::fs::{self, DirBuilder, DirEntry, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

pub use self::error::FileError;
pub(crate) use self::error::IfThere;

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

/// Returns all bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    fs::read(path).map_err(FileError::of("read", path))
}

/// Returns the text of a file.
pub(crate) fn read_text(path: &Path) -> Result<String, FileError> {
    fs::read_to_string(path).map_err(FileError::of("read", path))
}

/// Returns what a path leads to, behind all links.
pub(crate) fn metadata(path: &Path) -> Result<Metadata, FileError> {
    fs::metadata(path).map_err(FileError::of("inspect", path))
}

/// Returns what has this name, which may be a link.
pub(crate) fn link_metadata(path: &Path) -> Result<Metadata, FileError> {
    fs::symlink_metadata(path).map_err(FileError::of("inspect", path))
}

/// Returns whether anything has this name, a link that leads nowhere included.
pub(crate) fn is_there(path: &Path) -> Result<bool, FileError> {
    Ok(link_metadata(path).if_there()?.is_some())
}

/// Returns how many bytes a file has; `None` if it is not there, or cannot be looked at.
pub(crate) fn length(path: &Path) -> Option<u64> {
    metadata(path).ok().map(|metadata| metadata.len())
}

/// Returns where a link leads.
pub(crate) fn read_link(path: &Path) -> Result<PathBuf, FileError> {
    fs::read_link(path).map_err(FileError::of("read", path))
}

/// Returns a path without links in it, of something that is there.
pub(crate) fn canonicalize(path: &Path) -> Result<PathBuf, FileError> {
    fs::canonicalize(path).map_err(FileError::of("find", path))
}

/// Returns what is in a directory.
pub(crate) fn entries(
    path: &Path,
) -> Result<impl Iterator<Item = Result<DirEntry, FileError>> + use<>, FileError> {
    let failed = FileError::of("read", path);
    let entries = fs::read_dir(path).map_err(&failed)?;
    Ok(entries.map(move |entry| entry.map_err(&failed)))
}

/// Gives a file or directory a mode.
pub(crate) fn set_mode(path: &Path, mode: u32) -> Result<(), FileError> {
    let set = fs::set_permissions(path, Permissions::from_mode(mode));
    set.map_err(FileError::of("set the mode of", path))
}

/// Has a file be modified now, as far as its times say.
pub(crate) fn touch(path: &Path) -> Result<(), FileError> {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
    let at = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
    let times = Timestamps {
        last_access: at(UTIME_OMIT),
        last_modification: at(UTIME_NOW),
    };
    let touched = rustix::fs::utimensat(CWD, path, &times, AtFlags::empty());
    touched.map_err(|errno| FileError::of("touch", path)(errno.into()))
}

/// Gives a file another name, which it takes from another file where there is one.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    fs::rename(from, to).map_err(FileError::of("rename to", to))
}

/// Gives a file one more name, on the same filesystem.
pub(crate) fn hard_link(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)
}

/// Removes an empty directory.
pub(crate) fn remove_directory(path: &Path) -> Result<(), FileError> {
    fs::remove_dir(path).map_err(FileError::of("remove", path))
}

/// Removes a file.
pub(crate) fn remove_file(path: &Path) -> Result<(), FileError> {
    fs::remove_file(path).map_err(FileError::of("remove", path))
}

/// Removes a directory with all in it.
pub(crate) fn remove_tree(path: &Path) -> Result<(), FileError> {
    fs::remove_dir_all(path).map_err(FileError::of("remove", path))
}
