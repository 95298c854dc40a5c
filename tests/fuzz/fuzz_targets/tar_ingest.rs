//! Any bytes as a layer. What is accepted is a sound image, the same one every time, and the
//! `tar` crate sees the same entries where it should.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use msb_fuzz::layer::{self, Trickle};
use msb_fuzz::mutate;
use msb_host::limits::Budget;
use msb_host::tar::{EntryKind, TarReader};

fuzz_target!(|data: &[u8]| {
    let first = layer::converted(data);
    let second = layer::converted(Trickle::new(data));
    match (first, second) {
        (Ok(first), Ok(second)) => {
            layer::check_image(&first);
            layer::check_same(&first, &second);
            assert_eq!(first.notices, second.notices, "notices");
        }
        // Which of two errors is met first is a matter of time.
        (Err(_), Err(_)) => {}
        (first, second) => panic!("it depends on the pieces: {first:?}, {second:?}"),
    }
    compare(data);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max: usize, seed: u32| {
    mutate::tar(data, size, max, seed, 0)
});

/// Compares plain members with what the `tar` crate makes of them, up to the first one that is
/// not plain.
fn compare(data: &[u8]) {
    let limits = layer::limits();
    let mut ours = TarReader::new(data, &limits, &Budget::new(&limits));
    let mut archive = tar::Archive::new(data);
    let Ok(theirs) = archive.entries() else {
        return;
    };
    for entry in theirs.raw(true) {
        let Ok(entry) = entry else { return };
        let header = entry.header();
        let bytes = header.as_bytes();
        let is_plain = matches!(bytes[156], b'0' | b'2' | b'5' | b'1')
            && bytes[257..265] == *b"ustar\x0000"
            && !bytes.ends_with(b"tar\0");
        if !is_plain {
            return;
        }
        let Ok(Some(our)) = ours.next_entry() else {
            return;
        };
        assert_eq!(our.path, &*entry.path_bytes(), "path");
        if let EntryKind::Symlink | EntryKind::Hardlink = our.kind {
            assert_eq!(our.link, &*entry.link_name_bytes().unwrap_or_default());
        }
        if our.kind == EntryKind::File {
            assert_eq!(our.size, entry.size(), "size");
            assert_eq!(our.data_offset, entry.raw_file_position(), "position");
        } else if entry.size() > 0 {
            return;
        }
        if let (Ok(uid), Ok(gid)) = (header.uid(), header.gid()) {
            assert_eq!((our.uid.into(), our.gid.into()), (uid, gid), "owner");
        }
    }
}
