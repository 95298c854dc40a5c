//! Archives as bytes, and the layer that comes of them.

use std::io::Read as _;

use msb_plugin::fake::{FakeArchive, elf};

use super::*;
use crate::newc::{Kind, Member};

/// Returns a member of an archive.
fn member(path: &str, ino: u32, nlink: u32, mode: u32, contents: &[u8]) -> Vec<u8> {
    let fields = [
        ino,
        mode,
        1000,
        100,
        nlink,
        1_700_000_000,
        u32::try_from(contents.len()).unwrap(),
        8,
        1,
        5,
        7,
        u32::try_from(path.len()).unwrap() + 1,
        0,
    ];
    let mut bytes = b"070701".to_vec();
    for field in fields {
        bytes.extend(format!("{field:08x}").bytes());
    }
    bytes.extend(path.bytes());
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(contents);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn end() -> Vec<u8> {
    member("TRAILER!!!", 0, 1, 0, b"")
}

fn small() -> Vec<u8> {
    [
        member(".", 1, 2, 0o040_755, b""),
        member("bin", 2, 2, 0o040_755, b""),
        member("bin/sh", 3, 1, 0o104_755, &elf(2, 1, 62)),
        member("init", 4, 1, 0o120_777, b"bin/sh"),
        member("one", 5, 2, 0o100_640, b""),
        member("./two", 5, 2, 0o100_640, b"linked"),
        member("dev/x", 6, 1, 0o020_600, b""),
        member("fifo", 7, 1, 0o010_600, b""),
        member("socket", 8, 1, 0o140_600, b""),
        member(
            &format!("{}/file", "long".repeat(40)),
            9,
            1,
            0o100_644,
            b"x",
        ),
        end(),
    ]
    .concat()
}

fn input(bytes: impl AsRef<[u8]>) -> FakeArchive {
    FakeArchive::new().file("initramfs.cpio", bytes)
}

/// Reads the layer as the host does, in pieces of a size.
fn layer(archive: &FakeArchive, limit: usize) -> Vec<u8> {
    let mut stream = CpioFormat::open(Box::new(archive.clone()), LAYER).unwrap();
    let mut tar = Vec::new();
    loop {
        let bytes = stream.next(limit).unwrap();
        if bytes.is_empty() {
            return tar;
        }
        assert!(bytes.len() <= limit);
        tar.extend(bytes);
    }
}

#[test]
fn a_filesystem_is_an_image_of_one_layer_with_everything_in_it() {
    let archive = input(small());
    let plan = CpioFormat::read(&archive, &Attributes::new()).unwrap();
    assert_eq!(plan.notices, ["left out sockets: 1"]);
    let [image] = plan.images.as_slice() else {
        panic!("{plan:?}");
    };
    let Document::Bytes(config) = &image.config else {
        panic!("no configuration");
    };
    let config: Value = serde_json::from_slice(config).unwrap();
    assert_eq!(config["architecture"], "amd64");
    assert_eq!(config["config"]["Cmd"], json!(["/init"]));
    let tar = layer(&archive, 1 << 20);
    assert_eq!(layer(&archive, 7), tar);
    assert_eq!(image.layers[0].digest, Some(msb_plugin::sha256(&tar)));
    assert_eq!(image.layers[0].size, Some(tar.len() as u64));
    let mut found = Vec::new();
    let mut read = tar::Archive::new(tar.as_slice());
    for entry in read.entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header().clone();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (1000, 100));
        assert_eq!(header.mtime().unwrap(), 1_700_000_000);
        let mut contents = String::new();
        entry.read_to_string(&mut contents).unwrap_or_default();
        let link = entry.link_name_bytes().map(std::borrow::Cow::into_owned);
        let link = String::from_utf8(link.unwrap_or_default()).unwrap();
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let device = match header.entry_type() {
            tar::EntryType::Char => header.device_major().unwrap().unwrap(),
            _ => 0,
        };
        found.push(format!(
            "{path} {:?} {:o} {link} {contents} {device}",
            header.entry_type(),
            header.mode().unwrap()
        ));
    }
    let long = "long".repeat(40);
    assert_eq!(found[0], "./ Directory 755   0");
    assert_eq!(found[1], "bin/ Directory 755   0");
    assert!(found[2].starts_with("bin/sh Regular 4755"));
    assert_eq!(found[3], "init Symlink 777 bin/sh  0");
    assert_eq!(found[4], "one Regular 640  linked 0");
    assert_eq!(found[5], "two Link 640 one  0");
    assert_eq!(found[6], "dev/x Char 600   5");
    assert_eq!(found[7], "fifo Fifo 600   0");
    assert_eq!(found[8], format!("{long}/file Regular 644  x 0"));
    assert_eq!(found.len(), 9);
}

#[test]
fn archives_that_follow_each_other_are_one_and_the_rest_is_left_out() {
    let more = [member("etc/more", 3, 1, 0o100_644, b"more"), end()].concat();
    let both = [small(), vec![0; 512], more].concat();
    let cpio = Cpio::read(&input(&both)).unwrap();
    let last: &Member = cpio.members.last().unwrap();
    assert_eq!(last.path, b"etc/more");
    assert!(matches!(last.kind, Kind::File { size: 4, .. }));
    assert_eq!(cpio.rest, None);
    let packed = [both.as_slice(), &[0; 4], b"\x1f\x8bpacked"].concat();
    let cpio = Cpio::read(&input(&packed)).unwrap();
    assert_eq!(cpio.rest, Some(both.len() as u64 + 4));
    let plan = CpioFormat::read(&input(&packed), &Attributes::new()).unwrap();
    assert!(plan.notices[0].contains("left out"));
}

#[test]
fn what_is_not_this_format_or_broken_says_so() {
    let read = |archive: &FakeArchive| CpioFormat::read(archive, &Attributes::new()).unwrap_err();
    for archive in [
        input("PK\x03\x04"),
        input(""),
        FakeArchive::new(),
        input(small()).file("another", ""),
    ] {
        let error = read(&archive);
        assert!(matches!(error, Error::NotMine(_)), "{error:?}");
    }
    for bytes in [&b"070707000000"[..], b"\xc7\x71\0\0"] {
        let error = read(&input(bytes));
        assert!(matches!(error, Error::Unsupported(_)), "{error:?}");
    }
    let whole = small();
    for length in (6..whole.len() - 124).step_by(3) {
        let error = read(&input(&whole[..length]));
        assert!(matches!(error, Error::Malformed(_)), "{length}: {error:?}");
    }
    for name in ["../x", "a/../../x", ".wh.x", "a/.wh..wh..opq"] {
        let bytes = [member(name, 1, 1, 0o100_644, b""), end()].concat();
        read(&input(bytes));
    }
}
