//! What the kernel makes of layers that lie on each other.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;

/// Mounted filesystems in a directory, taken down in reverse order.
struct Stack {
    directory: tempfile::TempDir,
    mounted: Vec<PathBuf>,
}

impl Stack {
    /// Mounts layers on each other, the first at the bottom. `None` where that cannot be done.
    fn new(layers: &[&str]) -> Option<Self> {
        let filesystems = fs::read_to_string("/proc/filesystems").unwrap_or_default();
        let known = |name: &str| filesystems.contains(&format!("\t{name}\n"));
        if !rustix::process::geteuid().is_root() || !known("erofs") || !known("overlay") {
            skip("mounting needs root, EROFS and overlayfs");
            return None;
        }
        let mut stack = Self {
            directory: tempfile::tempdir().unwrap(),
            mounted: Vec::new(),
        };
        let mut lower = Vec::new();
        // Overlayfs wants two layers at least.
        for (number, text) in std::iter::once(&"").chain(layers).enumerate() {
            let layer = convert_tar(&tar(text)).unwrap();
            let image = stack.path(&format!("{number}.erofs"));
            fs::write(&image, bytes_of(&layer.converted.erofs)).unwrap();
            let place = stack.path(&number.to_string());
            stack.mount(&["-t", "erofs", "-o", "loop,ro"], &image, &place);
            lower.insert(0, place.to_str().unwrap().to_owned());
        }
        let options = format!("ro,lowerdir={}", lower.join(":"));
        let root = stack.root();
        stack.mount(
            &["-t", "overlay", "-o", &options],
            Path::new("overlay"),
            &root,
        );
        Some(stack)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn root(&self) -> PathBuf {
        self.path("root")
    }

    fn mount(&mut self, options: &[&str], what: &Path, place: &Path) {
        fs::create_dir(place).unwrap();
        let output = Command::new("mount")
            .args(options)
            .args([what, place])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        self.mounted.push(place.into());
    }

    /// Returns all paths, as directories list them, and the contents of files.
    fn list(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open = vec![self.root()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let entry = entry.unwrap();
                let path = entry.path();
                let name = path.strip_prefix(self.root()).unwrap().display();
                // What a directory lists has to be there, and not be a whiteout.
                let kind = fs::symlink_metadata(&path).unwrap().file_type();
                if kind.is_dir() {
                    found.insert(format!("{name}/"));
                    open.push(path);
                } else if kind.is_file() {
                    let data = fs::read_to_string(&path).unwrap();
                    found.insert(format!("{name}={data}"));
                } else {
                    found.insert(format!("{name} ({kind:?})"));
                }
            }
        }
        found
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        for place in self.mounted.iter().rev() {
            let _ = Command::new("umount").arg(place).status();
        }
    }
}

/// Returns what [`Stack::list`] does of the same layers, merged by msb itself.
fn merged_list(layers: &[&str]) -> BTreeSet<String> {
    let images: Vec<File> = layers
        .iter()
        .map(|text| convert_tar(&tar(text)).unwrap().converted.erofs)
        .collect();
    let tree = super::merge::merged(&images);
    let mut found = BTreeSet::new();
    let budget = Budget::new(&Limits::default());
    let visited = tree.each(&budget, &Cancel::default(), &mut |node| {
        let path = String::from_utf8_lossy(node.path);
        let mut text = String::new();
        match node.kind {
            _ if path.is_empty() => return Ok::<(), LayerError>(()),
            MergedKind::Directory => {
                found.insert(format!("{path}/"));
                return Ok(());
            }
            MergedKind::File(mut file) => drop(file.read_to_string(&mut text).unwrap()),
            MergedKind::Hardlink(first) => {
                let first = tree.find(first, false).unwrap().unwrap();
                let mut file = tree.open(first).unwrap();
                file.read_to_string(&mut text).unwrap();
            }
            _ => {}
        }
        found.insert(format!("{path}={text}"));
        Ok(())
    });
    visited.unwrap();
    found
}

#[track_caller]
fn assert_stack(layers: &[&str], expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|line| (*line).to_owned()).collect();
    assert_eq!(merged_list(layers), expected);
    if let Some(stack) = Stack::new(layers) {
        assert_eq!(stack.list(), expected);
    }
}

#[test]
fn whiteouts_hide_files_and_directories_of_the_layers_below() {
    assert_stack(
        &[
            "file a data=1\nfile b data=1\nfile d/x data=1\nfile e/y data=1",
            "file .wh.a\nfile .wh.d\nfile e/.wh.y\nfile e/z data=2",
        ],
        &["b=1", "e/", "e/z=2"],
    );
}

#[test]
fn whiteouts_in_a_directory_of_one_layer_are_not_listed() {
    assert_stack(
        &[
            "dir d\nfile d/.wh.a\nfile d/b data=1\nfile d/e/.wh.c",
            "file f data=2",
        ],
        &["d/", "d/b=1", "d/e/", "f=2"],
    );
}

#[test]
fn case_80_what_opaque_directories_hide_stays_hidden() {
    assert_stack(
        &[
            "file d/old data=1\nfile d/e/old data=1",
            "file d/.wh..wh..opq\nfile d/e/.wh.x",
            "file d/new data=3",
        ],
        &["d/", "d/e/", "d/new=3"],
    );
    assert_stack(
        &["file d/old data=1", "file .wh.d", "file d/new data=3"],
        &["d/", "d/new=3"],
    );
    assert_stack(
        &["file d/old data=1", "file .wh.d\nfile d/new data=2"],
        &["d/", "d/new=2"],
    );
}

#[test]
fn case_81_what_was_whited_out_can_come_back() {
    assert_stack(&["file a data=1", "file .wh.a", "file a data=3"], &["a=3"]);
}

#[test]
fn a_file_that_was_a_directory_on_the_way_hides_what_is_below() {
    assert_stack(
        &[
            "file d/old data=1",
            "file d data=2\ndir d\nfile d/new data=3",
        ],
        &["d/", "d/new=3"],
    );
}

#[test]
fn case_82_a_whiteout_of_one_name_leaves_the_others() {
    assert_stack(
        &["file a data=1\nlink b -> a\nlink c -> a", "file .wh.a"],
        &["b=1", "c=1"],
    );
}

#[test]
fn case_32_a_path_hides_a_link_that_only_a_layer_below_has() {
    let upper = "file lib/x data=2";
    assert_layer(upper, &["dir lib", "file lib/x = 2"]);
    assert_stack(
        &["file usr/lib/y data=1\nsymlink lib -> usr/lib", upper],
        &["lib/", "lib/x=2", "usr/", "usr/lib/", "usr/lib/y=1"],
    );
}

#[test]
fn overlayfs_obeys_no_attribute_of_a_layer_and_shows_it() {
    let Some(stack) = Stack::new(&[
        "file d/old data=1",
        "dir d pax.SCHILY.xattr.trusted.overlay.opaque=y\nfile d/new data=2",
    ]) else {
        return;
    };
    let listed = ["d/", "d/old=1", "d/new=2"];
    assert_eq!(stack.list(), listed.map(str::to_owned).into());
    let shown = |name: &str| ::xattr::get(stack.root().join("d"), name).unwrap();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map(|part| part.trim().parse());
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        panic!("{release}");
    };
    // Older kernels keep all of these attributes to themselves.
    let expected = ((major, minor) >= (6, 7)).then(|| b"y".to_vec());
    assert_eq!(shown("trusted.overlay.opaque"), expected);
    assert_eq!(shown("trusted.overlay.overlay.opaque"), None);
}
