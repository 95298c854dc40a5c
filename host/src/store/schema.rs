//! The tables of the catalogue.
//!
//! The `chain` of a layer is empty unless its image depends on the layers below. The `digest` of a
//! reference is the one that the registry knew it by when it was pulled, null where it was not.

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

/// The format that this msb writes. A store of a newer one is not touched, one of
/// format 2 is carried over.
pub const FORMAT: u32 = 3;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS msb_store (
    key   TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS msb_image (
    digest        TEXT PRIMARY KEY NOT NULL,
    media_type    TEXT NOT NULL,
    config_digest TEXT NOT NULL,
    os            TEXT NOT NULL,
    architecture  TEXT NOT NULL,
    variant       TEXT,
    created_at    TEXT NOT NULL,
    removed       INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS msb_layer (
    diff_id       TEXT NOT NULL,
    chain         TEXT NOT NULL,
    file          TEXT NOT NULL,
    erofs_size    INTEGER NOT NULL,
    recipe_size   INTEGER NOT NULL,
    tar_size      INTEGER NOT NULL,
    entries       INTEGER NOT NULL,
    dependence    INTEGER NOT NULL,
    rest_start    INTEGER NOT NULL,
    rest_digest   TEXT NOT NULL,
    recipe_digest TEXT NOT NULL,
    created_at    TEXT NOT NULL,
    PRIMARY KEY (diff_id, chain)
);
CREATE TABLE IF NOT EXISTS msb_image_layer (
    image           TEXT NOT NULL REFERENCES msb_image (digest) ON DELETE CASCADE,
    position        INTEGER NOT NULL,
    diff_id         TEXT NOT NULL,
    chain           TEXT NOT NULL,
    blob_digest     TEXT NOT NULL,
    media_type      TEXT NOT NULL,
    compressed_size INTEGER NOT NULL,
    PRIMARY KEY (image, position),
    FOREIGN KEY (diff_id, chain) REFERENCES msb_layer (diff_id, chain) ON DELETE RESTRICT
);
CREATE INDEX IF NOT EXISTS msb_image_layer_layer ON msb_image_layer (diff_id, chain);
CREATE INDEX IF NOT EXISTS msb_image_config ON msb_image (config_digest);
CREATE TABLE IF NOT EXISTS msb_image_index (
    image      TEXT NOT NULL REFERENCES msb_image (digest) ON DELETE CASCADE,
    digest     TEXT NOT NULL,
    media_type TEXT NOT NULL,
    PRIMARY KEY (image, digest)
);
CREATE INDEX IF NOT EXISTS msb_image_index_digest ON msb_image_index (digest);
CREATE TABLE IF NOT EXISTS msb_reference (
    name       TEXT PRIMARY KEY NOT NULL,
    image      TEXT NOT NULL REFERENCES msb_image (digest) ON DELETE CASCADE,
    digest     TEXT,
    updated_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS msb_reference_image ON msb_reference (image);
CREATE TABLE IF NOT EXISTS msb_use (
    sandbox TEXT NOT NULL,
    image   TEXT NOT NULL REFERENCES msb_image (digest) ON DELETE RESTRICT,
    since   TEXT NOT NULL,
    PRIMARY KEY (sandbox, image)
);
CREATE INDEX IF NOT EXISTS msb_use_image ON msb_use (image);
";

/// Images whose rows have changed since their sidecar was written.
const STALE_SIDECARS: &str = "
CREATE TABLE IF NOT EXISTS msb_stale_sidecar (image TEXT PRIMARY KEY NOT NULL);
";

/// Returns the format of the store, if there is one yet.
///
/// The header of the file repeats it, so that a damaged value is not taken for another format.
pub(super) fn format(connection: &Connection) -> rusqlite::Result<Option<Format>> {
    let Some(value) = format_value(connection)? else {
        return Ok(None);
    };
    let found = value.parse().unwrap_or(u32::MAX);
    let repeated: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(Some(if found != FORMAT && repeated == i64::from(FORMAT) {
        Format::Damaged(value)
    } else {
        Format::Of(found)
    }))
}

/// Returns the format that a store of before states.
pub(super) fn stated_format(connection: &Connection) -> rusqlite::Result<Option<u32>> {
    let value = format_value(connection)?;
    Ok(value.map(|value| value.parse().unwrap_or(u32::MAX)))
}

/// What a catalogue says of its format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Of(u32),
    /// Something that the header of the file contradicts.
    Damaged(String),
}

fn format_value(connection: &Connection) -> rusqlite::Result<Option<String>> {
    if !has_table(connection, "msb_store")? {
        return Ok(None);
    }
    connection
        .query_row(
            "SELECT value FROM msb_store WHERE key = 'format'",
            [],
            |row| row.get(0),
        )
        .optional()
}

/// Makes the tables that are missing.
pub(super) fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    create_within(&transaction)?;
    transaction.commit()
}

/// As [`create`], within a transaction.
pub(super) fn create_within(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(TABLES)?;
    add_sidecars(transaction)?;
    transaction.execute(
        "INSERT OR IGNORE INTO msb_store (key, value) VALUES ('format', ?1)",
        [FORMAT.to_string()],
    )?;
    Ok(())
}

/// Returns the statements that have made the tables and indexes of a catalogue, sorted.
pub(super) fn statements(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY sql")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Returns the statements that [`create`] makes a catalogue with, sorted.
pub(super) fn expected_statements() -> rusqlite::Result<Vec<String>> {
    let mut connection = Connection::open_in_memory()?;
    create(&mut connection)?;
    statements(&connection)
}

/// Adds what a catalogue of before sidecars lacks. All of its images want one.
pub(super) fn complete(connection: &mut Connection) -> rusqlite::Result<()> {
    if has_table(connection, "msb_stale_sidecar")? {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    add_sidecars(&transaction)?;
    transaction.commit()
}

fn add_sidecars(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    if has_table(transaction, "msb_stale_sidecar")? {
        return Ok(());
    }
    transaction.execute_batch(STALE_SIDECARS)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.execute(
        "INSERT OR IGNORE INTO msb_stale_sidecar (image) SELECT digest FROM msb_image",
        [],
    )?;
    Ok(())
}

pub(super) fn has_table(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    connection
        .query_row(
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1",
            [name],
            |_| Ok(()),
        )
        .optional()
        .map(|found| found.is_some())
}
