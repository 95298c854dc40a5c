//! `image prune`: everything that no sandbox uses.

use serde::Serialize;

use crate::cancel::Cancel;
use crate::progress::Progress;
use crate::store::{Store, StoreError};

/// How to prune.
#[derive(Clone, Copy, Debug, Default)]
pub struct PruneOptions {
    /// Remove nothing, and say what would be.
    pub dry_run: bool,
}

/// What was removed. Its JSON form is part of the command line's contract.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PruneReport {
    /// References.
    pub image_refs_removed: usize,
    /// Images.
    pub manifests_removed: usize,
    /// Layers.
    pub layers_removed: usize,
    /// Merged metadata images; this msb makes none.
    pub fsmeta_removed: usize,
    /// Disk descriptors; this msb makes none.
    pub vmdk_removed: usize,
    /// Bytes of disk that are free now.
    pub bytes_reclaimed: u64,
    /// Images that stay because sandboxes use them.
    pub skipped_in_use: usize,
}

/// Removes every image that no sandbox uses, then what is left of images and of operations that
/// were cut short. Waits until no other msb is using the store.
pub fn prune(
    store: &Store,
    options: PruneOptions,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<PruneReport, StoreError> {
    let collected = store.collect_unused(options.dry_run, progress, cancel)?;
    Ok(PruneReport {
        image_refs_removed: collected.references,
        manifests_removed: collected.images,
        layers_removed: collected.layers,
        fsmeta_removed: 0,
        vmdk_removed: 0,
        bytes_reclaimed: collected.bytes,
        skipped_in_use: collected.in_use,
    })
}
