//! Manifests, configurations and indexes, byte for byte as they came.

use std::path::Path;

use super::catalogue::Store;
use super::{StoreError, fs};
use crate::digest::{Digest, Hasher};

impl Store {
    /// Returns a manifest, configuration or index, byte for byte as it came.
    ///
    /// # Errors
    /// [`StoreError::DamagedBlob`] when its bytes are not those of the digest.
    pub fn blob(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let path = self.home().blob(digest);
        let bytes = crate::fs::read(&path)?;
        check(&bytes, digest, &path)?;
        Ok(bytes)
    }

    /// Keeps manifests, configurations and indexes. What is there and whole stays as it is.
    pub(super) fn put_blobs<'a>(
        &self,
        blobs: impl Iterator<Item = (&'a Digest, &'a [u8])>,
    ) -> Result<(), StoreError> {
        let mut is_new = false;
        for (digest, bytes) in blobs {
            if self.blob(digest).is_ok() {
                continue;
            }
            let path = self.home().blob(digest);
            check(bytes, digest, &path)?;
            fs::write_aside(bytes, &path)?.persist()?;
            is_new = true;
        }
        if is_new {
            fs::sync_directory(&self.home().blobs())?;
        }
        Ok(())
    }
}

/// Returns whether bytes are those of a digest.
pub(super) fn matches(bytes: &[u8], digest: &Digest) -> bool {
    digest_as(bytes, digest) == *digest
}

fn check(bytes: &[u8], digest: &Digest, path: &Path) -> Result<(), StoreError> {
    let actual = digest_as(bytes, digest);
    if actual == *digest {
        Ok(())
    } else {
        Err(StoreError::DamagedBlob {
            path: path.to_owned(),
            actual,
        })
    }
}

/// Returns the digest of bytes by the algorithm of another one.
fn digest_as(bytes: &[u8], digest: &Digest) -> Digest {
    let mut hasher = Hasher::new(digest.algorithm());
    hasher.update(bytes);
    hasher.finish()
}
