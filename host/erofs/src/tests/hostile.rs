//! Damaged images: errors or findings, never a panic, never without end.

use proptest::prelude::*;

use super::*;

/// Reads everything that an image has.
fn read_all(bytes: &[u8]) {
    let _ = verify(bytes).unwrap();
    if let Ok(image) = Image::open(bytes) {
        let _ = image.tree();
        let _ = dump(&image);
    }
}

fn small() -> Vec<u8> {
    let mut fixture = all_types();
    fixture.symlink("/long", &[b'x'; 4090]);
    for number in 0..20 {
        let id = fixture.find("/dir/file");
        fixture.link(&format!("/dir/{number:0250}"), id);
    }
    fixture.image()
}

#[test]
fn a_truncated_image_is_refused() {
    let bytes = small();
    for length in (0..bytes.len()).step_by(97) {
        assert!(Image::open(&bytes[..length]).is_err(), "{length}");
        read_all(&bytes[..length]);
    }
}

#[test]
fn no_flipped_byte_of_the_metadata_panics_the_reader() {
    let bytes = small();
    for offset in (1024..1152).chain(2 * 4096..bytes.len()) {
        for bits in [0x01, 0xff] {
            let mut broken = bytes.clone();
            broken[offset] ^= bits;
            read_all(&broken);
            if offset < 4096 {
                seal(&mut broken);
                read_all(&broken);
            }
        }
    }
}

#[test]
fn no_byte_outside_of_file_data_is_without_meaning() {
    let bytes = small();
    let text = dump_of(&bytes);
    for offset in (0..4096).chain(4096 + 9..bytes.len()) {
        let mut broken = bytes.clone();
        broken[offset] ^= 0xff;
        // A change that is neither found nor seen would be in padding that no reader looks at.
        let meaning = !findings(&broken).is_empty()
            || Image::open(broken.as_slice()).is_ok_and(|image| dump(&image).unwrap() != text);
        assert!(meaning, "byte {offset}");
    }
}

#[test]
fn numbers_of_the_superblock_cannot_lead_outside() {
    let bytes = small();
    for (offset, value) in [
        (1024 + 14, u64::MAX),
        (1024 + 16, u64::MAX),
        (1024 + 36, 0),
        (1024 + 36, u64::from(u32::MAX)),
        (1024 + 40, u64::from(u32::MAX)),
        (1024 + 12, 0xff),
    ] {
        let mut broken = bytes.clone();
        broken[offset..offset + 2].copy_from_slice(&value.to_le_bytes()[..2]);
        seal(&mut broken);
        read_all(&broken);
        assert_ne!(findings(&broken), "", "{offset}");
    }
}

#[test]
fn a_directory_that_holds_itself_is_not_entered_twice() {
    let mut fixture = Fixture::new();
    fixture.directory("/dir");
    let mut bytes = fixture.image();
    // The entry `dir` of the root leads to the root: nid 2, which is its `.` and `..`.
    let area = bytes.len() - 4096;
    let entry = area + 128 + 2 * 12;
    assert_eq!(bytes[entry], 6);
    bytes[entry] = 2;
    let image = Image::open(bytes.as_slice()).unwrap();
    assert!(image.tree().is_err());
    assert!(dump(&image).is_err());
    assert!(findings(&bytes).contains("`/dir`: inode 2: a second name of a directory"));
}

#[test]
fn inodes_that_share_their_bytes_do_not_multiply() {
    // 60 directories that all have the names of the largest one.
    let mut fixture = Fixture::new();
    let file = fixture.file("/file", b"");
    for number in 0..60 {
        fixture.directory(&format!("/{number:02}"));
    }
    let large = fixture.find("/00");
    for number in 0..40_000 {
        fixture.link_in(large, format!("{number:05}").as_bytes(), file);
    }
    let mut bytes = fixture.image();
    let (nids, head) = {
        let image = Image::open(bytes.as_slice()).unwrap();
        let entries = image.entries(&image.inode(image.root()).unwrap()).unwrap();
        let nids: Vec<Nid> = entries.iter().map(|entry| entry.nid).collect();
        (nids, image.offset(Nid(0)).unwrap())
    };
    let at = |nid: Nid| usize::try_from(head + nid.0 * 32).unwrap();
    let record = bytes[at(nids[0])..][..64].to_vec();
    for nid in &nids[1..60] {
        let target = at(*nid);
        bytes[target..target + 64].copy_from_slice(&record);
    }
    let image = Image::open(bytes.as_slice()).unwrap();
    assert!(image.tree().is_err());
    assert!(findings(&bytes).contains("it shares bytes with other inodes"));
}

#[test]
fn what_is_no_image_is_refused() {
    for bytes in [vec![], vec![0; 100], vec![0; 4096], vec![0xff; 10_000]] {
        assert!(Image::open(bytes.as_slice()).is_err());
        assert_ne!(findings(&bytes), "");
    }
}

proptest! {
    #[test]
    fn no_set_of_changed_bytes_panics_the_reader(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut bytes = small();
        for (index, byte) in changes {
            // The superblock, or what follows the data of the only file.
            let area = bytes.len() - 2 * 4096;
            let index = index.index(128 + area);
            let offset = if index < 128 { 1024 + index } else { 2 * 4096 + index - 128 };
            bytes[offset] = byte;
        }
        seal(&mut bytes);
        read_all(&bytes);
    }
}
