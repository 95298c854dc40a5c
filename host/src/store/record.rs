//! Recording an image: the step that makes it visible.

use rusqlite::{OptionalExtension as _, params};

use super::catalogue::{Store, parsed};
use super::{StoreError, publish};
use crate::digest::Digest;
use crate::platform::Platform;
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
    /// The digest of its contents.
    pub diff_id: Digest,
    /// The digest of its blob.
    pub blob_digest: Digest,
    /// The media type of its blob.
    pub media_type: String,
    /// The length of its blob.
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
    /// Records an image under some references, in one transaction.
    pub fn record(
        &self,
        image: &NewImage,
        references: &[Reference],
    ) -> Result<Recorded, StoreError> {
        self.prepare()?;
        self.put_blob(&image.manifest_digest, &image.manifest)?;
        self.put_blob(&image.config_digest, &image.config)?;
        let previous = self
            .insert(image, references)
            .map_err(|source| self.catalogue_error("write", source))?;
        let mut moved = Vec::new();
        for (reference, digest) in previous.moved {
            moved.push(MovedReference {
                reference,
                previous: parsed(digest)?,
            });
        }
        Ok(Recorded {
            already_present: previous.present,
            moved,
        })
    }

    fn insert(&self, image: &NewImage, references: &[Reference]) -> rusqlite::Result<Previous> {
        let digest = image.manifest_digest.to_string();
        let now = publish::now();
        let mut connection = self.connection();
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let removed: Option<bool> = transaction
            .query_row(
                "SELECT removed FROM msb_image WHERE digest = ?1",
                [&digest],
                |row| row.get(0),
            )
            .optional()?;
        if removed == Some(true) {
            transaction.execute(
                "UPDATE msb_image SET removed = 0, created_at = ?2 WHERE digest = ?1",
                params![digest, now],
            )?;
        } else if removed.is_none() {
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
            for (position, layer) in image.layers.iter().enumerate() {
                transaction.execute(
                    "INSERT INTO msb_image_layer
                         (image, position, diff_id, blob_digest, media_type, compressed_size)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![
                        digest,
                        position,
                        layer.diff_id.to_string(),
                        layer.blob_digest.to_string(),
                        layer.media_type,
                        layer.compressed_size,
                    ],
                )?;
            }
        }
        let mut moved = Vec::new();
        for reference in references {
            let name = reference.canonical();
            let before: Option<String> = transaction
                .query_row(
                    "SELECT image FROM msb_reference WHERE name = ?1",
                    [&name],
                    |row| row.get(0),
                )
                .optional()?;
            transaction.execute(
                "INSERT INTO msb_reference (name, image, updated_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (name) DO UPDATE SET image = ?2, updated_at = ?3",
                params![name, digest, now],
            )?;
            if let Some(before) = before.filter(|before| *before != digest) {
                moved.push((reference.clone(), before));
            }
        }
        transaction.commit()?;
        Ok(Previous {
            present: removed == Some(false),
            moved,
        })
    }
}

struct Previous {
    present: bool,
    moved: Vec<(Reference, String)>,
}
