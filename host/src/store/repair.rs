//! What a check of the store needs: the state of the catalogue, and dropping what is damaged.
//!
//! Rows stay. Without its files a layer is as good as none, and whoever needs it makes it again.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::catalogue::Store;
use super::publish::StoredLayer;
use super::{StoreError, fs};
use crate::cancel::Cancel;
use crate::digest::Digest;

/// Which files a layer had at some time, whatever they are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerIdentity([Option<(u64, u64)>; 2]);

impl StoredLayer {
    /// Returns which files it has now.
    pub fn identity(&self) -> LayerIdentity {
        let identity = |path: &Path| {
            let metadata = std::fs::metadata(path).ok()?;
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

    /// Returns what is wrong with the database of the catalogue. It has no checksums: a flipped
    /// bit in a value is seen only where the value contradicts another one.
    pub fn check_catalogue(&self) -> Result<Vec<String>, StoreError> {
        self.read(|catalogue| {
            let mut wrong = catalogue
                .prepare("PRAGMA integrity_check")?
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<Vec<String>>>()?;
            wrong.retain(|line| line != "ok");
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
        })
    }

    /// Removes the files of a layer, unless somebody has made it anew since it had these.
    pub fn drop_layer(
        &self,
        layer: &StoredLayer,
        damaged: LayerIdentity,
        cancel: &Cancel,
    ) -> Result<bool, StoreError> {
        let _lock = self.lock_layer(&layer.facts.key.diff_id, &mut || {}, cancel)?;
        if layer.identity() != damaged {
            return Ok(false);
        }
        // Without the recipe beside it nobody could tell any more that the image is ours.
        fs::remove(&layer.erofs_path)?;
        fs::remove(&layer.recipe_path)?;
        Ok(true)
    }

    /// Removes a manifest or configuration.
    pub fn drop_blob(&self, digest: &Digest) -> Result<(), StoreError> {
        fs::remove(&self.home().blob(digest))
    }
}
