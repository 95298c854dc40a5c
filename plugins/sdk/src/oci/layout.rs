//! The files of an OCI layout. Source: image-spec `image-layout.md`.

use serde::Deserialize;

use super::{Descriptor, INDEX_LIMIT, Images, Index, base64, media_type, walk};
use crate::documents::{self, DocumentError, Shape};
use crate::{Archive, Document, Entry, EntryKind, Error, is_digest, sha256};

/// An archive that is an OCI layout, perhaps among other things.
#[derive(Debug)]
pub struct Layout {
    index: Index,
    /// The entry of `index.json`.
    entry: Entry,
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

const MARKER: Shape = Shape::Record(&[("imageLayoutVersion", Shape::Text)]);

impl Layout {
    /// Returns the layout in an archive; `None` if the archive is none.
    ///
    /// The marker file may be missing, as it is in layouts that were put together by hand.
    pub fn open(archive: &dyn Archive) -> Result<Option<Self>, Error> {
        let marker = archive.find("oci-layout");
        let Some(entry) = archive.find("index.json") else {
            return match marker {
                Some(_) => Err(Error::Malformed(
                    "there is oci-layout, but no index.json".to_owned(),
                )),
                None => Ok(None),
            };
        };
        let is_marked = marker.is_some();
        if let Some(marker) = marker {
            check_version(archive, &marker)?;
        }
        let bytes = archive.read_all(&entry, INDEX_LIMIT)?;
        // Without the marker, a file of this name may be anything.
        let called = is_marked.then_some(media_type::INDEX);
        match documents::Document::read(&bytes, called) {
            Ok(documents::Document::Index(index)) => Ok(Some(Self { index, entry })),
            Ok(documents::Document::Manifest(_)) | Err(DocumentError::Neither(_)) if !is_marked => {
                Ok(None)
            }
            Ok(documents::Document::Manifest(_)) => Err(Error::Malformed(
                "index.json is a manifest instead of an index".to_owned(),
            )),
            Err(error) => Err(Error::Malformed(format!(
                "index.json is not valid: {error}"
            ))),
        }
    }

    /// Returns the images that the layout lists.
    pub fn images(&self, archive: &dyn Archive) -> Result<Images, Error> {
        walk::images(archive, &self.index, Some(&self.entry))
    }
}

/// Refuses a layout of a version that is not known. One that does not say it is as good as one without
/// the file: podman takes it.
fn check_version(archive: &dyn Archive, marker: &Entry) -> Result<(), Error> {
    let bytes = archive.read_all(marker, INDEX_LIMIT)?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(());
    }
    let version = documents::parse::<Marker>(&bytes, &MARKER)
        .map_err(|error| Error::Malformed(format!("oci-layout is not valid: {error}")))?
        .image_layout_version;
    if version.is_empty() || version.starts_with("1.") {
        return Ok(());
    }
    Err(Error::Unsupported(format!(
        "the layout version `{version}` in oci-layout"
    )))
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
        .filter(|bytes| {
            let stated = descriptor.size;
            stated.is_none_or(|size| u64::try_from(bytes.len()) == Ok(size))
        })
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
        for other in [r#"{"pages": []}"#, r#"{"manifests": null}"#] {
            let other = FakeArchive::new().file("index.json", other);
            assert!(matches!(Layout::open(&other), Ok(None)));
        }
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

    #[test]
    fn keys_that_readers_differ_about_are_malformed() {
        let index = r#"{"manifests": []}"#;
        for (marker, index) in [
            (
                r#"{"imageLayoutVersion": "1.0.0", "ImageLayoutVersion": "2"}"#,
                index,
            ),
            (MARKER, r#"{"manifests": [], "Manifests": []}"#),
            (MARKER, r#"{"manifests": [{"digest": "a", "Digest": "b"}]}"#),
        ] {
            let archive = FakeArchive::new()
                .file("oci-layout", marker)
                .file("index.json", index);
            let opened = Layout::open(&archive);
            assert!(
                matches!(&opened, Err(Error::Malformed(text)) if text.contains("readers differ")),
                "{opened:?}"
            );
        }
        let archive = FakeArchive::new()
            .file("oci-layout", r#"{"IMAGELAYOUTVERSION": "1.0.0"}"#)
            .file("index.json", r#"{"MANIFESTS": []}"#);
        assert!(matches!(Layout::open(&archive), Ok(Some(_))));
    }
}
