//! The indexes of an archive that lead to its images. They are kept with the images, as those are
//! that a pull has seen: a name `R@sha256:INDEX` is proven by them.
//!
//! Owns the ways from an image up to the indexes. They are found in the documents themselves: what
//! an archive or a plugin says of them is not believed.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use msb_documents::media_type::INDEX;

use super::super::ImageError;
use super::super::convert::ConvertContext;
use super::super::document::checked_digest;
use super::super::select::DOCUMENT;
use super::planned::read_document;
use crate::archive::ArchiveSource;
use crate::digest::Digest;
use crate::limits::{Account, Purpose};
use crate::plugin::{Document, PlannedIndex};
use crate::progress::Event;
use crate::store::NewImageIndex;

/// How many indexes are kept for one image: the nearest ones.
const MOST: usize = 64;

/// Indexes by their digests.
#[derive(Default)]
pub(super) struct Indexes {
    known: HashMap<Digest, NewImageIndex>,
    /// The indexes that list a manifest or an index.
    above: HashMap<Digest, Vec<Digest>>,
}

impl Indexes {
    /// Reads the indexes that a plan names. One that cannot be read, or is none, is left out.
    pub(super) fn read(
        source: &Arc<dyn ArchiveSource>,
        planned: &[PlannedIndex],
        context: &ConvertContext<'_>,
        account: &mut Account,
    ) -> Result<Self, ImageError> {
        const WHAT: &str = "index";
        let limit = (context.limits.manifest_bytes, "manifest_bytes");
        let mut indexes = Self::default();
        let mut seen = HashSet::new();
        for planned in planned.iter().filter(|it| seen.insert(it.entry)) {
            context.cancel.check()?;
            let document = Document::Entry(planned.entry);
            let read = read_document(source, &document, WHAT, limit).and_then(|bytes| {
                let digest = checked_digest(&bytes, planned.digest.as_ref(), WHAT)?;
                Ok((bytes, digest))
            });
            match read {
                Ok((bytes, digest)) => {
                    account.take(Purpose::Documents, DOCUMENT * bytes.len() as u64)?;
                    indexes.add(bytes, digest);
                }
                Err(error) if error.ends_all() => return Err(error),
                Err(error) => {
                    let notice = format!("an index of the archive is not kept: {error}");
                    context.progress.report(Event::Notice(&notice));
                }
            }
        }
        Ok(indexes)
    }

    fn add(&mut self, bytes: Vec<u8>, digest: Digest) {
        let read = msb_documents::Document::read(&bytes, Some(INDEX));
        let Ok(msb_documents::Document::Index(index)) = read else {
            return;
        };
        for entry in &index.manifests {
            let Ok(listed) = entry.digest.parse() else {
                continue;
            };
            let above = self.above.entry(listed).or_default();
            // What is listed again and again is there once.
            if above.last() != Some(&digest) {
                above.push(digest.clone());
            }
        }
        let index = NewImageIndex {
            bytes: bytes.into(),
            digest: digest.clone(),
            media_type: index.media_type,
        };
        self.known.insert(digest, index);
    }

    /// Returns the indexes that lead to an image, directly or through others, the outer ones first.
    pub(super) fn leading_to(&self, manifest: &Digest) -> Vec<NewImageIndex> {
        let mut found = Vec::new();
        let mut seen = HashSet::from([manifest]);
        let mut next = VecDeque::from([manifest]);
        while let Some(digest) = next.pop_front() {
            for above in self.above.get(digest).into_iter().flatten() {
                if found.len() == MOST {
                    next.clear();
                    break;
                }
                if seen.insert(above) {
                    found.extend(self.known.get(above).cloned());
                    next.push_back(above);
                }
            }
        }
        found.reverse();
        found
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    /// Adds an index of these digests, and returns its own.
    fn add(indexes: &mut Indexes, listed: &[&Digest]) -> Digest {
        let entries: Vec<_> = listed
            .iter()
            .map(|digest| json!({"digest": digest.to_string(), "size": 1}))
            .collect();
        let bytes = json!({"schemaVersion": 2, "manifests": entries}).to_string();
        let digest = Digest::of(bytes.as_bytes());
        indexes.add(bytes.into_bytes(), digest.clone());
        digest
    }

    fn leading(indexes: &Indexes, manifest: &Digest) -> Vec<Digest> {
        let found = indexes.leading_to(manifest).into_iter();
        found.map(|index| index.digest).collect()
    }

    #[test]
    fn all_indexes_on_the_way_lead_to_an_image_and_no_others() {
        let mut indexes = Indexes::default();
        let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
        let inner = add(&mut indexes, &[&one]);
        let outer = add(&mut indexes, &[&two, &inner]);
        assert_eq!(leading(&indexes, &one), [outer.clone(), inner]);
        assert_eq!(leading(&indexes, &two), [outer]);
        assert_eq!(leading(&indexes, &Digest::of(b"three")), []);
    }

    #[test]
    fn an_image_has_no_more_indexes_than_there_is_a_use_for() {
        let mut indexes = Indexes::default();
        let image = Digest::of(b"image");
        let nearest = add(&mut indexes, &[&image]);
        for number in 0..2 * MOST {
            add(
                &mut indexes,
                &[&nearest, &Digest::of(&number.to_le_bytes())],
            );
        }
        let found = leading(&indexes, &image);
        assert_eq!(found.len(), MOST);
        assert_eq!(found.last(), Some(&nearest));
    }

    #[test]
    fn what_is_no_index_leads_nowhere() {
        let mut indexes = Indexes::default();
        let image = Digest::of(b"image");
        for bytes in [&b"{}"[..], b"no json", br#"{"layers": [], "config": {}}"#] {
            indexes.add(bytes.to_vec(), Digest::of(bytes));
        }
        assert_eq!(leading(&indexes, &image), []);
        assert!(indexes.known.len() <= 1);
    }
}
