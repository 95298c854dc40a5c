//! What other tools make of an image, and where they are known to differ.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::archive::hex;
use crate::mount::{Nodes, nodes};
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

    /// Returns the paths that an entry of a layer is for.
    pub(crate) fn recorded(&self) -> BTreeSet<PathBuf> {
        let index = self.json("layout/index.json");
        let manifest = self.blob(index["manifests"][0]["digest"].as_str().unwrap());
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        let mut paths = BTreeSet::new();
        for layer in manifest["layers"].as_array().unwrap() {
            let bytes = self.blob(layer["digest"].as_str().unwrap());
            let plain = flate2::read::MultiGzDecoder::new(bytes.as_slice());
            paths.extend(entries(plain));
        }
        paths
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

/// Returns the paths in a layer as they are seen in a root directory.
fn entries(layer: impl Read) -> Vec<PathBuf> {
    tar::Archive::new(layer)
        .entries()
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let bytes = entry.path_bytes();
            Path::new(OsStr::from_bytes(&bytes))
                .components()
                .filter(|part| matches!(part, Component::Normal(_)))
                .collect()
        })
        .collect()
}

/// Makes directories that no layer has an entry for the same everywhere: no specification says
/// who owns them or what their time is, and each tool has its own idea. The root directory of most
/// images is one.
pub(crate) fn forget_unrecorded_directories(tree: &mut Nodes, recorded: &BTreeSet<PathBuf>) {
    for (path, node) in tree {
        if node.kind == "directory" && !recorded.contains(path) {
            node.mode = 0;
            node.owner = (0, 0);
            node.mtime = (0, 0);
        }
    }
}

/// Makes all times before 1970 the same: Docker and buildah unpack such files with the time 0.
pub(crate) fn forget_times_before_1970(tree: &mut Nodes) {
    for node in tree.values_mut() {
        node.mtime = node.mtime.max((0, 0));
    }
}
