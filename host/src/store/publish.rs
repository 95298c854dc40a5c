//! Publishing layers and documents, and finding them again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::OptionalExtension as _;

use super::catalogue::Store;
use super::staging::StagedLayer;
use super::{StoreError, fs};
use crate::digest::{Digest, Hasher};

/// How many layers are made durable at once.
const SYNCHRONISERS: usize = 8;

/// What is known of a layer that was made.
#[derive(Clone, Debug)]
pub struct LayerFacts {
    /// The digest of its contents.
    pub diff_id: Digest,
    /// The length of its tar.
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
    /// The length of the image.
    pub erofs_size: u64,
    /// The length of the recipe.
    pub recipe_size: u64,
    /// The length of its tar.
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
        let sizes = self
            .connection()
            .query_row(
                "SELECT erofs_size, recipe_size, tar_size FROM msb_layer WHERE diff_id = ?1",
                [diff_id.to_string()],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .optional()
            .map_err(|source| self.catalogue_error("read", source))?;
        let Some((erofs_size, recipe_size, tar_size)) = sizes else {
            return Ok(None);
        };
        let layer = StoredLayer {
            diff_id: diff_id.clone(),
            erofs_path: self.home().erofs(diff_id),
            recipe_path: self.home().recipe(diff_id),
            erofs_size,
            recipe_size,
            tar_size,
        };
        let has_size = |path: &Path, size| {
            std::fs::metadata(path).is_ok_and(|metadata| metadata.len() == size)
        };
        let whole =
            has_size(&layer.erofs_path, erofs_size) && has_size(&layer.recipe_path, recipe_size);
        Ok(whole.then_some(layer))
    }

    /// Puts layers that were made in their places. They are of use once an image with them is
    /// recorded; until then they are what prune takes for garbage.
    pub fn publish(
        &self,
        layers: &[(StagedLayer, LayerFacts)],
    ) -> Result<Vec<StoredLayer>, StoreError> {
        let sizes = synchronise(layers)?;
        let mut published = Vec::new();
        for ((staged, facts), (erofs_size, recipe_size)) in layers.iter().zip(sizes) {
            let layer = StoredLayer {
                erofs_path: self.home().erofs(&facts.diff_id),
                recipe_path: self.home().recipe(&facts.diff_id),
                erofs_size,
                recipe_size,
                tar_size: facts.tar_size,
                diff_id: facts.diff_id.clone(),
            };
            fs::rename(&staged.recipe(), &layer.recipe_path)?;
            fs::rename(&staged.erofs(), &layer.erofs_path)?;
            published.push(layer);
        }
        fs::sync_directory(&self.home().layers())?;
        let entries = layers.iter().map(|(_, facts)| facts.entries);
        self.note_layers(published.iter().zip(entries))
            .map_err(|source| self.catalogue_error("write", source))?;
        Ok(published)
    }

    fn note_layers<'a>(
        &self,
        layers: impl Iterator<Item = (&'a StoredLayer, u64)>,
    ) -> rusqlite::Result<()> {
        let mut connection = self.connection();
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        for (layer, entries) in layers {
            transaction.execute(
                "INSERT OR REPLACE INTO msb_layer
                     (diff_id, erofs_size, recipe_size, tar_size, entries, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                rusqlite::params![
                    layer.diff_id.to_string(),
                    layer.erofs_size,
                    layer.recipe_size,
                    layer.tar_size,
                    entries,
                    now(),
                ],
            )?;
        }
        transaction.commit()
    }

    /// Returns a manifest or configuration, byte for byte as it came, checked against its digest.
    pub fn blob(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let path = self.home().blob(digest);
        let bytes = std::fs::read(&path).map_err(fs::error("read", &path))?;
        let mut hasher = Hasher::new(digest.algorithm());
        hasher.update(&bytes);
        let actual = hasher.finish();
        if actual != *digest {
            return Err(StoreError::DamagedBlob { path, actual });
        }
        Ok(bytes)
    }

    /// Keeps a manifest or configuration. One that is there and whole stays as it is.
    pub(super) fn put_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<(), StoreError> {
        if self.blob(digest).is_ok() {
            return Ok(());
        }
        fs::write_atomically(bytes, &self.home().blob(digest), &self.home().tmp())
    }
}

/// Returns the present time in the one form that the catalogue has for times.
pub(super) fn now() -> String {
    jiff::Timestamp::now().to_string()
}

/// Makes the files of layers durable and returns their lengths. Side by side, since the disk does
/// several in the time of one.
fn synchronise(layers: &[(StagedLayer, LayerFacts)]) -> Result<Vec<(u64, u64)>, StoreError> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut sizes = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some((layer, _)) = layers.get(index) else {
                return Ok(sizes);
            };
            sizes.push((
                index,
                (
                    synchronised(&layer.erofs())?,
                    synchronised(&layer.recipe())?,
                ),
            ));
        }
    };
    let mut sizes = vec![(0, 0); layers.len()];
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..SYNCHRONISERS.min(layers.len()))
            .map(|_| scope.spawn(work))
            .collect();
        for worker in workers {
            let done: Result<_, StoreError> = worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            for (index, pair) in done? {
                sizes[index] = pair;
            }
        }
        Ok(sizes)
    })
}

fn synchronised(path: &Path) -> Result<u64, StoreError> {
    let sync = || {
        let file = File::open(path)?;
        file.sync_all()?;
        Ok(file.metadata()?.len())
    };
    sync().map_err(fs::error("synchronise", path))
}
