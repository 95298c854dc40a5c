//! What other tools make of an image, and where they are known to differ.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::archive::hex;
use crate::mount::{Nodes, marker, nodes};
use crate::tools::run;

/// An image in an OCI layout of plain gzip layers, which every tool reads.
pub(crate) struct Layout {
    directory: TempDir,
}

impl Layout {
    /// Copies an image with skopeo, if skopeo can.
    pub(crate) fn copy(transport: &str, archive: &Path, platform: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        let plain = format!("docker-archive:{}:copied:1", path("plain.tar"));
        let steps = [
            // The layers of this form are not compressed, so whatever they were is undone.
            (format!("{transport}:{}", archive.display()), plain.clone()),
            (plain, format!("oci:{}:1", path("layout"))),
        ];
        let copied = steps.iter().all(|(from, to)| {
            Command::new("skopeo")
                .args(["copy", "--quiet", "--insecure-policy"])
                .args(["--override-os=linux", "--override-arch", platform])
                .args([from, to])
                .output()
                .unwrap()
                .status
                .success()
        });
        copied.then_some(Self { directory })
    }

    /// Unpacks the image with umoci.
    pub(crate) fn unpacked(&self) -> Nodes {
        let rootfs = self.directory.path().join("rootfs");
        run(Command::new("umoci")
            .args(["raw", "unpack", "--image"])
            .arg(format!("{}:1", self.path("layout").display()))
            .arg(&rootfs));
        nodes(&rootfs)
    }

    /// Returns the directories that an entry describes, of those that the image still has.
    pub(crate) fn described(&self) -> BTreeSet<PathBuf> {
        let index = self.json("layout/index.json");
        let manifest = self.blob(index["manifests"][0]["digest"].as_str().unwrap());
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        let mut described = BTreeSet::new();
        for layer in manifest["layers"].as_array().unwrap() {
            let bytes = self.blob(layer["digest"].as_str().unwrap());
            let plain = flate2::read::MultiGzDecoder::new(bytes.as_slice());
            describe(&mut described, &entries(plain));
        }
        described
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }

    fn blob(&self, digest: &str) -> Vec<u8> {
        let name = format!("layout/blobs/sha256/{}", hex(digest));
        std::fs::read(self.path(&name)).unwrap()
    }
}

/// Returns the paths in a layer as they are seen in a root directory, and which are directories.
fn entries(layer: impl Read) -> Vec<(PathBuf, bool)> {
    tar::Archive::new(layer)
        .entries()
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let bytes = entry.path_bytes();
            let path = Path::new(OsStr::from_bytes(&bytes))
                .components()
                .filter(|part| matches!(part, Component::Normal(_)))
                .collect();
            (path, entry.header().entry_type().is_dir())
        })
        .collect()
}

/// Applies a layer to the set of directories that entries describe.
fn describe(described: &mut BTreeSet<PathBuf>, layer: &[(PathBuf, bool)]) {
    for (path, _) in layer {
        let Some(victim) = marker(path) else {
            continue;
        };
        let parent = path.parent().unwrap();
        if victim == ".wh..opq" {
            described.retain(|path| path == parent || !path.starts_with(parent));
        } else {
            let victim = parent.join(victim);
            described.retain(|path| !path.starts_with(&victim));
        }
    }
    for (path, is_directory) in layer {
        if *is_directory {
            described.insert(path.clone());
        } else if described.contains(path) {
            described.retain(|other| !other.starts_with(path));
        }
    }
}

/// Makes directories that no entry describes the same everywhere: no specification says who owns
/// them or what their time is, and each tool has its own idea. The root of most images is one.
pub(crate) fn forget_undescribed(tree: &mut Nodes, described: &BTreeSet<PathBuf>) {
    for (path, node) in tree {
        if node.kind == "directory" && !described.contains(path) {
            node.mode = 0;
            node.owner = (0, 0);
            node.mtime = (0, 0);
        }
    }
}

/// Makes the times of directories in which an undescribed one lies the same: umoci keeps a
/// directory's time when it adds a file, not when it has to make the file's parents.
pub(crate) fn forget_times_around_undescribed(tree: &mut Nodes, described: &BTreeSet<PathBuf>) {
    let around: BTreeSet<PathBuf> = tree
        .iter()
        .filter(|(path, node)| node.kind == "directory" && !described.contains(*path))
        .filter_map(|(path, _)| path.parent().map(Path::to_owned))
        .collect();
    for path in around {
        if let Some(node) = tree.get_mut(&path) {
            node.mtime = (0, 0);
        }
    }
}

/// Keeps hard links only between paths of the same layer: umoci unpacks into one directory, where
/// a file of an upper layer can be one with a file of a lower; layers mounted over each other are
/// filesystems of their own.
pub(crate) fn forget_links_between_layers(
    tree: &mut Nodes,
    layer_of: impl Fn(&Path) -> Option<usize>,
) {
    let mut first_paths = BTreeMap::new();
    for (path, node) in tree {
        let linked = node.link_to.as_ref().unwrap_or(path).clone();
        let first = first_paths
            .entry((linked, layer_of(path)))
            .or_insert_with(|| path.clone());
        node.link_to = Some(first.clone()).filter(|first| first != path);
    }
}

/// Removes extended attributes that have no value: Go's reader of tars, which umoci is built on,
/// takes such a record for none at all. GNU tar and the kernel know them.
pub(crate) fn forget_attributes_without_value(tree: &mut Nodes) {
    for node in tree.values_mut() {
        node.xattrs.retain(|_, value| !value.is_empty());
    }
}

/// Makes all times before 1970 the same: Docker and buildah unpack such files with the time 0.
pub(crate) fn forget_times_before_1970(tree: &mut Nodes) {
    for node in tree.values_mut() {
        node.mtime = node.mtime.max((0, 0));
    }
}
