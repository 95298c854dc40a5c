//! Layers that were adopted from microsandbox: an image, and no recipe of its tar.
//!
//! Owns how such a layer is entered. It serves images that are mounted and looked into. Whatever needs the
//! tar, or the proof of a `diff_id`, does not see it: the next pull or load makes the layer, which then
//! takes its place.

use jiff::Timestamp;
use rusqlite::params;

use super::catalogue::Store;
use super::column::Count;
use super::layer_file::ADOPTED;
use super::layer_record::{LayerKey, LayerRecord};
use super::publish::mark_images;
use super::{StoreError, fs, query};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::fs::atomic;
use crate::progress::Silent;

/// An image of a layer that was read to its end.
#[derive(Clone, Debug)]
pub struct AdoptedLayer {
    /// What it is called by, unproven.
    pub diff_id: Digest,
    /// The digest of the whole image.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// How many inodes it has.
    pub entries: u64,
    /// Device and inode of the file that was read.
    pub identity: (u64, u64),
}

impl LayerRecord {
    /// Returns whether it was adopted: it has no recipe, and nothing proves its `diff_id`.
    pub fn is_adopted(&self) -> bool {
        let name = self.erofs_path.file_stem().and_then(|name| name.to_str());
        name.is_some_and(|name| name.ends_with(ADOPTED))
    }
}

impl Store {
    /// Gives the file of a layer a name in the store, unless the store has the layer itself. To be called
    /// with the layer pinned until an image with it is recorded.
    ///
    /// # Errors
    /// A file that is on another filesystem, or is not the one that was read any more.
    pub fn adopt_layer(
        &self,
        layer: &AdoptedLayer,
        file: &std::path::Path,
    ) -> Result<(), StoreError> {
        use std::os::unix::fs::MetadataExt as _;
        self.prepare()?;
        let key = LayerKey::plain(layer.diff_id.clone());
        let name = format!("{}{ADOPTED}", layer.diff_id.file_stem());
        let path = self.home().erofs(&name);
        let _lease = self.lease(&Silent, &Cancel::default())?;
        if self.layer(&key)?.is_some() {
            return Ok(());
        }
        atomic::put_link(&path, |at| crate::fs::hard_link(file, at))
            .map_err(fs::error("link", &path))?;
        let found = crate::fs::link_metadata(&path)?;
        if (found.dev(), found.ino()) != layer.identity {
            fs::remove(&path)?;
            let changed = std::io::Error::other("the file was replaced while it was read");
            return Err(fs::error("adopt", file)(changed));
        }
        fs::sync_directory(&self.home().layers())?;
        let nothing = Digest::of(b"").to_string();
        self.write(|transaction| {
            transaction.execute(
                "INSERT INTO msb_layer
                     (diff_id, chain, file, erofs_size, recipe_size, tar_size, entries, dependence,
                      rest_start, rest_digest, recipe_digest, created_at)
                 VALUES (?1, '', ?2, ?3, 0, ?3, ?4, 0, 0, ?5, ?6, ?7)
                 ON CONFLICT (diff_id, chain) DO UPDATE SET
                     file = ?2, erofs_size = ?3, recipe_size = 0, tar_size = ?3, entries = ?4,
                     dependence = 0, rest_start = 0, rest_digest = ?5, recipe_digest = ?6",
                params![
                    layer.diff_id.to_string(),
                    name,
                    Count(layer.size),
                    Count(layer.entries),
                    layer.digest.to_string(),
                    nothing,
                    query::time(Timestamp::now()),
                ],
            )?;
            Ok(mark_images(transaction, &key)?)
        })
    }
}
