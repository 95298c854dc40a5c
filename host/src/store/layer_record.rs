//! The layers of the store: what is known of them, and finding them again.

use std::fs::File;
use std::path::PathBuf;

use rusqlite::OptionalExtension as _;

use super::catalogue::Store;
use super::column::{chain, count, nonsense, parsed};
use super::layer_file::is_name_of;
use super::{StoreError, fs};
use crate::digest::Digest;
use crate::layer::{Dependence, ImageRemainder};

/// Which layer, and over which others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerKey {
    /// The digest of its contents.
    pub diff_id: Digest,
    /// The chain ID, of a layer whose image is another one over these layers than over any others.
    pub chain: Option<Digest>,
}

/// What is known of a layer that was made.
#[derive(Clone, Debug)]
pub struct LayerFacts {
    /// The key of the layer in the store.
    pub key: LayerKey,
    /// The length of its tar in bytes.
    pub tar_size: u64,
    /// Entries of its tar.
    pub entries: u64,
    /// What of it depends on the layers below.
    pub dependence: Dependence,
    /// What its image holds besides the contents of the tar.
    pub remainder: ImageRemainder,
    /// The digest of its recipe.
    pub recipe_digest: Digest,
}

/// A layer of the store.
#[derive(Clone, Debug)]
pub struct LayerRecord {
    /// What is known of it.
    pub facts: LayerFacts,
    /// Where its EROFS image is.
    pub erofs_path: PathBuf,
    /// Where its tar recipe is.
    pub recipe_path: PathBuf,
    /// The length of the image in bytes.
    pub erofs_size: u64,
    /// The length of the recipe in bytes.
    pub recipe_size: u64,
}

impl LayerKey {
    /// Returns the key of a layer that is the same over all others.
    pub fn plain(diff_id: Digest) -> Self {
        Self {
            diff_id,
            chain: None,
        }
    }

    /// Returns how the chain stands in the catalogue.
    pub(super) fn chain_column(&self) -> String {
        self.chain
            .as_ref()
            .map(Digest::to_string)
            .unwrap_or_default()
    }
}

impl LayerRecord {
    /// Opens the EROFS image.
    pub fn open_erofs(&self) -> Result<File, StoreError> {
        File::open(&self.erofs_path).map_err(fs::error("open", &self.erofs_path))
    }

    /// Returns whether its files are there, with the lengths that they had.
    fn has_files(&self) -> Result<bool, StoreError> {
        Ok(fs::has_length(&self.erofs_path, self.erofs_size)?
            && (self.is_adopted() || fs::has_length(&self.recipe_path, self.recipe_size)?))
    }

    /// Opens the tar recipe.
    pub fn open_recipe(&self) -> Result<File, StoreError> {
        File::open(&self.recipe_path).map_err(fs::error("open", &self.recipe_path))
    }
}

impl Store {
    /// Returns a layer that was recorded and whose files are there with the lengths that they
    /// had. Anything less counts as no layer: the next pull or load makes it again.
    pub fn layer(&self, key: &LayerKey) -> Result<Option<LayerRecord>, StoreError> {
        Ok(self.readable_layer(key)?.filter(|it| !it.is_adopted()))
    }

    /// Returns a layer as [`layer`](Self::layer) does, or an adopted one, whose tar cannot be rebuilt.
    pub fn readable_layer(&self, key: &LayerKey) -> Result<Option<LayerRecord>, StoreError> {
        match self.recorded_layer(key)? {
            Some(layer) if layer.has_files()? => Ok(Some(layer)),
            _ => Ok(None),
        }
    }

    /// Returns a layer with these contents, whichever layers it was made for: its tar can be
    /// rebuilt from each of them.
    pub fn layer_over_any(&self, diff_id: &Digest) -> Result<Option<LayerRecord>, StoreError> {
        let chains = self.read(|catalogue| {
            catalogue
                .prepare_cached("SELECT chain FROM msb_layer WHERE diff_id = ?1 ORDER BY chain")?
                .query_map([diff_id.to_string()], |row| chain(row, 0))?
                .collect::<rusqlite::Result<Vec<_>>>()
        })?;
        for chain in chains {
            let diff_id = diff_id.clone();
            if let Some(layer) = self.layer(&LayerKey { diff_id, chain })? {
                return Ok(Some(layer));
            }
        }
        Ok(None)
    }

    /// Returns a layer that was recorded, whatever has become of its files.
    pub fn recorded_layer(&self, key: &LayerKey) -> Result<Option<LayerRecord>, StoreError> {
        self.read(|catalogue| {
            catalogue
                .prepare_cached(
                    "SELECT file, erofs_size, recipe_size, tar_size, entries, dependence,
                            rest_start, rest_digest, recipe_digest
                     FROM msb_layer WHERE diff_id = ?1 AND chain = ?2",
                )?
                .query_row([key.diff_id.to_string(), key.chain_column()], |row| {
                    let file: String = row.get(0)?;
                    if !is_name_of(&file, &key.diff_id, key.chain.as_ref()) {
                        let file = file.escape_default();
                        let what = format!("`{file}` is not a file of layer {}", key.diff_id);
                        return Err(nonsense(what));
                    }
                    Ok(LayerRecord {
                        erofs_path: self.home().erofs(&file),
                        recipe_path: self.home().recipe(&file),
                        erofs_size: count(row, 1)?,
                        recipe_size: count(row, 2)?,
                        facts: LayerFacts {
                            key: key.clone(),
                            tar_size: count(row, 3)?,
                            entries: count(row, 4)?,
                            dependence: Dependence::from_bits_retain(row.get(5)?),
                            remainder: ImageRemainder {
                                start: count(row, 6)?,
                                digest: parsed(row, 7)?,
                            },
                            recipe_digest: parsed(row, 8)?,
                        },
                    })
                })
                .optional()
        })
    }
}
