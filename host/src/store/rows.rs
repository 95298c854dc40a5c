//! All rows of one image, as they are carried between the catalogue and the image's sidecar.
//!
//! Owns reading them together, checking that they make sense, and entering them again; those of layers
//! are in [`layer_row`]. Values stay
//! the text that stands in the columns, so that two copies can be compared.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::layer_row::{self, LayerRow};
use crate::digest::Digest;
use crate::reference::Reference;

/// What the catalogue has of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rows {
    pub(super) digest: String,
    media_type: String,
    config_digest: String,
    os: String,
    architecture: String,
    variant: Option<String>,
    created_at: String,
    removed: bool,
    pub(super) names: Vec<NameRow>,
    indexes: Vec<IndexRow>,
    layers: Vec<LayerRow>,
    uses: Vec<UseRow>,
}

/// A name of the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NameRow {
    pub(super) name: String,
    digest: Option<String>,
    updated_at: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct IndexRow {
    digest: String,
    media_type: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct UseRow {
    sandbox: String,
    since: String,
}

impl Rows {
    /// Reads the rows of the image whose digest is this text.
    pub(super) fn read(connection: &Connection, digest: &str) -> rusqlite::Result<Option<Self>> {
        let rows = connection
            .prepare_cached(
                "SELECT digest, media_type, config_digest, os, architecture, variant, created_at,
                        removed
                 FROM msb_image WHERE digest = ?1",
            )?
            .query_row([digest], |row| {
                Ok(Self {
                    digest: row.get(0)?,
                    media_type: row.get(1)?,
                    config_digest: row.get(2)?,
                    os: row.get(3)?,
                    architecture: row.get(4)?,
                    variant: row.get(5)?,
                    created_at: row.get(6)?,
                    removed: row.get(7)?,
                    names: Vec::new(),
                    indexes: Vec::new(),
                    layers: Vec::new(),
                    uses: Vec::new(),
                })
            })
            .optional()?;
        let Some(mut rows) = rows else {
            return Ok(None);
        };
        rows.names = all(
            connection,
            "SELECT name, digest, updated_at FROM msb_reference WHERE image = ?1 ORDER BY name",
            digest,
            |row| {
                Ok(NameRow {
                    name: row.get(0)?,
                    digest: row.get(1)?,
                    updated_at: row.get(2)?,
                })
            },
        )?;
        rows.indexes = all(
            connection,
            "SELECT digest, media_type FROM msb_image_index WHERE image = ?1 ORDER BY digest",
            digest,
            |row| {
                Ok(IndexRow {
                    digest: row.get(0)?,
                    media_type: row.get(1)?,
                })
            },
        )?;
        rows.uses = all(
            connection,
            "SELECT sandbox, since FROM msb_use WHERE image = ?1 ORDER BY sandbox",
            digest,
            |row| {
                Ok(UseRow {
                    sandbox: row.get(0)?,
                    since: row.get(1)?,
                })
            },
        )?;
        rows.layers = layer_row::layers(connection, digest)?;
        Ok(Some(rows))
    }

    /// Returns whether nothing belongs to the image: its digest may be another one than it was.
    pub(super) fn is_bare(&self) -> bool {
        self.names.is_empty() && self.layers.is_empty() && self.uses.is_empty()
    }

    /// Returns the digests of manifest, configuration and indexes.
    pub(super) fn documents(&self) -> impl Iterator<Item = &str> {
        let indexes = self.indexes.iter().map(|index| &*index.digest);
        [&*self.digest, &*self.config_digest]
            .into_iter()
            .chain(indexes)
    }

    /// Returns what in these rows cannot be, if anything: a digest that is none, a layer that is
    /// not known, a file outside of the store.
    pub(super) fn nonsense(&self) -> Option<String> {
        let bad_digest = |text: &str| match text.parse::<Digest>() {
            Ok(_) => None,
            Err(_) => Some(format!("`{text}` is not a digest")),
        };
        let own = [&self.digest, &self.config_digest].into_iter();
        let indexes = self.indexes.iter().map(|index| &index.digest);
        let pulled = self.names.iter().filter_map(|name| name.digest.as_ref());
        own.chain(indexes)
            .chain(pulled)
            .find_map(|digest| bad_digest(digest))
            .or_else(|| {
                self.names.iter().find_map(|row| {
                    let parsed = row.name.parse::<Reference>();
                    let is_sound = parsed.is_ok_and(|name| name.canonical() == row.name);
                    (!is_sound).then(|| format!("`{}` is not a name", row.name))
                })
            })
            .or_else(|| {
                (0..)
                    .zip(&self.layers)
                    .find_map(|(place, layer)| layer.nonsense(place))
            })
    }

    /// Enters the rows. A name that another image has as well belongs to the one that got it last.
    pub(super) fn insert(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        for layer in &self.layers {
            if let Some(facts) = &layer.facts {
                facts.insert(transaction, layer)?;
            }
        }
        transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO msb_image
                     (digest, media_type, config_digest, os, architecture, variant, created_at,
                      removed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                self.digest,
                self.media_type,
                self.config_digest,
                self.os,
                self.architecture,
                self.variant,
                self.created_at,
                self.removed,
            ])?;
        for layer in &self.layers {
            layer.insert(transaction, &self.digest)?;
        }
        for index in &self.indexes {
            transaction.execute(
                "INSERT OR IGNORE INTO msb_image_index (image, digest, media_type)
                 VALUES (?1, ?2, ?3)",
                [&self.digest, &index.digest, &index.media_type],
            )?;
        }
        for row in &self.names {
            transaction.execute(
                "INSERT INTO msb_reference (name, image, digest, updated_at)
                 VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (name) DO UPDATE SET
                     image = excluded.image, digest = excluded.digest,
                     updated_at = excluded.updated_at
                 WHERE excluded.updated_at > updated_at",
                params![row.name, self.digest, row.digest, row.updated_at],
            )?;
        }
        for row in &self.uses {
            transaction.execute(
                "INSERT OR IGNORE INTO msb_use (sandbox, image, since) VALUES (?1, ?2, ?3)",
                [&row.sandbox, &self.digest, &row.since],
            )?;
        }
        Ok(())
    }
}

/// Returns the rows of an image that a statement selects.
pub(super) fn all<T>(
    connection: &Connection,
    select: &str,
    image: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection
        .prepare_cached(select)?
        .query_map([image], read)?
        .collect()
}
