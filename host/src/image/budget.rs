//! The budget of the store: what a pull and a load let go so that all images together take no more of the
//! disk than the user wants.
//!
//! Owns what has to fit before anything new is published. What sandboxes use stays, and so does what the
//! new images share with others.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::cancel::Cancel;
use crate::progress::{Event, Progress};
use crate::store::{Choice, LayerFacts, NewImage, Picked, StagedLayer, Stock, Store, StoreError};

/// What a small file takes at most beyond its bytes: a block of the filesystem.
const BLOCK: u64 = 4096;
/// What the sidecar of an image takes, besides a part for each of its layers.
const SIDECAR: u64 = 4096;
const SIDECAR_OF_LAYER: u64 = 1024;

/// Lets the least used images go, until there is room in the budget for layers and the images that have
/// them. Without a budget this does nothing.
///
/// # Errors
/// [`StoreError::OverBudget`], before anything was let go, if what stays leaves too little room.
pub(super) fn keep(
    store: &Store,
    budget: Option<u64>,
    layers: &[(StagedLayer, LayerFacts)],
    images: &[&NewImage],
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<(), StoreError> {
    let Some(budget) = budget else {
        return Ok(());
    };
    let mut needed = 0;
    for (layer, _) in layers {
        needed += layer.disk_size()?;
    }
    needed += images.iter().map(|image| documents(image)).sum::<u64>();
    let keys = images.iter().flat_map(|image| &image.layers);
    let held = store.files_of_layers(keys.map(|layer| &layer.key))?;
    let most = budget.saturating_sub(needed);
    if store.stock()?.bytes() <= most {
        return Ok(());
    }
    let pick = |stock: Stock| {
        let (images, left) = least_used(stock, &held, most);
        if left > most {
            return Err(StoreError::OverBudget {
                budget,
                needed,
                held: left,
            });
        }
        Ok(Picked {
            images,
            ..Picked::default()
        })
    };
    let collected = store.prune_chosen(&Choice::Picked(&pick), false, progress, cancel)?;
    if !collected.removed.is_empty() {
        progress.report(Event::Notice(&format!(
            "removed {}, not used for the longest time, to keep the store within its budget",
            collected.removed.join(", ")
        )));
    }
    Ok(())
}

/// Returns the images to let go, and the bytes that are left without them.
fn least_used(
    mut stock: Stock,
    held: &[PathBuf],
    most: u64,
) -> (HashSet<crate::digest::Digest>, u64) {
    stock.hold(held);
    let mut unused: Vec<_> = stock
        .images
        .iter()
        .filter(|image| image.users.is_empty())
        .collect();
    unused.sort_by_key(|image| image.last_use);
    stock.shrink(most, unused)
}

/// Returns what the documents of a new image take at most.
fn documents(image: &NewImage) -> u64 {
    let blob = |bytes: usize| bytes as u64 + BLOCK;
    let indexes = image.indexes.iter().map(|index| blob(index.bytes.len()));
    let sidecar = SIDECAR + SIDECAR_OF_LAYER * image.layers.len() as u64 + BLOCK;
    blob(image.manifest.len()) + blob(image.config.len()) + indexes.sum::<u64>() + sidecar
}
