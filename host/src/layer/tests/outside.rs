//! What others make of a whole layer: `fsck.erofs`, and the kernel that mounts it.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;

const LAYER: &str = "dir ./ mode=711 mtime=5\n\
    file usr/a data=hello mode=4755 uid=70000 gid=8 pax.mtime=-5.5 pax.SCHILY.xattr.user.k=v\n\
    file usr/empty\nfile usr/large fill=300000\nlink usr/b -> usr/a\n\
    symlink lib -> usr/lib\nfile lib/x data=through\n\
    file a data=first\nfile a data=second\n\
    file equal/1 data=second\nfile equal/2 fill=300000\nfile equal/3 data=second mode=600\n\
    file s data=abcde pax.GNU.sparse.size=9000 pax.GNU.sparse.map=10,2,8000,3\n\
    char null 1:3\nfifo pipe\nfile gone/.wh.x\nfile fresh/.wh..wh..opq\nfile fresh/y data=y";

/// An image that the kernel has mounted.
struct Mount(tempfile::TempDir);

impl Mount {
    fn new(image: &Path) -> Option<Self> {
        let filesystems = fs::read_to_string("/proc/filesystems").unwrap_or_default();
        if !rustix::process::geteuid().is_root() || !filesystems.contains("\terofs\n") {
            skip("mounting needs root and EROFS");
            return None;
        }
        let place = tempfile::tempdir().unwrap();
        let output = Command::new("mount")
            .args(["-t", "erofs", "-o", "ro,loop"])
            .args([image, place.path()])
            .output();
        let Ok(output) = output else {
            skip("mount is not installed");
            return None;
        };
        assert!(output.status.success(), "{output:?}");
        Some(Self(place))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

fn image(folder: &tempfile::TempDir, text: &str) -> PathBuf {
    let layer = convert_tar(&tar(text)).unwrap();
    let path = folder.path().join("layer.erofs");
    fs::write(&path, bytes_of(&layer.converted.erofs)).unwrap();
    path
}

#[test]
fn fsck_finds_nothing_wrong_with_layers() {
    for text in [
        LAYER,
        "",
        "file .wh..wh..opq",
        "file a data=x\nfile a\ndir a\nfile a/b data=y",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let Ok(output) = Command::new("fsck.erofs")
            .arg(image(&folder, text))
            .output()
        else {
            return skip("fsck.erofs is not installed");
        };
        assert!(output.status.success(), "{text}: {output:?}");
    }
}

#[test]
fn the_kernel_sees_what_the_entries_say() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mount) = Mount::new(&image(&folder, LAYER)) else {
        return;
    };
    let of = |name: &str| fs::symlink_metadata(mount.path(name)).unwrap();
    let read = |name: &str| fs::read(mount.path(name)).unwrap();

    assert_eq!(
        (of("").permissions().mode() & 0o7777, of("").mtime()),
        (0o711, 5)
    );
    let a = of("usr/a");
    assert_eq!(a.permissions().mode() & 0o7777, 0o4755);
    assert_eq!((a.uid(), a.gid(), a.nlink()), (70_000, 8, 2));
    assert_eq!((a.mtime(), a.mtime_nsec()), (-6, 500_000_000));
    assert_eq!(a.ino(), of("usr/b").ino());
    let value = ::xattr::get(mount.path("usr/a"), "user.k").unwrap();
    assert_eq!(value.as_deref(), Some(&b"v"[..]));

    assert_eq!(read("usr/b"), b"hello");
    assert_eq!(read("usr/empty"), b"");
    assert!(read("usr/large") == fill(300_000));
    assert_eq!(read("usr/lib/x"), b"through");
    assert_eq!(read("a"), b"second");
    assert_eq!((read("equal/1"), read("equal/3")), (read("a"), read("a")));
    assert!(read("equal/2") == fill(300_000));
    assert_eq!(of("equal/3").permissions().mode() & 0o7777, 0o600);
    assert_eq!((of("equal/1").nlink(), of("equal/3").nlink()), (1, 1));
    let target = fs::read_link(mount.path("lib")).unwrap();
    assert_eq!(target, Path::new("usr/lib"));

    let mut sparse = vec![0; 9000];
    sparse[10..12].copy_from_slice(b"ab");
    sparse[8000..8003].copy_from_slice(b"cde");
    assert!(read("s") == sparse);

    let device = |name: &str| {
        let rdev = of(name).rdev();
        (rustix::fs::major(rdev), rustix::fs::minor(rdev))
    };
    assert!(of("null").file_type().is_char_device());
    assert_eq!(device("null"), (1, 3));
    assert!(of("pipe").file_type().is_fifo());
    assert!(of("gone/x").file_type().is_char_device());
    assert_eq!(device("gone/x"), (0, 0));
    let opaque = ::xattr::get(mount.path("fresh"), "trusted.overlay.opaque").unwrap();
    assert_eq!(opaque.as_deref(), Some(&b"y"[..]));
    assert!(!mount.path("fresh/.wh..wh..opq").exists());
}
