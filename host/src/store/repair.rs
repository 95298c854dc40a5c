//! What a check of the store needs: the state of the catalogue, and dropping what is damaged.
//!
//! Rows stay. Without its files a layer counts as missing, and the next pull or load makes it again.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::catalogue::Store;
use super::layer_record::LayerRecord;
use super::query::ImageRecord;
use super::{StoreError, fs, schema, sidecar};
use crate::cancel::Cancel;
use crate::digest::Digest;

/// Which files a layer had at some time, whatever they are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerIdentity([Option<(u64, u64)>; 2]);

impl LayerRecord {
    /// Returns which files it has now.
    pub fn identity(&self) -> LayerIdentity {
        let identity = |path: &Path| {
            let metadata = crate::fs::metadata(path).ok()?;
            Some((metadata.dev(), metadata.ino()))
        };
        LayerIdentity([identity(&self.erofs_path), identity(&self.recipe_path)])
    }
}

impl Store {
    /// Returns where the catalogue is.
    pub fn catalogue_path(&self) -> PathBuf {
        self.home().catalogue()
    }

    /// Returns where the sidecar of an image is.
    pub fn sidecar_path(&self, image: &Digest) -> PathBuf {
        self.home().sidecar(image)
    }

    /// Returns whether an image is recorded and was not removed.
    pub fn has_image(&self, digest: &Digest) -> Result<bool, StoreError> {
        self.read(|catalogue| {
            catalogue.query_row(
                "SELECT EXISTS (SELECT 1 FROM msb_image WHERE digest = ?1 AND removed = 0)",
                [digest.to_string()],
                |row| row.get(0),
            )
        })
    }

    /// Returns what is wrong with the catalogue: with the database, and with what it says. It has no
    /// checksums: a flipped bit in a value is seen where the value contradicts a sidecar.
    pub fn check_catalogue(&self) -> Result<Vec<String>, StoreError> {
        let mut wrong = self.check_database()?;
        match self.contradictions() {
            Ok(contradictions) => wrong.extend(contradictions),
            // What cannot be read has been told of.
            Err(error) if error.is_of_catalogue() && !wrong.is_empty() => {}
            Err(StoreError::DamagedCatalogue { what, .. }) => wrong.push(what),
            Err(error) => return Err(error),
        }
        Ok(wrong)
    }

    fn check_database(&self) -> Result<Vec<String>, StoreError> {
        let checked = self.read(|catalogue| -> rusqlite::Result<_> {
            let mut wrong = catalogue
                .prepare("PRAGMA integrity_check")?
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<Vec<String>>>()?;
            wrong.retain(|line| line != "ok");
            // One that can only be read may be older than sidecars, and stays as it is.
            let is_complete = schema::has_table(catalogue, "msb_stale_sidecar")?;
            if is_complete && schema::statements(catalogue)? != schema::expected_statements()? {
                wrong.push("it has other tables than it should have".to_owned());
            }
            let dangling = catalogue
                .prepare("PRAGMA foreign_key_check")?
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<Vec<String>>>()?;
            wrong.extend(
                dangling
                    .into_iter()
                    .filter(|table| table.starts_with("msb_"))
                    .map(|table| format!("a row of {table} refers to one that is not there")),
            );
            Ok(wrong)
        });
        match checked {
            Err(StoreError::DamagedCatalogue { what, .. }) => Ok(vec![what]),
            checked => checked,
        }
    }

    /// Removes the files of a layer, unless it has been made again since.
    pub fn drop_layer(
        &self,
        layer: &LayerRecord,
        damaged: LayerIdentity,
        cancel: &Cancel,
    ) -> Result<bool, StoreError> {
        let _lock = self.lock_layer(&layer.facts.key.diff_id, &mut || {}, cancel)?;
        if layer.identity() != damaged {
            return Ok(false);
        }
        // Without the recipe next to it, there would be no proof any more that the image is ours.
        fs::remove(&layer.erofs_path)?;
        fs::remove(&layer.recipe_path)?;
        Ok(true)
    }

    /// Forgets those names of an image that nothing proves, and those indexes that are damaged or do
    /// not lead to it. Nothing is forgotten while an index cannot be read: it may prove all of them.
    pub fn forget_unproven(&self, image: &ImageRecord) -> Result<(), StoreError> {
        let is_unreadable = |digest: &Digest| match self.blob(digest) {
            Err(StoreError::Io { source, .. }) => source.kind() != std::io::ErrorKind::NotFound,
            _ => false,
        };
        let mut indexes = image.indexes.iter();
        if indexes.any(|index| is_unreadable(&index.digest)) {
            return Ok(());
        }
        let digest = image.digest.to_string();
        self.make_room();
        self.write(|transaction| {
            for reference in &image.unproven {
                transaction.execute(
                    "DELETE FROM msb_reference WHERE name = ?1 AND image = ?2",
                    [&reference.canonical(), &digest],
                )?;
            }
            for index in &image.indexes {
                if !self.is_named_by(image, &index.digest) {
                    transaction.execute(
                        "DELETE FROM msb_image_index WHERE image = ?1 AND digest = ?2",
                        [&digest, &index.digest.to_string()],
                    )?;
                }
            }
            sidecar::mark(transaction, &digest)?;
            Ok(())
        })
    }

    /// Removes a damaged manifest, configuration or index, unless it has been written again since.
    pub fn drop_blob(&self, digest: &Digest) -> Result<bool, StoreError> {
        if self.blob(digest).is_ok() {
            return Ok(false);
        }
        fs::remove(&self.home().blob(digest))?;
        Ok(true)
    }
}
