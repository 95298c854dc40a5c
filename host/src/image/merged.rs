//! The merged root filesystem of an image: one small EROFS image over those of its layers.
//!
//! Owns when it is made, and whether one that is there is still right. It is when its UUID, which is
//! derived from all that it depends on, is the expected one; `verify` compares every byte.

use std::fs::File;
use std::path::{Path, PathBuf};

use msb_erofs::{BLOCK_SIZE, Image};
use serde::Serialize;

use super::merge_error::MergeError;
use super::verified::lossy;
use crate::cancel::Cancel;
use crate::context::Context;
use crate::digest::Digest;
use crate::layer::{LayerImages, MergedLayer, MergedTree, merged_uuid};
use crate::limits::{Budget, Limits};
use crate::store::{ImageRecord, LayerPins, LayerRecord, Store, StoreError};

/// Bytes that are compared at a time.
const BUFFER: usize = 256 << 10;

/// The merged root filesystem of an image, and what mounts it. Its JSON form is part of the command
/// line's contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MergedImage {
    /// Where it is. It holds everything but the contents of files.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// What holds the contents of files, in the order in which a kernel wants it.
    pub devices: Vec<MergedDevice>,
    /// The options of a mount whose devices are these files: `ro,device=…,device=…`. A kernel since
    /// 6.12 takes the files themselves, an older one loop devices in their place.
    pub mount_options: String,
    /// The length in bytes of one disk that has the merged image and then each device. A kernel mounts
    /// such a disk without options.
    pub disk_size_bytes: u64,
}

/// An EROFS image of a layer as a device of a merged one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MergedDevice {
    /// Where it is.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    /// The digest of the layer's contents.
    pub diff_id: Digest,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// Where it starts on the one disk of all, in bytes.
    pub disk_offset_bytes: u64,
}

/// An image with its layers, none of which is removed while this is there.
pub(super) struct Layered {
    pub(super) image: ImageRecord,
    pub(super) layers: Vec<LayerRecord>,
    pub(super) uuid: [u8; 16],
    _pins: LayerPins,
}

/// Returns the merged filesystem of the image that `selector` names, and makes it unless it is there.
///
/// # Errors
/// [`MergeError::MissingLayer`] when a layer is not in the store any more.
pub fn merged(
    store: &Store,
    selector: &str,
    limits: &Limits,
    context: &Context,
) -> Result<MergedImage, MergeError> {
    let layered = Layered::find(store, selector, context)?;
    layered.merged(store, limits, context)
}

/// Returns the merged filesystem of an image if it is there and right.
pub(super) fn present(
    store: &Store,
    image: &ImageRecord,
) -> Result<Option<MergedImage>, StoreError> {
    let mut layers = Vec::with_capacity(image.layers.len());
    for layer in &image.layers {
        match store.readable_layer(&layer.key)? {
            Some(layer) => layers.push(layer),
            None => return Ok(None),
        }
    }
    let uuid = merged_uuid(&image.digest, &merged_layers(&layers));
    find_present(store, &image.digest, &layers, uuid)
}

impl Layered {
    /// Finds an image and pins its layers.
    pub(super) fn find(
        store: &Store,
        selector: &str,
        context: &Context,
    ) -> Result<Self, MergeError> {
        let lease = store.lease(context.progress.as_ref(), &context.cancel)?;
        let image = store.find(selector)?.image;
        let diff_ids = image.layers.iter().map(|layer| &layer.key.diff_id);
        let pins = store.pin_layers(diff_ids, context.progress.as_ref(), &context.cancel)?;
        drop(lease);
        let mut layers = Vec::with_capacity(image.layers.len());
        for layer in &image.layers {
            let stored = store.readable_layer(&layer.key)?;
            layers.push(stored.ok_or_else(|| MergeError::MissingLayer {
                image: selector.to_owned(),
                diff_id: layer.key.diff_id.clone(),
            })?);
        }
        Ok(Self {
            uuid: merged_uuid(&image.digest, &merged_layers(&layers)),
            image,
            layers,
            _pins: pins,
        })
    }

    /// Returns the merged filesystem, and makes it unless it is there.
    pub(super) fn merged(
        &self,
        store: &Store,
        limits: &Limits,
        context: &Context,
    ) -> Result<MergedImage, MergeError> {
        let Self {
            image,
            layers,
            uuid,
            ..
        } = self;
        if let Some(found) = find_present(store, &image.digest, layers, *uuid)? {
            return Ok(found);
        }
        let budget = Budget::new(limits);
        let new = store.new_merged(&image.digest)?;
        let size = self.write(new.file()?, new.path(), &budget, &context.cancel)?;
        let path = store.publish_merged(new, context.progress.as_ref(), &context.cancel)?;
        Ok(MergedImage::new(path, size, layers))
    }

    /// Returns the tree of all layers.
    pub(super) fn tree(&self, budget: &Budget, cancel: &Cancel) -> Result<MergedTree, MergeError> {
        let paths = self.layers.iter().map(|layer| layer.erofs_path.clone());
        let tree = MergedTree::build(LayerImages::at(paths), budget, cancel);
        tree.map_err(|source| MergeError::of_layers(&self.image.digest, source))
    }

    /// Writes the merged filesystem into a file, and returns its length.
    fn write(
        &self,
        file: File,
        path: &Path,
        budget: &Budget,
        cancel: &Cancel,
    ) -> Result<u64, MergeError> {
        let layers = merged_layers(&self.layers);
        let tree = self.tree(budget, cancel)?;
        let written = tree.write(file, &layers, self.uuid, cancel);
        let size = written
            .map_err(|source| MergeError::of_merged(path, source))?
            .size;
        budget
            .write(size)
            .map_err(|error| MergeError::of_layers(&self.image.digest, error.into()))?;
        Ok(size)
    }

    /// Returns what is wrong with a merged filesystem that is there: every byte is compared with those
    /// of another one that is made for that.
    pub(super) fn fault(
        &self,
        path: &Path,
        file: &File,
        limits: &Limits,
        cancel: &Cancel,
    ) -> Result<Option<String>, MergeError> {
        if is_current(file, self.uuid).is_none() {
            let is_stale = is_of_other_layers(file, self.uuid);
            return Ok((!is_stale).then(|| "it is not the one of these layers".to_owned()));
        }
        let scratch = || tempfile::tempfile().map_err(|source| MergeError::Scratch { source });
        let expected = scratch()?;
        let copy = expected
            .try_clone()
            .map_err(|source| MergeError::Scratch { source })?;
        self.write(copy, path, &Budget::new(limits), cancel)?;
        let found = first_difference(&expected, file, cancel)?;
        Ok(found.map(|offset| format!("byte {offset} is another one")))
    }
}

/// Returns the first byte in which two files differ.
fn first_difference(one: &File, two: &File, cancel: &Cancel) -> Result<Option<u64>, MergeError> {
    use msb_erofs::ReadAt as _;
    let failed = |source| MergeError::Compare { source };
    let (mut left, mut right) = (vec![0; BUFFER], vec![0; BUFFER]);
    let mut offset = 0;
    loop {
        cancel.check()?;
        let count = one.read_at(&mut left, offset).map_err(failed)?;
        let (expected, _) = left.split_at(count);
        let (found, _) = right.split_at_mut(count.max(1));
        let mut filled = 0;
        while filled < found.len() {
            let (_, rest) = found.split_at_mut(filled);
            let at = offset + filled as u64;
            match two.read_at(rest, at).map_err(failed)? {
                0 => break,
                more => filled += more,
            }
        }
        let (found, _) = found.split_at(filled);
        let mut pairs = expected.iter().zip(found);
        if let Some(place) = pairs.position(|(one, two)| one != two) {
            return Ok(Some(offset + place as u64));
        }
        if found.len() != expected.len() {
            return Ok(Some(offset + found.len().min(expected.len()) as u64));
        }
        if count == 0 {
            return Ok(None);
        }
        offset += count as u64;
    }
}

impl MergedImage {
    fn new(path: PathBuf, size: u64, layers: &[LayerRecord]) -> Self {
        let mut offset = size;
        let devices: Vec<MergedDevice> = layers
            .iter()
            .map(|layer| {
                let device = MergedDevice {
                    path: layer.erofs_path.clone(),
                    diff_id: layer.facts.key.diff_id.clone(),
                    size_bytes: layer.erofs_size,
                    disk_offset_bytes: offset,
                };
                offset += layer.erofs_size;
                device
            })
            .collect();
        let mut mount_options = vec!["ro".to_owned()];
        let options = devices.iter().map(|device| device.path.display());
        mount_options.extend(options.map(|path| format!("device={path}")));
        Self {
            path,
            size_bytes: size,
            devices,
            mount_options: mount_options.join(","),
            disk_size_bytes: offset,
        }
    }

    /// Returns the files of the one disk of all, in order, with their lengths in bytes.
    pub fn parts(&self) -> impl Iterator<Item = (&Path, u64)> {
        let devices = self.devices.iter();
        std::iter::once((&*self.path, self.size_bytes))
            .chain(devices.map(|device| (&*device.path, device.size_bytes)))
    }
}

/// Returns what the UUID of the merged filesystem depends on.
fn merged_layers(layers: &[LayerRecord]) -> Vec<MergedLayer<'_>> {
    let layers = layers.iter().map(|layer| MergedLayer {
        diff_id: &layer.facts.key.diff_id,
        chain: layer.facts.key.chain.as_ref(),
        size: layer.erofs_size,
        remainder: &layer.facts.remainder.digest,
    });
    layers.collect()
}

fn find_present(
    store: &Store,
    image: &Digest,
    layers: &[LayerRecord],
    uuid: [u8; 16],
) -> Result<Option<MergedImage>, StoreError> {
    for (path, file) in store.merged_candidates(image)? {
        if let Some(size) = is_current(&file, uuid) {
            return Ok(Some(MergedImage::new(path, size, layers)));
        }
    }
    Ok(None)
}

/// Returns whether a file is the sound merged filesystem of other layers: those of before, some of which
/// were made again. It takes the place of none: when one is wanted, a new one is made.
fn is_of_other_layers(file: &File, uuid: [u8; 16]) -> bool {
    let (Ok(own), Ok(other)) = (file.try_clone(), file.try_clone()) else {
        return false;
    };
    let has_other_uuid = Image::open(own).is_ok_and(|it| it.superblock().uuid != uuid);
    has_other_uuid && msb_erofs::verify(other).is_ok_and(|report| report.is_sound())
}

/// Returns the length of a merged filesystem that has the expected UUID, and the length and the checksum
/// that it says.
fn is_current(file: &File, uuid: [u8; 16]) -> Option<u64> {
    let size = file.metadata().ok()?.len();
    let image = Image::open(file.try_clone().ok()?).ok()?;
    let superblock = image.superblock();
    let stated = u64::from(superblock.blocks) * BLOCK_SIZE;
    (superblock.uuid == uuid && stated == size).then_some(size)
}
