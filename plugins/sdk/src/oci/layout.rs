//! The files of an OCI layout. Source: image-spec `image-layout.md`.

use serde::Deserialize;
use serde_json::Value;

use super::{Descriptor, INDEX_LIMIT, Images, Index, base64, walk};
use crate::{Archive, Document, Entry, EntryKind, Error, is_digest, sha256};

/// An archive that is an OCI layout, perhaps among other things.
#[derive(Debug)]
pub struct Layout {
    index: Index,
}

/// Where the bytes of a document are.
#[derive(Debug)]
pub(super) enum Located {
    /// In the archive.
    Entry(Entry),
    /// In the descriptor.
    Embedded(Vec<u8>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    #[serde(default)]
    image_layout_version: String,
}

impl Layout {
    /// Returns the layout in an archive; `None` if the archive is none.
    ///
    /// The marker file may be missing, as it is in layouts that were put together by hand.
    pub fn open(archive: &dyn Archive) -> Result<Option<Self>, Error> {
        let marker = archive.find("oci-layout");
        let Some(index) = archive.find("index.json") else {
            return match marker {
                Some(_) => Err(Error::Malformed(
                    "there is oci-layout, but no index.json".to_owned(),
                )),
                None => Ok(None),
            };
        };
        if let Some(marker) = marker {
            let version = archive
                .read_json::<Marker>(&marker, INDEX_LIMIT)?
                .image_layout_version;
            if !version.starts_with("1.") {
                return Err(Error::Unsupported(format!(
                    "the layout version `{version}` in oci-layout"
                )));
            }
        } else {
            let content: Value = archive.read_json(&index, INDEX_LIMIT)?;
            if content.get("manifests").is_none() {
                return Ok(None);
            }
        }
        let index = archive.read_json(&index, INDEX_LIMIT)?;
        Ok(Some(Self { index }))
    }

    /// Returns the images that the layout lists.
    pub fn images(&self, archive: &dyn Archive) -> Result<Images, Error> {
        walk::images(archive, &self.index)
    }
}

/// Returns where a layout keeps the blob with this digest, which is to have passed [`is_digest`].
pub fn blob_path(digest: &str) -> String {
    format!("blobs/{}", digest.replacen(':', "/", 1))
}

/// Returns where the blob of a descriptor is. The archive comes first; the descriptor's `data` is
/// used where it has the right digest and ignored otherwise.
pub(super) fn locate(
    archive: &dyn Archive,
    descriptor: &Descriptor,
) -> Result<Option<Located>, Error> {
    let digest = &descriptor.digest;
    if let Some(entry) = find_blob(archive, digest)? {
        return Ok(Some(Located::Entry(entry)));
    }
    let embedded = descriptor
        .data
        .as_deref()
        .and_then(base64::decode)
        .filter(|bytes| descriptor.size == u64::try_from(bytes.len()).ok())
        .filter(|bytes| sha256(bytes) == *digest);
    Ok(embedded.map(Located::Embedded))
}

/// Returns the entry of a blob.
pub(super) fn find_blob(archive: &dyn Archive, digest: &str) -> Result<Option<Entry>, Error> {
    if !is_digest(digest) {
        return Err(Error::Malformed(format!("`{digest}` is not a digest")));
    }
    match archive.find(&blob_path(digest)) {
        Some(entry) if entry.kind != EntryKind::File => {
            Err(Error::Malformed(format!("{} is not a file", entry.path)))
        }
        found => Ok(found),
    }
}

impl Located {
    /// Returns the bytes, at most `limit` of them.
    pub(super) fn bytes(&self, archive: &dyn Archive, limit: u64) -> Result<Vec<u8>, Error> {
        match self {
            Self::Entry(entry) => archive.read_all(entry, limit),
            Self::Embedded(bytes) => Ok(bytes.clone()),
        }
    }

    /// Returns what a plan says of it.
    pub(super) fn document(self) -> Document {
        match self {
            Self::Entry(entry) => Document::Entry(entry.index),
            Self::Embedded(bytes) => Document::Bytes(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeArchive;

    const MARKER: &str = r#"{"imageLayoutVersion": "1.0.0"}"#;

    #[test]
    fn what_has_neither_file_of_a_layout_is_none() {
        assert!(matches!(Layout::open(&FakeArchive::new()), Ok(None)));
    }

    #[test]
    fn an_index_without_a_marker_counts_if_it_lists_manifests() {
        let layout = FakeArchive::new().file("index.json", r#"{"manifests": []}"#);
        assert!(matches!(Layout::open(&layout), Ok(Some(_))));
        let other = FakeArchive::new().file("index.json", r#"{"pages": []}"#);
        assert!(matches!(Layout::open(&other), Ok(None)));
    }

    #[test]
    fn a_marker_without_an_index_is_malformed() {
        let archive = FakeArchive::new().file("oci-layout", MARKER);
        assert!(matches!(Layout::open(&archive), Err(Error::Malformed(_))));
    }

    #[test]
    fn a_later_layout_version_is_unsupported() {
        let archive = FakeArchive::new()
            .file("oci-layout", MARKER.replace('1', "2"))
            .file("index.json", "{}");
        assert!(matches!(Layout::open(&archive), Err(Error::Unsupported(_))));
    }
}
