//! Which images sandboxes use. The runtime records it; removal respects it.

use jiff::Timestamp;
use rusqlite::Connection;

use super::catalogue::Store;
use super::catalogue::WriteError;
use super::foreign::Foreign;
use super::{StoreError, query, sidecar};
use crate::digest::Digest;

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
