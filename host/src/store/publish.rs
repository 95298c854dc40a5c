//! Publishing layers: giving files their places, and entering them.

use jiff::Timestamp;
use rusqlite::{Transaction, params};

use super::catalogue::Store;
use super::column::Count;
use super::foreign::Foreign;
use super::layer_file::file_name;
use super::layer_record::{LayerFacts, LayerKey, LayerRecord};
use super::staging::StagedLayer;
use super::{StoreError, fs, query};
use crate::cancel::Cancel;
use crate::progress::Silent;

impl Store {
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
