//! Collecting garbage: what neither an image nor a sandbox needs.
//!
//! Rows go first and files after them, so that a crash in between leaves files that nothing
//! knows, and never a row without its file. All of it happens under the sole lease: no process is
//! between giving files their names and entering them. Layers that are pinned stay, rows and files.

use std::collections::HashSet;

use rusqlite::Connection;

use super::catalogue::{Store, WriteError};
use super::choice::Choice;
use super::foreign::Foreign;
use super::lock::{Locks, Resource};
use super::publish::LayerKey;
use super::query::ImageRecord;
use super::range::Mode;
use super::stock::Stock;
use super::sweep::{Garbage, Known, Parts};
use super::{StoreError, forget, fs, query, restore, sidecar, usage};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::progress::Progress;
use crate::reference::Reference;

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

/// What deletes the rows of images.
struct Deletion<'a> {
    store: &'a Store,
    foreign: &'a Foreign,
    claim: &'a Claim,
    choice: &'a Choice<'a>,
    /// So many images at most.
    most: usize,
    cancel: &'a Cancel,
}

impl Deletion<'_> {
    /// Deletes the rows of what no sandbox uses and the choice lets go, and returns what the rows that are
    /// left need.
    ///
    /// # Errors
    /// [`StoreError::DamagedImage`] for one that stays, if what the catalogue has of it is not right: its
    /// files would be taken for garbage.
    fn run(&self, catalogue: &Connection, collected: &mut Collected) -> Result<Known, WriteError> {
        let images = catalogue
            .prepare("SELECT digest, removed FROM msb_image")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<Vec<(String, bool)>>>()?;
        let picked = match self.choice {
            Choice::Unused => None,
            Choice::Picked(pick) => {
                let stock = Stock::read(self.store, catalogue, self.foreign)?;
                Some(pick(stock)?)
            }
        };
        let mut gone = HashSet::new();
        for (digest, removed) in images {
            self.cancel.check().map_err(StoreError::from)?;
            let is_used = !usage::users(catalogue, self.foreign, &digest)?.is_empty();
            let is_chosen = removed || picked.as_ref().is_none_or(|it| it.has(&digest));
            if is_used || !is_chosen {
                restore::check_rows(self.store.home(), catalogue, &digest)?;
                collected.in_use += usize::from(picked.is_none() && !removed);
            } else if gone.len() < self.most {
                self.delete(catalogue, &digest, removed, collected)?;
                gone.insert(digest.replace(':', "_"));
            }
        }
        if let Some(picked) = &picked {
            collected.in_use = picked.in_use;
            for name in &picked.names {
                let deleted = catalogue.execute(
                    "DELETE FROM msb_reference WHERE name = ?1",
                    [name.canonical()],
                )?;
                if deleted > 0 {
                    collected.references += deleted;
                    collected.removed.push(name.familiar());
                }
            }
            for image in &picked.renamed {
                sidecar::mark(catalogue, &image.to_string())?;
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
            delete_layer(catalogue, &diff_id, self.claim)?;
        }
        Known::read(catalogue, self.foreign, gone)
    }

    fn delete(
        &self,
        catalogue: &Connection,
        digest: &str,
        was_removed: bool,
        collected: &mut Collected,
    ) -> Result<(), WriteError> {
        let names = query::names(catalogue, digest)?.into_iter();
        let names: Vec<String> = names
            .map(|name| match name.parse::<Reference>() {
                Ok(name) => name.familiar(),
                Err(_) => name,
            })
            .collect();
        match names.as_slice() {
            [] if was_removed => {}
            [] => collected.removed.push(digest.to_owned()),
            _ => collected.removed.extend(names),
        }
        collected.references += forget::delete(catalogue, digest, false)?;
        collected.images += 1;
        if let Ok(image) = digest.parse() {
            let sidecar = fs::disk_size(&self.store.home().sidecar(&image))?;
            collected.bytes = collected.bytes.saturating_add(sidecar);
        }
        Ok(())
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
