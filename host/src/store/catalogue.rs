//! The catalogue: which images there are, what they are made of, what they are called.
//!
//! Owns the database connection; how it is opened is in [`opening`], and the statements are those of the
//! other files in this room.

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::query::{DamagedRow, ImageRecord};
use super::{StoreError, fault, fs, listing, lock, opening, query, schema, sidecar};
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
    pub(super) is_full: AtomicBool,
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
        let store = match opening::open_current(home) {
            Ok(connection) => Self::with(home, connection),
            Err(error) if error.is_full() => opening::open_on_full_disk(home, error)?,
            Err(_) if opening::is_readable_only(home) => {
                Self::with(home, opening::open_for_reading(home)?)
            }
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
        *connection = opening::open_current(&self.home)?;
        Ok(())
    }

    /// Opens the catalogue for writing, if the disk was too full for that when the store was opened.
    pub(super) fn open_to_write(&self) -> Result<(), StoreError> {
        if self.is_full.load(Ordering::Acquire) {
            let mut connection = self.connection();
            self.make_room();
            *connection = opening::open_current(&self.home)?;
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

pub(super) fn failed(
    operation: &'static str,
    home: &Home,
) -> impl Fn(rusqlite::Error) -> StoreError {
    let path = home.catalogue();
    move |source| fault::of_catalogue(operation, &path, source)
}
