//! Collecting garbage: what neither an image nor a sandbox needs.
//!
//! Rows go first and files after them, so that a crash in between leaves files that nothing
//! knows, and never a row without its file. All of it happens under the sole lease: nobody is
//! between finding a layer there and recording an image with it.

use std::collections::HashSet;

use rusqlite::Connection;

use super::catalogue::{Store, WriteError};
use super::foreign::Foreign;
use super::query::ImageRecord;
use super::sweep::{Garbage, Known};
use super::{Home, StoreError, forget, fs, restore, usage};
use crate::cancel::Cancel;
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
    /// Removes every image that no sandbox uses, and then everything that no image needs. With
    /// `dry_run` it only says what it would remove. Waits until no other operation is under way.
    pub fn prune(
        &self,
        dry_run: bool,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Collected, StoreError> {
        let _lease = self.sole_lease(progress, cancel)?;
        // What the catalogue has lost would be taken for garbage.
        self.check_complete()?;
        let mut collected = Collected::default();
        let foreign = Foreign::open(self.home())?;
        let known = if dry_run {
            self.rehearse(|copy| delete_unused(self.home(), copy, &foreign, ALL, &mut collected))?
        } else {
            self.make_room();
            let deleted = self.write(|transaction| {
                delete_unused(self.home(), transaction, &foreign, ALL, &mut collected)
            });
            match deleted {
                Err(error) if error.is_full() => return self.prune_by_and_by(&foreign, cancel),
                deleted => deleted?,
            }
        };
        let garbage = Garbage::find(self.home(), &known)?;
        discard(&garbage, dry_run, &mut collected, cancel)?;
        self.keep_reserve();
        Ok(collected)
    }

    /// As [`prune`](Self::prune), with so little room that not all rows can be deleted at once: what
    /// the files of a few images give back is there for the next ones. The lease is held.
    pub(super) fn prune_by_and_by(
        &self,
        foreign: &Foreign,
        cancel: &Cancel,
    ) -> Result<Collected, StoreError> {
        let mut collected = Collected::default();
        let nothing = HashSet::new();
        let known = self.read(|catalogue| Known::read(catalogue, foreign, nothing))?;
        discard(
            &Garbage::find(self.home(), &known)?,
            false,
            &mut collected,
            cancel,
        )?;
        loop {
            let before = collected.images;
            collected.in_use = 0;
            let known = self.write(|transaction| {
                delete_unused(self.home(), transaction, foreign, A_FEW, &mut collected)
            })?;
            discard(
                &Garbage::find(self.home(), &known)?,
                false,
                &mut collected,
                cancel,
            )?;
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
        let Some(_lease) = self.try_sole_lease()? else {
            return Ok(None);
        };
        let foreign = Foreign::open(self.home())?;
        self.make_room();
        let known = self.write(|transaction| {
            for layer in &image.layers {
                transaction.execute(
                    "DELETE FROM msb_layer WHERE diff_id = ?1
                     AND (diff_id, chain) NOT IN (SELECT diff_id, chain FROM msb_image_layer)",
                    [layer.key.diff_id.to_string()],
                )?;
            }
            let removed = HashSet::from([image.digest.file_stem()]);
            Known::read(transaction, &foreign, removed)
        })?;
        let digests = image
            .layers
            .iter()
            .map(|layer| &layer.key.diff_id)
            .chain([&image.digest, &image.config_digest])
            .chain(image.indexes.iter().map(|index| &index.digest));
        let mut garbage = Garbage::find(self.home(), &known)?;
        garbage.keep_only(&digests.map(crate::digest::Digest::file_stem).collect());
        let mut collected = Collected::default();
        discard(&garbage, false, &mut collected, &Cancel::default())?;
        self.keep_reserve();
        Ok(Some(collected))
    }
}

/// Deletes the rows of what nobody uses, of so many images at most, and returns what the rows that
/// are left need.
///
/// # Errors
/// [`StoreError::DamagedImage`] for one that stays, if what the catalogue has of it is not right: its
/// files would be taken for garbage.
fn delete_unused(
    home: &Home,
    catalogue: &Connection,
    foreign: &Foreign,
    most: usize,
    collected: &mut Collected,
) -> Result<Known, WriteError> {
    let images = catalogue
        .prepare("SELECT digest, removed FROM msb_image")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(String, bool)>>>()?;
    let mut gone = HashSet::new();
    for (digest, removed) in images {
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
    catalogue.execute(
        "DELETE FROM msb_layer
         WHERE (diff_id, chain) NOT IN (SELECT diff_id, chain FROM msb_image_layer)",
        [],
    )?;
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
