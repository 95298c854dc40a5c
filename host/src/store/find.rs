//! From what a user types to an image.

use super::StoreError;
use super::catalogue::Store;
use super::query::ImageRecord;
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
    /// configuration, with a name in front or without, or by the first digits of one of these.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or [`StoreError::Ambiguous`] with the candidates.
    pub fn find(&self, selector: &str) -> Result<FoundImage, StoreError> {
        let reference = selector.parse::<Reference>().ok();
        if let Some(reference) = &reference
            && let Some(image) = self.referenced(reference)?
        {
            return Ok(FoundImage {
                image,
                reference: Some(reference.clone()),
            });
        }
        let mut images = self.images()?;
        match (reference.as_ref(), selector.parse::<Digest>()) {
            (Some(pinned), _) if pinned.digest().is_some() => images.retain(|image| {
                pinned
                    .digest()
                    .is_some_and(|digest| has_digest(image, digest))
                    && image
                        .references
                        .iter()
                        .any(|known| known.name() == pinned.name())
            }),
            (_, Ok(digest)) => images.retain(|image| has_digest(image, &digest)),
            (_, Err(_)) => {
                let (algorithm, prefix) = selector
                    .split_once(':')
                    .map_or((None, selector), |(algorithm, hex)| (Some(algorithm), hex));
                let begins = |digest: &Digest| {
                    digest.hex().starts_with(prefix)
                        && algorithm.is_none_or(|name| name == digest.algorithm().name())
                };
                images.retain(|image| {
                    prefix.len() >= MIN_PREFIX
                        && (begins(&image.digest) || begins(&image.config_digest))
                });
            }
        }
        match images.len() {
            0 | 1 => match images.pop() {
                Some(image) => Ok(FoundImage {
                    image,
                    reference: None,
                }),
                None => Err(StoreError::NotFound(selector.to_owned())),
            },
            _ => Err(StoreError::Ambiguous {
                selector: selector.to_owned(),
                candidates: images.iter().map(candidate).collect(),
            }),
        }
    }
}

fn has_digest(image: &ImageRecord, digest: &Digest) -> bool {
    image.digest == *digest || image.config_digest == *digest
}

fn candidate(image: &ImageRecord) -> String {
    match image.references.first() {
        Some(reference) => format!("{} ({reference})", image.digest.short()),
        None => image.digest.short().to_owned(),
    }
}
