//! Collecting garbage: what neither an image nor a sandbox needs.
//!
//! Rows go first and files after them, so that a crash in between leaves files that nothing
//! knows, and never a row without its file. All of it happens under the sole lease: no process is
//! between giving files their names and entering them. Layers that are pinned stay, rows and files.

use std::collections::HashSet;

use super::catalogue::Store;
use super::choice::Choice;
use super::deletion::{Claim, Deletion, delete_layer};
use super::foreign::Foreign;
use super::known::{Known, Parts};
use super::layer_record::LayerKey;
use super::query::ImageRecord;
use super::sweep::Garbage;
use super::{StoreError, fs};
use crate::cancel::Cancel;
use crate::progress::Progress;

/// How many images are deleted at once, and how many where there is hardly any room.
const ALL: usize = usize::MAX;
const A_FEW: usize = 4;

/// What was removed, or what would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Images.
    pub images: usize,
    /// References to them.
    pub references: usize,
    /// Layers, each with its EROFS image and its tar recipe.
    pub layers: usize,
    /// Merged root filesystems.
    pub fsmeta: usize,
    /// Descriptors of virtual disks.
    pub vmdk: usize,
    /// Bytes of disk.
    pub bytes: u64,
    /// Images that are in use and stay.
    pub in_use: usize,
    /// What the images were called: each name, or the digest of one without.
    pub removed: Vec<String>,
}

impl Store {
    /// Removes every image that no sandbox uses, and then everything that no image and no operation
    /// needs. With `dry_run` it only says what it would remove, also of a store that cannot be
    /// written. Waits its turn, which comes in a moment, whatever else is under way.
    pub fn prune(
        &self,
        dry_run: bool,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Collected, StoreError> {
        self.prune_chosen(&Choice::Unused, dry_run, progress, cancel)
    }

    /// As [`prune`](Self::prune), of those images that are chosen.
    pub fn prune_chosen(
        &self,
        choice: &Choice<'_>,
        dry_run: bool,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Collected, StoreError> {
        let claim = Claim::open(self, dry_run)?;
        let _lease = match claim.locks {
            Some(_) => self.sole_lease(progress, cancel)?,
            None => self.lease(progress, cancel)?,
        };
        // What the catalogue has lost would be taken for garbage.
        self.check_complete()?;
        let mut collected = Collected::default();
        let foreign = Foreign::open(self.home())?;
        let deletion = Deletion {
            store: self,
            foreign: &foreign,
            claim: &claim,
            choice,
            most: ALL,
            cancel,
        };
        let known = if dry_run {
            self.rehearse(|copy| deletion.run(copy, &mut collected))?
        } else {
            self.make_room();
            let deleted = self.write(|transaction| deletion.run(transaction, &mut collected));
            match deleted {
                Err(error) if error.is_full() => {
                    return self.prune_by_and_by(&foreign, &claim, choice, cancel);
                }
                deleted => deleted?,
            }
        };
        self.discard_unknown(&known, dry_run, &mut collected, cancel)?;
        self.keep_reserve();
        Ok(collected)
    }

    /// Removes all files of the store that nothing needs, or only counts them.
    fn discard_unknown(
        &self,
        known: &Known,
        dry_run: bool,
        collected: &mut Collected,
        cancel: &Cancel,
    ) -> Result<(), StoreError> {
        let garbage = Garbage::find(self.home(), known)?;
        discard(&garbage, dry_run, collected, cancel)
    }

    /// As [`prune`](Self::prune), with so little room that not all rows can be deleted at once: what
    /// the files of a few images give back is there for the next ones. The lease is held.
    pub(super) fn prune_by_and_by(
        &self,
        foreign: &Foreign,
        claim: &Claim,
        choice: &Choice<'_>,
        cancel: &Cancel,
    ) -> Result<Collected, StoreError> {
        let deletion = Deletion {
            store: self,
            foreign,
            claim,
            choice,
            most: A_FEW,
            cancel,
        };
        let mut collected = Collected::default();
        let nothing = HashSet::new();
        let known = self.read(|catalogue| Known::read(catalogue, foreign, nothing))?;
        self.discard_unknown(&known, false, &mut collected, cancel)?;
        loop {
            let before = collected.images;
            collected.in_use = 0;
            let known = self.write(|transaction| deletion.run(transaction, &mut collected))?;
            self.discard_unknown(&known, false, &mut collected, cancel)?;
            self.checkpoint();
            if collected.images == before {
                self.keep_reserve();
                return Ok(collected);
            }
        }
    }

    /// Removes the files of an image that was forgotten, as far as no other image needs them.
    /// Returns `None`, and leaves them to [`prune`](Self::prune), when another operation is under
    /// way that may need them.
    pub fn collect(&self, image: &ImageRecord) -> Result<Option<Collected>, StoreError> {
        let layers = image.layers.iter().map(|layer| &layer.key);
        let indexes = image.indexes.iter().map(|index| &index.digest);
        let parts = Parts {
            layers: layers.collect(),
            documents: [&image.digest, &image.config_digest]
                .into_iter()
                .chain(indexes)
                .collect(),
            removed: Some(&image.digest),
        };
        self.collect_parts(&parts)
    }

    /// Removes layers that were published for images that could not be recorded, unless others pin
    /// them or hold a lease.
    pub fn withdraw(&self, layers: &[LayerKey]) -> Result<(), StoreError> {
        let parts = Parts {
            layers: layers.iter().collect(),
            documents: Vec::new(),
            removed: None,
        };
        self.collect_parts(&parts).map(|_| ())
    }

    /// Removes what no image needs of some files. What it costs depends on these alone, and not on
    /// how much there is besides.
    fn collect_parts(&self, parts: &Parts<'_>) -> Result<Option<Collected>, StoreError> {
        let Some(_lease) = self.try_sole_lease()? else {
            return Ok(None);
        };
        let claim = Claim::open(self, false)?;
        let foreign = Foreign::open(self.home())?;
        self.make_room();
        let (known, files) = self.write(|transaction| {
            let mut files = HashSet::new();
            for key in &parts.layers {
                files.extend(delete_layer(transaction, &key.diff_id.to_string(), &claim)?);
            }
            Ok((Known::of(transaction, &foreign, parts)?, files))
        })?;
        let garbage = Garbage::among(self.home(), &known, parts, files)?;
        let mut collected = Collected::default();
        discard(&garbage, false, &mut collected, &Cancel::default())?;
        self.keep_reserve();
        Ok(Some(collected))
    }
}

/// Removes garbage, or only counts it.
fn discard(
    garbage: &Garbage,
    dry_run: bool,
    collected: &mut Collected,
    cancel: &Cancel,
) -> Result<(), StoreError> {
    for (count, pieces) in [
        (Some(&mut collected.layers), &garbage.layers),
        (Some(&mut collected.fsmeta), &garbage.fsmeta),
        (Some(&mut collected.vmdk), &garbage.vmdk),
        (None, &garbage.others),
    ] {
        if let Some(count) = count {
            *count += pieces.len();
        }
        for path in pieces.values().flatten() {
            cancel.check()?;
            collected.bytes = collected.bytes.saturating_add(fs::disk_size(path)?);
            if !dry_run {
                fs::remove(path)?;
            }
        }
    }
    Ok(())
}
