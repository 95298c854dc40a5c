//! Which images sandboxes use. The runtime records it; removal respects it.

use super::catalogue::Store;
use super::{StoreError, foreign, publish};
use crate::digest::Digest;

impl Store {
    /// Records that a sandbox uses an image, so that nobody removes what it needs.
    pub fn use_image(&self, sandbox: &str, selector: &str) -> Result<Digest, StoreError> {
        let digest = self.find(selector)?.image.digest;
        self.connection()
            .execute(
                "INSERT OR IGNORE INTO msb_use (sandbox, image, since) VALUES (?1, ?2, ?3)",
                [sandbox, &digest.to_string(), &publish::now()],
            )
            .map_err(|source| self.catalogue_error("write", source))?;
        Ok(digest)
    }

    /// Records that a sandbox uses no image any more, and returns how many it used.
    pub fn release(&self, sandbox: &str) -> Result<usize, StoreError> {
        self.connection()
            .execute("DELETE FROM msb_use WHERE sandbox = ?1", [sandbox])
            .map_err(|source| self.catalogue_error("write", source))
    }

    /// Returns the names of the sandboxes that use an image, sorted: our own, and those of a
    /// microsandbox whose database is in the same home.
    pub fn users(&self, image: &Digest) -> Result<Vec<String>, StoreError> {
        let connection = self.connection();
        let read = || {
            let mut statement =
                connection.prepare("SELECT sandbox FROM msb_use WHERE image = ?1")?;
            let mut users = statement
                .query_map([image.to_string()], |row| row.get(0))?
                .collect::<rusqlite::Result<Vec<String>>>()?;
            users.extend(foreign::users(&connection, &image.to_string())?);
            users.sort();
            users.dedup();
            Ok(users)
        };
        read().map_err(|source| self.catalogue_error("read", source))
    }
}
