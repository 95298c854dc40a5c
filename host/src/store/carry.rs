//! Carrying over what the store of format 2 has: its catalogue was in the database of microsandbox.
//!
//! Owns the way of the rows from there into the catalogue, and what is left there: a mark that an
//! msb of before stumbles over, since it would take the store for empty. Dies the process on the
//! way, then the next one begins again, which changes nothing that is done already.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::{StoreError, database, fault, fs, schema, sidecar};
use crate::digest::Digest;
use crate::home::Home;
use crate::reference::Reference;

/// The format of the stores that are carried over.
pub(super) const FORMAT_BEFORE: u32 = 2;

/// Our tables in the database of microsandbox, each before those that it refers to.
const TABLES_BEFORE: [&str; 6] = [
    "msb_use",
    "msb_reference",
    "msb_image_layer",
    "msb_image",
    "msb_layer",
    "msb_store",
];

/// What stands in the place of our tables. microsandbox counts tables, and this is none. An msb of
/// before makes its tables where they are missing, and this one it cannot write to.
const MARK: &str = "
CREATE VIEW msb_store (key, value) AS SELECT 'format', '3' WHERE 0;
CREATE TRIGGER msb_store_format INSTEAD OF INSERT ON msb_store BEGIN
    SELECT RAISE(ABORT, 'the images of this store are in db/images.db, for which this msb is too old');
END;
";

/// All rows but those of names with a digest. Rows that the catalogue has already stay as they
/// are, so that a second time changes nothing.
const COPY: &str = "
INSERT OR IGNORE INTO main.msb_image
        (digest, media_type, config_digest, os, architecture, variant, created_at, removed)
    SELECT digest, media_type, config_digest, os, architecture, variant, created_at, removed
    FROM before.msb_image;
INSERT OR IGNORE INTO main.msb_layer
        (diff_id, chain, file, erofs_size, recipe_size, tar_size, entries, dependence,
         rest_start, rest_digest, recipe_digest, created_at)
    SELECT diff_id, chain, file, erofs_size, recipe_size, tar_size, entries, dependence,
           rest_start, rest_digest, recipe_digest, created_at
    FROM before.msb_layer;
INSERT OR IGNORE INTO main.msb_image_layer
        (image, position, diff_id, chain, blob_digest, media_type, compressed_size)
    SELECT image, position, diff_id, chain, blob_digest, media_type, compressed_size
    FROM before.msb_image_layer;
INSERT OR IGNORE INTO main.msb_use (sandbox, image, since)
    SELECT sandbox, image, since FROM before.msb_use;
";

/// Carries over the store of format 2, if there is one. A database of microsandbox that cannot be
/// read does no harm to a catalogue that is there; it may be the catalogue of one that `is_new`.
///
/// # Errors
/// [`StoreError::OldFormat`] and [`StoreError::Format`] for a store of any other format.
pub(super) fn carry_over(
    home: &Home,
    catalogue: &mut Connection,
    is_new: bool,
) -> Result<(), StoreError> {
    let path = home.microsandbox();
    let failed = |operation| failed(operation, &path);
    match has_store_before(&path) {
        Ok(true) => {}
        Ok(false) => return Ok(()),
        Err(_) if !is_new => return Ok(()),
        Err(error) => return Err(failed("read")(error)),
    }
    let mut before = database::open_as_it_is(&path).map_err(failed("open"))?;
    // Until the rows are gone from there, no other process changes or carries them.
    let transaction = before
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed("write"))?;
    match schema::stated_format(&transaction).map_err(failed("read"))? {
        // Another process was faster.
        None => return Ok(()),
        Some(found) => check_format(&path, found)?,
    }
    copy(home, catalogue)?;
    leave(&transaction).map_err(failed("write"))?;
    fs::step(&path)?;
    transaction.commit().map_err(failed("write"))?;
    shrink(&before);
    Ok(())
}

/// Copies the rows of the store of format 2, if there is one, in one transaction.
pub(super) fn copy(home: &Home, catalogue: &mut Connection) -> Result<(), StoreError> {
    let path = home.microsandbox();
    if !has_store_before(&path).map_err(failed("read", &path))? {
        return Ok(());
    }
    let attached = || failed("read", &path);
    catalogue
        .execute(
            "ATTACH DATABASE ?1 AS before",
            [database::reading_uri(&path)],
        )
        .map_err(attached())?;
    // Rows come as they are. Those that contradict each other are told by verify.
    let copied = catalogue
        .pragma_update(None, "foreign_keys", "OFF")
        .map_err(attached())
        .and_then(|()| copy_attached(home, catalogue));
    let restored = catalogue
        .execute_batch("PRAGMA foreign_keys = ON; DETACH DATABASE before;")
        .map_err(attached());
    copied.and(restored)
}

/// Marks the place where an msb of before would look for its catalogue, in a home that has neither
/// it nor a microsandbox. Where that fails, a store that nothing else is wrong with stays usable.
pub(super) fn mark_new(home: &Home) {
    let path = home.microsandbox();
    if crate::fs::length(&path).is_some_and(|length| length > 0) {
        return;
    }
    let mark = || -> Result<(), Box<dyn std::error::Error>> {
        fs::open_or_create(&path)?;
        let mut connection = database::open_as_it_is(&path)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let entries: u64 =
            transaction.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
        if entries == 0 {
            transaction.execute_batch(MARK)?;
        }
        Ok(transaction.commit()?)
    };
    let _ = mark();
}

/// Returns whether a database has a catalogue of before.
fn has_store_before(path: &Path) -> rusqlite::Result<bool> {
    if !path.is_file() {
        return Ok(false);
    }
    schema::has_table(&database::open_for_reading(path)?, "msb_store")
}

fn check_format(path: &Path, found: u32) -> Result<(), StoreError> {
    let path = path.to_owned();
    match found {
        FORMAT_BEFORE => Ok(()),
        found if found < FORMAT_BEFORE => Err(StoreError::OldFormat { path, found }),
        found => Err(StoreError::Format {
            path,
            found,
            known: schema::FORMAT,
        }),
    }
}

fn copy_attached(home: &Home, catalogue: &mut Connection) -> Result<(), StoreError> {
    let path = home.catalogue();
    let failed = |operation| failed(operation, &path);
    let transaction = catalogue
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed("write"))?;
    let format: Option<u32> = format_before(&transaction).map_err(failed("read"))?;
    if let Some(format) = format {
        check_format(&home.microsandbox(), format)?;
    }
    schema::create_within(&transaction)
        .and_then(|()| transaction.execute_batch(COPY))
        .and_then(|()| copy_references(&transaction))
        .and_then(|()| sidecar::mark_all(&transaction))
        .map_err(failed("write"))?;
    fs::step(&path)?;
    transaction.commit().map_err(failed("write"))
}

fn format_before(transaction: &Transaction<'_>) -> rusqlite::Result<Option<u32>> {
    use rusqlite::OptionalExtension as _;
    let value: Option<String> = transaction
        .query_row(
            "SELECT value FROM before.msb_store WHERE key = 'format'",
            [],
            |row| row.get(0),
        )
        .optional()?;
    Ok(value.map(|value| value.parse().unwrap_or(u32::MAX)))
}

/// Copies the names. The one that was given last stays.
fn copy_references(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let rows = transaction
        .prepare("SELECT name, image, updated_at FROM before.msb_reference")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<Vec<(String, String, String)>>>()?;
    let mut insert = transaction.prepare(
        "INSERT INTO main.msb_reference (name, image, updated_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE
             SET image = excluded.image, digest = NULL, updated_at = excluded.updated_at
             WHERE excluded.updated_at > updated_at",
    )?;
    for (name, image, updated_at) in rows {
        insert.execute(params![provable(&name, &image), image, updated_at])?;
    }
    Ok(())
}

/// Returns the name that an image keeps. A digest that is not the one of its manifest may be that
/// of an index, which a store of format 2 did not keep, or of something else: that of the manifest
/// takes its place.
fn provable(name: &str, image: &str) -> String {
    match name.parse::<Reference>() {
        Ok(reference)
            if reference
                .digest()
                .is_some_and(|digest| digest.to_string() != image)
                && image.parse::<Digest>().is_ok() =>
        {
            format!("{}@{image}", reference.name())
        }
        _ => name.to_owned(),
    }
}

/// Removes our tables from the database of microsandbox, and leaves the mark.
fn leave(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    for table in TABLES_BEFORE {
        transaction.execute_batch(&format!("DROP TABLE IF EXISTS {table}"))?;
    }
    transaction.execute_batch(MARK)
}

/// Gives back the room of the tables that have gone, where the database has no others and nobody
/// else uses it.
fn shrink(before: &Connection) {
    let run = || -> rusqlite::Result<()> {
        let is_empty: bool = before.query_row(
            "SELECT NOT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table')",
            [],
            |row| row.get(0),
        )?;
        if is_empty {
            before.busy_timeout(Duration::ZERO)?;
            before.execute_batch("VACUUM; PRAGMA journal_mode = DELETE;")?;
        }
        Ok(())
    };
    let _ = run();
}

fn failed(operation: &'static str, path: &Path) -> impl Fn(rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    move |source| fault::of_foreign(operation, &path, source)
}
