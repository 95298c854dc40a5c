//! Reading images from the catalogue.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _};

use super::column::{chain, count, parsed};
use super::publish::LayerKey;
use super::{StoreError, fault};
use crate::digest::Digest;
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

/// Returns all images, the newest first, and those whose rows make no sense. One that is damaged
/// does not keep the others.
pub(super) fn images(
    connection: &Connection,
) -> rusqlite::Result<(Vec<ImageRecord>, Vec<DamagedRow>)> {
    let digests = connection
        .prepare("SELECT digest FROM msb_image WHERE NOT removed ORDER BY created_at DESC, digest")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    let mut images = Vec::with_capacity(digests.len());
    let mut damaged = Vec::new();
    for digest in digests {
        match image(connection, &digest) {
            Ok(image) => images.extend(image),
            Err(error) if error.sqlite_error_code().is_some() => return Err(error),
            Err(error) => damaged.push(DamagedRow {
                names: names(connection, &digest)?,
                what: fault::words(error),
                digest,
            }),
        }
    }
    Ok((images, damaged))
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
        .prepare_cached(
            "SELECT digest, media_type, config_digest, os, architecture, variant, created_at
             FROM msb_image WHERE digest = ?1 AND NOT removed",
        )?
        .query_row([digest], |row| {
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
        })
        .optional()?;
    let Some(mut image) = image else {
        return Ok(None);
    };
    let references = connection
        .prepare_cached("SELECT name, digest FROM msb_reference WHERE image = ?1")?
        .query_map([digest], |row| {
            let pulled = match row.get_ref(1)? {
                ValueRef::Null => None,
                _ => Some(parsed(row, 1)?),
            };
            Ok((parsed(row, 0)?, pulled))
        })?
        .collect::<rusqlite::Result<Vec<(Reference, Option<Digest>)>>>()?;
    for (reference, pulled) in references {
        if let Some(pulled) = pulled {
            image.registry_digests.insert(reference.clone(), pulled);
        }
        image.references.push(reference);
    }
    image.references.sort();
    image.indexes = connection
        .prepare_cached(
            "SELECT digest, media_type FROM msb_image_index WHERE image = ?1 ORDER BY rowid",
        )?
        .query_map([digest], |row| {
            Ok(ImageIndex {
                digest: parsed(row, 0)?,
                media_type: row.get(1)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    image.layers = connection
        .prepare_cached(
            "SELECT diff_id, chain, blob_digest, media_type, compressed_size
             FROM msb_image_layer WHERE image = ?1 ORDER BY position",
        )?
        .query_map([digest], |row| {
            Ok(ImageLayer {
                key: LayerKey {
                    diff_id: parsed(row, 0)?,
                    chain: chain(row, 1)?,
                },
                blob_digest: parsed(row, 2)?,
                media_type: row.get(3)?,
                compressed_size: count(row, 4)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Some(image))
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
