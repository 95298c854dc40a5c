//! From what a user types to an image.

use super::StoreError;
use super::catalogue::{ImageRecord, Store};
use crate::digest::Digest;
use crate::reference::Reference;

/// Fewer digits than this are not taken for the beginning of an ID.
const MIN_PREFIX: usize = 4;

/// An image that was found.
#[derive(Clone, Debug)]
pub struct FoundImage {
    /// The image.
    pub image: ImageRecord,
    /// The reference by which it was found; `None` when it was by its ID or digest.
    pub reference: Option<Reference>,
}

impl Store {
    /// Finds an image by any spelling of a reference, by the digest of its manifest or
    /// configuration, or by the first digits of one of these.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or [`StoreError::Ambiguous`] with the candidates.
    pub fn find(&self, selector: &str) -> Result<FoundImage, StoreError> {
        let images = self.images()?;
        let reference = selector.parse::<Reference>().ok();
        if let Some(reference) = &reference
            && let Some(image) = images
                .iter()
                .find(|image| image.references.contains(reference))
        {
            return Ok(FoundImage {
                image: image.clone(),
                reference: Some(reference.clone()),
            });
        }
        let candidates: Vec<&ImageRecord> = match (&reference, selector.parse::<Digest>()) {
            // `python@sha256:…` is the image of that digest, if it goes by that name at all.
            (Some(reference), _) if reference.digest().is_some() => images
                .iter()
                .filter(|image| {
                    Some(&image.digest) == reference.digest()
                        && image
                            .references
                            .iter()
                            .any(|other| other.name() == reference.name())
                })
                .collect(),
            (_, Ok(digest)) => images
                .iter()
                .filter(|image| image.digest == digest || image.config_digest == digest)
                .collect(),
            _ => {
                let prefix = selector.strip_prefix("sha256:").unwrap_or(selector);
                let is_prefix = prefix.len() >= MIN_PREFIX
                    && prefix
                        .bytes()
                        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                images
                    .iter()
                    .filter(|image| {
                        is_prefix
                            && (image.digest.hex().starts_with(prefix)
                                || image.config_digest.hex().starts_with(prefix))
                    })
                    .collect()
            }
        };
        match candidates.as_slice() {
            [] => Err(StoreError::NotFound(selector.to_owned())),
            [image] => Ok(FoundImage {
                image: (*image).clone(),
                reference: None,
            }),
            several => Err(StoreError::Ambiguous {
                selector: selector.to_owned(),
                candidates: several
                    .iter()
                    .map(|image| match image.references.first() {
                        Some(reference) => format!("{} ({reference})", image.digest.short()),
                        None => image.digest.short().to_owned(),
                    })
                    .collect(),
            }),
        }
    }
}
