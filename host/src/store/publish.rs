//! Publishing layers and documents, and finding them again.

use std::fs::File;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::catalogue::Store;
use super::column::{Count, count};
use super::staging::StagedLayer;
use super::{Home, StoreError, foreign, fs, query};
use crate::digest::{Digest, Hasher};

/// What the names of documents begin with while they are written aside.
pub(super) const ASIDE: &str = "blob-";

/// What is known of a layer that was made.
#[derive(Clone, Debug)]
pub struct LayerFacts {
    /// The digest of its contents.
    pub diff_id: Digest,
    /// The length of its tar in bytes.
    pub tar_size: u64,
    /// Entries of its tar.
    pub entries: u64,
}

/// A layer of the store.
#[derive(Clone, Debug)]
pub struct StoredLayer {
    /// The digest of its contents.
    pub diff_id: Digest,
    /// Where its EROFS image is.
    pub erofs_path: PathBuf,
    /// Where its tar recipe is.
    pub recipe_path: PathBuf,
    /// The length of the image in bytes.
    pub erofs_size: u64,
    /// The length of the recipe in bytes.
    pub recipe_size: u64,
    /// The length of its tar in bytes.
    pub tar_size: u64,
}

impl StoredLayer {
    /// Opens the EROFS image.
    pub fn open_erofs(&self) -> Result<File, StoreError> {
        File::open(&self.erofs_path).map_err(fs::error("open", &self.erofs_path))
    }

    /// Opens the tar recipe.
    pub fn open_recipe(&self) -> Result<File, StoreError> {
        File::open(&self.recipe_path).map_err(fs::error("open", &self.recipe_path))
    }
}

impl Store {
    /// Returns a layer that was recorded and whose files are there with the lengths that they
    /// had. Anything less is as good as no layer: whoever needs it makes it again.
    pub fn layer(&self, diff_id: &Digest) -> Result<Option<StoredLayer>, StoreError> {
        let layer = self.read(|catalogue| {
            catalogue
                .prepare_cached(
                    "SELECT file, erofs_size, recipe_size, tar_size
                     FROM msb_layer WHERE diff_id = ?1",
                )?
                .query_row([diff_id.to_string()], |row| {
                    let file: String = row.get(0)?;
                    Ok(StoredLayer {
                        diff_id: diff_id.clone(),
                        erofs_path: self.home().erofs(&file),
                        recipe_path: self.home().recipe(&file),
                        erofs_size: count(row, 1)?,
                        recipe_size: count(row, 2)?,
                        tar_size: count(row, 3)?,
                    })
                })
                .optional()
        })?;
        let has_size = |path: &Path, size| {
            std::fs::metadata(path)
                .is_ok_and(|metadata| metadata.is_file() && metadata.len() == size)
        };
        Ok(layer.filter(|layer| {
            has_size(&layer.erofs_path, layer.erofs_size)
                && has_size(&layer.recipe_path, layer.recipe_size)
        }))
    }

    /// Puts layers that were made in their places, except those that the store has already. To be
    /// called with the locks of the layers held. They are of use once an image with them is
    /// recorded; until then they are what prune takes for garbage.
    pub fn publish(
        &self,
        layers: &[(StagedLayer, LayerFacts)],
    ) -> Result<Vec<StoredLayer>, StoreError> {
        let home = self.home();
        let staged = layers
            .iter()
            .flat_map(|(staged, _)| [staged.erofs(), staged.recipe()])
            .collect::<Vec<_>>();
        let sizes = fs::sync_files(&staged)?;
        let mut published = Vec::with_capacity(layers.len());
        let mut new = Vec::new();
        for ((staged, facts), sizes) in layers.iter().zip(sizes.chunks(2)) {
            if let Some(layer) = self.layer(&facts.diff_id)? {
                published.push(layer);
                continue;
            }
            let file = self.read(|catalogue| file_name(catalogue, home, &facts.diff_id))?;
            let layer = StoredLayer {
                diff_id: facts.diff_id.clone(),
                erofs_path: home.erofs(&file),
                recipe_path: home.recipe(&file),
                erofs_size: sizes.first().copied().unwrap_or_default(),
                recipe_size: sizes.last().copied().unwrap_or_default(),
                tar_size: facts.tar_size,
            };
            fs::rename(&staged.recipe(), &layer.recipe_path)?;
            fs::rename(&staged.erofs(), &layer.erofs_path)?;
            new.push((file, layer.clone(), facts.entries));
            published.push(layer);
        }
        if !new.is_empty() {
            fs::sync_directory(&home.layers())?;
            self.write(|transaction| {
                for (file, layer, entries) in &new {
                    insert(transaction, file, layer, *entries)?;
                }
                Ok(())
            })?;
        }
        Ok(published)
    }

    /// Returns a manifest or configuration, byte for byte as it came.
    ///
    /// # Errors
    /// [`StoreError::DamagedBlob`] when its bytes are not those of the digest.
    pub fn blob(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let path = self.home().blob(digest);
        let bytes = std::fs::read(&path).map_err(fs::error("read", &path))?;
        check(&bytes, digest, &path)?;
        Ok(bytes)
    }

    /// Keeps a manifest or configuration. One that is there and whole stays as it is.
    pub(super) fn put_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<(), StoreError> {
        if self.blob(digest).is_ok() {
            return Ok(());
        }
        let path = self.home().blob(digest);
        check(bytes, digest, &path)?;
        fs::write_atomically(bytes, &path, &self.home().tmp(), ASIDE)
    }
}

/// Enters a layer, or what it is now that it was made again.
fn insert(
    transaction: &Transaction<'_>,
    file: &str,
    layer: &StoredLayer,
    entries: u64,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO msb_layer
                 (diff_id, file, erofs_size, recipe_size, tar_size, entries, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (diff_id) DO UPDATE SET
                 file = ?2, erofs_size = ?3, recipe_size = ?4, tar_size = ?5, entries = ?6",
        )?
        .execute(params![
            layer.diff_id.to_string(),
            file,
            Count(layer.erofs_size),
            Count(layer.recipe_size),
            Count(layer.tar_size),
            Count(entries),
            query::time(Timestamp::now()),
        ])?;
    Ok(())
}

/// Returns what the files of a layer are called. A microsandbox in the same home gives its layers
/// the same names, and addresses blocks in them: its files are not replaced, ours lie beside.
fn file_name(connection: &Connection, home: &Home, diff_id: &Digest) -> rusqlite::Result<String> {
    let known = connection
        .query_row(
            "SELECT file FROM msb_layer WHERE diff_id = ?1",
            [diff_id.to_string()],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(file) = known {
        return Ok(file);
    }
    let file = diff_id.file_stem();
    let in_progress = || home.erofs(&file).exists() && !home.recipe(&file).exists();
    let is_theirs = foreign::is_shared(connection)?
        && (foreign::layers(connection)?.contains(&diff_id.to_string()) || in_progress());
    Ok(if is_theirs {
        format!("{file}{BESIDE}")
    } else {
        file
    })
}

/// What is added to the name of a layer that microsandbox has as well.
pub(super) const BESIDE: &str = ".msb";

fn check(bytes: &[u8], digest: &Digest, path: &Path) -> Result<(), StoreError> {
    let mut hasher = Hasher::new(digest.algorithm());
    hasher.update(bytes);
    let actual = hasher.finish();
    if actual == *digest {
        Ok(())
    } else {
        Err(StoreError::DamagedBlob {
            path: path.to_owned(),
            actual,
        })
    }
}
