//! Recording an image: the step that makes it visible.

use std::collections::HashSet;

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::catalogue::{Store, WriteError};
use super::column::{Count, parsed};
use super::foreign::Foreign;
use super::new_image::{NewImage, NewImageIndex};
use super::query::ImageRecord;
use super::{StoreError, query, sidecar, usage};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::progress::Silent;
use crate::reference::Reference;

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
    /// [`StoreError::MissingLayer`] when one of its layers is not published, and
    /// [`StoreError::OtherDigest`] for a reference with a digest that is neither that of the
    /// manifest nor of an index that leads to it.
    pub fn record(
        &self,
        image: &NewImage,
        references: &[Reference],
    ) -> Result<Recorded, StoreError> {
        self.record_as(image, references, (None, None), &mut HashSet::new())
    }

    /// As [`record`](Self::record), of images that came together. An index that leads to several of
    /// them is written once. Images that were recorded when the user asks to stop stay.
    pub fn record_all<'a>(
        &self,
        images: impl IntoIterator<Item = (&'a NewImage, &'a [Reference])>,
        cancel: &Cancel,
    ) -> Result<Vec<Recorded>, StoreError> {
        let mut written = HashSet::new();
        let images = images.into_iter();
        images
            .map(|(image, references)| {
                cancel.check()?;
                self.record_as(image, references, (None, None), &mut written)
            })
            .collect()
    }

    /// As [`record`](Self::record), of an image that was pulled: with the digest that the registry
    /// knows the reference by, and the sandbox that uses it from now on.
    pub fn record_pulled(
        &self,
        image: &NewImage,
        reference: &Reference,
        registry_digest: &Digest,
        used_by: Option<&str>,
    ) -> Result<Recorded, StoreError> {
        self.record_as(
            image,
            std::slice::from_ref(reference),
            (Some(registry_digest), used_by),
            &mut HashSet::new(),
        )
    }

    /// Points a reference to an image that is there, with the digest that the registry knows it by.
    ///
    /// # Errors
    /// [`StoreError::OtherDigest`] as in [`record`](Self::record), and [`StoreError::NotFound`]
    /// where the image has gone.
    pub fn name(
        &self,
        image: &ImageRecord,
        reference: &Reference,
        registry_digest: &Digest,
    ) -> Result<Vec<MovedReference>, StoreError> {
        if let Some(digest) = reference.digest()
            && !self.is_named_by(image, digest)
        {
            return Err(StoreError::OtherDigest {
                reference: Box::new(reference.clone()),
                image: image.digest.clone(),
            });
        }
        self.write(|transaction| {
            if query::image(transaction, &image.digest.to_string())?.is_none() {
                return Err(StoreError::NotFound(reference.familiar()).into());
            }
            let moved = point(transaction, reference, &image.digest, Some(registry_digest))?;
            Ok(moved.into_iter().collect())
        })
    }

    fn record_as(
        &self,
        image: &NewImage,
        references: &[Reference],
        (registry_digest, used_by): (Option<&Digest>, Option<&str>),
        written: &mut HashSet<Digest>,
    ) -> Result<Recorded, StoreError> {
        for reference in references {
            if !self.may_name(image, reference)? {
                return Err(StoreError::OtherDigest {
                    reference: Box::new(reference.clone()),
                    image: image.manifest_digest.clone(),
                });
            }
        }
        self.prepare()?;
        let _lease = self.lease(&Silent, &Cancel::default())?;
        for layer in &image.layers {
            if self.readable_layer(&layer.key)?.is_none() {
                return Err(StoreError::MissingLayer {
                    image: image.manifest_digest.clone(),
                    diff_id: layer.key.diff_id.clone(),
                });
            }
        }
        let own = [
            (&image.config_digest, &*image.config),
            (&image.manifest_digest, &*image.manifest),
        ];
        let indexes = image.indexes.iter();
        let indexes = indexes.filter(|index| written.insert(index.digest.clone()));
        let indexes = indexes.map(|index| (&index.digest, &*index.bytes));
        self.put_blobs(own.into_iter().chain(indexes))?;
        let digest = image.manifest_digest.to_string();
        let foreign = Foreign::open(self.home())?;
        let recorded = self.write(|transaction| {
            let already_present = insert(transaction, image)?;
            for index in &image.indexes {
                insert_index(transaction, &digest, index)?;
            }
            sidecar::mark(transaction, &digest)?;
            for superseded in &image.supersedes {
                sidecar::mark(transaction, &superseded.to_string())?;
                supersede(transaction, &foreign, superseded, &image.manifest_digest)?;
            }
            let mut moved = Vec::new();
            for reference in references {
                moved.extend(point(
                    transaction,
                    reference,
                    &image.manifest_digest,
                    registry_digest,
                )?);
            }
            if let Some(sandbox) = used_by {
                usage::record(transaction, sandbox, &digest)?;
            }
            Ok(Recorded {
                already_present,
                moved,
            })
        })?;
        self.touch(&image.manifest_digest);
        Ok(recorded)
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

/// Enters an index that led to an image.
fn insert_index(
    transaction: &Transaction<'_>,
    image: &str,
    index: &NewImageIndex,
) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT OR IGNORE INTO msb_image_index (image, digest, media_type) VALUES (?1, ?2, ?3)",
        [image, &index.digest.to_string(), &index.media_type],
    )?;
    Ok(())
}

/// Hands on to an image what names and uses another one, and removes that. It stays where something
/// holds on to its very digest: a reference, or a microsandbox.
fn supersede(
    transaction: &Transaction<'_>,
    foreign: &Foreign,
    superseded: &Digest,
    image: &Digest,
) -> Result<(), WriteError> {
    let (superseded, image) = (superseded.to_string(), image.to_string());
    if superseded == image || !foreign.users(&superseded)?.is_empty() {
        return Ok(());
    }
    transaction.execute(
        "UPDATE msb_reference SET image = ?2, digest = NULL
         WHERE image = ?1 AND instr(name, '@') = 0",
        [&superseded, &image],
    )?;
    let is_named: bool = transaction.query_row(
        "SELECT EXISTS (SELECT 1 FROM msb_reference WHERE image = ?1)",
        [&superseded],
        |row| row.get(0),
    )?;
    if !is_named {
        transaction.execute(
            "UPDATE OR IGNORE msb_use SET image = ?2 WHERE image = ?1",
            [&superseded, &image],
        )?;
        transaction.execute("DELETE FROM msb_use WHERE image = ?1", [&superseded])?;
        transaction.execute("DELETE FROM msb_image WHERE digest = ?1", [&superseded])?;
    }
    Ok(())
}

/// Points a reference to an image, and returns that it led to another one.
pub(super) fn point(
    transaction: &Transaction<'_>,
    reference: &Reference,
    image: &Digest,
    registry_digest: Option<&Digest>,
) -> rusqlite::Result<Option<MovedReference>> {
    let name = reference.canonical();
    let previous: Option<Digest> = transaction
        .query_row(
            "SELECT image FROM msb_reference WHERE name = ?1",
            [&name],
            |row| parsed(row, 0),
        )
        .optional()?;
    // Loading an image under a name that it was pulled by changes nothing of what is known.
    transaction.execute(
        "INSERT INTO msb_reference (name, image, digest, updated_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (name) DO UPDATE SET
             digest = CASE WHEN image = ?2 THEN coalesce(?3, digest) ELSE ?3 END,
             image = ?2, updated_at = ?4
         WHERE image <> ?2 OR digest IS NOT coalesce(?3, digest)",
        params![
            name,
            image.to_string(),
            registry_digest.map(Digest::to_string),
            query::time(Timestamp::now()),
        ],
    )?;
    let previous = previous.filter(|previous| previous != image);
    for changed in previous.iter().chain([image]) {
        sidecar::mark(transaction, &changed.to_string())?;
    }
    Ok(previous.map(|previous| MovedReference {
        reference: reference.clone(),
        previous,
    }))
}
