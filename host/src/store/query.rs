//! Reading images from the catalogue.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::StoreError;
use super::column::{chain, count, parsed};
use super::layer_record::LayerKey;
use crate::digest::{Digest, WellFormed};
use crate::platform::Platform;
use crate::reference::Reference;

/// An image as the catalogue has it.
#[derive(Clone, Debug)]
pub struct ImageRecord {
    /// The digest of its manifest, which is its identity.
    pub digest: Digest,
    /// The manifest's media type.
    pub media_type: String,
    /// The digest of its configuration, which people call the image's ID.
    pub config_digest: Digest,
    /// What it runs on.
    pub platform: Platform,
    /// When the store first had it, RFC 3339 in UTC.
    pub created_at: String,
    /// The references that lead to it, sorted.
    pub references: Vec<Reference>,
    /// References of the catalogue with a digest that the image does not have. They lead nowhere.
    pub unproven: Vec<Reference>,
    /// The digests that registries knew references by when they were pulled.
    pub registry_digests: BTreeMap<Reference, Digest>,
    /// The indexes that led to it.
    pub indexes: Vec<ImageIndex>,
    /// Its layers, the bottom one first.
    pub layers: Vec<ImageLayer>,
}

impl From<DamagedRow> for StoreError {
    fn from(row: DamagedRow) -> Self {
        Self::DamagedImage {
            image: row.names.into_iter().next().unwrap_or(row.digest),
            what: row.what,
        }
    }
}

/// An index that led to an image, directly or through other ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageIndex {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
}

/// A layer as an image's manifest has it.
#[derive(Clone, Debug)]
pub struct ImageLayer {
    /// The key of the layer in the store.
    pub key: LayerKey,
    /// The digest of its blob.
    pub blob_digest: Digest,
    /// The media type of its blob.
    pub media_type: String,
    /// The length of its blob in bytes.
    pub compressed_size: u64,
}

/// An image whose rows make no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedRow {
    /// What should be the digest of its manifest.
    pub digest: String,
    /// What should be its names.
    pub names: Vec<String>,
    /// What is wrong.
    pub what: String,
}

/// Returns the texts that should be the names of an image.
pub(super) fn names(connection: &Connection, digest: &str) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT name FROM msb_reference WHERE image = ?1 ORDER BY name")?
        .query_map([digest], |row| {
            Ok(row
                .get_ref(0)?
                .as_bytes_or_null()?
                .map_or_else(String::new, |text| {
                    String::from_utf8_lossy(text).into_owned()
                }))
        })?
        .collect()
}

/// Returns the image with a manifest digest.
pub(super) fn image(
    connection: &Connection,
    digest: &str,
) -> rusqlite::Result<Option<ImageRecord>> {
    let image = connection
        .prepare_cached(&format!("{IMAGES} WHERE digest = ?1 AND NOT removed"))?
        .query_row([digest], record)
        .optional()?;
    let Some(mut image) = image else {
        return Ok(None);
    };
    for (reference, pulled) in of_image(connection, REFERENCES, digest, reference)? {
        name(&mut image, reference, pulled);
    }
    image.references.sort();
    image.indexes = of_image(connection, INDEXES, digest, index)?;
    image.layers = of_image(connection, LAYERS, digest, layer)?;
    Ok(Some(image))
}

/// What is read of images.
pub(super) const IMAGES: &str =
    "SELECT digest, media_type, config_digest, os, architecture, variant,
    created_at FROM msb_image";
/// What is read of the other tables: first the image. The order is that of the rows of one image.
pub(super) const REFERENCES: Selection = Selection {
    columns: "SELECT image, name, digest FROM msb_reference",
    order: "name",
};
pub(super) const INDEXES: Selection = Selection {
    columns: "SELECT image, digest, media_type FROM msb_image_index",
    order: "rowid",
};
pub(super) const LAYERS: Selection = Selection {
    columns: "SELECT image, diff_id, chain, blob_digest, media_type, compressed_size, position
              FROM msb_image_layer",
    order: "position",
};

/// What is read of a table that has rows for each image.
#[derive(Clone, Copy)]
pub(super) struct Selection {
    pub(super) columns: &'static str,
    pub(super) order: &'static str,
}

/// Returns what a table has of one image.
fn of_image<T>(
    connection: &Connection,
    Selection { columns, order }: Selection,
    digest: &str,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection
        .prepare_cached(&format!("{columns} WHERE image = ?1 ORDER BY {order}"))?
        .query_map([digest], read)?
        .collect()
}

/// Reads a row of [`IMAGES`].
pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<ImageRecord> {
    Ok(ImageRecord {
        digest: parsed(row, 0)?,
        media_type: row.get(1)?,
        config_digest: parsed(row, 2)?,
        platform: Platform::new(
            &row.get::<_, String>(3)?,
            &row.get::<_, String>(4)?,
            row.get::<_, Option<String>>(5)?.as_deref(),
        ),
        created_at: row.get(6)?,
        references: Vec::new(),
        unproven: Vec::new(),
        registry_digests: BTreeMap::new(),
        indexes: Vec::new(),
        layers: Vec::new(),
    })
}

/// Reads a row of [`REFERENCES`].
pub(super) fn reference(row: &Row<'_>) -> rusqlite::Result<(Reference, Option<Digest>)> {
    let pulled = match row.get_ref(2)? {
        ValueRef::Null => None,
        _ => Some(parsed(row, 2)?),
    };
    Ok((parsed(row, 1)?, pulled))
}

/// Reads a row of [`INDEXES`].
pub(super) fn index(row: &Row<'_>) -> rusqlite::Result<ImageIndex> {
    Ok(ImageIndex {
        digest: parsed(row, 1)?,
        media_type: row.get(2)?,
    })
}

/// Reads a row of [`LAYERS`].
pub(super) fn layer(row: &Row<'_>) -> rusqlite::Result<ImageLayer> {
    Ok(ImageLayer {
        key: LayerKey {
            diff_id: parsed(row, 1)?,
            chain: chain(row, 2)?,
        },
        blob_digest: parsed(row, 3)?,
        media_type: row.get(4)?,
        compressed_size: count(row, 5)?,
    })
}

/// Reads the length of a layer's blob from a row of [`LAYERS`], whose digests are checked and not kept.
pub(super) fn layer_size(row: &Row<'_>) -> rusqlite::Result<u64> {
    parsed::<WellFormed>(row, 1)?;
    if !row.get_ref(2)?.as_str()?.is_empty() {
        parsed::<WellFormed>(row, 2)?;
    }
    parsed::<WellFormed>(row, 3)?;
    count(row, 5)
}

/// Reads the place of a layer in its image from a row of [`LAYERS`].
pub(super) fn position(row: &Row<'_>) -> rusqlite::Result<u64> {
    count(row, 6)
}

/// Gives an image a reference, and the digest that a registry knew it by. Sorting is left to the caller.
pub(super) fn name(image: &mut ImageRecord, reference: Reference, pulled: Option<Digest>) {
    if let Some(pulled) = pulled {
        image.registry_digests.insert(reference.clone(), pulled);
    }
    image.references.push(reference);
}

/// Returns the images with a configuration, the oldest first.
pub(super) fn configured(
    connection: &Connection,
    config: &Digest,
) -> rusqlite::Result<Vec<ImageRecord>> {
    let digests = connection
        .prepare_cached(
            "SELECT digest FROM msb_image WHERE config_digest = ?1 AND NOT removed
             ORDER BY created_at, digest",
        )?
        .query_map([config.to_string()], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    let mut images = Vec::with_capacity(digests.len());
    for digest in digests {
        images.extend(image(connection, &digest)?);
    }
    Ok(images)
}

/// Returns the digest, as it stands there, of the image that a name leads to.
pub(super) fn image_of(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    connection
        .query_row(
            "SELECT image FROM msb_reference WHERE name = ?1",
            [name],
            |row| row.get(0),
        )
        .optional()
}

/// Returns the image that a reference leads to, by the catalogue.
pub(super) fn referenced(
    connection: &Connection,
    reference: &Reference,
) -> rusqlite::Result<Option<ImageRecord>> {
    match image_of(connection, &reference.canonical())? {
        Some(digest) => image(connection, &digest),
        None => Ok(None),
    }
}

/// Returns a time in the one form that the catalogue has for times: sorted as text, they are
/// sorted in time.
pub(super) fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}
