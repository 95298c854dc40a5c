//! Checking the documents of an image: manifest, configuration, and the indexes that led to it.
//!
//! Owns that each is whole and that the catalogue says what they say. What contradicts what is in
//! [`document`](crate::image::document).

use super::Check;
use super::layer_files::FileFault;
use crate::digest::Digest;
use crate::image::{Damage, document};
use crate::store::{ImageRecord, StoreError};

impl Check<'_> {
    /// Checks manifest and configuration, and whether the catalogue has what they say.
    pub(super) fn documents(&self, image: &ImageRecord) -> Result<Vec<Damage>, StoreError> {
        let mut damage = Vec::new();
        let manifest = self.document(&image.digest, &mut damage)?;
        let config = self.document(&image.config_digest, &mut damage)?;
        if let (Some(manifest), Some(config)) = (manifest, config)
            && let Some(what) = document::contradiction(image, &manifest, &config)
        {
            damage.push(Damage::of(&self.store.catalogue_path(), what));
        }
        Ok(damage)
    }

    /// Checks that the indexes of an image are whole and lead to it, and that it has no name with a
    /// digest that is neither its own nor that of one of these.
    pub(super) fn names(&self, image: &ImageRecord) -> Result<Vec<Damage>, StoreError> {
        let mut damage = Vec::new();
        let of_catalogue = |what| Damage {
            dropped: self.options.repair,
            ..Damage::of(&self.store.catalogue_path(), what)
        };
        for index in &image.indexes {
            let is_whole = self.document(&index.digest, &mut damage)?.is_some();
            if is_whole && !self.store.is_named_by(image, &index.digest) {
                damage.push(of_catalogue(format!(
                    "it says that index {} led to the image, which it does not",
                    index.digest
                )));
            }
        }
        for reference in &image.unproven {
            damage.push(of_catalogue(format!(
                "it calls the image {reference}, and nothing proves that digest"
            )));
        }
        let is_proven = damage.iter().any(|damage| !damage.unreadable);
        if self.options.repair && is_proven {
            self.store.forget_unproven(image)?;
        }
        Ok(damage)
    }

    fn document(
        &self,
        digest: &Digest,
        damage: &mut Vec<Damage>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut found = match self.store.blob(digest) {
            Ok(bytes) => return Ok(Some(bytes)),
            Err(StoreError::DamagedBlob { path, actual }) => {
                Damage::of(&path, format!("it is another one: {actual}"))
            }
            Err(StoreError::Io { path, source, .. }) => {
                let fault = FileFault::of_read(&path, &source);
                Damage {
                    unreadable: !fault.is_proven,
                    ..Damage::of(&path, fault.what)
                }
            }
            Err(error) => return Err(error),
        };
        if self.options.repair && !found.unreadable {
            found.dropped = self.store.drop_blob(digest)?;
        }
        damage.push(found);
        Ok(None)
    }
}
