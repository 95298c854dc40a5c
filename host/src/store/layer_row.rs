//! The rows of an image's layers, and of what is known of them.
//!
//! Owns reading them, checking that they make sense, and entering them again.

use rusqlite::{Connection, Transaction, params};
use serde::{Deserialize, Serialize};

use super::layer_file::is_name_of;
use super::rows::all;
use crate::digest::Digest;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LayerRow {
    position: i64,
    diff_id: String,
    chain: String,
    blob_digest: String,
    media_type: String,
    compressed_size: i64,
    /// Nothing where the catalogue has lost it.
    pub(super) facts: Option<FactsRow>,
}

/// Returns the layers of an image, the bottom one first.
pub(super) fn layers(connection: &Connection, image: &str) -> rusqlite::Result<Vec<LayerRow>> {
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

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FactsRow {
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

impl LayerRow {
    pub(super) fn nonsense(&self, place: i64) -> Option<String> {
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

    pub(super) fn insert(
        &self,
        transaction: &Transaction<'_>,
        image: &str,
    ) -> rusqlite::Result<()> {
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

    pub(super) fn insert(
        &self,
        transaction: &Transaction<'_>,
        layer: &LayerRow,
    ) -> rusqlite::Result<()> {
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
