//! What is written is read again as what it was.

use std::io::Read as _;
use std::sync::Arc;

use super::*;
use crate::limits::{Budget, Limits};
use crate::tar::{EntryKind, Expanded, SparseRegion, TarReader};

fn member(path: &[u8]) -> Member {
    Member {
        path: path.to_vec(),
        kind: NodeKind::File,
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: Timestamp {
            seconds: 0,
            nanoseconds: 0,
        },
        device: Device::default(),
        target: Vec::new(),
        xattrs: EntryXattrs::default(),
    }
}

fn read(bytes: &[u8]) -> crate::tar::Entry {
    let limits = Limits::default();
    let mut reader = TarReader::new(bytes, &limits, &Budget::new(&limits));
    reader.next_entry().unwrap().unwrap()
}

#[test]
fn a_member_is_read_again_as_it_was_written() {
    let xattr = |name: &str, value: &[u8]| (Arc::from(name.as_bytes()), Arc::from(value));
    let time = |seconds, nanoseconds| Timestamp {
        seconds,
        nanoseconds,
    };
    let long = vec![b'l'; 300];
    let members = [
        member(b"etc/hosts"),
        member(&[&b"caf\xe9/"[..], &long].concat()),
        Member {
            mode: 0o6755,
            uid: 3_000_000_000,
            gid: 70_000,
            mtime: time(1_700_000_000, 120_000_000),
            xattrs: Arc::new(vec![
                xattr("security.capability", b"\x01\0\n=\xff"),
                xattr("user.a=b%", b"\0"),
            ]),
            ..member(b"bin/su")
        },
        Member {
            mtime: time(-2, 500_000_000),
            kind: NodeKind::Symlink,
            target: long.clone(),
            ..member(b"link")
        },
        Member {
            mtime: time(-5, 0),
            kind: NodeKind::Hardlink,
            target: b"bin/su".to_vec(),
            ..member(b"hard")
        },
        Member {
            mtime: time(1 << 36, 0),
            kind: NodeKind::CharDevice,
            device: Device {
                major: 4_095,
                minor: 1_048_575,
            },
            ..member(b"dev/x")
        },
        Member {
            kind: NodeKind::Fifo,
            ..member(b"pipe")
        },
    ];
    for member in members {
        let bytes = member.header(0, None);
        assert_eq!(bytes, member.header(0, None));
        let entry = read(&bytes);
        assert_eq!(entry.path, member.path);
        assert_eq!(entry.link, member.target);
        assert_eq!(
            (entry.mode, entry.uid, entry.gid, entry.mtime, entry.device),
            (
                member.mode,
                member.uid,
                member.gid,
                member.mtime,
                member.device
            )
        );
        assert_eq!(entry.xattrs, member.xattrs);
    }
}

#[test]
fn a_directory_ends_with_a_slash_and_the_root_is_a_point() {
    for (path, written) in [(&b"etc"[..], &b"etc/"[..]), (b"", b"./")] {
        let member = Member {
            kind: NodeKind::Directory,
            ..member(path)
        };
        let entry = read(&member.header(0, None));
        assert_eq!(entry.kind, EntryKind::Directory);
        assert_eq!(entry.path, written);
    }
}

#[test]
fn a_sparse_file_keeps_its_holes() {
    let map = SparseMap {
        length: 1 << 40,
        regions: vec![
            SparseRegion {
                offset: 2,
                length: 3,
            },
            SparseRegion {
                offset: 100,
                length: 1,
            },
        ],
    };
    let mut bytes = member(b"var/log/lastlog").header(4, Some(&map));
    bytes.extend(b"abcd");
    bytes.extend(vec![0; usize::try_from(padding(4)).unwrap()]);
    let limits = Limits::default();
    let mut reader = TarReader::new(bytes.as_slice(), &limits, &Budget::new(&limits));
    let entry = reader.next_entry().unwrap().unwrap();
    assert_eq!(entry.path, b"var/log/lastlog");
    assert_eq!(entry.size, 4);
    let read = entry.sparse.as_ref().unwrap();
    assert_eq!(read.length, map.length);
    assert_eq!(read.regions[..2], map.regions);
    // Without an empty region at its end, GNU tar makes the file end with its last byte.
    let last = read.regions.last().unwrap();
    assert_eq!((last.offset, last.length), (map.length, 0));
    let mut start = Vec::new();
    let data = Expanded::new(reader.data(), entry.sparse.map(Arc::new));
    data.take(101).read_to_end(&mut start).unwrap();
    assert_eq!((&start[..6], start[100]), (&b"\0\0abc\0"[..], b'd'));
}
