//! Which images sandboxes use. The runtime records it; removal respects it.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};

use super::catalogue::Store;
use super::catalogue::WriteError;
use super::column::parsed;
use super::foreign::Foreign;
use super::{StoreError, query, sidecar};
use crate::digest::Digest;

/// An image that a sandbox uses.
#[derive(Clone, Debug)]
pub struct UsedImage {
    /// The digest of its manifest.
    pub digest: Digest,
    /// Whether it was removed by force, and only its files are there still.
    pub removed: bool,
    /// The `diff_id`s of its layers that are the same over all others.
    pub layers: Vec<Digest>,
}

impl Store {
    /// Records that a sandbox uses an image, so that what it needs is not removed. Returns the
    /// digest of the image's manifest.
    pub fn use_image(&self, sandbox: &str, selector: &str) -> Result<Digest, StoreError> {
        let digest = self.find(selector)?.image.digest;
        let recorded = self.write(|transaction| {
            // Somebody may have removed it since it was found.
            if query::image(transaction, &digest.to_string())?.is_none() {
                return Ok(false);
            }
            record(transaction, sandbox, &digest.to_string())?;
            Ok(true)
        })?;
        if recorded {
            self.touch(&digest);
            Ok(digest)
        } else {
            Err(StoreError::NotFound(selector.to_owned()))
        }
    }

    /// Records that a sandbox uses no image any more, and returns how many it used. What was
    /// removed by force in the meantime is garbage from now on.
    pub fn release(&self, sandbox: &str) -> Result<usize, StoreError> {
        self.make_room();
        self.write(|transaction| {
            transaction.execute(
                "INSERT OR IGNORE INTO msb_stale_sidecar (image)
                 SELECT image FROM msb_use WHERE sandbox = ?1",
                [sandbox],
            )?;
            Ok(transaction.execute("DELETE FROM msb_use WHERE sandbox = ?1", [sandbox])?)
        })
    }

    /// Records that a sandbox uses these images, by the digests of their manifests, and no others.
    /// Those that are not there are left out.
    pub fn use_only(&self, sandbox: &str, images: &[Digest]) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction.execute(
                "INSERT OR IGNORE INTO msb_stale_sidecar (image)
                 SELECT image FROM msb_use WHERE sandbox = ?1",
                [sandbox],
            )?;
            transaction.execute("DELETE FROM msb_use WHERE sandbox = ?1", [sandbox])?;
            for image in images {
                let image = image.to_string();
                let is_there: bool = transaction.query_row(
                    "SELECT EXISTS (SELECT 1 FROM msb_image WHERE digest = ?1)",
                    [&image],
                    |row| row.get(0),
                )?;
                if is_there {
                    record(transaction, sandbox, &image)?;
                }
            }
            Ok(())
        })
    }

    /// Returns the names of all sandboxes that use an image and begin like this, sorted.
    pub fn sandboxes(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let mut sandboxes: Vec<String> = self.read(|catalogue| {
            catalogue
                .prepare_cached("SELECT DISTINCT sandbox FROM msb_use ORDER BY sandbox")?
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()
        })?;
        sandboxes.retain(|sandbox| sandbox.starts_with(prefix));
        Ok(sandboxes)
    }

    /// Returns the digests of the manifests of the images that a sandbox uses, those included that
    /// were removed by force, and their layers.
    pub fn used_by(&self, sandbox: &str) -> Result<Vec<UsedImage>, StoreError> {
        self.read(|catalogue| {
            let images = catalogue
                .prepare_cached("SELECT image FROM msb_use WHERE sandbox = ?1 ORDER BY image")?
                .query_map([sandbox], |row| parsed(row, 0))?
                .collect::<rusqlite::Result<Vec<Digest>>>()?;
            let mut used = Vec::with_capacity(images.len());
            for digest in images {
                let removed = catalogue
                    .prepare_cached("SELECT removed FROM msb_image WHERE digest = ?1")?
                    .query_row([digest.to_string()], |row| row.get(0))
                    .optional()?;
                let layers = catalogue
                    .prepare_cached(
                        "SELECT diff_id FROM msb_image_layer WHERE image = ?1 AND chain = ''",
                    )?
                    .query_map([digest.to_string()], |row| parsed(row, 0))?
                    .collect::<rusqlite::Result<_>>()?;
                used.push(UsedImage {
                    removed: removed.unwrap_or(true),
                    digest,
                    layers,
                });
            }
            Ok::<_, rusqlite::Error>(used)
        })
    }

    /// Returns the names of the sandboxes that use the image with a manifest digest, sorted: those
    /// recorded here, and those of a microsandbox whose database is in the same home.
    pub fn users(&self, image: &Digest) -> Result<Vec<String>, StoreError> {
        let foreign = Foreign::open(self.home())?;
        self.read(|catalogue| users(catalogue, &foreign, &image.to_string()))
    }
}

/// Records that a sandbox uses an image that is there, within a transaction.
pub(super) fn record(transaction: &Connection, sandbox: &str, image: &str) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT OR IGNORE INTO msb_use (sandbox, image, since) VALUES (?1, ?2, ?3)",
        [sandbox, image, &query::time(Timestamp::now())],
    )?;
    sidecar::mark(transaction, image)
}

/// Returns the sandboxes that use an image with a layer, sorted.
#[cfg(feature = "registry")]
pub(super) fn of_layer(
    catalogue: &Connection,
    key: &super::LayerKey,
) -> rusqlite::Result<Vec<String>> {
    catalogue
        .prepare_cached(
            "SELECT DISTINCT sandbox FROM msb_use JOIN msb_image_layer USING (image)
             WHERE diff_id = ?1 AND chain = ?2 ORDER BY sandbox",
        )?
        .query_map([key.diff_id.to_string(), key.chain_column()], |row| {
            row.get(0)
        })?
        .collect()
}

/// As [`Store::users`], within a transaction.
pub(super) fn users(
    catalogue: &Connection,
    foreign: &Foreign,
    image: &str,
) -> Result<Vec<String>, WriteError> {
    let mut users = catalogue
        .prepare_cached("SELECT sandbox FROM msb_use WHERE image = ?1")?
        .query_map([image], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    users.extend(foreign.users(image)?);
    users.sort();
    users.dedup();
    Ok(users)
}
