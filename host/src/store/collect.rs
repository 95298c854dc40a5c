//! Collecting garbage: what neither an image nor a sandbox needs.
//!
//! Rows go first and files after them, so that a crash in between leaves files that nothing
//! knows, and never a row without its file. All of it happens under the sole lease: no process is
//! between giving files their names and entering them. Layers that are pinned stay, rows and files.

use std::collections::HashSet;

use rusqlite::Connection;

use super::catalogue::{Store, WriteError};
use super::foreign::Foreign;
use super::lock::{Locks, Resource};
use super::publish::LayerKey;
use super::query::ImageRecord;
use super::range::Mode;
use super::sweep::{Garbage, Known, Parts};
use super::{StoreError, forget, fs, restore, usage};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::home::Home;
use crate::progress::Progress;

/// How many images are deleted at once, and how many where there is hardly any room.
const ALL: usize = usize::MAX;
const A_FEW: usize = 4;

/// What was removed, or what would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
        let claim = Claim::open(self, dry_run)?;
        let _lease = match claim.locks {
            Some(_) => self.sole_lease(progress, cancel)?,
            None => self.lease(progress, cancel)?,
        };
        // What the catalogue has lost would be taken for garbage.
        self.check_complete()?;
        let mut collected = Collected::default();
        let foreign = Foreign::open(self.home())?;
        let home = self.home();
        let known = if dry_run {
            self.rehearse(|copy| {
                delete_unused(home, copy, &foreign, &claim, ALL, &mut collected, cancel)
            })?
        } else {
            self.make_room();
            let deleted = self.write(|transaction| {
                delete_unused(
                    home,
                    transaction,
                    &foreign,
                    &claim,
                    ALL,
                    &mut collected,
                    cancel,
                )
            });
            match deleted {
                Err(error) if error.is_full() => {
                    return self.prune_by_and_by(&foreign, &claim, cancel);
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
        cancel: &Cancel,
    ) -> Result<Collected, StoreError> {
        let mut collected = Collected::default();
        let nothing = HashSet::new();
        let known = self.read(|catalogue| Known::read(catalogue, foreign, nothing))?;
        self.discard_unknown(&known, false, &mut collected, cancel)?;
        loop {
            let before = collected.images;
            collected.in_use = 0;
            let known = self.write(|transaction| {
                delete_unused(
                    self.home(),
                    transaction,
                    foreign,
                    claim,
                    A_FEW,
                    &mut collected,
                    cancel,
                )
            })?;
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

/// The layers that are being removed: until this is dropped no operation begins to use one.
pub(super) struct Claim {
    // None in a store that cannot be written, of which nothing is removed.
    locks: Option<Locks>,
}

impl Claim {
    pub(super) fn open(store: &Store, dry_run: bool) -> Result<Self, StoreError> {
        let locks = if dry_run {
            Locks::open_if_writable(store.home())?
        } else {
            Some(Locks::open(store.home())?)
        };
        Ok(Self { locks })
    }

    /// Claims a layer, and returns whether it could be had: no operation uses it.
    fn take(&self, diff_id: &str) -> Result<bool, StoreError> {
        match (&self.locks, diff_id.parse::<Digest>()) {
            (Some(locks), Ok(diff_id)) => {
                locks.try_take(Resource::LayerFiles(&diff_id), Mode::Exclusive)
            }
            // No operation uses what is not a digest.
            _ => Ok(true),
        }
    }
}

/// Deletes the rows of a layer that neither an image nor an operation uses, and returns the files
/// that they name.
fn delete_layer(
    catalogue: &Connection,
    diff_id: &str,
    claim: &Claim,
) -> Result<Vec<String>, WriteError> {
    if !claim.take(diff_id)? {
        return Ok(Vec::new());
    }
    let mut delete = catalogue.prepare_cached(
        "DELETE FROM msb_layer WHERE diff_id = ?1
         AND NOT EXISTS (SELECT 1 FROM msb_image_layer AS used
                         WHERE used.diff_id = msb_layer.diff_id
                         AND used.chain = msb_layer.chain)
         RETURNING file",
    )?;
    let files = delete.query_map([diff_id], |row| row.get(0))?;
    Ok(files.collect::<rusqlite::Result<_>>()?)
}

/// Deletes the rows of what is unused, of so many images at most, and returns what the rows that
/// are left need.
///
/// # Errors
/// [`StoreError::DamagedImage`] for one that stays, if what the catalogue has of it is not right: its
/// files would be taken for garbage.
fn delete_unused(
    home: &Home,
    catalogue: &Connection,
    foreign: &Foreign,
    claim: &Claim,
    most: usize,
    collected: &mut Collected,
    cancel: &Cancel,
) -> Result<Known, WriteError> {
    let images = catalogue
        .prepare("SELECT digest, removed FROM msb_image")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(String, bool)>>>()?;
    let mut gone = HashSet::new();
    for (digest, removed) in images {
        cancel.check().map_err(StoreError::from)?;
        if usage::users(catalogue, foreign, &digest)?.is_empty() {
            if gone.len() == most {
                continue;
            }
            collected.references += forget::delete(catalogue, &digest, false)?;
            collected.images += 1;
            if let Ok(image) = digest.parse() {
                let sidecar = fs::disk_size(&home.sidecar(&image)).map_err(WriteError::Store)?;
                collected.bytes = collected.bytes.saturating_add(sidecar);
            }
            gone.insert(digest.replace(':', "_"));
        } else {
            restore::check_rows(home, catalogue, &digest)?;
            collected.in_use += usize::from(!removed);
        }
    }
    let layers = catalogue
        .prepare(
            "SELECT DISTINCT diff_id FROM msb_layer
             WHERE (diff_id, chain) NOT IN (SELECT diff_id, chain FROM msb_image_layer)",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    for diff_id in layers {
        delete_layer(catalogue, &diff_id, claim)?;
    }
    Known::read(catalogue, foreign, gone)
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
