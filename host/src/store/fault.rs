//! What a failure of `SQLite` comes from: the disk, or the database.
//!
//! `SQLite` says "unable to open database file" of a full disk and "malformed" of one that cannot be
//! read. What to do about it is another thing each time, so the disk is asked once more.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use rusqlite::ErrorCode;
use rustix::fs::{FallocateFlags, Mode, OFlags};
use rustix::io::Errno;

use super::StoreError;

/// What `SQLite` takes for the files beside a database, in bytes and in files.
const LOG: u64 = 64 << 10;
const LOG_FILES: u64 = 4;

/// Returns what a failure of the catalogue in the file `path` means.
pub(super) fn of_catalogue(
    operation: &'static str,
    path: &Path,
    source: rusqlite::Error,
) -> StoreError {
    if let Some(error) = of_disk(operation, path, &source) {
        return error;
    }
    if is_damage(&source, path) {
        return StoreError::DamagedCatalogue {
            path: path.to_owned(),
            what: words(source),
        };
    }
    StoreError::Catalogue {
        operation,
        path: path.to_owned(),
        source,
    }
}

/// Returns what a failure of a database that is not ours means.
pub(super) fn of_foreign(
    operation: &'static str,
    path: &Path,
    source: rusqlite::Error,
) -> StoreError {
    of_disk(operation, path, &source).unwrap_or_else(|| StoreError::Catalogue {
        operation,
        path: path.to_owned(),
        source,
    })
}

/// Returns the error of the disk, if it has one now.
fn of_disk(operation: &'static str, path: &Path, source: &rusqlite::Error) -> Option<StoreError> {
    let failed = match source.sqlite_error_code()? {
        ErrorCode::DiskFull => probe(path, LOG)
            .err()
            .or_else(|| Some(io::ErrorKind::StorageFull.into())),
        ErrorCode::CannotOpen | ErrorCode::SystemIoFailure => {
            read_through(path).and_then(|()| probe(path, LOG)).err()
        }
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => read_through(path).err(),
        ErrorCode::ReadOnly => {
            let opened = File::options().write(true).open(path);
            opened.and_then(|_| probe(path, LOG)).err()
        }
        _ => None,
    };
    failed.map(|source| StoreError::Io {
        operation,
        path: path.to_owned(),
        source,
    })
}

/// Returns whether a database is not what it should be, or holds what msb did not write.
pub(super) fn is_damage(error: &rusqlite::Error, path: &Path) -> bool {
    let Some(code) = error.sqlite_error_code() else {
        // A value of another type than its column, a table or column that is missing.
        return !matches!(error, rusqlite::Error::QueryReturnedNoRows);
    };
    match code {
        ErrorCode::DatabaseCorrupt
        | ErrorCode::NotADatabase
        | ErrorCode::ConstraintViolation
        | ErrorCode::TypeMismatch
        | ErrorCode::TooBig
        | ErrorCode::Unknown
        | ErrorCode::SchemaChanged => true,
        // Its header says that it may not be written, and the disk says that it may.
        ErrorCode::ReadOnly => File::options().write(true).open(path).is_ok(),
        _ => false,
    }
}

/// Returns what an error says, without what it says of columns.
pub(super) fn words(error: rusqlite::Error) -> String {
    match error {
        rusqlite::Error::FromSqlConversionFailure(_, _, source) => source.to_string(),
        error => error.to_string(),
    }
}

/// Returns whether a disk, or what a user may have of it, is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Tries what `SQLite` does beside a database: files, and so much room for them.
pub(super) fn probe(path: &Path, room: u64) -> io::Result<()> {
    let directory = crate::fs::parent(path);
    // Some filesystems have as many files as there is room for, and say 0.
    if rustix::fs::statvfs(directory)
        .is_ok_and(|disk| disk.f_files > 0 && disk.f_favail < LOG_FILES)
    {
        return Err(io::ErrorKind::StorageFull.into());
    }
    let file = rustix::fs::open(
        directory,
        OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC,
        Mode::RUSR | Mode::WUSR,
    );
    match file {
        Ok(file) => match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, room) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) | Ok(()) => Ok(()),
            Err(failed) => Err(failed.into()),
        },
        // Not every filesystem has files without a name.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT) => Ok(()),
        Err(failed) => Err(failed.into()),
    }
}

/// Reads a file to its end, to see whether that works.
fn read_through(path: &Path) -> io::Result<()> {
    let mut file = match File::open(path) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let mut buffer = vec![0; 64 << 10];
    while file.read(&mut buffer)? > 0 {}
    Ok(())
}
