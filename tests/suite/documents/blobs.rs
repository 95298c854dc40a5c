//! The same documents in an archive and in a registry, and what `load` and `pull` make of them.

use serde_json::{Value, json};

use super::MANIFEST;
use crate::archive::{Files, Image, archive, descriptor, hex, sha256};
use crate::env::TestEnv;
use crate::faulty::Registry;

/// Blobs that a registry serves and an archive has.
#[derive(Default)]
pub(crate) struct Blobs(Vec<Vec<u8>>);

impl Blobs {
    pub(crate) fn add(&mut self, bytes: &[u8]) -> String {
        self.0.push(bytes.to_vec());
        sha256(bytes)
    }

    /// Adds the blobs of an image and its manifest, and returns the entry of an index for it.
    pub(crate) fn add_image(&mut self, image: &Image, manifest: &Value) -> Value {
        self.add(&image.config_bytes());
        for layer in &image.layers {
            self.add(layer);
        }
        self.add_document(manifest)
    }

    /// Adds a manifest or an index, and returns the entry of an index for it.
    pub(crate) fn add_document(&mut self, document: &Value) -> Value {
        let bytes = serde_json::to_vec(document).unwrap();
        self.add(&bytes);
        descriptor(document["mediaType"].as_str().unwrap_or(MANIFEST), &bytes)
    }

    /// Returns an OCI layout in which `entry` is called `app:1`.
    pub(crate) fn layout(&self, entry: &Value) -> Vec<u8> {
        let mut entry = entry.clone();
        entry["annotations"] = json!({"io.containerd.image.name": "app:1"});
        let index = json!({"schemaVersion": 2, "manifests": [entry]});
        let mut files: Files = vec![
            (
                "oci-layout".to_owned(),
                br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
            ),
            ("index.json".to_owned(), serde_json::to_vec(&index).unwrap()),
        ];
        for blob in &self.0 {
            files.push((format!("blobs/sha256/{}", hex(&sha256(blob))), blob.clone()));
        }
        archive(&files)
    }

    /// Serves `entry` as `app:1` and returns its reference.
    pub(crate) fn serve(&self, registry: &Registry, entry: &Value) -> String {
        for blob in &self.0 {
            registry.put_blob(blob);
            registry.put_document("app", &sha256(blob), MANIFEST, blob);
        }
        let wanted = entry["digest"].as_str().unwrap();
        let top = self.0.iter().find(|blob| sha256(blob) == wanted).unwrap();
        let media_type = entry["mediaType"].as_str().unwrap();
        registry.put_document("app", "1", media_type, top);
        for blob in &self.0 {
            let own = serde_json::from_slice::<Value>(blob).unwrap_or_default();
            if let Some(own) = own["mediaType"].as_str() {
                registry.put_document("app", &sha256(blob), own, blob);
            }
        }
        format!("{}/app:1", registry.host())
    }
}

/// What a command made of an image: its ID, or the words of its error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Image(String),
    Nothing(String),
}

/// Where images are loaded to and pulled to. One for many images: the plugins are compiled once.
pub(super) struct Homes {
    loads: TestEnv,
    pulls: TestEnv,
    registry: Registry,
}

impl Homes {
    pub(super) fn new() -> Self {
        Self {
            loads: TestEnv::new(),
            pulls: TestEnv::new(),
            registry: Registry::start(),
        }
    }

    /// Loads and pulls the same entry.
    pub(super) fn load_and_pull(&self, blobs: &Blobs, entry: &Value, options: &str) -> [Seen; 2] {
        let seen = |env: &TestEnv, line: &str, name: &str| {
            env.msb(&format!("rmi --force {name}"));
            let run = env.msb(&format!("{line} {options}"));
            env.assert_nothing_in_flight();
            if run.code == Some(0) {
                let shown = env.json(&format!("image inspect {name} --format json"));
                return Seen::Image(shown["id"].as_str().unwrap().to_owned());
            }
            Seen::Nothing(run.failure(&[]).stderr)
        };
        self.loads.write("in.tar", &blobs.layout(entry));
        let name = blobs.serve(&self.registry, entry);
        [
            seen(&self.loads, "load -i in.tar", "app:1"),
            seen(&self.pulls, &format!("pull {name}"), &name),
        ]
    }
}
