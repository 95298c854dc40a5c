//! What the verifier finds.

use super::*;

/// Returns what is found in the image of every type after a change to its bytes.
fn after(change: impl FnOnce(&mut Vec<u8>, &dyn Fn(&str) -> usize)) -> String {
    let mut bytes = all_types().image();
    let places: BTreeMap<String, usize> = {
        let image = Image::open(bytes.as_slice()).unwrap();
        dump(&image)
            .unwrap()
            .lines()
            .map(|line| {
                let nid = line.split(' ').next().unwrap().parse().unwrap();
                let path = line.split(' ').nth(5).unwrap().to_owned();
                let offset = image.offset(Nid(nid)).unwrap();
                (path, usize::try_from(offset).unwrap())
            })
            .collect()
    };
    change(&mut bytes, &|path| places[path]);
    findings(&bytes)
}

#[test]
fn every_broken_rule_has_its_finding() {
    type Case = (&'static str, fn(&mut Vec<u8>, &dyn Fn(&str) -> usize));
    let cases: [Case; 19] = [
        ("the checksum of the superblock is wrong", |bytes, _| {
            bytes[1024 + 48] ^= 1;
        }),
        ("its length is not what the superblock says", |bytes, _| {
            bytes.extend([0; 4096]);
        }),
        (
            "`/link`: inode 22: a reserved field is not zero",
            |bytes, at| {
                bytes[at("/link") + 63] = 1;
            },
        ),
        ("inode 22: it has a wrong number of names", |bytes, at| {
            bytes[at("/link") + 44] = 2;
        }),
        ("inode 14: it has a wrong number of names", |bytes, at| {
            bytes[at("/dir") + 44] = 3;
        }),
        (
            "two inodes have one number for 32 bit systems",
            |bytes, at| {
                bytes[at("/link") + 20] = 1;
            },
        ),
        (
            "`/fifo`: inode 20: it has contents without a place",
            |bytes, at| bytes[at("/fifo") + 8] = 1,
        ),
        (
            "`/empty`: inode 18: it has a block without contents",
            |bytes, at| bytes[at("/empty") + 16] = 1,
        ),
        (
            "`/link`: inode 22: its time has a second or more of nanoseconds",
            |bytes, at| bytes[at("/link") + 43] = 0xff,
        ),
        (
            "`/fifo`: inode 25: an entry has another type than its inode",
            |bytes, at| {
                let entry = at("/") + 64 + 32 + 6 * 12;
                assert_eq!(bytes[entry], 20);
                bytes[entry] = 25;
            },
        ),
        (
            "`/dir`: inode 14: its names are not in order",
            |bytes, at| {
                let names = at("/dir") + 64 + 4 * 12;
                assert_eq!(&bytes[names..names + 7], b"...file");
                bytes[names + 3] = b't';
            },
        ),
        ("`/dir`: inode 14: its `..` leads elsewhere", |bytes, at| {
            bytes[at("/dir") + 64 + 12] = 14;
        }),
        ("`/dir`: inode 14: its `.` leads elsewhere", |bytes, at| {
            bytes[at("/dir") + 64] = 2;
        }),
        ("`/dir`: inode 14: it lacks `.` or `..`", |bytes, at| {
            let names = at("/dir") + 64 + 4 * 12;
            bytes[names] = b'-';
        }),
        (
            "`/dir/file`: inode 27: its attributes are not in order",
            |bytes, at| {
                let second = at("/dir/file") + 64 + 12 + 4 + 10 + 20 + 2;
                assert_eq!(&bytes[second..second + 2], &[5, 1]);
                bytes[second + 1] = 6;
                bytes[second + 4] = b'a';
            },
        ),
        (
            "`/dir/file`: inode 27: an attribute has an unknown name",
            |bytes, at| bytes[at("/dir/file") + 64 + 12 + 1] = 9,
        ),
        ("bytes that belong to nothing are not zero", |bytes, _| {
            bytes[4096 + 9] = 1;
        }),
        ("two inodes share bytes", |bytes, at| {
            // The empty file gets a part of the other.
            bytes[at("/empty") + 8] = 8;
            bytes[at("/empty") + 16] = 1;
        }),
        ("two inodes share bytes", |bytes, at| {
            // The other file gets the block of the inodes.
            let area = u8::try_from(bytes.len() / 4096 - 1).unwrap();
            bytes[at("/dir/file") + 8] = 200;
            bytes[at("/dir/file") + 16] = area;
        }),
    ];
    for (finding, change) in cases {
        let findings = after(change);
        assert!(
            findings.lines().any(|line| line == finding),
            "{finding}\n{findings}"
        );
    }
}

#[test]
fn files_may_have_all_of_their_data_in_common() {
    let share = |size: u8| {
        move |bytes: &mut Vec<u8>, at: &dyn Fn(&str) -> usize| {
            bytes[at("/empty") + 8] = size;
            bytes[at("/empty") + 16] = 1;
        }
    };
    assert_eq!(after(share(9)), "");
    assert_eq!(after(share(8)), "two inodes share bytes");
    // Readers do not mind a part, which other writers may have made.
    let mut bytes = all_types().image();
    let empty = {
        let image = Image::open(bytes.as_slice()).unwrap();
        let root = image.inode(image.root()).unwrap();
        let entries = image.entries(&root).unwrap();
        let empty = entries.iter().find(|entry| *entry.name == *b"empty");
        usize::try_from(image.offset(empty.unwrap().nid).unwrap()).unwrap()
    };
    share(8)(&mut bytes, &|_| empty);
    let report = verify_foreign(bytes.as_slice()).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
}

#[test]
fn a_sound_image_has_a_report_with_its_inodes() {
    let report = verify(all_types().image()).unwrap();
    assert!(report.is_sound());
    assert_eq!(report.inodes, 9);
}

#[test]
fn a_report_counts_more_findings_than_it_lists() {
    let mut fixture = Fixture::new();
    for number in 0..300 {
        fixture.file(&format!("/{number}"), b"");
    }
    let mut bytes = fixture.image();
    // A link count of 257 instead of 1 in every inode that does not follow the root.
    let start = bytes.len() - 4 * 4096;
    for offset in (start + 45..bytes.len()).step_by(64) {
        bytes[offset] = 1;
    }
    let report = verify(bytes.as_slice()).unwrap();
    assert_eq!(report.findings.len(), 100);
    assert!(report.count > 200);
}

#[test]
fn an_image_that_ends_with_its_last_inode_is_sound() {
    // That is what msb wrote once, and what other readers take, too.
    let mut bytes = full_block().image();
    bytes.truncate(2 * BLOCK);
    bytes[1024 + 36] = 2;
    seal(&mut bytes);
    assert_eq!(findings(&bytes), "");
    assert_eq!(dump_of(&bytes), dump_of(&full_block().image()));
}

#[test]
fn a_shared_attribute_that_is_damaged_is_found() {
    let sound = repeated_attributes(300).image();
    let area = {
        let image = Image::open(sound.as_slice()).unwrap();
        usize::try_from(image.superblock().xattr_block).unwrap() * BLOCK
    };
    let after = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = sound.clone();
        change(&mut bytes);
        findings(&bytes)
    };
    let unknown = after(&|bytes| bytes[area + 1] = 9);
    assert!(
        unknown.contains("an attribute has an unknown name"),
        "{unknown}"
    );
    let outside = after(&|bytes| bytes[1024 + 44..1024 + 48].fill(0xff));
    assert!(
        outside.contains("a shared attribute lies outside of the image"),
        "{outside}"
    );
    let none = after(&|bytes| bytes[1024 + 44..1024 + 48].fill(0));
    assert!(
        none.contains("a shared attribute lies outside of the image"),
        "{none}"
    );
}
