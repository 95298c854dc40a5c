//! Headers, payloads, and the end.

use msb_erofs::{Device, Timestamp};

use super::*;
use crate::tar::fixture::{fill, sign};

/// Puts bytes into the first header and corrects its checksum.
fn with_field(archive: &str, offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut archive = tar(archive);
    archive[offset..offset + bytes.len()].copy_from_slice(bytes);
    sign(&mut archive[..512]);
    archive
}

fn first(bytes: &[u8]) -> Entry {
    let mut reader = reader_of(bytes);
    reader.next_entry().unwrap().unwrap()
}

#[test]
fn entries_come_with_everything_that_headers_say() {
    let entry = first(&tar(
        "char dev/x 12:34567 mode=7644 uid=2000000 gid=4000000000 mtime=1700000000",
    ));
    assert_eq!(entry.path, b"dev/x");
    assert_eq!(entry.kind, EntryKind::CharDevice);
    assert_eq!(entry.mode, 0o7644);
    assert_eq!((entry.uid, entry.gid), (2_000_000, 4_000_000_000));
    let mtime = Timestamp {
        seconds: 1_700_000_000,
        nanoseconds: 0,
    };
    assert_eq!(entry.mtime, mtime);
    let device = Device {
        major: 12,
        minor: 34567,
    };
    assert_eq!(entry.device, device);
    assert_eq!(entry.size, 0);
}

#[test]
fn case_09_every_dialect_is_read() {
    for magic in ["ustar", "gnu", "v7", "star"] {
        let archive = tar(&format!("file a data=hello magic={magic}\nfile b"));
        assert_entries(&archive, &["a = hello", "b"]);
    }
}

#[test]
fn the_prefix_counts_where_the_dialect_has_one() {
    for (magic, expected) in [
        ("ustar", "prefix/a"),
        ("gnu", "a"),
        ("v7", "a"),
        ("star", "prefix/a"),
    ] {
        let archive = with_field(&format!("file a magic={magic}"), 345, b"prefix");
        assert_entries(&archive, &[expected]);
    }
    // Star has its times where POSIX has the end of the prefix.
    let times = with_field("file a magic=star", 476, b"00000000000\x0000000000000");
    assert_entries(&times, &["a"]);
}

#[test]
fn a_name_may_fill_its_field() {
    let name = "n".repeat(100);
    assert_entries(&tar(&format!("file {name}")), &[&name]);
}

#[test]
fn a_file_type_in_the_mode_field_does_not_count() {
    let archive = with_field("file a", 100, b"0100755\0");
    assert_eq!(first(&archive).mode, 0o755);
}

#[test]
fn mtimes_before_the_epoch_are_binary() {
    let archive = with_field(
        "file a",
        136,
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xf6",
    );
    assert_eq!(first(&archive).mtime.seconds, -10);
}

#[test]
fn owners_that_no_system_call_takes_are_refused() {
    let archive = with_field("file a", 108, b"\xff\xff\xff\xff\xff\xff\xff\xff");
    assert_refused(&archive, "`uid`");
    for id in ["4294967295", "4294967296", "-1"] {
        assert_refused(&tar(&format!("file a pax.gid={id}")), "`gid`");
    }
    let largest = first(&tar("file a pax.uid=4294967294"));
    assert_eq!(largest.uid, u32::MAX - 1);
}

#[test]
fn case_12_a_negative_size_is_refused() {
    let archive = with_field(
        "file a",
        124,
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    );
    assert_refused(&archive, "`size` that cannot be understood: it is negative");
}

#[test]
fn fields_that_are_no_numbers_are_refused() {
    for (offset, field) in [(100, "mode"), (108, "uid"), (124, "size"), (136, "mtime")] {
        assert_refused(&with_field("file a", offset, b"0x1"), field);
    }
}

#[test]
fn device_numbers_of_other_entries_are_not_looked_at() {
    let archive = with_field("file a data=x", 329, b"garbage!garbage!");
    assert_entries(&archive, &["a = x"]);
    let archive = with_field("char a 1:2", 329, b"garbage!");
    assert_refused(&archive, "`devmajor`");
}

#[test]
fn a_wrong_checksum_is_refused_where_it_is() {
    let mut archive = tar("file a data=x\nfile b");
    archive[1024] ^= 1;
    assert_refused(&archive, "there is no tar header at byte 1024");
}

#[test]
fn an_old_trailing_slash_makes_a_directory_and_its_data_is_skipped() {
    // Its data is a header, which must not be taken for one.
    let archive = tar("file a/ size=512\nfile hidden\nfile b");
    let kinds = read_with(&archive, |entry, _| format!("{:?}", entry.kind)).unwrap();
    assert_eq!(kinds, ["Directory", "File"]);
}

#[test]
fn links_with_a_size_and_no_data_do_not_swallow_what_follows() {
    let archive = tar("link a -> b size=600\nfile c data=x\nsymlink d -> e size=1");
    assert_entries(&archive, &["a", "c = x", "d"]);
}

#[test]
fn links_with_data_are_skipped_with_it() {
    let archive =
        tar("link a -> b fill=600\nfile c data=x\ndir d data=1\nfifo e fill=1024\nfile f");
    let paths = read_with(&archive, |entry, _| entry.path.escape_ascii().to_string());
    assert_eq!(paths.unwrap(), ["a", "c", "d", "e", "f"]);
}

#[test]
fn case_08_entries_of_unknown_type_are_skipped_with_their_data() {
    let archive = tar(
        "entry Z a fill=600\nentry V label\nentry M rest data=x\nentry 7 c data=contiguous\nfile d",
    );
    let kinds = read_with(&archive, |entry, _| format!("{:?}", entry.kind)).unwrap();
    assert_eq!(
        kinds,
        ["Other(90)", "Other(86)", "Other(77)", "File", "File"]
    );
}

#[test]
fn a_list_of_names_in_a_directory_of_a_backup_is_skipped() {
    let archive = tar("entry D d data=Ya\\0Yb\\0\\0\nentry D e data=\\0\nfile f");
    let paths = read_with(&archive, |entry, _| entry.path.escape_ascii().to_string());
    assert_eq!(paths.unwrap(), ["d", "e", "f"]);
}

#[test]
fn case_13_an_archive_may_end_without_blocks_of_zeros() {
    for zeros in [0, 1, 512, 700, 1024, 1025, 10240] {
        let archive = unended(&format!("file a data=x\nzeros {zeros}"));
        assert_entries(&archive, &["a = x"]);
    }
}

#[test]
fn an_archive_may_end_with_its_last_byte_of_data() {
    let archive = unended("file a data=hello");
    for length in 517..archive.len() {
        assert_entries(&archive[..length], &["a = hello"]);
    }
}

#[test]
fn nothing_at_all_is_an_empty_archive() {
    assert_entries(b"", &[]);
    assert_entries(&tar(""), &[]);
}

#[test]
fn what_follows_the_end_is_not_looked_at() {
    let first = tar("file a");
    for rest in [
        tar("file b"),
        b"garbage".to_vec(),
        fill(2000),
        vec![0; 9000],
    ] {
        assert_entries(&[&*first, &rest].concat(), &["a"]);
    }
}

#[test]
fn case_14_an_archive_that_was_cut_inside_a_header_or_data_is_refused() {
    let archive = unended("file a data=hello\nfile b fill=1000");
    for length in 1..archive.len() {
        let result = read(&archive[..length]);
        // From the last byte of data on, only padding is missing.
        if matches!(length, 517..=1024 | 2536..) {
            assert!(result.is_ok(), "{length}");
        } else {
            let error = result.unwrap_err();
            assert!(
                matches!(error, TarError::Truncated { .. }),
                "{length}: {error}"
            );
        }
    }
}

#[test]
fn a_huge_size_costs_nothing() {
    for size in ["99999999999999999", "18446744073709551615"] {
        let archive = tar(&format!("file a pax.size={size}"));
        assert_refused(&archive, "inside of the contents of an entry");
    }
    assert_refused(
        &tar("file a pax.size=18446744073709551616"),
        "`size` that cannot be understood",
    );
}

#[test]
fn bytes_that_never_were_an_archive_are_told_from_a_broken_one() {
    let is_not = |bytes: &[u8]| read(bytes).unwrap_err().is_not_a_tar();
    assert!(is_not(b"short"));
    assert!(is_not(&[b'x'; 2048]));
    assert!(!is_not(&unended("file a data=hello")[..514]));
    assert!(!is_not(&unended("file a data=x\ntext garbage")));
}

#[test]
fn a_file_is_skipped_through_without_reading_it() {
    use std::io::Write as _;

    let mut file = tempfile::tempfile().unwrap();
    let archive = tar("file a fill=300000\nfile b data=x\nfile c fill=70000\nfile d");
    file.write_all(b"before").unwrap();
    file.write_all(&archive).unwrap();
    let range = FileRange::new(file.into(), 6, archive.len() as u64);
    let mut reader = reader_of(range);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        entries.push((entry.path, entry.data_offset));
    }
    let expected = [("a", 512), ("b", 301_056), ("c", 302_080), ("d", 372_736)];
    assert_eq!(
        entries,
        expected.map(|(path, offset)| (path.as_bytes().to_vec(), offset))
    );
}

#[test]
fn a_file_that_ends_inside_of_data_is_refused() {
    use std::io::Write as _;

    let mut file = tempfile::tempfile().unwrap();
    let archive = unended("file a fill=300000");
    file.write_all(&archive[..200_000]).unwrap();
    let range = FileRange::new(file.into(), 0, archive.len() as u64);
    let mut reader = reader_of(range);
    reader.next_entry().unwrap();
    // Skipping reads nothing, so the length that was promised counts; reading finds out.
    let error = reader.data().read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
}
