//! Judges from outside: `fsck.erofs`, and the kernel, whose view of a mounted image is compared
//! with the tree inode by inode.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;

/// Has an image judged by all who are there. The image is verified, too.
fn judge(fixture: Fixture) {
    let written = Written::new(fixture);
    fsck(&written.path);
    written.compare_mounted();
}

/// An image in a file.
struct Written {
    directory: tempfile::TempDir,
    path: PathBuf,
    file: File,
    tree: Tree,
}

impl Written {
    fn new(fixture: Fixture) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image.erofs");
        let (mut file, tree) = fixture.finish().unwrap();
        assert!(verify(&file).unwrap().is_sound());
        std::io::copy(&mut file, &mut File::create(&path).unwrap()).unwrap();
        Self {
            directory,
            path,
            file,
            tree,
        }
    }

    fn compare_mounted(&self) {
        let mount = self.directory.path().join("mount");
        if let Some(mount) = Mount::new(&self.path, mount) {
            let image = Image::open(self.file.try_clone().unwrap()).unwrap();
            compare(&self.tree, &image, &mount.directory);
        }
    }
}

/// Has every inode checked and all data read.
fn fsck(image: &Path) {
    fsck_with(image, &[]);
}

pub(super) fn fsck_with(image: &Path, devices: &[PathBuf]) {
    let devices = devices
        .iter()
        .map(|device| format!("--device={}", device.display()));
    match Command::new("fsck.erofs")
        .arg("--extract")
        .args(devices)
        .arg(image)
        .output()
    {
        Ok(output) => assert!(output.status.success(), "{output:?}"),
        Err(_) => skip("fsck.erofs is not installed"),
    }
}

/// A mounted image.
pub(super) struct Mount {
    pub(super) directory: PathBuf,
    /// The loop devices of its devices.
    loops: Vec<String>,
}

impl Mount {
    pub(super) fn new(image: &Path, directory: PathBuf) -> Option<Self> {
        Self::with_devices(image, &[], directory)
    }

    pub(super) fn with_devices(
        image: &Path,
        devices: &[PathBuf],
        directory: PathBuf,
    ) -> Option<Self> {
        let filesystems = fs::read_to_string("/proc/filesystems").unwrap_or_default();
        if !rustix::process::geteuid().is_root() {
            skip("mounting needs root");
            return None;
        }
        if !filesystems.contains("\terofs\n") || !Path::new("/dev/loop-control").exists() {
            skip("this kernel has no EROFS or no loop devices");
            return None;
        }
        fs::create_dir(&directory).unwrap();
        let loops: Vec<String> = devices.iter().map(|device| attach(device)).collect();
        let mut options = vec!["ro".to_owned(), "loop".to_owned()];
        options.extend(loops.iter().map(|path| format!("device={path}")));
        let output = Command::new("mount")
            .args(["-t", "erofs", "-o", &options.join(",")])
            .args([image, directory.as_path()])
            .output()
            .unwrap();
        let mount = Self { directory, loops };
        assert!(output.status.success(), "{output:?}");
        Some(mount)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.directory).status();
        for device in &self.loops {
            let _ = Command::new("losetup").args(["-d", device]).status();
        }
    }
}

fn attach(file: &Path) -> String {
    let output = Command::new("losetup")
        .args(["--read-only", "--find", "--show"])
        .arg(file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[expect(clippy::print_stderr, reason = "a test that was not run must be seen")]
pub(super) fn skip(reason: &str) {
    eprintln!("SKIPPED, NOT TESTED: {reason}");
}

/// Walks the tree and the mounted image side by side.
pub(super) fn compare(tree: &Tree, image: &Image<File>, mount: &Path) {
    let mut numbers = BTreeMap::new();
    let root = File::open(mount).unwrap();
    compare_inode(tree, InodeId::ROOT, image, mount, &mut numbers);
    let mut pending = vec![(InodeId::ROOT, root)];
    while let Some((id, directory)) = pending.pop() {
        let Kind::Directory(names) = &tree.get(id).kind else {
            panic!("not a directory");
        };
        // A path of any depth stays short this way.
        let base = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
        let mut listed = BTreeSet::new();
        for entry in fs::read_dir(&base).unwrap() {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            assert_eq!(entry.file_type().unwrap(), metadata.file_type());
            listed.insert(Box::from(entry.file_name().as_bytes()));
        }
        assert!(listed.iter().eq(names.keys()));
        for (name, child) in names {
            let path = base.join(OsStr::from_bytes(name));
            compare_inode(tree, *child, image, &path, &mut numbers);
            if matches!(tree.get(*child).kind, Kind::Directory(_)) {
                pending.push((*child, File::open(&path).unwrap()));
            }
        }
    }
    let distinct: BTreeSet<&u64> = numbers.values().collect();
    assert_eq!(distinct.len(), numbers.len());
}

fn compare_inode(
    tree: &Tree,
    id: InodeId,
    image: &Image<File>,
    path: &Path,
    numbers: &mut BTreeMap<InodeId, u64>,
) {
    let Inode { metadata, kind } = tree.get(id);
    let seen = fs::symlink_metadata(path).unwrap();
    let number = *numbers.entry(id).or_insert(seen.ino());
    let mode = u32::from(kind.file_type().mode() | metadata.permissions);
    assert_eq!(
        (seen.mode(), seen.uid(), seen.gid(), seen.ino()),
        (mode, metadata.uid, metadata.gid, number)
    );
    assert_ne!(number, 0);
    assert_eq!(
        (seen.mtime(), seen.mtime_nsec()),
        (
            metadata.mtime.seconds,
            i64::from(metadata.mtime.nanoseconds)
        )
    );
    match kind {
        Kind::Symlink(target) => {
            assert_eq!(
                fs::read_link(path).unwrap().as_os_str().as_bytes(),
                &**target
            );
            assert_eq!(seen.len(), target.len() as u64);
        }
        Kind::File(extent) => {
            let mut expected = vec![0; usize::try_from(extent.size).unwrap()];
            assert_eq!(
                image.read_extent(*extent, 0, &mut expected).unwrap(),
                expected.len()
            );
            assert!(fs::read(path).unwrap() == expected);
        }
        Kind::CharDevice(device) | Kind::BlockDevice(device) => {
            assert_eq!(seen.rdev(), rustix::fs::makedev(device.major, device.minor));
        }
        Kind::Directory(names) => {
            let is_directory = |id: &&InodeId| matches!(tree.get(**id).kind, Kind::Directory(_));
            let subdirectories = names.values().filter(is_directory).count();
            assert_eq!(seen.nlink(), 2 + subdirectories as u64);
        }
        Kind::Fifo | Kind::Socket => assert_eq!(seen.len(), 0),
    }
    let names = ::xattr::list(path).unwrap();
    let seen: Xattrs = names
        .map(|name| {
            let value = ::xattr::get(path, &name).unwrap().unwrap();
            (name.as_bytes().to_vec(), value)
        })
        .collect();
    assert!(seen == metadata.xattrs, "{path:?}");
}

#[test]
fn the_kernel_shows_inodes_of_every_type() {
    let mut fixture = all_types();
    let acl: Vec<u8> = [
        // Version 2, then tag, permissions and id of: owner, user 7, group, mask, others.
        &2_u32.to_le_bytes()[..],
        &[1, 0, 6, 0, 255, 255, 255, 255],
        &[2, 0, 4, 0, 7, 0, 0, 0],
        &[4, 0, 4, 0, 255, 255, 255, 255],
        &[16, 0, 4, 0, 255, 255, 255, 255],
        &[32, 0, 4, 0, 255, 255, 255, 255],
    ]
    .concat();
    fixture.xattr(fixture.find("/dir"), "system.posix_acl_access", &acl);
    fixture.xattr(fixture.find("/dir"), "system.posix_acl_default", &acl);
    for path in ["/char", "/fifo", "/socket", "/link"] {
        fixture.xattr(fixture.find(path), "trusted.x", b"y");
    }
    judge(fixture);
}

#[test]
fn judges_take_an_image_whose_last_inode_ends_with_a_block() {
    judge(full_block());
}

#[test]
fn the_kernel_reads_symbolic_links_of_every_length() {
    let mut fixture = Fixture::new();
    for length in 1..=4095 {
        let id = fixture.symlink(&format!("/{length}"), &vec![b't'; length]);
        if length % 3 == 0 {
            fixture.xattr(id, "trusted.x", &vec![b'v'; length % 100]);
        }
    }
    judge(fixture);
}

#[test]
fn the_kernel_reads_directories_of_every_size() {
    let mut fixture = Fixture::new();
    let file = fixture.file("/file", b"");
    for count in (0..330).chain([1_000, 100_000]) {
        let id = fixture.directory(&format!("/{count}"));
        for number in 0..count {
            // Short names first: the block boundary falls everywhere.
            let name = format!("{number:0width$}", width = 1 + count % 16);
            fixture.link_in(id, name.as_bytes(), file);
        }
        if count % 2 == 0 {
            fixture.xattr(id, "user.x", &vec![b'v'; count % 500]);
        }
    }
    judge(fixture);
}

#[test]
fn the_kernel_finds_names_of_any_bytes_and_length() {
    let mut fixture = Fixture::new();
    let file = fixture.file("/file", b"x");
    for byte in (1..=255).filter(|byte| *byte != b'/') {
        fixture.link_in(InodeId::ROOT, &[byte; 255], file);
        fixture.link_in(InodeId::ROOT, &[b'.', byte, b'x'], file);
        if byte != b'.' {
            fixture.link_in(InodeId::ROOT, &[byte], file);
        }
    }
    judge(fixture);
}

#[test]
fn the_kernel_reads_attributes_of_any_size() {
    let mut fixture = Fixture::new();
    for size in (0..200).chain([3_900, 4_000, 4_096, 40_000, 65_535]) {
        let file = fixture.file(&format!("/file-{size}"), b"x");
        fixture.xattr(file, "user.first", &vec![b'1'; size]);
        fixture.xattr(file, "user.second", &vec![b'2'; size / 2]);
        let link = fixture.symlink(&format!("/link-{size}"), b"target");
        fixture.xattr(link, "trusted.x", &vec![b'3'; size]);
        let directory = fixture.directory(&format!("/directory-{size}"));
        fixture.xattr(directory, "security.x", &vec![b'4'; size]);
        fixture.link_in(directory, b"file", file);
    }
    judge(fixture);
}

#[test]
fn the_kernel_reads_files_of_any_size() {
    let mut fixture = Fixture::new();
    for size in [0, 1, 4_095, 4_096, 4_097, 70_000, 1 << 20, (3 << 20) + 1] {
        let bytes: Vec<u8> = (0..size).map(|n: usize| n.to_le_bytes()[0] | 1).collect();
        fixture.file(&format!("/{size}"), &bytes);
    }
    fixture.writer.begin_file().unwrap();
    fixture.writer.write(b"start").unwrap();
    fixture.writer.hole(1 << 20).unwrap();
    fixture.writer.write(b"end").unwrap();
    let sparse = fixture.writer.end_file().unwrap();
    fixture.add("/sparse", metadata(0o644), Kind::File(sparse));
    judge(fixture);
}

#[test]
fn the_kernel_counts_more_than_65535_names_of_a_file() {
    let mut fixture = Fixture::new();
    let file = fixture.file("/file", b"x");
    for number in 0..70_000 {
        fixture.link_in(InodeId::ROOT, format!("{number}").as_bytes(), file);
    }
    // Too many for a comparison one by one.
    let written = Written::new(fixture);
    fsck(&written.path);
    let mount = written.directory.path().join("mount");
    if let Some(mount) = Mount::new(&written.path, mount) {
        let metadata = fs::metadata(mount.directory.join("69999")).unwrap();
        assert_eq!(metadata.nlink(), 70_001);
    }
}

#[test]
fn the_kernel_enters_ten_thousand_nested_directories() {
    judge(nested(500));
    // fsck.erofs 1.5 descends by recursion and runs out of stack here.
    Written::new(nested(10_000)).compare_mounted();
}

#[test]
fn the_kernel_reads_attributes_that_are_kept_once() {
    judge(repeated_attributes(300));
}
