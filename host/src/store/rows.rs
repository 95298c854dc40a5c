//! All rows of one image, as they are carried between the catalogue and the image's sidecar.
//!
//! Owns reading them together, checking that they make sense, and entering them again. Values stay
//! the text that stands in the columns, so that two copies can be compared.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::publish::is_name_of;
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

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LayerRow {
    position: i64,
    diff_id: String,
    chain: String,
    blob_digest: String,
    media_type: String,
    compressed_size: i64,
    /// Nothing where the catalogue has lost it.
    facts: Option<FactsRow>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FactsRow {
    file: String,
    erofs_size: i64,
    recipe_size: i64,
    tar_size: i64,
    entries: i64,
    dependence: i64,
    rest_start: i64,
    rest_digest: String,
    recipe_digest: String,
    created_at: String,
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
        rows.layers = layers(connection, digest)?;
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

impl LayerRow {
    fn nonsense(&self, place: i64) -> Option<String> {
        let layer = &self.diff_id;
        let Ok(diff_id) = layer.parse::<Digest>() else {
            return Some(format!("`{layer}` is not a digest"));
        };
        let chain = (!self.chain.is_empty()).then(|| self.chain.parse::<Digest>());
        let Ok(chain) = chain.transpose() else {
            return Some(format!("`{}` is not a digest", self.chain));
        };
        if self.position != place || self.compressed_size < 0 {
            return Some(format!("layer {layer} has no place"));
        }
        if self.blob_digest.parse::<Digest>().is_err() {
            return Some(format!("`{}` is not a digest", self.blob_digest));
        }
        let Some(facts) = &self.facts else {
            return Some(format!("nothing is recorded of layer {layer}"));
        };
        if !is_name_of(&facts.file, &diff_id, chain.as_ref()) {
            return Some(format!(
                "`{}` is not a file of layer {layer}",
                facts.file.escape_default()
            ));
        }
        facts
            .nonsense()
            .then(|| format!("what is recorded of layer {layer} makes no sense"))
    }

    fn insert(&self, transaction: &Transaction<'_>, image: &str) -> rusqlite::Result<()> {
        transaction
            .prepare_cached(
                "INSERT INTO msb_image_layer
                     (image, position, diff_id, chain, blob_digest, media_type, compressed_size)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                image,
                self.position,
                self.diff_id,
                self.chain,
                self.blob_digest,
                self.media_type,
                self.compressed_size,
            ])?;
        Ok(())
    }
}

impl FactsRow {
    fn nonsense(&self) -> bool {
        let counts = [
            self.erofs_size,
            self.recipe_size,
            self.tar_size,
            self.entries,
            self.rest_start,
        ];
        counts.into_iter().any(|count| count < 0)
            || u8::try_from(self.dependence).is_err()
            || self.rest_digest.parse::<Digest>().is_err()
            || self.recipe_digest.parse::<Digest>().is_err()
    }

    fn insert(&self, transaction: &Transaction<'_>, layer: &LayerRow) -> rusqlite::Result<()> {
        transaction
            .prepare_cached(
                "INSERT OR IGNORE INTO msb_layer
                     (diff_id, chain, file, erofs_size, recipe_size, tar_size, entries, dependence,
                      rest_start, rest_digest, recipe_digest, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?
            .execute(params![
                layer.diff_id,
                layer.chain,
                self.file,
                self.erofs_size,
                self.recipe_size,
                self.tar_size,
                self.entries,
                self.dependence,
                self.rest_start,
                self.rest_digest,
                self.recipe_digest,
                self.created_at,
            ])?;
        Ok(())
    }
}

/// Returns the rows of an image that a statement selects.
fn all<T>(
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

fn layers(connection: &Connection, image: &str) -> rusqlite::Result<Vec<LayerRow>> {
    all(
        connection,
        "SELECT position, diff_id, chain, blob_digest, media_type, compressed_size,
                file, erofs_size, recipe_size, tar_size, entries, dependence, rest_start,
                rest_digest, recipe_digest, created_at
         FROM msb_image_layer LEFT JOIN msb_layer USING (diff_id, chain)
         WHERE image = ?1 ORDER BY position",
        image,
        |row| {
            let file: Option<String> = row.get(6)?;
            let facts = file.map(|file| -> rusqlite::Result<_> {
                Ok(FactsRow {
                    file,
                    erofs_size: row.get(7)?,
                    recipe_size: row.get(8)?,
                    tar_size: row.get(9)?,
                    entries: row.get(10)?,
                    dependence: row.get(11)?,
                    rest_start: row.get(12)?,
                    rest_digest: row.get(13)?,
                    recipe_digest: row.get(14)?,
                    created_at: row.get(15)?,
                })
            });
            Ok(LayerRow {
                position: row.get(0)?,
                diff_id: row.get(1)?,
                chain: row.get(2)?,
                blob_digest: row.get(3)?,
                media_type: row.get(4)?,
                compressed_size: row.get(5)?,
                facts: facts.transpose()?,
            })
        },
    )
}
