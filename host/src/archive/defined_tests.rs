//! Layers of entries of real tars: what is in them, and what is refused.

use std::io::Write as _;

use msb_erofs::Timestamp;

use super::super::NodeKind;
use super::super::seekable::SeekableArchive;
use super::*;
use crate::limits::{Budget, Limits};
use crate::tar::{EntryKind, TarReader};

/// A tar of entries with all metadata, below `root/`.
fn tar() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut put = |path: &[u8], kind: tar::EntryType, mode, link: &str, contents: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(1_000_000_000);
        header.set_size(contents.len() as u64);
        header.set_link_name_literal(link).unwrap();
        let name = &mut header.as_old_mut().name;
        name[..path.len()].copy_from_slice(path);
        if kind == tar::EntryType::Char {
            header.set_device_major(1).unwrap();
            header.set_device_minor(3).unwrap();
        }
        header.set_cksum();
        builder.append(&header, contents).unwrap();
    };
    put(b"root/", tar::EntryType::Directory, 0o1777, "", b"");
    put(
        b"root/bin/su",
        tar::EntryType::Regular,
        0o4755,
        "",
        b"program",
    );
    put(b"root/su", tar::EntryType::Link, 0o4755, "root/bin/su", b"");
    put(b"root/null", tar::EntryType::Char, 0o666, "", b"");
    put(b"root/pipe", tar::EntryType::Fifo, 0o600, "", b"");
    put(
        b"root/caf\xe9",
        tar::EntryType::Symlink,
        0o777,
        "x\u{e9}",
        b"",
    );
    put(b"beside", tar::EntryType::Regular, 0o644, "", b"text");
    put(b"root/out", tar::EntryType::Link, 0o644, "beside", b"");
    builder.into_inner().unwrap()
}

fn source(limits: &Limits) -> Arc<dyn ArchiveSource> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&tar()).unwrap();
    let budget = Budget::new(limits);
    let archive = SeekableArchive::open(
        "in.tar".to_owned(),
        file,
        limits,
        &budget,
        &Cancel::default(),
    );
    Arc::new(archive.unwrap())
}

fn define(
    runs: &[(u32, u32)],
    prefix: &str,
    changes: Vec<(u32, EntryChange)>,
) -> Result<(DefinedLayers, Arc<dyn ArchiveSource>, u32), ArchiveError> {
    let source = source(&Limits::default());
    let mut layers = DefinedLayers::default();
    let number = layers.define(&source, runs.to_vec(), prefix, changes, &Cancel::default())?;
    Ok((layers, source, number))
}

fn bytes(layers: &DefinedLayers, source: &Arc<dyn ArchiveSource>, number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut layer = layers.over(source).open(number).unwrap();
    layer.read_to_end(&mut bytes).unwrap();
    bytes
}

fn members(tar: &[u8]) -> Vec<crate::tar::Entry> {
    let limits = Limits::default();
    let mut reader = TarReader::new(tar, &limits, &Budget::new(&limits));
    let mut members = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        members.push(entry);
    }
    members
}

#[test]
fn a_layer_has_all_of_its_entries_below_the_prefix() {
    let (mut layers, source, number) = define(&[(0, 7)], "/root/", Vec::new()).unwrap();
    let tar = bytes(&layers, &source, number);
    assert_eq!(tar, bytes(&layers, &source, number));
    assert_eq!(tar.len() % 512, 0);
    let members = members(&tar);
    let written: Vec<_> = members
        .iter()
        .map(|it| (it.path.as_slice(), it.kind, it.mode, it.link.as_slice()))
        .collect();
    assert_eq!(
        written,
        [
            (&b"./"[..], EntryKind::Directory, 0o1777, &b""[..]),
            (b"bin/su", EntryKind::File, 0o4755, b""),
            (b"su", EntryKind::Hardlink, 0o4755, b"bin/su"),
            (b"null", EntryKind::CharDevice, 0o666, b""),
            (b"pipe", EntryKind::Fifo, 0o600, b""),
            (b"caf\xe9", EntryKind::Symlink, 0o777, "x\u{e9}".as_bytes()),
        ]
    );
    assert!(members.iter().all(|it| (it.uid, it.gid) == (7, 8)));
    assert_eq!((members[3].device.major, members[3].device.minor), (1, 3));
    let measured = layers.measure(&source, number, &Cancel::default()).unwrap();
    assert_eq!(measured.digest, Digest::of(&tar));
    assert_eq!(measured.size, tar.len() as u64);
    let file = layers.measure(&source, 1, &Cancel::default()).unwrap();
    assert_eq!(file.digest, Digest::of(b"program"));
    assert!(layers.measure(&source, 99, &Cancel::default()).is_err());
}

#[test]
fn changes_count_and_hard_links_follow_another_path() {
    let change = EntryChange {
        path: Some("usr/bin/su".to_owned()),
        mode: Some(0o755),
        uid: Some(0),
        gid: Some(u32::MAX - 1),
        mtime: Some(Timestamp {
            seconds: -1,
            nanoseconds: 5,
        }),
        xattrs: Some(Arc::new(vec![(Arc::from(*b"user.a"), Arc::from(*b"b"))])),
    };
    let (layers, source, number) = define(&[(1, 2)], "root", vec![(1, change)]).unwrap();
    let members = members(&bytes(&layers, &source, number));
    let [program, link] = members.as_slice() else {
        panic!("{members:?}");
    };
    assert_eq!(program.path, b"usr/bin/su");
    assert_eq!(
        (program.mode, program.uid, program.gid),
        (0o755, 0, u32::MAX - 1)
    );
    assert_eq!((program.mtime.seconds, program.mtime.nanoseconds), (-1, 5));
    assert_eq!(program.xattrs.len(), 1);
    assert_eq!(link.link, b"usr/bin/su");
}

#[test]
fn what_makes_no_layer_is_refused_and_says_why() {
    let with = |entry, change| vec![(entry, change)];
    let path = |path: &str| EntryChange {
        path: Some(path.to_owned()),
        ..EntryChange::default()
    };
    for (runs, prefix, changes, wrong) in [
        (&[(7, 2)][..], "", vec![], "an archive with 8"),
        (&[(u32::MAX, u32::MAX)], "", vec![], "an archive with 8"),
        (&[(0, 8)], "../x", vec![], "leads outside"),
        (
            &[(7, 1)],
            "root",
            vec![],
            "the hard link `out` leads to `beside`",
        ),
        (
            &[(0, 1)],
            "",
            with(9, EntryChange::default()),
            "changes entry 9",
        ),
        (
            &[(0, 2)],
            "",
            with(
                1,
                EntryChange {
                    uid: Some(u32::MAX),
                    ..EntryChange::default()
                },
            ),
            "an owner of the number 4294967295",
        ),
        (
            &[(0, 2)],
            "",
            with(
                1,
                EntryChange {
                    gid: Some(u32::MAX),
                    ..EntryChange::default()
                },
            ),
            "an owner of the number 4294967295",
        ),
        (&[(0, 2)], "", with(1, path("../x")), "a plain relative one"),
        (&[(0, 2)], "", with(1, path("a\0b")), "a plain relative one"),
        (
            &[(0, 2)],
            "",
            vec![(1, path("a")), (1, path("b"))],
            "changes `root/bin/su` twice",
        ),
        (
            &[(0, 2)],
            "",
            with(
                1,
                EntryChange {
                    mode: Some(0o100_644),
                    ..EntryChange::default()
                },
            ),
            "more than the bits",
        ),
    ] {
        let error = define(runs, prefix, changes).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(wrong), "{error}");
    }
}

#[test]
fn what_the_host_reads_for_a_plugin_has_a_limit() {
    let limits = Limits {
        image_bytes: 5_000,
        ..Limits::default()
    };
    let source = source(&limits);
    let mut layers = DefinedLayers::default();
    let mut define = || {
        let runs = vec![(0, 7)];
        layers.define(&source, runs, "root", Vec::new(), &Cancel::default())
    };
    define().unwrap();
    let error = define().map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("`image_bytes`"), "{error}");
}

#[test]
fn a_stopped_operation_stops_the_host() {
    let source = source(&Limits::default());
    let mut layers = DefinedLayers::default();
    let cancel = Cancel::default();
    cancel.cancel();
    let error = layers.measure(&source, 1, &cancel).unwrap_err();
    assert!(matches!(error, ArchiveError::Cancelled(_)), "{error}");
    assert_eq!(source.metadata(1).unwrap().kind, NodeKind::File);
}
