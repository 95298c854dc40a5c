//! What containerd refers to of the names that were laid for it.
//!
//! Owns where the EROFS snapshotter keeps that: a symbolic link for each layer of a snapshot that was
//! found in a cache, and loop devices over them. Source: containerd 2.4, `plugins/snapshots/erofs`.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::ServeError;
use crate::fs;

/// Where the snapshotter keeps its state, within that of containerd.
const SNAPSHOTTER: &str = "io.containerd.snapshotter.v1.erofs";
/// Where it keeps its snapshots.
const SNAPSHOTS: &str = "snapshots";

/// The files that containerd refers to at one moment.
#[derive(Debug)]
pub(super) struct References {
    /// By their devices and inodes.
    files: HashSet<(u64, u64)>,
    /// By their names, which need not lead to anything.
    names: HashSet<PathBuf>,
}

impl References {
    /// Finds them in the state of containerd, or of its snapshotter.
    ///
    /// # Errors
    /// [`ServeError::NoContainerd`] if the directory holds no such state. What it refers to must be known
    /// before anything is removed.
    pub(super) fn find(root: &Path) -> Result<Self, ServeError> {
        let mut found = Self {
            files: HashSet::new(),
            names: HashSet::new(),
        };
        let is_there = |path: &Path| fs::is_there(path);
        let below = root.join(SNAPSHOTTER);
        let snapshots = [below.join(SNAPSHOTS), root.join(SNAPSHOTS)];
        let mut has_state = is_there(&below)?;
        for snapshots in snapshots {
            if !is_there(&snapshots)? {
                continue;
            }
            has_state = true;
            for snapshot in fs::entries(&snapshots)? {
                let snapshot = snapshot?.path();
                if !fs::link_metadata(&snapshot)?.is_dir() {
                    continue;
                }
                for file in fs::entries(&snapshot)? {
                    found.add(&file?.path());
                }
            }
        }
        if !has_state && !is_containerd(root)? {
            return Err(ServeError::NoContainerd {
                root: root.to_owned(),
            });
        }
        found.add_loop_devices();
        Ok(found)
    }

    /// Returns whether they have a file, by this name or another one.
    pub(super) fn contain(&self, path: &Path) -> bool {
        let is_it = |found: std::fs::Metadata| self.files.contains(&(found.dev(), found.ino()));
        self.names.contains(path) || fs::metadata(path).is_ok_and(is_it)
    }

    fn add(&mut self, link: &Path) {
        let Ok(target) = fs::read_link(link) else {
            return;
        };
        let target = fs::parent(link).join(target);
        if let Ok(found) = fs::metadata(&target) {
            self.files.insert((found.dev(), found.ino()));
        }
        if let (Ok(parent), Some(name)) =
            (fs::canonicalize(fs::parent(&target)), target.file_name())
        {
            self.names.insert(parent.join(name));
        }
        self.names.insert(target);
    }

    /// Adds what is mounted, also where the snapshot of it has gone.
    fn add_loop_devices(&mut self) {
        for device in fs::entries(Path::new("/sys/block")).into_iter().flatten() {
            let Ok(device) = device else {
                continue;
            };
            let file = fs::read_text(&device.path().join("loop/backing_file"));
            let Ok(file) = file else {
                continue;
            };
            let file = PathBuf::from(file.trim_end_matches('\n'));
            if let Ok(found) = fs::metadata(&file) {
                self.files.insert((found.dev(), found.ino()));
            }
            self.names.insert(file);
        }
    }
}

/// Returns whether a directory is that of a containerd which has not used the snapshotter yet.
fn is_containerd(root: &Path) -> Result<bool, ServeError> {
    if !fs::is_there(root)? {
        return Ok(false);
    }
    for entry in fs::entries(root)? {
        let name = entry?.file_name();
        if name.to_string_lossy().starts_with("io.containerd.") {
            return Ok(true);
        }
    }
    Ok(false)
}
