//! Laying one image where microsandbox looks for it.
//!
//! Owns the order: layers, the merged filesystem over them, the disk over both, and the record at last,
//! so that microsandbox never finds a record whose files are not there. A good file that it has written
//! itself is never replaced, and no file of ours goes next to one of its own that refers to others.

mod record;

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::ServeError;
use super::merged::{Layered, MergedImage};
use super::microsandbox_reader::{can_read_layer, can_read_merged, is_our_merged, looks_whole};
use super::serve_microsandbox::{
    ServeMicrosandboxReport, UnservedReason, disk_path, layer_digest, merged_path,
};
use super::{microsandbox_prune, vmdk};
use crate::context::Context;
use crate::digest::Digest;
use crate::fs::atomic::{self, Mode};
use crate::fs::{self, IfThere as _};
use crate::home::Home;
use crate::limits::Limits;
use crate::microsandbox::{self, Lease};
use crate::platform::Platform;
use crate::store::{ImageRecord, LayerKey, LayerRecord, SetApart, Store};

const FILE_MODE: u32 = 0o644;

/// What images are handed over with.
pub(super) struct Handover<'a> {
    pub(super) store: &'a Store,
    /// The home of microsandbox.
    pub(super) home: &'a Home,
    /// It is the home of the store as well.
    pub(super) is_own_home: bool,
    /// Layers of which microsandbox needs the file that it has written.
    pub(super) claimed: BTreeSet<String>,
    pub(super) limits: &'a Limits,
    pub(super) context: &'a Context,
    pub(super) report: &'a mut ServeMicrosandboxReport,
}

/// What has become of a name.
enum Laid {
    /// It leads to our file.
    Ours,
    /// It leads to a good one of microsandbox.
    Theirs,
    /// It was not laid.
    Not(UnservedReason),
}

/// The files of a layer, or why it cannot be laid.
type Prepared = Result<LayerRecord, UnservedReason>;

impl Handover<'_> {
    /// Lays an image, or says in the report why not.
    pub(super) fn image(&mut self, image: &ImageRecord) -> Result<(), ServeError> {
        if image.references.is_empty() {
            self.report.refuse(image, UnservedReason::Unnamed);
            return Ok(());
        }
        if !Platform::host().runs(&image.platform) {
            self.report.refuse(image, UnservedReason::OtherPlatform);
            return Ok(());
        }
        let (layers, users) = self.prepare(image)?;
        let Some(_leases) = self.share(image)? else {
            self.report.refuse(image, UnservedReason::Busy);
            return Ok(());
        };
        if !self.layers(image, layers, users)? {
            return Ok(());
        }
        let selector = image.digest.to_string();
        let layered = Layered::find(self.store, &selector, self.context)?;
        let merged = layered.merged(self.store, self.limits, self.context)?;
        let laid = self.merged(image, &merged, layered.uuid)?;
        if let Laid::Not(reason) = laid {
            self.report.refuse(image, reason);
            return Ok(());
        }
        for reference in &image.references {
            self.context.cancel.check()?;
            self.record(image, reference)?;
        }
        Ok(())
    }

    /// Keeps microsandbox from removing what is about to be laid.
    fn share(&self, image: &ImageRecord) -> Result<Option<Vec<Lease>>, ServeError> {
        let mut paths = vec![
            merged_path(self.home, &image.digest),
            disk_path(self.home, &image.digest),
        ];
        let layers = image.layers.iter();
        paths.extend(layers.map(|layer| self.layer_path(&layer.key)));
        Ok(microsandbox::share(paths, &self.context.cancel)?)
    }

    /// Finds the layers of an image, under names of their own, and the sandboxes that keep some from getting
    /// one.
    fn prepare(
        &mut self,
        image: &ImageRecord,
    ) -> Result<(Vec<Prepared>, BTreeSet<String>), ServeError> {
        let Context { progress, cancel } = self.context;
        let mut layers = Vec::with_capacity(image.layers.len());
        let mut users = BTreeSet::new();
        for layer in &image.layers {
            cancel.check()?;
            let stored = if self.is_own_home {
                match self
                    .store
                    .set_apart(&layer.key, progress.as_ref(), cancel)?
                {
                    SetApart::Done(stored) => Ok(*stored),
                    SetApart::Missing => Err(UnservedReason::MissingLayers),
                    SetApart::Busy => Err(UnservedReason::Busy),
                    SetApart::InUse(sandboxes) => {
                        users.extend(sandboxes);
                        Err(UnservedReason::InUse)
                    }
                }
            } else {
                let stored = self.store.layer(&layer.key)?;
                stored.ok_or(UnservedReason::MissingLayers)
            };
            let stored = match stored {
                Ok(stored) if !can_read_layer(&stored.erofs_path, cancel)? => {
                    // It may have been called so before it was set apart.
                    let path = self.layer_path(&layer.key);
                    if is_file(&path, &stored.erofs_path)? {
                        microsandbox_prune::remove(&[&path], self.report)?;
                    }
                    Err(UnservedReason::UnreadableLayers)
                }
                stored => stored,
            };
            layers.push(stored);
        }
        Ok((layers, users))
    }

    /// Lays the layers of an image, and returns whether all of them are ours. Those that can be served
    /// are served even if others cannot: microsandbox then has to fetch only these. It fetches a layer that
    /// depends on those below anyway, so that one is laid with a whole image only.
    fn layers(
        &mut self,
        image: &ImageRecord,
        layers: Vec<Prepared>,
        users: BTreeSet<String>,
    ) -> Result<bool, ServeError> {
        let mut missed: Vec<(UnservedReason, Digest)> = Vec::new();
        let (alone, dependent): (Vec<_>, Vec<_>) = image
            .layers
            .iter()
            .map(|layer| &layer.key)
            .zip(layers)
            .partition(|(key, _)| key.chain.is_none());
        let are_whole = dependent.iter().all(|(_, stored)| stored.is_ok());
        for (key, stored) in alone.into_iter().chain(dependent) {
            self.context.cancel.check()?;
            let laid = match stored {
                Ok(_) if key.chain.is_some() && !(are_whole && missed.is_empty()) => continue,
                Ok(stored) => self.layer(key, &stored)?,
                Err(reason) => Laid::Not(reason),
            };
            match laid {
                Laid::Ours => {}
                Laid::Theirs => missed.push((UnservedReason::ForeignLayers, key.diff_id.clone())),
                Laid::Not(reason) => missed.push((reason, key.diff_id.clone())),
            }
        }
        missed.dedup();
        let Some(reason) = missed.iter().map(|(reason, _)| *reason).min() else {
            return Ok(true);
        };
        let layers = missed
            .into_iter()
            .filter_map(|(of, layer)| (of == reason).then_some(layer));
        let unserved = self.report.refuse(image, reason);
        unserved.layers = layers.collect();
        unserved.used_by = users.into_iter().collect();
        Ok(false)
    }

    fn layer_path(&self, key: &LayerKey) -> PathBuf {
        self.home.erofs(&layer_digest(key).file_stem())
    }

    fn layer(&mut self, key: &LayerKey, stored: &LayerRecord) -> Result<Laid, ServeError> {
        let path = self.layer_path(key);
        if is_file(&path, &stored.erofs_path)? {
            return Ok(Laid::Ours);
        }
        let Some(_lock) = microsandbox::lock(&lock_of(&path), &self.context.cancel)? else {
            return Ok(Laid::Not(UnservedReason::Busy));
        };
        if looks_whole(&path) || self.claimed.contains(&layer_digest(key).to_string()) {
            return Ok(Laid::Theirs);
        }
        link(&stored.erofs_path, &path)?;
        self.report.layers_added += 1;
        Ok(Laid::Ours)
    }

    /// Lays the merged filesystem and the descriptor of the disk. All layers are ours.
    fn merged(
        &self,
        image: &ImageRecord,
        merged: &MergedImage,
        uuid: [u8; 16],
    ) -> Result<Laid, ServeError> {
        if !can_read_merged(&merged.path) {
            return Ok(Laid::Not(UnservedReason::UnreadableLayers));
        }
        let path = merged_path(self.home, &image.digest);
        let Some(_lock) = microsandbox::lock(&lock_of(&path), &self.context.cancel)? else {
            return Ok(Laid::Not(UnservedReason::Busy));
        };
        let is_theirs = looks_whole(&path) && !is_our_merged(&path);
        if !is_theirs && !is_file(&path, &merged.path)? {
            link(&merged.path, &path)?;
        }
        let mut served = merged.clone();
        served.size_bytes = fs::metadata(&path)?.len();
        served.path = path;
        for (device, layer) in served.devices.iter_mut().zip(&image.layers) {
            device.path = self.layer_path(&layer.key);
        }
        let disk = disk_path(self.home, &image.digest);
        let is_there = fs::is_there(&disk)?;
        let has_dependent = image.layers.iter().any(|layer| layer.key.chain.is_some());
        if is_theirs && has_dependent && !vmdk::is_of(&disk, &served) {
            // It is over a layer of its own, by the `diff_id`, and not over ours.
            return Ok(Laid::Not(UnservedReason::ForeignLayers));
        }
        if !(is_there && (is_theirs || vmdk::is_of(&disk, &served))) {
            let text = vmdk::descriptor(&served, &disk, uuid)?;
            atomic::write(&disk, Mode::Exactly(FILE_MODE), &text)
                .map_err(|source| ServeError::io("write", &disk, source))?;
        }
        Ok(if is_theirs { Laid::Theirs } else { Laid::Ours })
    }
}

/// Returns where the lock of who makes a file is.
fn lock_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// Returns whether a name leads to a file.
fn is_file(name: &Path, file: &Path) -> Result<bool, ServeError> {
    let Some(found) = fs::link_metadata(name).if_there()? else {
        return Ok(false);
    };
    let own = fs::metadata(file)?;
    Ok((found.dev(), found.ino()) == (own.dev(), own.ino()))
}

/// Gives a file one more name, durably.
fn link(file: &Path, name: &Path) -> Result<(), ServeError> {
    let linked = atomic::put_link(name, |at| fs::hard_link(file, at));
    linked.map_err(|source: io::Error| match Errno::from_io_error(&source) {
        Some(Errno::XDEV) => ServeError::OtherFilesystem {
            path: name.to_owned(),
        },
        _ => ServeError::io("link", name, source),
    })?;
    fs::sync_directory(fs::parent(name))
        .map_err(|source| ServeError::io("synchronise", name, source))
}
