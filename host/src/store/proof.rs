//! Which digests an image may be named by: that of its manifest, and those of indexes that lead to
//! it, which are kept to prove it.
//!
//! A digest in a reference is a promise, so none is believed because the catalogue has it.

use std::collections::BTreeSet;

use msb_documents::Document;
use msb_documents::media_type::INDEX;

use super::blob::matches;
use super::catalogue::Store;
use super::new_image::NewImage;
use super::query::ImageRecord;
use super::{StoreError, query};
use crate::digest::Digest;
use crate::reference::Reference;

impl Store {
    /// Returns whether an image is what a digest names: that of its manifest, or of an index of the
    /// store, which is whole and leads to it.
    pub fn is_named_by(&self, image: &ImageRecord, digest: &Digest) -> bool {
        leads_to(digest, &image.digest, |digest| {
            let mut known = image.indexes.iter().map(|index| &index.digest);
            known
                .find(|known| *known == digest)
                .and_then(|known| self.blob(known).ok())
        })
    }

    /// Returns the digest that the registry knew a reference by when it was pulled; that of the
    /// manifest where this is not known.
    pub fn registry_digest(&self, image: &ImageRecord, reference: &Reference) -> Digest {
        let pulled = image.registry_digests.get(reference);
        let known = reference.digest().or(pulled);
        known
            .filter(|digest| self.is_named_by(image, digest))
            .unwrap_or(&image.digest)
            .clone()
    }

    /// Returns whether an image that is to be recorded may have a name: any without a digest, and
    /// with one only if it is what the digest names.
    pub fn may_name(&self, image: &NewImage, reference: &Reference) -> Result<bool, StoreError> {
        let Some(digest) = reference.digest() else {
            return Ok(true);
        };
        let before = image.manifest_digest.to_string();
        let before = self.read(|catalogue| query::image(catalogue, &before))?;
        Ok(leads_to(digest, &image.manifest_digest, |digest| {
            if let Some(index) = image.indexes.iter().find(|index| index.digest == *digest) {
                return matches(&index.bytes, digest).then(|| index.bytes.to_vec());
            }
            let indexes = before.iter().flat_map(|image| &image.indexes);
            let mut known = indexes.map(|index| &index.digest);
            known
                .find(|known| *known == digest)
                .and_then(|known| self.blob(known).ok())
        }))
    }

    /// Sets those references of an image apart whose digests it does not have.
    pub(super) fn prove(&self, image: &mut ImageRecord) {
        let references = std::mem::take(&mut image.references);
        let (proven, unproven) = references.into_iter().partition(|reference| {
            reference
                .digest()
                .is_none_or(|digest| self.is_named_by(image, digest))
        });
        image.references = proven;
        image.unproven = unproven;
    }
}

/// Returns whether a digest is that of an image, or of an index that leads to it. `index` gives the
/// bytes of an index that is known to lead there; one that is missing or damaged proves nothing.
fn leads_to(digest: &Digest, image: &Digest, index: impl Fn(&Digest) -> Option<Vec<u8>>) -> bool {
    let mut seen = BTreeSet::new();
    let mut next = vec![digest.clone()];
    while let Some(digest) = next.pop() {
        if digest == *image {
            return true;
        }
        if seen.insert(digest.clone())
            && let Some(bytes) = index(&digest)
        {
            next.extend(listed(&bytes));
        }
    }
    false
}

/// Returns the digests that an index lists.
fn listed(index: &[u8]) -> Vec<Digest> {
    let Ok(Document::Index(index)) = Document::read(index, Some(INDEX)) else {
        return Vec::new();
    };
    let entries = index.manifests.into_iter();
    entries
        .filter_map(|entry| entry.digest.parse().ok())
        .collect()
}
