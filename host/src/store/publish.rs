//! Publishing layers and documents, and finding them again.

use std::fs::File;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::catalogue::{Store, WriteError};
use super::column::{Count, chain, count, nonsense, parsed};
use super::foreign::Foreign;
use super::staging::StagedLayer;
use super::{StoreError, fs, query};
use crate::cancel::Cancel;
use crate::digest::{Digest, Hasher};
use crate::home::Home;
use crate::layer::{Dependence, ImageRemainder};
use crate::progress::Silent;

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

    /// Returns a layer as [`layer`](Self::layer) does, or one that was adopted, of which there is no tar.
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

    /// Puts layers that were made in their places, except those that the store has already. To be
    /// called with the locks of the layers held, and with the layers pinned until an image with them
    /// is recorded: without that, prune takes them for garbage. With `again` they take the place of
    /// what the store has.
    pub fn publish(
        &self,
        layers: &[(StagedLayer, LayerFacts)],
        again: bool,
    ) -> Result<Vec<LayerRecord>, StoreError> {
        self.publish_unless(layers, again, &Cancel::default())
    }

    /// As [`publish`](Self::publish), unless the user asks to stop before the first layer is in its
    /// place: with thousands of layers, making them durable takes long.
    pub fn publish_unless(
        &self,
        layers: &[(StagedLayer, LayerFacts)],
        again: bool,
        cancel: &Cancel,
    ) -> Result<Vec<LayerRecord>, StoreError> {
        let home = self.home();
        let staged = layers
            .iter()
            .flat_map(|(staged, _)| [staged.erofs(), staged.recipe()])
            .collect::<Vec<_>>();
        // What takes long comes before the lease.
        let sizes = fs::sync_files(&staged, cancel)?;
        let _lease = self.lease(&Silent, cancel)?;
        let foreign = Foreign::open(home)?;
        let mut published = Vec::with_capacity(layers.len());
        let mut new = Vec::new();
        for ((staged, facts), sizes) in layers.iter().zip(sizes.chunks(2)) {
            cancel.check()?;
            if let Some(layer) = self.layer(&facts.key)?.filter(|_| !again) {
                published.push(layer);
                continue;
            }
            let is_apart = self.keeps_apart();
            let file =
                self.read(|catalogue| file_name(catalogue, &foreign, home, &facts.key, is_apart))?;
            let layer = LayerRecord {
                facts: facts.clone(),
                erofs_path: home.erofs(&file),
                recipe_path: home.recipe(&file),
                erofs_size: sizes.first().copied().unwrap_or_default(),
                recipe_size: sizes.last().copied().unwrap_or_default(),
            };
            new.push((staged, file, layer.clone()));
            published.push(layer);
        }
        if !new.is_empty() {
            for (staged, _, layer) in &new {
                fs::rename(&staged.recipe(), &layer.recipe_path)?;
                fs::rename(&staged.erofs(), &layer.erofs_path)?;
            }
            fs::sync_directory(&home.layers())?;
            self.write(|transaction| {
                for (_, file, layer) in &new {
                    insert(transaction, file, layer)?;
                    mark_images(transaction, &layer.facts.key)?;
                }
                Ok(())
            })?;
        }
        Ok(published)
    }

    /// Returns a manifest, configuration or index, byte for byte as it came.
    ///
    /// # Errors
    /// [`StoreError::DamagedBlob`] when its bytes are not those of the digest.
    pub fn blob(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let path = self.home().blob(digest);
        let bytes = crate::fs::read(&path)?;
        check(&bytes, digest, &path)?;
        Ok(bytes)
    }

    /// Keeps manifests, configurations and indexes. What is there and whole stays as it is.
    pub(super) fn put_blobs<'a>(
        &self,
        blobs: impl Iterator<Item = (&'a Digest, &'a [u8])>,
    ) -> Result<(), StoreError> {
        let mut is_new = false;
        for (digest, bytes) in blobs {
            if self.blob(digest).is_ok() {
                continue;
            }
            let path = self.home().blob(digest);
            check(bytes, digest, &path)?;
            fs::write_aside(bytes, &path)?.persist()?;
            is_new = true;
        }
        if is_new {
            fs::sync_directory(&self.home().blobs())?;
        }
        Ok(())
    }
}

/// Enters a layer, or what it is now that it was made again.
fn insert(transaction: &Transaction<'_>, file: &str, layer: &LayerRecord) -> rusqlite::Result<()> {
    let facts = &layer.facts;
    transaction
        .prepare_cached(
            "INSERT INTO msb_layer
                 (diff_id, chain, file, erofs_size, recipe_size, tar_size, entries, dependence,
                  rest_start, rest_digest, recipe_digest, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
             ON CONFLICT (diff_id, chain) DO UPDATE SET
                 file = ?3, erofs_size = ?4, recipe_size = ?5, tar_size = ?6, entries = ?7,
                 dependence = ?8, rest_start = ?9, rest_digest = ?10, recipe_digest = ?11",
        )?
        .execute(params![
            facts.key.diff_id.to_string(),
            facts.key.chain_column(),
            file,
            Count(layer.erofs_size),
            Count(layer.recipe_size),
            Count(facts.tar_size),
            Count(facts.entries),
            facts.dependence.bits(),
            Count(facts.remainder.start),
            facts.remainder.digest.to_string(),
            facts.recipe_digest.to_string(),
            query::time(Timestamp::now()),
        ])?;
    Ok(())
}

/// Marks the sidecars of the images that have a layer.
pub(super) fn mark_images(transaction: &Transaction<'_>, key: &LayerKey) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT OR IGNORE INTO msb_stale_sidecar (image)
         SELECT image FROM msb_image_layer WHERE diff_id = ?1 AND chain = ?2",
        [key.diff_id.to_string(), key.chain_column()],
    )?;
    Ok(())
}

/// Returns what the files of a layer are called. A microsandbox in the same home gives its layers
/// the same names, and addresses blocks in them: its files are not replaced, ours lie beside.
fn file_name(
    connection: &Connection,
    foreign: &Foreign,
    home: &Home,
    key: &LayerKey,
    is_apart: bool,
) -> Result<String, WriteError> {
    let LayerKey { diff_id, chain } = key;
    let known: Option<String> = connection
        .query_row(
            "SELECT file FROM msb_layer WHERE diff_id = ?1 AND chain = ?2",
            [diff_id.to_string(), key.chain_column()],
            |row| row.get(0),
        )
        .optional()?;
    let is_usable =
        |file: &String| is_name_of(file, diff_id, chain.as_ref()) && !file.ends_with(ADOPTED);
    if let Some(file) = known.filter(is_usable) {
        return Ok(file);
    }
    let file = diff_id.file_stem();
    if let Some(chain) = chain {
        return Ok(over(&file, chain));
    }
    let in_progress = || home.erofs(&file).exists() && !home.recipe(&file).exists();
    let is_theirs = || -> Result<bool, StoreError> {
        Ok(foreign.is_shared()?
            && (foreign.layers()?.contains(&diff_id.to_string()) || in_progress()))
    };
    Ok(if is_apart || is_theirs()? {
        format!("{file}{BESIDE}")
    } else {
        file
    })
}

/// What is added to the name of a layer that microsandbox has as well.
pub(super) const BESIDE: &str = ".msb";

/// What is added to the name of a layer that was adopted.
pub(super) const ADOPTED: &str = ".adopted";

/// What stands between the name of a layer and the chain ID that its image depends on.
pub(super) const OVER: &str = ".over-";

/// Returns whether the files of a layer may be called so. Anything else would be outside of the
/// store, or another layer's.
pub(super) fn is_name_of(file: &str, diff_id: &Digest, chain: Option<&Digest>) -> bool {
    let stem = diff_id.file_stem();
    match (file.strip_prefix(&stem), chain) {
        (Some(rest), Some(chain)) => rest.strip_prefix(OVER) == Some(chain.hex()),
        (Some(rest), None) => rest.is_empty() || rest == BESIDE || rest == ADOPTED,
        (None, _) => false,
    }
}

/// Returns what the files of a layer are called whose image depends on those below.
pub(super) fn over(file: &str, chain: &Digest) -> String {
    format!("{file}{OVER}{}", chain.hex())
}

/// Returns whether bytes are those of a digest.
pub(super) fn matches(bytes: &[u8], digest: &Digest) -> bool {
    digest_as(bytes, digest) == *digest
}

fn check(bytes: &[u8], digest: &Digest, path: &Path) -> Result<(), StoreError> {
    let actual = digest_as(bytes, digest);
    if actual == *digest {
        Ok(())
    } else {
        Err(StoreError::DamagedBlob {
            path: path.to_owned(),
            actual,
        })
    }
}

/// Returns the digest of bytes by the algorithm of another one.
fn digest_as(bytes: &[u8], digest: &Digest) -> Digest {
    let mut hasher = Hasher::new(digest.algorithm());
    hasher.update(bytes);
    hasher.finish()
}
