//! Layers over layers: which EROFS image of a layer is right over those below it.
//!
//! Most layers have one image, which is right over any others. Owns the search for the exceptions,
//! and their conversion from what is there: the tar is rebuilt and converted once more, now that
//! the layers below are known.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::PathBuf;

use super::ImageError;
use super::convert::{ConvertContext, ConvertedLayer, named};
use crate::digest::Digest;
use crate::layer::{ChainPosition, LayerError, LowerLayers, chain_id};
use crate::store::{LayerFacts, LayerKey, StagedLayer, Store};

/// The layers that an operation has made, and those of them that its images need.
pub(super) struct Placement<'a> {
    store: &'a Store,
    context: ConvertContext<'a>,
    made: BTreeMap<LayerKey, ConvertedLayer>,
    used: BTreeSet<LayerKey>,
}

/// A layer of an image, and what errors call it.
pub(super) struct NamedLayer<'a> {
    pub(super) diff_id: &'a Digest,
    pub(super) name: String,
}

/// The files of a layer.
struct LayerFiles {
    erofs: File,
    recipe: File,
}

impl<'a> Placement<'a> {
    pub(super) fn new(
        store: &'a Store,
        context: ConvertContext<'a>,
        made: BTreeMap<LayerKey, ConvertedLayer>,
    ) -> Self {
        Self {
            store,
            context,
            made,
            used: BTreeSet::new(),
        }
    }

    /// Returns the keys of the layers of one image, the bottom one first, and makes what is not
    /// there yet. What it makes stays only for images that are [kept](Self::keep).
    pub(super) fn place(&mut self, layers: &[NamedLayer<'_>]) -> Result<Vec<LayerKey>, ImageError> {
        let mut lower = LowerLayers::within(self.context.budget);
        let mut below: Option<Digest> = None;
        let mut keys = Vec::with_capacity(layers.len());
        for layer in layers {
            self.context.cancel.check()?;
            let chain_id = chain_id(below.as_ref(), layer.diff_id);
            let key = self.find_or_make(layer, &chain_id, &lower)?;
            let path = self.erofs(&key)?.ok_or_else(|| missing(layer))?;
            lower.push(move || File::open(&path));
            keys.push(key);
            below = Some(chain_id);
        }
        Ok(keys)
    }

    /// Takes note that an image with these layers is in order.
    pub(super) fn keep<'k>(&mut self, keys: impl IntoIterator<Item = &'k LayerKey>) {
        self.used.extend(keys.into_iter().cloned());
    }

    /// Returns the length of the tar of a layer that was placed.
    pub(super) fn tar_size(&self, key: &LayerKey) -> Result<Option<u64>, ImageError> {
        if let Some(made) = self.made.get(key) {
            return Ok(Some(made.facts.tar_size));
        }
        let stored = self.store.layer(key)?;
        Ok(stored.map(|stored| stored.facts.tar_size))
    }

    /// Returns the layers that the images that are kept need and the store does not have.
    pub(super) fn into_new(self) -> Vec<(StagedLayer, LayerFacts)> {
        let used = self.used;
        self.made
            .into_iter()
            .filter(|(key, _)| used.contains(key))
            .map(|(_, layer)| (layer.staged, layer.facts))
            .collect()
    }

    /// Returns the key of the image of a layer that is right over others.
    fn find_or_make(
        &mut self,
        layer: &NamedLayer<'_>,
        chain_id: &Digest,
        lower: &LowerLayers,
    ) -> Result<LayerKey, ImageError> {
        let plain = LayerKey::plain(layer.diff_id.clone());
        let chained = LayerKey {
            chain: Some(chain_id.clone()),
            ..plain.clone()
        };
        if self.facts(&chained)?.is_some() {
            return Ok(chained);
        }
        let as_it_is = self.facts(&plain)?;
        if let Some(facts) = &as_it_is {
            let changes = lower
                .change(facts.dependence)
                .map_err(|error| named(&layer.name, error))?;
            if !changes {
                return Ok(plain);
            }
        }
        let files = self.any_files(&plain)?.ok_or_else(|| missing(layer))?;
        let chain = ChainPosition {
            id: chain_id.clone(),
            lower: lower.clone(),
        };
        let again = self.context.convert_again(
            (&files.erofs, &files.recipe),
            layer.diff_id,
            &layer.name,
            Some(&chain),
        )?;
        let key = again.facts.key.clone();
        // Nothing below made a difference after all.
        if key != plain || as_it_is.is_none() {
            self.made.insert(key.clone(), again);
        }
        Ok(key)
    }

    fn facts(&self, key: &LayerKey) -> Result<Option<LayerFacts>, ImageError> {
        if let Some(made) = self.made.get(key) {
            return Ok(Some(made.facts.clone()));
        }
        Ok(self.store.layer(key)?.map(|stored| stored.facts))
    }

    fn files(&self, key: &LayerKey) -> Result<Option<LayerFiles>, ImageError> {
        if let Some(made) = self.made.get(key) {
            let (erofs, recipe) = made.staged.open()?;
            return Ok(Some(LayerFiles { erofs, recipe }));
        }
        stored_files(self.store.layer(key)?)
    }

    /// Returns where the image of a layer is.
    fn erofs(&self, key: &LayerKey) -> Result<Option<PathBuf>, ImageError> {
        if let Some(made) = self.made.get(key) {
            return Ok(Some(made.staged.erofs()));
        }
        Ok(self.store.layer(key)?.map(|stored| stored.erofs_path))
    }

    /// Returns files that the tar of a layer can be rebuilt from.
    fn any_files(&self, plain: &LayerKey) -> Result<Option<LayerFiles>, ImageError> {
        match made_of(&self.made, &plain.diff_id) {
            Some(key) => self.files(key),
            None => stored_files(self.store.layer_over_any(&plain.diff_id)?),
        }
    }
}

/// Returns the key of a layer that was made, whichever layers it was made for.
pub(super) fn made_of<'a, T>(
    made: &'a BTreeMap<LayerKey, T>,
    diff_id: &Digest,
) -> Option<&'a LayerKey> {
    // Of one layer, the key without a chain comes first.
    let (key, _) = made.range(LayerKey::plain(diff_id.clone())..).next()?;
    (key.diff_id == *diff_id).then_some(key)
}

fn stored_files(
    stored: Option<crate::store::LayerRecord>,
) -> Result<Option<LayerFiles>, ImageError> {
    let open = |stored: crate::store::LayerRecord| -> Result<LayerFiles, ImageError> {
        Ok(LayerFiles {
            erofs: stored.open_erofs()?,
            recipe: stored.open_recipe()?,
        })
    };
    stored.map(open).transpose()
}

fn missing(layer: &NamedLayer<'_>) -> ImageError {
    named(
        &layer.name,
        LayerError::DamagedRecipe("its files are not in the store any more"),
    )
}
