//! The database of microsandbox, which may share our home and our cache directory. It is only
//! read, and leniently: what is not there is not used.

use std::path::PathBuf;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::schema::has_table;
use super::{StoreError, database, fault};
use crate::home::Home;

/// The database of the microsandbox in a home, if there is one, as it is while this is open.
#[derive(Debug)]
pub(super) struct Foreign {
    connection: Option<Connection>,
    path: PathBuf,
}

impl Foreign {
    /// Opens it.
    pub(super) fn open(home: &Home) -> Result<Self, StoreError> {
        let path = home.microsandbox();
        let mut foreign = Self {
            connection: None,
            path,
        };
        if foreign.path.is_file() {
            let opened = database::open_for_reading(&foreign.path);
            foreign.connection = Some(opened.map_err(|source| foreign.failed(source))?);
        }
        Ok(foreign)
    }

    /// Returns whether microsandbox has ever used this home.
    pub(super) fn is_shared(&self) -> Result<bool, StoreError> {
        self.query(|connection| {
            Ok(has_table(connection, "manifest")? || has_table(connection, "layer")?)
        })
    }

    /// Returns the `diff_id`s of its layers.
    pub(super) fn layers(&self) -> Result<Vec<String>, StoreError> {
        self.query(|connection| column(connection, "layer", "diff_id"))
    }

    /// Returns the digests of its manifests.
    pub(super) fn manifests(&self) -> Result<Vec<String>, StoreError> {
        self.query(|connection| column(connection, "manifest", "digest"))
    }

    /// Returns its sandboxes, and its snapshots, that use the image of a manifest digest.
    pub(super) fn users(&self, digest: &str) -> Result<Vec<String>, StoreError> {
        self.query(|connection| users(connection, digest))
    }

    fn query<T: Default>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        match &self.connection {
            Some(connection) => query(connection).map_err(|source| self.failed(source)),
            None => Ok(T::default()),
        }
    }

    fn failed(&self, source: rusqlite::Error) -> StoreError {
        fault::of_foreign("read", &self.path, source)
    }
}

fn users(connection: &Connection, digest: &str) -> rusqlite::Result<Vec<String>> {
    let mut users = Vec::new();
    if has_columns(connection, "sandbox_rootfs", &["sandbox_id", "manifest_id"])?
        && has_columns(connection, "manifest", &["id", "digest"])?
    {
        let query = if has_columns(connection, "sandbox", &["id", "name"])? {
            "SELECT COALESCE(sandbox.name, rootfs.sandbox_id)
             FROM sandbox_rootfs AS rootfs
             JOIN manifest ON manifest.id = rootfs.manifest_id
             LEFT JOIN sandbox ON sandbox.id = rootfs.sandbox_id
             WHERE manifest.digest = ?1"
        } else {
            "SELECT rootfs.sandbox_id
             FROM sandbox_rootfs AS rootfs
             JOIN manifest ON manifest.id = rootfs.manifest_id
             WHERE manifest.digest = ?1"
        };
        users.extend(texts(connection, query, &[digest])?);
    }
    if has_columns(
        connection,
        "snapshot_index",
        &["digest", "image_manifest_digest"],
    )? {
        let query = "SELECT 'snapshot ' || substr(digest, 1, 19) FROM snapshot_index
                     WHERE image_manifest_digest = ?1";
        users.extend(texts(connection, query, &[digest])?);
    }
    Ok(users)
}

fn column(connection: &Connection, table: &str, column: &str) -> rusqlite::Result<Vec<String>> {
    if !has_columns(connection, table, &[column])? {
        return Ok(Vec::new());
    }
    texts(connection, &format!("SELECT {column} FROM {table}"), &[])
}

fn texts(
    connection: &Connection,
    query: &str,
    parameters: &[&str],
) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare(query)?
        .query_map(rusqlite::params_from_iter(parameters), |row| {
            Ok(match row.get_ref(0)? {
                ValueRef::Integer(id) => id.to_string(),
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                _ => "?".to_owned(),
            })
        })?
        .collect()
}

fn has_columns(connection: &Connection, table: &str, columns: &[&str]) -> rusqlite::Result<bool> {
    if !has_table(connection, table)? {
        return Ok(false);
    }
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let present = statement
        .query_map([table], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    Ok(columns
        .iter()
        .all(|column| present.iter().any(|name| name == column)))
}
