//! Recording an image: the step that makes it visible.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::catalogue::Store;
use super::column::{Count, parsed};
use super::publish::LayerKey;
use super::{StoreError, query};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::platform::Platform;
use crate::progress::Silent;
use crate::reference::Reference;

/// An image whose layers are published.
#[derive(Clone, Debug)]
pub struct NewImage {
    /// Its manifest, as it came.
    pub manifest: Vec<u8>,
    /// The digest of the manifest.
    pub manifest_digest: Digest,
    /// The media type of the manifest.
    pub manifest_media_type: String,
    /// Its configuration, as it came.
    pub config: Vec<u8>,
    /// The digest of the configuration.
    pub config_digest: Digest,
    /// What it runs on, by its configuration.
    pub platform: Platform,
    /// Its layers, the bottom one first.
    pub layers: Vec<NewImageLayer>,
}

/// A layer of an image as its manifest has it.
#[derive(Clone, Debug)]
pub struct NewImageLayer {
    /// Which one it is.
    pub key: LayerKey,
    /// The digest of its blob.
    pub blob_digest: Digest,
    /// The media type of its blob.
    pub media_type: String,
    /// The length of its blob in bytes.
    pub compressed_size: u64,
}

/// What recording an image changed.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The catalogue had the image before.
    pub already_present: bool,
    /// References that led to another image before.
    pub moved: Vec<MovedReference>,
}

/// A reference that leads to another image than before.
#[derive(Clone, Debug)]
pub struct MovedReference {
    /// The reference.
    pub reference: Reference,
    /// The manifest digest of the image that it led to. That image is kept.
    pub previous: Digest,
}

impl Store {
    /// Records an image and points references to it, all in one step.
    ///
    /// # Errors
    /// [`StoreError::MissingLayer`] when one of its layers is not published.
    pub fn record(
        &self,
        image: &NewImage,
        references: &[Reference],
    ) -> Result<Recorded, StoreError> {
        self.prepare()?;
        let _lease = self.lease(&Silent, &Cancel::default())?;
        for layer in &image.layers {
            if self.layer(&layer.key)?.is_none() {
                return Err(StoreError::MissingLayer {
                    image: image.manifest_digest.clone(),
                    diff_id: layer.key.diff_id.clone(),
                });
            }
        }
        self.put_blob(&image.config_digest, &image.config)?;
        self.put_blob(&image.manifest_digest, &image.manifest)?;
        self.write(|transaction| {
            let already_present = insert(transaction, image)?;
            let mut moved = Vec::new();
            for reference in references {
                let previous = point(transaction, reference, &image.manifest_digest)?;
                moved.extend(previous.map(|previous| MovedReference {
                    reference: reference.clone(),
                    previous,
                }));
            }
            Ok(Recorded {
                already_present,
                moved,
            })
        })
    }
}

/// Enters an image, and returns whether it was there. One that was removed while it was in use
/// comes back.
fn insert(transaction: &Transaction<'_>, image: &NewImage) -> rusqlite::Result<bool> {
    let digest = image.manifest_digest.to_string();
    let now = query::time(Timestamp::now());
    let removed: Option<bool> = transaction
        .query_row(
            "SELECT removed FROM msb_image WHERE digest = ?1",
            [&digest],
            |row| row.get(0),
        )
        .optional()?;
    match removed {
        Some(false) => return Ok(true),
        Some(true) => {
            transaction.execute(
                "UPDATE msb_image SET removed = 0, created_at = ?2 WHERE digest = ?1",
                [&digest, &now],
            )?;
            return Ok(false);
        }
        None => {}
    }
    transaction.execute(
        "INSERT INTO msb_image
             (digest, media_type, config_digest, os, architecture, variant, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            digest,
            image.manifest_media_type,
            image.config_digest.to_string(),
            image.platform.os,
            image.platform.architecture,
            image.platform.variant,
            now,
        ],
    )?;
    for (position, layer) in (0..).zip(&image.layers) {
        transaction.execute(
            "INSERT INTO msb_image_layer
                 (image, position, diff_id, chain, blob_digest, media_type, compressed_size)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                digest,
                Count(position),
                layer.key.diff_id.to_string(),
                layer.key.chain_column(),
                layer.blob_digest.to_string(),
                layer.media_type,
                Count(layer.compressed_size),
            ],
        )?;
    }
    Ok(false)
}

/// Points a reference to an image, and returns the other image that it led to.
fn point(
    transaction: &Transaction<'_>,
    reference: &Reference,
    image: &Digest,
) -> rusqlite::Result<Option<Digest>> {
    let name = reference.canonical();
    let previous: Option<Digest> = transaction
        .query_row(
            "SELECT image FROM msb_reference WHERE name = ?1",
            [&name],
            |row| parsed(row, 0),
        )
        .optional()?;
    transaction.execute(
        "INSERT INTO msb_reference (name, image, updated_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET image = ?2, updated_at = ?3",
        [name, image.to_string(), query::time(Timestamp::now())],
    )?;
    Ok(previous.filter(|previous| previous != image))
}
