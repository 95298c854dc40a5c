//! Names that the user gives to images that are there, and takes from them again.
//!
//! Owns that an image which loses its last name so stays: it is removed by those who remove images.

use super::catalogue::Store;
use super::record::point;
use super::{MovedReference, StoreError, query, sidecar};
use crate::digest::Digest;
use crate::reference::Reference;

/// An image that was given names.
#[derive(Clone, Debug)]
pub struct Tagged {
    /// The digest of its manifest.
    pub image: Digest,
    /// The names that led to another image before.
    pub moved: Vec<MovedReference>,
}

/// An image that has lost names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untagged {
    /// The digest of its manifest.
    pub image: Digest,
    /// The names that lead nowhere now.
    pub untagged: Vec<Reference>,
    /// The names that still lead to it, sorted.
    pub left: Vec<Reference>,
}

impl Store {
    /// Points names to the image that a selector names, all in one step.
    ///
    /// # Errors
    /// [`StoreError::DigestAsName`] for a name with a digest, which an image has and is not given.
    pub fn tag(&self, selector: &str, names: &[Reference]) -> Result<Tagged, StoreError> {
        if let Some(name) = names.iter().find(|name| name.digest().is_some()) {
            return Err(StoreError::DigestAsName {
                name: Box::new(name.clone()),
            });
        }
        let image = self.find(selector)?.image.digest;
        let moved = self.write(|transaction| {
            // Another process may have removed it since it was found.
            if query::image(transaction, &image.to_string())?.is_none() {
                return Err(StoreError::NotFound(selector.to_owned()).into());
            }
            let mut moved = Vec::new();
            for name in names {
                moved.extend(point(transaction, name, &image, None)?);
            }
            Ok(moved)
        })?;
        Ok(Tagged { image, moved })
    }

    /// Removes a name, or all names of an image that is named by its ID or digest. The image stays.
    pub fn untag(&self, selector: &str) -> Result<Untagged, StoreError> {
        let found = self.find(selector)?;
        let digest = found.image.digest.to_string();
        self.make_room();
        self.write(|transaction| {
            let not_found = || StoreError::NotFound(selector.to_owned());
            let image = query::image(transaction, &digest)?.ok_or_else(not_found)?;
            let (untagged, left) = match found.reference {
                Some(name) if !image.references.contains(&name) => {
                    return Err(not_found().into());
                }
                Some(name) => image.references.into_iter().partition(|own| *own == name),
                None => (image.references, Vec::new()),
            };
            for name in &untagged {
                transaction.execute(
                    "DELETE FROM msb_reference WHERE name = ?1",
                    [name.canonical()],
                )?;
            }
            sidecar::mark(transaction, &digest)?;
            Ok(Untagged {
                image: image.digest,
                untagged,
                left,
            })
        })
    }
}
