//! Deleting the rows of images and layers that neither a sandbox nor an operation uses.
//!
//! Owns the claim on a layer that goes, which keeps operations from beginning to use it.

use std::collections::HashSet;

use rusqlite::Connection;

use super::catalogue::{Store, WriteError};
use super::choice::Choice;
use super::collect::Collected;
use super::foreign::Foreign;
use super::known::Known;
use super::lock_file::{Locks, Resource};
use super::range::Mode;
use super::stock::Stock;
use super::{StoreError, forget, fs, query, restore, sidecar, usage};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::reference::Reference;

/// What deletes the rows of images.
pub(super) struct Deletion<'a> {
    pub(super) store: &'a Store,
    pub(super) foreign: &'a Foreign,
    pub(super) claim: &'a Claim,
    pub(super) choice: &'a Choice<'a>,
    /// So many images at most.
    pub(super) most: usize,
    pub(super) cancel: &'a Cancel,
}

impl Deletion<'_> {
    /// Deletes the rows of what no sandbox uses and the choice lets go, and returns what the rows that are
    /// left need.
    ///
    /// # Errors
    /// [`StoreError::DamagedImage`] for one that stays, if what the catalogue has of it is not right: its
    /// files would be taken for garbage.
    pub(super) fn run(
        &self,
        catalogue: &Connection,
        collected: &mut Collected,
    ) -> Result<Known, WriteError> {
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

/// The layers that are being removed: until this is dropped no operation begins to use one.
pub(super) struct Claim {
    // None in a store that cannot be written, of which nothing is removed.
    pub(super) locks: Option<Locks>,
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
pub(super) fn delete_layer(
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
