//! From what a user types to an image.

use super::catalogue::Store;
use super::query::{DamagedRow, ImageRecord};
use super::{StoreError, listing};
use crate::digest::Digest;
use crate::platform::Platform;
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
    /// configuration or of an index that led to it, or by the first digits of one of these. A name
    /// in front of a digest is to be one of the image's, and the digest is not that of a
    /// configuration then.
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
        let pinned = reference
            .as_ref()
            .and_then(|reference| Some((reference, reference.digest()?)));
        let mut images = match (pinned, selector.parse::<Digest>()) {
            (Some((reference, digest)), _) => self.pinned(reference, digest)?,
            (_, Ok(digest)) => self.with_digest(digest.hex(), |own| *own == digest)?,
            (_, Err(_)) => {
                let (algorithm, prefix) = selector
                    .split_once(':')
                    .map_or((None, selector), |(algorithm, hex)| (Some(algorithm), hex));
                let is_it = |digest: &Digest| {
                    digest.hex().starts_with(prefix)
                        && algorithm.is_none_or(|name| name == digest.algorithm().name())
                };
                match prefix.len() {
                    MIN_PREFIX.. => self.with_digest(prefix, is_it)?,
                    _ => Vec::new(),
                }
            }
        };
        match images.len() {
            0 | 1 => match images.pop() {
                Some(image) => Ok(FoundImage {
                    image,
                    reference: None,
                }),
                None => Err(self.not_found(selector)),
            },
            _ => Err(StoreError::Ambiguous {
                selector: selector.to_owned(),
                candidates: images.iter().map(candidate).collect(),
            }),
        }
    }

    /// Returns why an image is not found: the catalogue may be the reason.
    fn not_found(&self, selector: &str) -> StoreError {
        let damaged = || match self.damaged_row(selector) {
            Ok(Some(row)) => Err(row.into()),
            Ok(None) => self.check_complete(),
            Err(error) => Err(error),
        };
        damaged()
            .err()
            .unwrap_or_else(|| StoreError::NotFound(selector.to_owned()))
    }

    /// Returns the image that a selector names among those whose rows make no sense.
    pub(super) fn damaged_row(&self, selector: &str) -> Result<Option<DamagedRow>, StoreError> {
        let name = selector.parse::<Reference>().ok();
        let name = name.map(|reference| reference.canonical());
        let (_, mut rows) = self.read(listing::images)?;
        rows.retain(|row| {
            let hex = row.digest.split_once(':').map_or("", |(_, hex)| hex);
            row.digest == selector
                || (selector.len() >= MIN_PREFIX && hex.starts_with(selector))
                || name.as_ref().is_some_and(|name| row.names.contains(name))
        });
        if rows.len() > 1 {
            return Err(StoreError::Ambiguous {
                selector: selector.to_owned(),
                candidates: rows
                    .into_iter()
                    .map(|row| row.digest.escape_default().to_string())
                    .collect(),
            });
        }
        Ok(rows.pop())
    }

    /// Returns the images that a reference with a digest may mean: those of the digest, or those
    /// that an index of this digest led to, under the name of its repository.
    pub fn pinned(
        &self,
        reference: &Reference,
        digest: &Digest,
    ) -> Result<Vec<ImageRecord>, StoreError> {
        let mut images = self.images_like(digest.hex())?;
        images.retain(|image| {
            let is_of_repository = |known: &Reference| known.name() == reference.name();
            image.references.iter().any(is_of_repository)
        });
        Ok(self.by_digest(
            images,
            |image| image.digest == *digest,
            |index| index == digest,
        ))
    }

    /// Returns the images that have a digest that begins with these digits, and is the one.
    fn with_digest(
        &self,
        digits: &str,
        is_it: impl Fn(&Digest) -> bool,
    ) -> Result<Vec<ImageRecord>, StoreError> {
        let images = self.images_like(digits)?;
        let own = |image: &ImageRecord| is_it(&image.digest) || is_it(&image.config_digest);
        Ok(self.by_digest(images, own, &is_it))
    }

    fn images_like(&self, digits: &str) -> Result<Vec<ImageRecord>, StoreError> {
        let mut images = self.read(|catalogue| listing::images_like(catalogue, digits))?;
        for image in &mut images {
            self.prove(image);
        }
        Ok(images)
    }

    /// Returns the images with a digest of their own, or else those that an index led to. Of several
    /// ones of an index that is those for this machine, if there are any.
    fn by_digest(
        &self,
        images: Vec<ImageRecord>,
        own: impl Fn(&ImageRecord) -> bool,
        of_index: impl Fn(&Digest) -> bool,
    ) -> Vec<ImageRecord> {
        let (own, mut others): (Vec<_>, Vec<_>) = images.into_iter().partition(|image| own(image));
        if !own.is_empty() {
            return own;
        }
        others.retain(|image| {
            let mut indexes = image.indexes.iter().map(|index| &index.digest);
            indexes.any(|index| of_index(index) && self.is_named_by(image, index))
        });
        let host = Platform::host();
        if others.len() > 1 && others.iter().any(|image| host.runs(&image.platform)) {
            others.retain(|image| host.runs(&image.platform));
        }
        others
    }
}

fn candidate(image: &ImageRecord) -> String {
    match image.references.first() {
        Some(reference) => format!("{} ({reference})", image.digest.short()),
        None => image.digest.short().to_owned(),
    }
}
