//! The catalogue: which images there are, what they are made of, what they are called.
//!
//! Owns the database connection and how it is opened; the statements are those of the other
//! files in this room.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use rustix::fs::Access;

use super::query::ImageRecord;
use super::{Home, StoreError, fs, query, schema};
use crate::reference::Reference;

/// How long another process may hold the database.
const BUSY: Duration = Duration::from_secs(30);

/// An open store. May be shared between threads.
#[derive(Debug)]
pub struct Store {
    home: Home,
    connection: Mutex<Connection>,
}

impl Store {
    /// Opens the store of a home, and makes it if there is none. A store that cannot be written,
    /// such as one on a read-only filesystem, is opened for reading.
    ///
    /// # Errors
    /// [`StoreError::Format`] for a store that a newer msb has written.
    pub fn open(home: &Home) -> Result<Self, StoreError> {
        let path = home.catalogue();
        let failed = |operation| {
            let path = path.clone();
            move |source| StoreError::Catalogue {
                operation,
                path,
                source,
            }
        };
        let mut read_only = false;
        let mut connection = match open_for_writing(home) {
            Err(_) if is_readable_only(&path) => {
                read_only = true;
                open_for_reading(&path).map_err(failed("open"))?
            }
            opened => opened?,
        };
        match schema::format(&connection).map_err(failed("read"))? {
            Some(schema::FORMAT) => {}
            None => {
                if read_only {
                    // A database of microsandbox that we cannot add to: it has no images of ours.
                    connection = Connection::open_in_memory().map_err(failed("open"))?;
                }
                schema::create(&mut connection).map_err(failed("write"))?;
            }
            Some(found) if found < schema::FORMAT => {
                return Err(StoreError::OldFormat { path, found });
            }
            Some(found) => {
                return Err(StoreError::Format {
                    path,
                    found,
                    known: schema::FORMAT,
                });
            }
        }
        Ok(Self {
            home: home.clone(),
            connection: Mutex::new(connection),
        })
    }

    /// Returns where the store is.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Returns all images, the newest first.
    pub fn images(&self) -> Result<Vec<ImageRecord>, StoreError> {
        self.read(query::images)
    }

    /// Returns the image that a reference leads to.
    pub fn referenced(&self, reference: &Reference) -> Result<Option<ImageRecord>, StoreError> {
        self.read(|catalogue| query::referenced(catalogue, reference))
    }

    /// Makes the directories that writing needs.
    pub(super) fn prepare(&self) -> Result<(), StoreError> {
        let home = self.home();
        for directory in [home.layers(), home.blobs(), home.tmp(), home.locks()] {
            fs::create_directory(&directory)?;
        }
        Ok(())
    }

    /// Runs queries that see one state of the catalogue.
    pub(super) fn read<T>(
        &self,
        queries: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut connection = self.connection();
        let run = || queries(&*connection.transaction()?);
        run().map_err(|source| self.failed("read", source))
    }

    /// Runs statements that others see all at once, or not at all when one of them fails.
    pub(super) fn write<T>(
        &self,
        statements: impl FnOnce(&Transaction<'_>) -> Result<T, WriteError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.connection();
        let run = || {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = statements(&transaction)?;
            fs::step(&self.home.catalogue())?;
            transaction.commit()?;
            Ok(result)
        };
        run().map_err(|error| match error {
            WriteError::Catalogue(source) => self.failed("write", source),
            WriteError::Store(error) => error,
        })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A transaction that a panic cut off was rolled back.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, operation: &'static str, source: rusqlite::Error) -> StoreError {
        match source {
            rusqlite::Error::FromSqlConversionFailure(_, _, source) => {
                StoreError::Damaged(source.to_string())
            }
            source => StoreError::Catalogue {
                operation,
                path: self.home.catalogue(),
                source,
            },
        }
    }
}

/// Why a transaction was given up: the database failed, or the store refuses.
pub(super) enum WriteError {
    Catalogue(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for WriteError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Catalogue(error)
    }
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn open_for_writing(home: &Home) -> Result<Connection, StoreError> {
    let path = home.catalogue();
    if let Some(directory) = path.parent() {
        fs::create_directory(directory)?;
    }
    // SQLite gives its other files the mode of this one, and takes an empty file for a new database.
    fs::open_or_create(&path)?;
    let open = || {
        let connection = Connection::open(&path)?;
        connection.busy_timeout(BUSY)?;
        write_ahead(&connection)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        Ok(connection)
    };
    open().map_err(|source| StoreError::Catalogue {
        operation: "open",
        path: path.clone(),
        source,
    })
}

/// Switches to a write-ahead log, so that readers and writers do not wait for each other. Alone of
/// all statements this one does not wait while somebody else does the same.
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

/// Returns whether there is a catalogue whose directory takes no new files.
fn is_readable_only(path: &Path) -> bool {
    path.parent().is_some_and(|directory| {
        path.is_file() && rustix::fs::access(directory, Access::WRITE_OK).is_err()
    })
}

fn open_for_reading(path: &Path) -> rusqlite::Result<Connection> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let pending = std::fs::metadata(log).is_ok_and(|metadata| metadata.len() > 0);
    // Reading a write-ahead database takes files beside it. Where there is nothing in the log, it
    // can be read without; where there is, reading without would show a state that never was.
    let mode = if pending { "mode=ro" } else { "immutable=1" };
    Connection::open_with_flags(
        format!("file:{}?{mode}", uri_path(path)),
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI,
    )
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
