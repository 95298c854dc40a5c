//! Opening the catalogue: for writing, for reading, on a full disk, and what an older msb has left.
//!
//! Owns the decision what a catalogue is: one of this format, one to be carried over, a new one, or
//! one that has lost its images.

use std::sync::atomic::Ordering;

use rusqlite::Connection;

use super::catalogue::{Store, failed};
use super::schema::Format;
use super::{StoreError, carry, database, fs, room, schema, sidecar, sweep};
use crate::home::Home;

/// Opens a catalogue for writing that is one of this format, or becomes it.
pub(super) fn open_current(home: &Home) -> Result<Connection, StoreError> {
    let mut connection = open_for_writing(home)?;
    bring_up_to_date(home, &mut connection)?;
    Ok(connection)
}

/// Opens the store of a home on a disk that had no room for it: for reading, if all that there is to
/// read is in the database, else with what can be given up.
pub(super) fn open_on_full_disk(home: &Home, error: StoreError) -> Result<Store, StoreError> {
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

/// Opens what there is for reading. A store of format 2 is carried over in memory.
pub(super) fn open_for_reading(home: &Home) -> Result<Connection, StoreError> {
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

/// Returns whether there is a catalogue whose directory takes no new files.
pub(super) fn is_readable_only(home: &Home) -> bool {
    let paths = [home.catalogue(), home.microsandbox()];
    paths.iter().any(|path| path.is_file()) && !database::takes_new_files(&home.catalogue())
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

fn open_for_writing(home: &Home) -> Result<Connection, StoreError> {
    let path = home.catalogue();
    if let Some(directory) = path.parent() {
        fs::create_directory(directory)?;
    }
    // SQLite gives its other files the mode of this one, and takes an empty file for a new database.
    fs::open_or_create(&path)?;
    database::open_for_writing(&path).map_err(failed("open", home))
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
