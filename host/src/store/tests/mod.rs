//! Tests of the store, and what tests of the use cases share with them.

mod carry;
mod crash;
mod find;
mod foreign;
mod format2;
mod leases;
mod locks;
mod open;
mod proof;
mod publish;
mod restore;
mod room;
mod sidecars;

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::*;
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::home::Home;
use crate::layer::{Dependence, ImageRemainder};
use crate::platform::Platform;
use crate::progress::Silent;
use crate::reference::Reference;

/// A store in a directory of its own.
pub(crate) struct TestStore {
    directory: TempDir,
    pub(crate) store: Store,
}

impl TestStore {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Home::at(directory.path())).unwrap();
        Self { directory, store }
    }

    /// Opens the store once more, as another process would.
    pub(crate) fn again(&self) -> Store {
        Store::open(self.store.home()).unwrap()
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    /// Adds an image; its layers are named by their contents, the image by its label.
    pub(crate) fn add(&self, label: &str, layers: &[&str], references: &[&str]) -> NewImage {
        add(&self.store, label, layers, references)
    }

    pub(crate) fn names(&self, below: &str) -> Vec<String> {
        names(&self.path(below))
    }

    /// The bytes of disk that everything in the directories below a directory takes.
    pub(crate) fn disk_size(&self, below: &str) -> u64 {
        walkdir::WalkDir::new(self.path(below))
            .min_depth(2)
            .into_iter()
            .map(|entry| entry.unwrap().metadata().unwrap().blocks() * 512)
            .sum()
    }
}

pub(crate) fn add(store: &Store, label: &str, layers: &[&str], references: &[&str]) -> NewImage {
    let staging = store.staging(&Cancel::default()).unwrap();
    let _pins = pin(store, layers);
    let staged: Vec<_> = layers.iter().map(|layer| stage(&staging, layer)).collect();
    store.publish(&staged, false).unwrap();
    let image = image(label, layers);
    store.record(&image, &parsed(references)).unwrap();
    image
}

/// Pins layers, which are named by their contents.
pub(crate) fn pin(store: &Store, layers: &[&str]) -> LayerPins {
    let diff_ids: Vec<Digest> = layers.iter().map(|it| key(it).diff_id).collect();
    store
        .pin_layers(&diff_ids, &Silent, &Cancel::default())
        .unwrap()
}

pub(crate) fn stage(staging: &Staging, content: &str) -> (StagedLayer, LayerFacts) {
    let layer = staging.create_layer().unwrap();
    let (mut erofs, mut recipe) = layer.files().unwrap();
    write!(erofs, "image of {content}").unwrap();
    write!(recipe, "recipe of {content}").unwrap();
    let facts = LayerFacts {
        key: key(content),
        tar_size: 10,
        entries: 1,
        dependence: Dependence::empty(),
        remainder: ImageRemainder {
            start: 4096,
            digest: Digest::of(b"rest"),
        },
        recipe_digest: Digest::of(format!("recipe of {content}").as_bytes()),
    };
    (layer, facts)
}

/// The key of the layer with these contents.
pub(crate) fn key(content: &str) -> LayerKey {
    LayerKey::plain(Digest::of(content.as_bytes()))
}

pub(crate) fn image(label: &str, layers: &[&str]) -> NewImage {
    let config = format!(r#"{{"config": {{"Labels": {{"name": "{label}"}}}}}}"#).into_bytes();
    let manifest = format!("manifest of {label}").into_bytes();
    NewImage {
        manifest_digest: Digest::of(&manifest),
        manifest,
        manifest_media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        config_digest: Digest::of(&config),
        config,
        platform: Platform::new("linux", "amd64", None),
        layers: layers
            .iter()
            .map(|layer| NewImageLayer {
                key: key(layer),
                blob_digest: Digest::of(format!("blob of {layer} in {label}").as_bytes()),
                media_type: "application/vnd.oci.image.layer.v1.tar+gzip".to_owned(),
                compressed_size: 100,
            })
            .collect(),
        indexes: Vec::new(),
        supersedes: Vec::new(),
    }
}

pub(crate) fn parsed(references: &[&str]) -> Vec<Reference> {
    references
        .iter()
        .map(|reference| reference.parse().unwrap())
        .collect()
}

/// The name of a layer's file: `layer_file("a", "erofs")`.
pub(crate) fn layer_file(content: &str, extension: &str) -> String {
    format!("{}.{extension}", Digest::of(content.as_bytes()).file_stem())
}

/// The names in a directory, sorted; none if it is not there.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .map(|entries| {
            entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect()
        })
        .unwrap_or_default();
    names.sort();
    names
}

/// Whether all that an image needs is there and whole.
fn is_whole(store: &Store, image: &ImageRecord) -> bool {
    store.blob(&image.digest).is_ok()
        && store.blob(&image.config_digest).is_ok()
        && image.layers.iter().all(|layer| {
            store
                .layer(&layer.key)
                .unwrap()
                .is_some_and(|layer| layer.open_erofs().is_ok() && layer.open_recipe().is_ok())
        })
}

const CHILD: &str = "MSB_TEST_CHILD";

/// Runs a test once more in a process of its own, where it gets `Some` argument, and returns that
/// process's way to end.
fn child(
    test: &str,
    argument: &Path,
    prepare: impl FnOnce(&mut Command),
) -> std::process::ExitStatus {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let (_, module) = module_path!().split_once("::").unwrap();
    command
        .args([&format!("{module}::{test}"), "--exact", "--nocapture"])
        .env(CHILD, argument);
    prepare(&mut command);
    command.status().unwrap()
}

/// The argument of the process that [`child`] started.
fn child_argument() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}
