//! What a directory holds, as the kernel shows it: the common ground of all comparisons.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::archive::sha256;
use crate::env::TestEnv;
use crate::tools::run;

/// A mounted image; unmounted when dropped.
pub(crate) struct Mounted {
    directory: TempDir,
    /// The loop devices of its devices.
    loops: Vec<String>,
}

impl Mounted {
    /// Mounts an EROFS image read-only through a loop device. `fsck.erofs` has to find nothing
    /// wrong with it.
    pub(crate) fn erofs(image: &Path) -> Self {
        run(Command::new("fsck.erofs").arg(image));
        Self::erofs_unchecked(image)
    }

    /// Mounts an EROFS image whose files have their data on other devices, which are files here.
    pub(crate) fn erofs_with_devices(image: &Path, devices: &[PathBuf]) -> Self {
        let given = devices
            .iter()
            .map(|path| format!("--device={}", path.display()));
        run(Command::new("fsck.erofs")
            .arg("--extract")
            .args(given)
            .arg(image));
        let attach = |path: &PathBuf| {
            let mut losetup = Command::new("losetup");
            losetup.args(["--read-only", "--find", "--show"]).arg(path);
            run(&mut losetup).trim().to_owned()
        };
        let loops: Vec<String> = devices.iter().map(attach).collect();
        let mut options = vec!["ro".to_owned(), "loop".to_owned()];
        options.extend(loops.iter().map(|path| format!("device={path}")));
        let mounted = Self {
            directory: tempfile::tempdir().unwrap(),
            loops,
        };
        run(Command::new("mount")
            .args(["-t", "erofs", "-o", &options.join(",")])
            .arg(image)
            .arg(mounted.path()));
        mounted
    }

    /// Mounts the merged root filesystem of an image of a store.
    pub(crate) fn merged(env: &TestEnv, image: &str) -> Self {
        // It is made when it is first wanted, for a disk that refers to it for instance.
        env.msb(&format!("image disk {image} --quiet -o merged.vmdk"))
            .success();
        std::fs::remove_file(env.path("merged.vmdk")).unwrap();
        let details = env.json(&format!("image inspect {image} --format json"));
        let path = |value: &Value| PathBuf::from(value["path"].as_str().unwrap());
        let merged = &details["merged"];
        let devices = merged["devices"].as_array().unwrap();
        let devices: Vec<PathBuf> = devices.iter().map(path).collect();
        Self::erofs_with_devices(&path(merged), &devices)
    }

    /// Mounts an EROFS image that `fsck.erofs` cannot check.
    pub(crate) fn erofs_unchecked(image: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        run(Command::new("mount")
            .args(["-t", "erofs", "-o", "ro,loop"])
            .arg(image)
            .arg(directory.path()));
        Self::at(directory)
    }

    /// Mounts an empty filesystem in memory of that many bytes.
    pub(crate) fn tmpfs(bytes: u64) -> Self {
        Self::tmpfs_with(&format!("size={bytes}"))
    }

    /// Mounts an empty filesystem in memory with such options.
    pub(crate) fn tmpfs_with(options: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(directory.path()));
        Self::at(directory)
    }

    /// Mounts an empty ext4 of that many bytes, with room for so many files, none of it for root
    /// alone.
    pub(crate) fn ext4(bytes: u64, files: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let disk = tempfile::NamedTempFile::new().unwrap();
        disk.as_file().set_len(bytes).unwrap();
        run(Command::new("mkfs.ext4")
            .args(["-q", "-m", "0", "-N", &files.to_string()])
            .arg(disk.path()));
        // The loop device keeps the file.
        run(Command::new("mount")
            .args(["-o", "loop"])
            .arg(disk.path())
            .arg(directory.path()));
        Self::at(directory)
    }

    /// Mounts an empty XFS of the least size that it may have, whose files can share blocks.
    pub(crate) fn xfs() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let disk = tempfile::NamedTempFile::new().unwrap();
        disk.as_file().set_len(300 << 20).unwrap();
        run(Command::new("mkfs.xfs").arg("-q").arg(disk.path()));
        // The loop device keeps the file.
        run(Command::new("mount")
            .args(["-o", "loop"])
            .arg(disk.path())
            .arg(directory.path()));
        Self::at(directory)
    }

    /// Mounts layers over each other as overlayfs does for a container, the bottom one first.
    pub(crate) fn overlay(layers: &[impl AsRef<Path>]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let lower: Vec<String> = layers
            .iter()
            .rev()
            .map(|layer| layer.as_ref().display().to_string())
            .collect();
        // Overlayfs wants two layers at least.
        let options = format!(
            "ro,lowerdir={}:{}",
            lower.join(":"),
            directory.path().display()
        );
        run(Command::new("mount")
            .args(["-t", "overlay", "overlay", "-o", &options])
            .arg(directory.path()));
        Self::at(directory)
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    fn at(directory: TempDir) -> Self {
        Self {
            directory,
            loops: Vec::new(),
        }
    }
}

impl AsRef<Path> for Mounted {
    fn as_ref(&self) -> &Path {
        self.path()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.directory.path()).status();
        for device in &self.loops {
            let _ = Command::new("losetup").args(["-d", device]).status();
        }
    }
}

/// Unpacks a tar as root does who wants all of it.
pub(crate) fn unpacked(tar: &Path) -> Mounted {
    let unpacked = Mounted::tmpfs(4 << 30);
    run(Command::new("tar")
        .args([
            "--extract",
            "--same-permissions",
            "--same-owner",
            "--numeric-owner",
        ])
        .args(["--xattrs", "--xattrs-include=*", "--acls", "--file"])
        .arg(tar)
        .arg("--directory")
        .arg(unpacked.path()));
    unpacked
}

/// One inode as `lstat`, `readlink`, `getxattr` and `read` show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) kind: &'static str,
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) mtime: (i64, i64),
    pub(crate) device: u64,
    /// Digest of a file, target of a link.
    pub(crate) contents: String,
    pub(crate) size: u64,
    pub(crate) xattrs: BTreeMap<String, Vec<u8>>,
    /// The first path of the same inode, where that is another one: a hard link.
    pub(crate) link_to: Option<PathBuf>,
}

/// A directory tree by path, the root being the empty path.
pub(crate) type Nodes = BTreeMap<PathBuf, Node>;

/// Reads all of a directory.
pub(crate) fn nodes(root: &Path) -> Nodes {
    let mut first_paths = BTreeMap::new();
    walkdir::WalkDir::new(root)
        .sort_by_file_name()
        .into_iter()
        .map(|entry| {
            let entry = entry.unwrap();
            let path = entry.path();
            let relative = path.strip_prefix(root).unwrap().to_owned();
            let metadata = path.symlink_metadata().unwrap();
            let file_type = metadata.file_type();
            let (kind, contents) = if file_type.is_dir() {
                ("directory", String::new())
            } else if file_type.is_file() {
                ("file", sha256(&std::fs::read(path).unwrap()))
            } else if file_type.is_symlink() {
                let target = std::fs::read_link(path).unwrap();
                (
                    "symlink",
                    target.as_os_str().as_bytes().escape_ascii().to_string(),
                )
            } else if file_type.is_char_device() {
                ("char device", String::new())
            } else if file_type.is_block_device() {
                ("block device", String::new())
            } else {
                ("pipe or socket", String::new())
            };
            let is_device = kind.ends_with("device");
            let first = first_paths
                .entry((metadata.dev(), metadata.ino()))
                .or_insert_with(|| relative.clone());
            let link_to = Some(first.clone()).filter(|first| *first != relative);
            let node = Node {
                kind,
                // Linux has no use for the mode of a link, and tar cannot set it.
                mode: if kind == "symlink" {
                    0
                } else {
                    metadata.mode() & 0o7777
                },
                owner: (metadata.uid(), metadata.gid()),
                mtime: (metadata.mtime(), metadata.mtime_nsec()),
                device: if is_device { metadata.rdev() } else { 0 },
                contents,
                size: if kind == "file" { metadata.len() } else { 0 },
                xattrs: xattrs(path),
                link_to,
            };
            (relative, node)
        })
        .collect()
}

fn xattrs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    xattr::list(path)
        .unwrap()
        .map(|name| {
            let value = xattr::get(path, &name).unwrap().unwrap_or_default();
            (name.to_string_lossy().into_owned(), value)
        })
        .collect()
}

/// Turns what GNU tar makes of a layer into what overlayfs wants: markers into whiteouts. Returns
/// the names of what only markers were about.
pub(crate) fn overlay_form(extracted: &Nodes) -> Nodes {
    let mut nodes = Nodes::new();
    let mut markers = Vec::new();
    for (path, node) in extracted {
        match marker(path) {
            Some(victim) => markers.push((path.parent().unwrap().to_owned(), victim)),
            None => {
                nodes.insert(path.clone(), node.clone());
            }
        }
    }
    let opaque: Vec<PathBuf> = markers
        .iter()
        .filter(|(_, victim)| *victim == ".wh..opq")
        .map(|(parent, _)| parent.clone())
        .collect();
    for (parent, victim) in markers {
        if opaque.contains(&parent) {
            if let Some(node) = nodes.get_mut(&parent) {
                node.xattrs
                    .insert("trusted.overlay.opaque".to_owned(), b"y".to_vec());
            }
            continue;
        }
        if victim.as_bytes().starts_with(b".wh.") {
            continue;
        }
        let path = parent.join(victim);
        if let Some(node) = nodes.get_mut(&path) {
            if node.kind == "directory" {
                node.xattrs
                    .insert("trusted.overlay.opaque".to_owned(), b"y".to_vec());
            }
            continue;
        }
        if let Some(node) = nodes.get_mut(&parent) {
            node.xattrs
                .insert("trusted.overlay.origin".to_owned(), Vec::new());
        }
        let whiteout = Node {
            kind: "char device",
            mode: 0,
            owner: (0, 0),
            mtime: (0, 0),
            device: 0,
            contents: String::new(),
            size: 0,
            xattrs: BTreeMap::new(),
            link_to: None,
        };
        nodes.insert(path, whiteout);
    }
    nodes
}

/// Returns what a marker hides, if a path is one.
pub(crate) fn marker(path: &Path) -> Option<&OsStr> {
    let name = path.file_name()?.as_bytes();
    name.strip_prefix(b".wh.").map(OsStr::from_bytes)
}

/// Asserts that two trees are equal, and says which inodes are not.
#[track_caller]
pub(crate) fn assert_same(ours: &Nodes, theirs: &Nodes, what: &str) {
    let mut differences = Vec::new();
    for path in ours.keys().chain(theirs.keys()).collect::<BTreeSet<_>>() {
        let (our, their) = (ours.get(path), theirs.get(path));
        if our != their {
            differences.push(format!(
                "{}:\n  ours   {our:?}\n  theirs {their:?}",
                path.display()
            ));
        }
    }
    assert!(
        differences.is_empty(),
        "{what}: {} differences\n{}",
        differences.len(),
        differences[..differences.len().min(8)].join("\n")
    );
}
