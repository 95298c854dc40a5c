//! What a microsandbox has that may share our home and our cache directory: its database, and the records
//! of its images. They are only read, and leniently: what is not there is not used.

use std::path::PathBuf;
use std::sync::OnceLock;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::schema::has_table;
use super::{StoreError, database, fault};
use crate::home::Home;
use crate::microsandbox::{self, ListedRecord};

/// The microsandbox in a home, if there is one. Its database is as it is while this is open.
#[derive(Debug)]
pub(crate) struct Foreign {
    connection: Option<Connection>,
    path: PathBuf,
    home: Home,
    records: OnceLock<Vec<ListedRecord>>,
}

impl Foreign {
    /// Opens it.
    pub(crate) fn open(home: &Home) -> Result<Self, StoreError> {
        let path = home.microsandbox();
        let mut foreign = Self {
            connection: None,
            path,
            home: home.clone(),
            records: OnceLock::new(),
        };
        if foreign.path.is_file() {
            let opened = database::open_for_reading(&foreign.path);
            foreign.connection = Some(opened.map_err(|source| foreign.failed(source))?);
        }
        Ok(foreign)
    }

    /// Returns whether microsandbox has ever used this home, or has been served in it.
    pub(super) fn is_shared(&self) -> Result<bool, StoreError> {
        if self.home.manifests().is_dir() {
            return Ok(true);
        }
        self.query(|connection| {
            Ok(has_table(connection, "manifest")? || has_table(connection, "layer")?)
        })
    }

    /// Returns the `diff_id`s of its layers.
    pub(super) fn layers(&self) -> Result<Vec<String>, StoreError> {
        let mut layers = self.known_layers()?;
        let recorded = self.records()?.iter().flat_map(|record| &record.layers);
        layers.extend(recorded.map(|layer| layer.diff_id.clone()));
        Ok(layers)
    }

    /// Returns the digests of its manifests.
    pub(super) fn manifests(&self) -> Result<Vec<String>, StoreError> {
        let mut manifests = self.known_manifests()?;
        let records = self.records()?.iter();
        manifests.extend(records.map(|record| record.manifest_digest.clone()));
        Ok(manifests)
    }

    /// Returns the `diff_id`s of the layers in its database.
    pub(crate) fn known_layers(&self) -> Result<Vec<String>, StoreError> {
        self.query(|connection| column(connection, "layer", "diff_id"))
    }

    /// Returns the digests of the manifests in its database.
    pub(crate) fn known_manifests(&self) -> Result<Vec<String>, StoreError> {
        self.query(|connection| column(connection, "manifest", "digest"))
    }

    /// Returns its names for images, as they were given to it.
    #[cfg(feature = "registry")]
    pub(crate) fn names(&self) -> Result<Vec<String>, StoreError> {
        self.query(|connection| column(connection, "image_ref", "reference"))
    }

    /// Returns the digest of each of its manifests with the `diff_id` of each of its layers, by its database
    /// and its records.
    #[cfg(feature = "registry")]
    pub(crate) fn layers_of_manifests(&self) -> Result<Vec<(String, String)>, StoreError> {
        let mut pairs = self.query(pairs)?;
        for record in self.records()? {
            let layers = record.layers.iter();
            pairs.extend(
                layers.map(|layer| (record.manifest_digest.clone(), layer.diff_id.clone())),
            );
        }
        Ok(pairs)
    }

    fn records(&self) -> Result<&[ListedRecord], StoreError> {
        if let Some(records) = self.records.get() {
            return Ok(records);
        }
        let records = microsandbox::records(&self.home)?;
        Ok(self.records.get_or_init(|| records))
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

#[cfg(feature = "registry")]
fn pairs(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    if !has_columns(connection, "manifest_layer", &["manifest_id", "layer_id"])?
        || !has_columns(connection, "manifest", &["id", "digest"])?
        || !has_columns(connection, "layer", &["id", "diff_id"])?
    {
        return Ok(Vec::new());
    }
    connection
        .prepare(
            "SELECT manifest.digest, layer.diff_id FROM manifest_layer
             JOIN manifest ON manifest.id = manifest_layer.manifest_id
             JOIN layer ON layer.id = manifest_layer.layer_id",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
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
