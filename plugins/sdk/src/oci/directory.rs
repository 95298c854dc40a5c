//! The directories of the transport `dir:` of skopeo and podman: `manifest.json` is the manifest of
//! an image or an index, next to it lie the blobs under their digests. Source: containers-image
//! `directory/directory_transport.go`.
//!
//! Owns the other names of the files. What is in the documents is the same as in a layout.

use serde_json::Value;

use super::layout::blob_path;
use super::{Descriptor, INDEX_LIMIT, Images, Index, walk};
use crate::{Archive, Entry, Error, sha256};

/// How the file `version` begins.
const VERSION: &str = "Directory Transport Version: ";
/// The versions that are known; 1.2 has digests of other kinds than SHA-256.
const VERSIONS: &str = "1.";
/// More than a version is long.
const VERSION_LIMIT: u64 = 4096;

/// An archive that is such a directory.
#[derive(Debug)]
pub struct Directory {
    manifest: Entry,
    descriptor: Descriptor,
}

impl Directory {
    /// Returns the directory that an archive is; `None` if it is something else.
    ///
    /// The file `version` may be missing, as it was in those of the first writers.
    pub fn open(archive: &dyn Archive) -> Result<Option<Self>, Error> {
        let Some(manifest) = archive.find("manifest.json") else {
            return Ok(None);
        };
        if let Some(version) = archive.find("version") {
            let text = archive.read_all(&version, VERSION_LIMIT)?;
            let text = String::from_utf8_lossy(&text);
            match text.trim().strip_prefix(VERSION) {
                Some(version) if !version.starts_with(VERSIONS) => {
                    return Err(Error::Unsupported(format!(
                        "the version `{version}` of a directory of skopeo"
                    )));
                }
                Some(_) => {}
                None => return Ok(None),
            }
        }
        let bytes = archive.read_all(&manifest, INDEX_LIMIT)?;
        let Ok(Value::Object(document)) = serde_json::from_slice(&bytes) else {
            return Ok(None);
        };
        // What `docker save` writes is a list; other files of this name are not about images.
        if !document.contains_key("schemaVersion") {
            return Ok(None);
        }
        let media_type = document.get("mediaType").and_then(Value::as_str);
        let descriptor = Descriptor {
            media_type: media_type.unwrap_or_default().to_owned(),
            digest: sha256(&bytes),
            size: u64::try_from(bytes.len()).ok(),
            ..Descriptor::default()
        };
        Ok(Some(Self {
            manifest,
            descriptor,
        }))
    }

    /// Returns the images in the directory. None of them has a name.
    pub fn images(&self, archive: &dyn Archive) -> Result<Images, Error> {
        let index = Index {
            manifests: vec![self.descriptor.clone()],
            ..Index::default()
        };
        let layout = AsLayout {
            directory: self,
            archive,
        };
        walk::images(&layout, &index, None)
    }
}

/// The directory under the names that a layout has for its blobs.
struct AsLayout<'a> {
    directory: &'a Directory,
    archive: &'a dyn Archive,
}

impl Archive for AsLayout<'_> {
    fn entries(&self) -> Box<dyn Iterator<Item = Entry> + '_> {
        self.archive.entries()
    }

    fn find(&self, path: &str) -> Option<Entry> {
        if path == blob_path(&self.directory.descriptor.digest) {
            return Some(self.directory.manifest.clone());
        }
        let (algorithm, value) = path.strip_prefix("blobs/")?.split_once('/')?;
        let name = match algorithm {
            "sha256" => value.to_owned(),
            algorithm => format!("{algorithm}-{value}"),
        };
        self.archive
            .find(&name)
            .or_else(|| self.archive.find(&format!("{name}.manifest.json")))
    }

    fn read(&self, index: u32, offset: u64, length: u32) -> Result<Vec<u8>, Error> {
        self.archive.read(index, offset, length)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::super::media_type::{DOCKER_MANIFEST, INDEX, MANIFEST};
    use super::*;
    use crate::fake::FakeArchive;
    use crate::{Document, LayerData};

    const CONFIG: &str = "the configuration";
    const LAYER: &str = "the layer";

    fn descriptor(contents: &str) -> Value {
        json!({"digest": sha256(contents.as_bytes()), "size": contents.len()})
    }

    fn manifest(media_type: &str) -> String {
        json!({
            "schemaVersion": 2, "mediaType": media_type,
            "config": descriptor(CONFIG), "layers": [descriptor(LAYER)],
        })
        .to_string()
    }

    fn hex(contents: &str) -> String {
        sha256(contents.as_bytes()).replace("sha256:", "")
    }

    fn directory(manifest: &str) -> FakeArchive {
        FakeArchive::new()
            .file("version", "Directory Transport Version: 1.1\n")
            .file("manifest.json", manifest)
            .file(&hex(CONFIG), CONFIG)
            .file(&hex(LAYER), LAYER)
    }

    #[test]
    fn an_image_is_put_together_from_files_that_are_named_by_digest() {
        for media_type in [MANIFEST, DOCKER_MANIFEST, ""] {
            let manifest = manifest(media_type);
            let archive = directory(&manifest);
            let images = Directory::open(&archive).unwrap().unwrap();
            let images = images.images(&archive).unwrap();
            let [found] = images.found.as_slice() else {
                panic!("{images:?}");
            };
            let image = &found.image;
            assert_eq!(image.manifest_digest, Some(sha256(manifest.as_bytes())));
            let index = |path: &str| archive.index_of(path).unwrap();
            assert_eq!(
                image.manifest,
                Some(Document::Entry(index("manifest.json")))
            );
            assert_eq!(image.config, Document::Entry(index(&hex(CONFIG))));
            let layer = LayerData::Entry(index(&hex(LAYER)));
            assert_eq!(image.layers[0].data, layer);
            assert_eq!(image.references, Vec::<String>::new());
        }
    }

    #[test]
    fn the_manifests_of_an_index_have_an_ending() {
        let manifest = manifest(MANIFEST);
        let mut entry = descriptor(&manifest);
        entry["mediaType"] = json!(MANIFEST);
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]});
        let archive = directory(&index.to_string())
            .file(&format!("{}.manifest.json", hex(&manifest)), &manifest);
        let images = Directory::open(&archive).unwrap().unwrap();
        assert_eq!(images.images(&archive).unwrap().found.len(), 1);
    }

    #[test]
    fn other_archives_with_a_manifest_are_none() {
        for archive in [
            FakeArchive::new(),
            FakeArchive::new().file("manifest.json", "[]"),
            FakeArchive::new().file("manifest.json", "{}"),
            FakeArchive::new().file("manifest.json", "{nonsense"),
            directory(&manifest(MANIFEST)).file("version", "7"),
        ] {
            assert!(matches!(Directory::open(&archive), Ok(None)));
        }
        let later = FakeArchive::new()
            .file("version", "Directory Transport Version: 2.0")
            .file("manifest.json", manifest(MANIFEST));
        assert!(matches!(
            Directory::open(&later),
            Err(Error::Unsupported(_))
        ));
    }
}
