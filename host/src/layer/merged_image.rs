//! EROFS images of the filesystem that layers show together.
//!
//! Owns the form with inodes alone, whose files are in the images of the layers; the one that has everything
//! is in [`flat`](super::flat). Where they are kept is not known here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;

use msb_erofs::{
    BLOCK_SIZE, DeviceSlot, ErofsError, ImageOptions, ImageWriter, InodeId, Kind, Summary,
};
use uuid::Uuid;

use super::LayerError;
use super::merge::MergedTree;
use crate::cancel::Cancel;
use crate::digest::Digest;

/// What the UUIDs of merged images are derived from, besides what they are merged of. Another number
/// when the writer gives other bytes than before: what was written earlier is written again.
const NAMESPACE: &str = "https://microsandbox.dev/msb/merged/1";

/// A layer that a merged image is made of.
#[derive(Clone, Debug)]
pub struct MergedLayer<'a> {
    /// The digest of its contents.
    pub diff_id: &'a Digest,
    /// The chain ID, where its image is another one over these layers than over any others.
    pub chain: Option<&'a Digest>,
    /// Bytes of its image.
    pub size: u64,
    /// The digest of what its image holds besides the contents of files.
    pub remainder: &'a Digest,
}

/// Returns the UUID of the merged image of some layers, the bottom one first. It is another one when
/// anything of the image would be.
pub fn merged_uuid(manifest: &Digest, layers: &[MergedLayer<'_>]) -> [u8; 16] {
    let namespace = Uuid::new_v5(&Uuid::NAMESPACE_URL, NAMESPACE.as_bytes());
    let mut name = manifest.to_string();
    for layer in layers {
        let chain = layer.chain.map(Digest::to_string).unwrap_or_default();
        let MergedLayer {
            diff_id,
            size,
            remainder,
            ..
        } = layer;
        // Writing to a string does not fail.
        let _ = write!(name, "\n{diff_id} {chain} {size} {remainder}");
    }
    *Uuid::new_v5(&namespace, name.as_bytes()).as_bytes()
}

impl MergedTree {
    /// Writes an image of the inodes alone. The data of files is on devices, which are the images of the
    /// layers, the bottom one first. The same layers give the same bytes.
    pub fn write(
        &self,
        file: File,
        layers: &[MergedLayer<'_>],
        uuid: [u8; 16],
        cancel: &Cancel,
    ) -> Result<Summary, LayerError> {
        let mut devices = Vec::with_capacity(layers.len());
        for layer in layers {
            let blocks =
                u32::try_from(layer.size / BLOCK_SIZE).map_err(|_| ErofsError::ImageTooLarge)?;
            devices.push(DeviceSlot::new(layer.diff_id.hex().as_bytes(), blocks));
        }
        let writer = ImageWriter::with_devices(file, devices)?;
        let options = ImageOptions {
            uuid,
            build_time: 0,
        };
        Ok(writer.finish(&self.tree, &options, cancel.token())?)
    }

    /// Takes all extended attributes away, and returns on how many files and directories each was.
    pub fn drop_xattrs(&mut self) -> BTreeMap<String, u64> {
        let mut dropped = BTreeMap::new();
        for id in self.ids() {
            let xattrs = &mut self.tree.get_mut(id).metadata.xattrs;
            for name in std::mem::take(xattrs).keys() {
                let name = String::from_utf8_lossy(name).into_owned();
                *dropped.entry(name).or_default() += 1;
            }
        }
        dropped
    }

    /// Returns the inodes that names lead to, in the order of their first paths.
    pub(super) fn ids(&self) -> Vec<InodeId> {
        let mut seen = vec![false; self.tree.len()];
        let mut order = Vec::new();
        let mut pending = vec![InodeId::ROOT];
        while let Some(id) = pending.pop() {
            match seen.get_mut(id.index()) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            order.push(id);
            if let Kind::Directory(names) = &self.tree.get(id).kind {
                pending.extend(names.values().rev());
            }
        }
        order
    }
}
