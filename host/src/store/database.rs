//! Opening database files, for writing and for reading.
//!
//! Owns what every connection has in common. Knows nothing of tables.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::fs::Access;

/// How long another process may hold the database.
const BUSY: Duration = Duration::from_secs(30);

/// Opens a database that is there, or an empty file, for writing, with a write-ahead log.
pub(super) fn open_for_writing(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open_unread(path)?;
    configure(&connection)?;
    Ok(connection)
}

/// Makes an open database one that is written with a write-ahead log.
pub(super) fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    write_ahead(connection)?;
    // No files elsewhere, which may have no room either.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "foreign_keys", "ON")
}

/// Opens a database that is there, or an empty file, for writing, and leaves its kind of journal
/// alone.
pub(super) fn open_as_it_is(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open_unread(path)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

/// Opens a file for writing, and does not look whether it is a database.
pub(super) fn open_unread(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI,
    )?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

/// Opens a database for reading. What a process that was killed has left half done there is undone
/// first, as opening any database does; nothing else is written.
pub(super) fn open_for_reading(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open_uri(&reading_uri(path))?;
    match look(&connection) {
        // A disk that is full takes no files beside it.
        Err(error)
            if matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure)
            ) && !is_pending(path) =>
        {
            open_unshared(path)
        }
        Err(error)
            if error.sqlite_error_code() == Some(ErrorCode::ReadOnly) && takes_new_files(path) =>
        {
            let connection = open_as_it_is(path)?;
            look(&connection)?;
            connection.pragma_update(None, "query_only", "ON")?;
            Ok(connection)
        }
        looked => looked.map(|()| connection),
    }
}

/// Opens a database for reading, and takes no other files for it. To be used only where there is
/// nothing in its log. What others write later is not seen.
pub(super) fn open_unshared(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open_uri(&format!("file:{}?immutable=1", uri_path(path)))?;
    look(&connection)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

/// Returns whether there is something in the log of a database that is not yet in the database.
pub(super) fn is_pending(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    crate::fs::length(Path::new(&log)).is_some_and(|length| length > 0)
}

fn open_uri(uri: &str) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        uri,
        OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI,
    )?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

/// Reads something, which undoes what was left half done.
fn look(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))
}

/// Returns the URI that opens a database for reading.
///
/// Reading a database with a write-ahead log takes files beside it. Where none can be made and there
/// is nothing in the log, it can be read without; where there is, reading without would show a
/// state that never was.
pub(super) fn reading_uri(path: &Path) -> String {
    let mode = if takes_new_files(path) || is_pending(path) {
        "mode=ro"
    } else {
        "immutable=1"
    };
    format!("file:{}?{mode}", uri_path(path))
}

/// Returns whether files can be made beside a database.
pub(super) fn takes_new_files(path: &Path) -> bool {
    path.parent()
        .is_some_and(|directory| rustix::fs::access(directory, Access::WRITE_OK).is_ok())
}

/// Switches to a write-ahead log, so that readers and writers do not wait for each other. Alone of
/// all statements this one does not wait while another process does the same.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let deadline = Instant::now() + BUSY;
    loop {
        let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
        if mode == "wal" {
            return Ok(());
        }
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            result => return result,
        }
    }
}

/// Escapes a path for a URI.
fn uri_path(path: &Path) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt as _;
    let mut uri = String::new();
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-~".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}
