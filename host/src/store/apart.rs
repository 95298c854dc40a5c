//! Layers that microsandbox is served: their files get names of their own, so that microsandbox may do
//! with its names what it wants.
//!
//! Owns the change of a name. The image keeps its former name as well, which is microsandbox's from then
//! on.

use std::sync::atomic::Ordering;

#[cfg(feature = "registry")]
use super::StoreError;
use super::catalogue::Store;
#[cfg(feature = "registry")]
use super::layer_file::BESIDE;
use super::layer_record::{LayerKey, LayerRecord};
#[cfg(feature = "registry")]
use super::lock_file::{Locks, Resource};
use super::publish::mark_images;
#[cfg(feature = "registry")]
use super::range::Mode;
#[cfg(feature = "registry")]
use super::{fs, usage};
#[cfg(feature = "registry")]
use crate::cancel::Cancel;
#[cfg(feature = "registry")]
use crate::fs::atomic;
#[cfg(feature = "registry")]
use crate::progress::Progress;

/// What has become of a layer that was to get a name of its own.
#[cfg(feature = "registry")]
#[derive(Debug)]
pub(crate) enum SetApart {
    /// It has one.
    Done(Box<LayerRecord>),
    /// The store has no such layer, or not its files.
    Missing,
    /// These sandboxes use it by its former name.
    InUse(Vec<String>),
    /// Another operation is working on it.
    Busy,
}

impl Store {
    /// Returns whether what is new gets a name of its own.
    pub(super) fn keeps_apart(&self) -> bool {
        self.is_apart.load(Ordering::Relaxed)
    }
}

#[cfg(feature = "registry")]
impl Store {
    /// Gives layers and merged filesystems that are made from now on names of their own.
    pub(crate) fn keep_apart(&self) {
        self.is_apart.store(true, Ordering::Relaxed);
    }

    /// Gives the files of a layer names of their own. Who asks for it must not pin the layer.
    pub(crate) fn set_apart(
        &self,
        key: &LayerKey,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<SetApart, StoreError> {
        let own = format!("{}{BESIDE}", key.diff_id.file_stem());
        let done = |layer| Ok(SetApart::Done(Box::new(layer)));
        match self.layer(key)? {
            None => return Ok(SetApart::Missing),
            Some(layer) if key.chain.is_some() || layer.erofs_path == self.home().erofs(&own) => {
                return done(layer);
            }
            Some(_) => {}
        }
        // Nothing is taken for garbage meanwhile, and no operation opens a file by its former name.
        let _lease = self.lease(progress, cancel)?;
        let locks = Locks::open(self.home())?;
        if !locks.try_take(Resource::LayerFiles(&key.diff_id), Mode::Exclusive)? {
            return Ok(SetApart::Busy);
        }
        let Some(mut layer) = self.layer(key)? else {
            return Ok(SetApart::Missing);
        };
        let users = self.read(|catalogue| usage::of_layer(catalogue, key))?;
        if !users.is_empty() {
            return Ok(SetApart::InUse(users));
        }
        let (erofs, recipe) = (self.home().erofs(&own), self.home().recipe(&own));
        for (from, to) in [(&layer.recipe_path, &recipe), (&layer.erofs_path, &erofs)] {
            fs::step(to)?;
            atomic::put_link(to, |at| crate::fs::hard_link(from, at))
                .map_err(fs::error("link", to))?;
        }
        fs::sync_directory(&self.home().layers())?;
        self.write(|transaction| {
            transaction.execute(
                "UPDATE msb_layer SET file = ?1 WHERE diff_id = ?2 AND chain = ''",
                [&own, &key.diff_id.to_string()],
            )?;
            Ok(mark_images(transaction, key)?)
        })?;
        fs::remove(&layer.recipe_path)?;
        layer.erofs_path = erofs;
        layer.recipe_path = recipe;
        done(layer)
    }
}
