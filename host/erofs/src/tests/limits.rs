//! What the writer refuses, by path.

use super::*;

#[test]
fn a_tree_beyond_a_limit_of_the_format_is_refused_by_path() {
    type Case = (&'static str, fn(&mut Fixture));
    let cases: [Case; 13] = [
        (
            "`/d/f`: the fraction of the time in nanoseconds is 1000000000, and EROFS stores 999999999 at most",
            |fixture| {
                let id = fixture.find("/d/f");
                fixture.tree.get_mut(id).metadata.mtime.nanoseconds = 1_000_000_000;
            },
        ),
        (
            "`/d/dev`: the major device number is 4096, and EROFS stores 4095 at most",
            |fixture| {
                let device = Device {
                    major: 4096,
                    minor: 0,
                };
                fixture.add("/d/dev", metadata(0o600), Kind::CharDevice(device));
            },
        ),
        (
            "`/d/dev`: the minor device number is 1048576, and EROFS stores 1048575 at most",
            |fixture| {
                let device = Device {
                    major: 0,
                    minor: 1 << 20,
                };
                fixture.add("/d/dev", metadata(0o600), Kind::BlockDevice(device));
            },
        ),
        (
            "`/d/l`: the length of the target in bytes is 4096, and EROFS stores 4095 at most",
            |fixture| {
                fixture.symlink("/d/l", &[b'x'; 4096]);
            },
        ),
        (
            "`/d/l`: the target of the symbolic link is empty or has a zero byte",
            |fixture| {
                fixture.symlink("/d/l", b"");
            },
        ),
        (
            "`/d/l`: the target of the symbolic link is empty or has a zero byte",
            |fixture| {
                fixture.symlink("/d/l", b"a\0b");
            },
        ),
        (
            "`/d/f`: EROFS has no place for the extended attribute `system.nfs4_acl`",
            |fixture| fixture.xattr(fixture.find("/d/f"), "system.nfs4_acl", b""),
        ),
        (
            "`/d/f`: EROFS has no place for the extended attribute `user.`",
            |fixture| fixture.xattr(fixture.find("/d/f"), "user.", b""),
        ),
        (
            "`/d/f`: the length of the name of an attribute in bytes, less the prefix, is 256, and EROFS stores 255 at most",
            |fixture| {
                let name = format!("user.{}", "x".repeat(256));
                fixture.xattr(fixture.find("/d/f"), &name, b"");
            },
        ),
        (
            "`/d/f`: the length of the value of an attribute in bytes is 65536, and EROFS stores 65535 at most",
            |fixture| fixture.xattr(fixture.find("/d/f"), "user.x", &vec![0; 65536]),
        ),
        (
            "`/d/f`: the size of all attributes in bytes is 262172, and EROFS stores 262148 at most",
            |fixture| {
                for name in ["user.1", "user.2", "user.3", "user.4"] {
                    fixture.xattr(fixture.find("/d/f"), name, &vec![0; 65535]);
                }
            },
        ),
        (
            "`/d/d`: the directory has another name already",
            |fixture| fixture.link("/d/d", fixture.find("/d")),
        ),
        (
            "`/d/f`: its data lies outside of what was written",
            |fixture| {
                let id = fixture.find("/d/f");
                let extent = Extent {
                    block: 1,
                    size: 1,
                    device: 0,
                };
                fixture.tree.get_mut(id).kind = Kind::File(extent);
            },
        ),
    ];
    for (message, break_it) in cases {
        let mut fixture = Fixture::new();
        fixture.directory("/d");
        fixture.file("/d/f", b"");
        break_it(&mut fixture);
        assert_eq!(fixture.error(), message);
    }
}

#[test]
fn names_that_no_directory_can_hold_are_refused() {
    let long = [b'x'; 256];
    for name in [&b""[..], b".", b"..", b"a/b", b"a\0b", &long] {
        let mut fixture = Fixture::new();
        let directory = fixture.directory("/d");
        let file = fixture.file("/f", b"");
        fixture.link_in(directory, name, file);
        let error = fixture.error();
        assert!(error.starts_with("`/d/"), "{error}");
    }
}

#[test]
fn the_largest_of_everything_is_written() {
    let mut fixture = Fixture::new();
    let file = fixture.file(&format!("/{}", "n".repeat(255)), b"");
    let long = format!("user.{}", "x".repeat(255));
    fixture.xattr(file, &long, &vec![1; 65535]);
    fixture.xattr(file, "user.a", &vec![2; 65535]);
    fixture.xattr(file, "user.b", &vec![3; 65535]);
    // What is left of 262,148 bytes: 12 for the header, 65,796 and twice 65,540 for those above.
    fixture.xattr(
        file,
        "user.c",
        &vec![4; 262_148 - 12 - 65_796 - 2 * 65_540 - 4 - 1],
    );
    fixture.symlink("/link", &[b'x'; 4095]);
    let tree = fixture.tree.clone();
    let image = fixture.image();
    let read = Image::open(image).unwrap().tree().unwrap();
    assert_eq!(reading::describe(&read), reading::describe(&tree));
}

#[test]
fn an_image_of_more_than_two_to_the_32_blocks_is_refused() {
    let mut fixture = Fixture::new();
    fixture.writer.begin_file().unwrap();
    for length in [u64::MAX, 1 << 44] {
        assert!(matches!(
            fixture.writer.hole(length),
            Err(ErofsError::ImageTooLarge)
        ));
    }
}

#[test]
fn only_attributes_with_a_place_are_storable() {
    for (name, storable) in [
        ("user.a", true),
        ("trusted.overlay.opaque", true),
        ("security.capability", true),
        ("system.posix_acl_access", true),
        ("system.posix_acl_default", true),
        ("system.posix_acl_access.x", false),
        ("user.", false),
        ("user.a\0b", false),
        ("os2.a", false),
        ("", false),
    ] {
        assert_eq!(is_storable_xattr(name.as_bytes()), storable, "{name}");
    }
}
