//! The catalogue: which images there are, what they are made of, what they are called.
//!
//! Owns the database connection and how it is opened; the statements are those of the other
//! files in this room.

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::query::{DamagedRow, ImageRecord};
use super::schema::Format;
use super::{
    StoreError, carry, database, fault, fs, listing, lock, query, room, schema, sidecar, sweep,
};
use crate::digest::Digest;
use crate::home::Home;
use crate::reference::Reference;

/// Between two attempts to copy the catalogue while another process holds it.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// An open store. May be shared between threads.
#[derive(Debug)]
pub struct Store {
    home: Home,
    connection: Mutex<Connection>,
    /// The disk was full when the catalogue was opened, and it can only be read until it is written
    /// to.
    is_full: AtomicBool,
    /// What is new gets names of its own, which microsandbox does not use.
    pub(super) is_apart: AtomicBool,
}

impl Store {
    /// Opens the store of a home, and makes it if there is none. One of format 2 is carried over. A
    /// store that cannot be written, such as one on a read-only filesystem, is opened for reading.
    ///
    /// # Errors
    /// [`StoreError::Format`] for a store that a newer msb has written.
    pub fn open(home: &Home) -> Result<Self, StoreError> {
        let store = match open_current(home) {
            Ok(connection) => Self::with(home, connection),
            Err(error) if error.is_full() => open_on_full_disk(home, error)?,
            Err(_) if is_readable_only(home) => Self::with(home, open_for_reading(home)?),
            Err(error) => return Err(error),
        };
        // One that has lost all of its rows looks like a new one.
        if !store.has_images()? {
            store.check_complete()?;
        }
        Ok(store)
    }

    /// Returns a store whose catalogue was opened.
    pub(super) fn with(home: &Home, connection: Connection) -> Self {
        Self {
            home: home.clone(),
            connection: Mutex::new(connection),
            is_full: AtomicBool::new(false),
            is_apart: AtomicBool::new(false),
        }
    }

    /// Returns where the store is.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Returns all images, the newest first, but for those whose rows make no sense.
    pub fn images(&self) -> Result<Vec<ImageRecord>, StoreError> {
        Ok(self.listing()?.0)
    }

    /// Returns all images, the newest first, and those whose rows make no sense.
    pub fn listing(&self) -> Result<(Vec<ImageRecord>, Vec<DamagedRow>), StoreError> {
        let (mut images, damaged) = self.read(listing::images)?;
        for image in &mut images {
            self.prove(image);
        }
        Ok((images, damaged))
    }

    /// Returns all images without their layers, each with the lengths of its layers' blobs in bytes, the
    /// newest first, and those whose rows make no sense.
    pub(crate) fn sized_listing(&self) -> Result<listing::Read<u64>, StoreError> {
        let (mut images, damaged) = self.read(listing::sized_images)?;
        for (image, _) in &mut images {
            self.prove(image);
        }
        Ok((images, damaged))
    }

    /// Returns the image that a reference leads to. One with a digest leads to nothing but what has
    /// that digest, whatever the catalogue says.
    pub fn referenced(&self, reference: &Reference) -> Result<Option<ImageRecord>, StoreError> {
        let found = self.read(|catalogue| {
            match query::referenced(catalogue, reference) {
                // The rows of others may be whole.
                Err(error) if error.sqlite_error_code().is_none() => Ok(Err(fault::words(error))),
                found => found.map(Ok),
            }
        })?;
        let found = found.map_err(|what| StoreError::DamagedImage {
            image: reference.familiar(),
            what,
        })?;
        let Some(mut image) = found else {
            return Ok(None);
        };
        self.prove(&mut image);
        Ok(Some(image).filter(|image| image.references.contains(reference)))
    }

    /// Returns the images with a configuration, the oldest first. Several manifests may name one.
    pub fn configured(&self, config: &Digest) -> Result<Vec<ImageRecord>, StoreError> {
        let mut images = self.read(|catalogue| query::configured(catalogue, config))?;
        for image in &mut images {
            self.prove(image);
        }
        Ok(images)
    }

    /// Makes the directories that writing needs.
    pub(super) fn prepare(&self) -> Result<(), StoreError> {
        let home = self.home();
        for directory in [home.layers(), home.blobs(), home.sidecars(), home.tmp()] {
            fs::create_directory(&directory)?;
        }
        fs::create_private_directory(&home.locks())?;
        self.keep_reserve();
        Ok(())
    }

    /// Runs queries that see one state of the catalogue.
    pub(super) fn read<T, E: Into<WriteError>>(
        &self,
        queries: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, StoreError> {
        let mut connection = self.connection();
        let run = || -> Result<T, WriteError> {
            queries(&*connection.transaction()?).map_err(Into::into)
        };
        run().map_err(|error| self.failed("read", error))
    }

    /// Runs statements on a copy in memory, which is dropped afterwards. It works on a store that
    /// can only be read, and meets no other process: a reader that begins to write would, and
    /// `SQLite` lets no such reader wait.
    pub(super) fn rehearse<T>(
        &self,
        statements: impl FnOnce(&Connection) -> Result<T, WriteError>,
    ) -> Result<T, StoreError> {
        let run = || -> Result<T, WriteError> {
            let mut copy = Connection::open_in_memory()?;
            let catalogue = self.connection();
            Backup::new(&catalogue, &mut copy)?.run_to_completion(c_int::MAX, BUSY_PAUSE, None)?;
            drop(catalogue);
            copy.pragma_update(None, "foreign_keys", "ON")?;
            schema::complete(&mut copy)?;
            statements(&copy)
        };
        run().map_err(|error| self.failed("read", error))
    }

    /// Runs statements that others see all at once, or not at all when one of them fails. Then the
    /// sidecars that they have marked are written.
    pub(super) fn write<T>(
        &self,
        statements: impl FnOnce(&Transaction<'_>) -> Result<T, WriteError>,
    ) -> Result<T, StoreError> {
        self.open_to_write()?;
        let mut connection = self.connection();
        let _turn = lock::turn_to_write(&self.home);
        let run = || {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = statements(&transaction)?;
            fs::step(&self.home.catalogue())?;
            transaction.commit()?;
            Ok(result)
        };
        let result = run().map_err(|error| self.failed("write", error))?;
        // What could not be written stays marked, and the next one to open the store goes on.
        let _ = sidecar::refresh(&self.home, &mut connection);
        Ok(result)
    }

    /// Opens the catalogue once more, where it may have been replaced.
    pub(super) fn reopen(&self) -> Result<(), StoreError> {
        let mut connection = self.connection();
        *connection = open_current(&self.home)?;
        Ok(())
    }

    /// Opens the catalogue for writing, if the disk was too full for that when the store was opened.
    pub(super) fn open_to_write(&self) -> Result<(), StoreError> {
        if self.is_full.load(Ordering::Acquire) {
            let mut connection = self.connection();
            self.make_room();
            *connection = open_current(&self.home)?;
            self.is_full.store(false, Ordering::Release);
        }
        Ok(())
    }

    /// Takes what the log of the catalogue has into the catalogue, and gives up its room.
    pub(super) fn checkpoint(&self) {
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        let _ = self.connection().query_row(checkpoint, [], |_| Ok(()));
    }

    fn has_images(&self) -> Result<bool, StoreError> {
        self.read(|catalogue| {
            let images = "SELECT EXISTS (SELECT 1 FROM msb_image)";
            catalogue.query_row(images, [], |row| row.get(0))
        })
    }

    pub(super) fn connection(&self) -> MutexGuard<'_, Connection> {
        // A transaction that a panic cut off was rolled back.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn failed(&self, operation: &'static str, error: WriteError) -> StoreError {
        match error {
            WriteError::Catalogue(source) => failed(operation, &self.home)(source),
            WriteError::Store(error) => error,
        }
    }
}

/// Why a transaction was given up: the catalogue failed, or the store refuses.
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
    database::open_for_writing(&path).map_err(failed("open", home))
}

/// Opens a catalogue for writing that is one of this format, or becomes it.
fn open_current(home: &Home) -> Result<Connection, StoreError> {
    let mut connection = open_for_writing(home)?;
    bring_up_to_date(home, &mut connection)?;
    Ok(connection)
}

/// Opens the store of a home on a disk that had no room for it: for reading, if all that there is to
/// read is in the database, else with what can be given up.
fn open_on_full_disk(home: &Home, error: StoreError) -> Result<Store, StoreError> {
    let path = home.catalogue();
    if !database::is_pending(&path)
        && let Ok(connection) = database::open_unshared(&path)
        && has_format(home, &connection)?
    {
        let store = Store::with(home, connection);
        store.is_full.store(true, Ordering::Release);
        return Ok(store);
    }
    room::make(home);
    match open_current(home) {
        Ok(connection) => Ok(Store::with(home, connection)),
        // Reading works in memory; a write gets the error of the disk.
        Err(still) if still.is_full() && !sweep::has_images(home)? => {
            let store = Store::with(home, open_for_reading(home)?);
            store.is_full.store(true, Ordering::Release);
            Ok(store)
        }
        Err(still) if still.is_full() => Err(error),
        Err(other) => Err(other),
    }
}

impl Drop for Store {
    /// Removing something may have given up the reserve. The files of the catalogue go first.
    fn drop(&mut self) {
        if self.has_given_up_reserve()
            && let Ok(nothing) = Connection::open_in_memory()
        {
            *self.connection() = nothing;
            self.keep_reserve();
        }
    }
}

/// Makes a catalogue that was opened one of this format: a new one, one of format 2 that is carried
/// over, or one that an earlier version has left.
///
/// # Errors
/// [`StoreError::LostImages`] for what would be a new one, if the store has files of images.
pub(super) fn bring_up_to_date(home: &Home, connection: &mut Connection) -> Result<(), StoreError> {
    let is_new = !has_format(home, connection)?;
    carry::carry_over(home, connection, is_new)?;
    if is_new {
        // Another process may have made it since, and loaded something.
        if sweep::has_images(home)? && !has_format(home, connection)? {
            return Err(StoreError::LostImages {
                path: home.catalogue(),
                images: sidecar::list(home)?.len(),
            });
        }
        schema::create(connection).map_err(failed("write", home))?;
    }
    carry::mark_new(home);
    schema::complete(connection).map_err(failed("write", home))?;
    // What could not be written stays marked.
    let _ = sidecar::refresh(home, connection);
    Ok(())
}

/// Opens what there is for reading. A store of format 2 is carried over in memory.
fn open_for_reading(home: &Home) -> Result<Connection, StoreError> {
    let path = home.catalogue();
    if path.is_file() {
        let connection = database::open_for_reading(&path).map_err(failed("open", home))?;
        if has_format(home, &connection)? {
            return Ok(connection);
        }
    }
    let mut connection = Connection::open_in_memory().map_err(failed("open", home))?;
    carry::copy(home, &mut connection)?;
    // It may be that of microsandbox alone, and has no images of ours.
    schema::create(&mut connection).map_err(failed("write", home))?;
    // What is written there would be lost.
    let query_only = connection.pragma_update(None, "query_only", "ON");
    query_only.map_err(failed("open", home))?;
    Ok(connection)
}

/// Returns whether the catalogue has our tables, which are to be of our format.
fn has_format(home: &Home, connection: &Connection) -> Result<bool, StoreError> {
    let path = home.catalogue();
    match schema::format(connection).map_err(failed("read", home))? {
        Some(Format::Of(schema::FORMAT)) => Ok(true),
        None => Ok(false),
        Some(Format::Damaged(value)) => Err(StoreError::DamagedCatalogue {
            path,
            what: format!("`{}` is not its format", value.escape_default()),
        }),
        Some(Format::Of(found)) if found < schema::FORMAT => {
            Err(StoreError::OldFormat { path, found })
        }
        Some(Format::Of(found)) => Err(StoreError::Format {
            path,
            found,
            known: schema::FORMAT,
        }),
    }
}

/// Returns whether there is a catalogue whose directory takes no new files.
fn is_readable_only(home: &Home) -> bool {
    let paths = [home.catalogue(), home.microsandbox()];
    paths.iter().any(|path| path.is_file()) && !database::takes_new_files(&home.catalogue())
}

pub(super) fn failed(
    operation: &'static str,
    home: &Home,
) -> impl Fn(rusqlite::Error) -> StoreError {
    let path = home.catalogue();
    move |source| fault::of_catalogue(operation, &path, source)
}
