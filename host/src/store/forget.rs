//! Removing images from the catalogue: what may go, and what of it is still needed.

use rusqlite::Connection;

use super::catalogue::Store;
use super::find::FoundImage;
use super::foreign::Foreign;
use super::query::ImageRecord;
use super::rows::Rows;
use super::{StoreError, fs, query, sidecar, usage};
use crate::digest::Digest;
use crate::reference::Reference;

/// What the catalogue has forgotten.
#[derive(Clone, Debug)]
pub struct Forgotten {
    /// References that lead nowhere now.
    pub untagged: Vec<Reference>,
    /// The image, if it was removed and not just one of its references.
    pub image: Option<ImageRecord>,
    /// Its digest. It has no image where the catalogue could not say what the image is; the files of
    /// such a one are left to the next prune.
    pub digest: Option<Digest>,
    /// The bytes of disk that this has freed already.
    pub bytes: u64,
    /// The sandboxes that used the image that was removed by force. Its files stay until they
    /// have released it.
    pub users: Vec<String>,
}

impl Store {
    /// Removes what a selector names from the catalogue: a reference, and with the last one, or
    /// with its ID, the image. Files are left to [`collect`](Self::collect).
    ///
    /// # Errors
    /// [`StoreError::InUse`] and [`StoreError::SeveralReferences`] unless `force` is set.
    pub fn forget(&self, selector: &str, force: bool) -> Result<Forgotten, StoreError> {
        let FoundImage { image, reference } = match self.find(selector) {
            Err(StoreError::DamagedImage { .. }) => return self.forget_damaged(selector, force),
            found => found?,
        };
        let digest = image.digest.to_string();
        let foreign = Foreign::open(self.home())?;
        self.make_room();
        let sidecar_bytes = fs::disk_size(&self.home().sidecar(&image.digest))?;
        self.write(|transaction| {
            let not_found = || StoreError::NotFound(selector.to_owned());
            // Somebody may have removed or moved it since it was found.
            let image = query::image(transaction, &digest)?.ok_or_else(not_found)?;
            match reference {
                Some(reference) if !image.references.contains(&reference) => {
                    return Err(not_found().into());
                }
                Some(reference) if image.references.len() > 1 => {
                    transaction.execute(
                        "DELETE FROM msb_reference WHERE name = ?1",
                        [reference.canonical()],
                    )?;
                    sidecar::mark(transaction, &digest)?;
                    return Ok(Forgotten {
                        untagged: vec![reference],
                        image: None,
                        digest: None,
                        bytes: 0,
                        users: Vec::new(),
                    });
                }
                None if image.references.len() > 1 && !force => {
                    return Err(StoreError::SeveralReferences {
                        image: selector.to_owned(),
                        references: image.references.iter().map(Reference::familiar).collect(),
                    }
                    .into());
                }
                _ => {}
            }
            let users = usage::users(transaction, &foreign, &digest)?;
            if !users.is_empty() && !force {
                return Err(StoreError::InUse {
                    image: selector.to_owned(),
                    sandboxes: users,
                }
                .into());
            }
            delete(transaction, &digest, !users.is_empty())?;
            Ok(Forgotten {
                untagged: image.references.clone(),
                digest: Some(image.digest.clone()),
                bytes: if users.is_empty() { sidecar_bytes } else { 0 },
                image: Some(image),
                users,
            })
        })
    }

    /// As [`forget`](Self::forget), of an image whose rows make no sense: all of them go.
    fn forget_damaged(&self, selector: &str, force: bool) -> Result<Forgotten, StoreError> {
        let not_found = || StoreError::NotFound(selector.to_owned());
        let row = self.damaged_row(selector)?.ok_or_else(not_found)?;
        self.make_room();
        let foreign = Foreign::open(self.home())?;
        let forgotten = self.write(|transaction| {
            let users = usage::users(transaction, &foreign, &row.digest)?;
            if !users.is_empty() && !force {
                return Err(StoreError::InUse {
                    image: selector.to_owned(),
                    sandboxes: users,
                }
                .into());
            }
            delete(transaction, &row.digest, !users.is_empty())?;
            Ok(Forgotten {
                untagged: row
                    .names
                    .iter()
                    .filter_map(|name| name.parse().ok())
                    .collect(),
                image: None,
                digest: row.digest.parse().ok(),
                bytes: 0,
                users,
            })
        })?;
        // The sidecar may be that of another digest than the one that stood in the row. It has no name
        // but those of the row, or it is that of another image which the catalogue has lost.
        for image in self.unlisted()? {
            let path = self.home().sidecar(&image);
            let is_named = |rows: Rows| {
                !rows.names.is_empty() && rows.names.iter().all(|own| row.names.contains(&own.name))
            };
            if sidecar::read(&path, &image).is_ok_and(is_named) {
                fs::remove(&path)?;
            }
        }
        Ok(forgotten)
    }
}

/// Deletes an image and its references, and returns the number of these. One that is in use only
/// vanishes from view.
pub(super) fn delete(
    catalogue: &Connection,
    digest: &str,
    in_use: bool,
) -> rusqlite::Result<usize> {
    sidecar::mark(catalogue, digest)?;
    let references = catalogue.execute("DELETE FROM msb_reference WHERE image = ?1", [digest])?;
    let statement = if in_use {
        "UPDATE msb_image SET removed = 1 WHERE digest = ?1"
    } else {
        "DELETE FROM msb_image WHERE digest = ?1"
    };
    catalogue.execute(statement, [digest])?;
    Ok(references)
}
