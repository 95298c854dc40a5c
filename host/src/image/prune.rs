//! `image prune`: every image that no sandbox uses, then what is left over on disk.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::filter::{Filters, ImageFilter};
use crate::context::Context;
use crate::reference::Reference;
use crate::store::{Choice, Picked, Stock, StockedImage, Store, StoreError};

/// What to prune. Of the images that no sandbox uses, each option leaves some out; without any, all go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneOptions {
    /// Only say what would be removed.
    pub dry_run: bool,
    /// Remove only images that match. Of an image with several names, those that match go.
    pub filters: Vec<ImageFilter>,
    /// Remove only images that were not used for so long.
    pub unused_for: Option<Duration>,
    /// Keep so many names of each repository: those that were given last.
    pub keep: Option<usize>,
    /// Remove the least used images, until all together take no more bytes of disk than this.
    pub max_bytes: Option<u64>,
}

/// What was removed, or would be. Its JSON form is part of the command line's contract.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PruneReport {
    /// References to the images.
    pub image_refs_removed: usize,
    /// Images.
    pub manifests_removed: usize,
    /// Layers, among them those of crashed operations.
    pub layers_removed: usize,
    /// Merged root filesystems.
    pub fsmeta_removed: usize,
    /// Descriptors of virtual disks.
    pub vmdk_removed: usize,
    /// Bytes of disk, those of documents and of crashed operations included.
    pub bytes_reclaimed: u64,
    /// Images that are in use and stay.
    pub skipped_in_use: usize,
    /// The names that were removed, and the digests of images without one.
    pub removed: Vec<String>,
}

/// Removes images that no sandbox uses, and then what no image needs: layers, documents and
/// merged filesystems, and what killed processes left behind. Loads and pulls may go on; what they need
/// stays. Waits its turn to remove files, and says so through `progress`.
pub fn prune(
    store: &Store,
    options: &PruneOptions,
    context: &Context,
) -> Result<PruneReport, StoreError> {
    let filters = Filters::new(store, &options.filters)?;
    let now = Timestamp::now();
    let pick = |stock: Stock| Ok(pick(store, &stock, &filters, options, now));
    let choice = if options.is_everything() {
        Choice::Unused
    } else {
        Choice::Picked(&pick)
    };
    let (progress, cancel) = (context.progress.as_ref(), &context.cancel);
    let collected = store.prune_chosen(&choice, options.dry_run, progress, cancel)?;
    Ok(PruneReport {
        image_refs_removed: collected.references,
        manifests_removed: collected.images,
        layers_removed: collected.layers,
        fsmeta_removed: collected.fsmeta,
        vmdk_removed: collected.vmdk,
        bytes_reclaimed: collected.bytes,
        skipped_in_use: collected.in_use,
        removed: collected.removed,
    })
}

impl PruneOptions {
    /// Returns whether every image goes that no sandbox uses, one that the catalogue cannot tell included.
    fn is_everything(&self) -> bool {
        let all = Self {
            dry_run: self.dry_run,
            ..Self::default()
        };
        *self == all
    }
}

/// Picks what goes.
fn pick(
    store: &Store,
    stock: &Stock,
    filters: &Filters,
    options: &PruneOptions,
    now: Timestamp,
) -> Picked {
    let kept = options
        .keep
        .map_or_else(HashSet::new, |keep| newest(stock, keep));
    let mut picked = Picked::default();
    let mut going: Vec<&StockedImage> = Vec::new();
    for image in &stock.images {
        let Some(names) = filters.matching(store, &image.image) else {
            continue;
        };
        if options
            .unused_for
            .is_some_and(|time| !is_older(image, now, time))
        {
            continue;
        }
        let all = image.image.references.len();
        let names: Vec<Reference> = names
            .into_iter()
            .filter(|name| !kept.contains(name))
            .collect();
        if !image.users.is_empty() {
            picked.in_use += usize::from(names.len() == all);
        } else if names.len() == all {
            going.push(image);
        } else if options.max_bytes.is_none() && !names.is_empty() {
            // Names alone take no room.
            picked.names.extend(names);
            picked.renamed.insert(image.image.digest.clone());
        }
    }
    picked.images = match options.max_bytes {
        None => going
            .iter()
            .map(|image| image.image.digest.clone())
            .collect(),
        Some(most) => {
            going.sort_by_key(|image| image.last_use);
            stock.shrink(most, going).0
        }
    };
    picked
}

/// Returns so many names of each repository, those that were given last.
fn newest(stock: &Stock, keep: usize) -> HashSet<Reference> {
    let mut repositories: BTreeMap<String, Vec<(&String, &Reference)>> = BTreeMap::new();
    for image in &stock.images {
        for name in &image.image.references {
            if let Some(time) = image.named_at.get(name) {
                repositories
                    .entry(name.name())
                    .or_default()
                    .push((time, name));
            }
        }
    }
    let newest = repositories.into_values().flat_map(|mut names| {
        names.sort_unstable_by(|one, other| other.cmp(one));
        names.truncate(keep);
        names
    });
    newest.map(|(_, name)| name.clone()).collect()
}

fn is_older(image: &StockedImage, now: Timestamp, time: Duration) -> bool {
    let unused = now.duration_since(image.last_use);
    Duration::try_from(unused).is_ok_and(|unused| unused >= time)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
