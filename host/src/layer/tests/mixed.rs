//! Where two rooms meet: forms of archives and of compression that change what a layer holds.

use std::io::Write as _;

use super::*;
use crate::tar::fixture::sign;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zeros(count: usize) -> String {
    "\\x00".repeat(count)
}

#[test]
fn holes_of_an_old_gnu_file_are_zeros_in_the_image() {
    let mut archive = tar("entry S a magic=gnu data=abcde\nfile b data=x");
    let map = b"00000000012\x0000000000002\x0000000000062\x0000000000003\0";
    archive[386..386 + map.len()].copy_from_slice(map);
    archive[483..495].copy_from_slice(b"00000000106\0");
    sign(&mut archive[..512]);
    let layer = convert_tar(&archive).unwrap();
    let expected = format!("file a = {}ab{}cde{}", zeros(10), zeros(38), zeros(17));
    assert_eq!(layer.list(), [expected, "file b = x".to_owned()]);
}

#[test]
fn a_map_in_the_data_is_not_in_the_image() {
    let map = "2\\n10\\n2\\n50\\n3\\n";
    let filler = "\\0".repeat(512 - map.replace("\\n", "n").len());
    let layer = convert_tar(&tar(&format!(
        "file x/a.0 data={map}{filler}abcde pax.GNU.sparse.major=1 pax.GNU.sparse.minor=0 \
         pax.GNU.sparse.name=x/a pax.GNU.sparse.realsize=70\nfile b data=x"
    )));
    let expected = format!("file x/a = {}ab{}cde{}", zeros(10), zeros(38), zeros(17));
    assert_eq!(
        layer.unwrap().list(),
        ["file b = x".to_owned(), "dir x".to_owned(), expected]
    );
}

#[test]
fn a_size_record_decides_where_the_next_entry_is() {
    // Whoever believes the header finds an entry in the data.
    let mut archive = tar("file a size=0 pax.size=512\nfile hidden\nfile b data=x");
    let layer = convert_tar(&archive).unwrap();
    assert_eq!(layer.converted.entries, 2);
    assert!(!layer.list().iter().any(|line| line.contains("hidden")));
    // A long name in between has a size of its own.
    archive = tar("pax size=512\nlongpath long\nfile a size=0\nfile hidden\nfile b data=x");
    let layer = convert_tar(&archive).unwrap();
    let names: Vec<String> = layer
        .list()
        .iter()
        .map(|line| line[..6].to_owned())
        .collect();
    assert_eq!(names, ["file b", "file l"]);
}

#[test]
fn case_22_zeros_behind_gzip_data_are_padding_and_anything_else_is_refused() {
    let archive = tar("file a data=x");
    let blob = |rest: &[u8]| [&gzip(&archive), rest].concat();
    for rest in [&[][..], &[0], &[0; 511], &[0; 9000]] {
        convert_blob(&blob(rest), &archive).unwrap();
    }
    for rest in [&b"garbage"[..], b"\0\0garbage", b"\x1f\x8b"] {
        let error = convert_with(&*blob(rest), |_| {}).unwrap_err();
        assert!(matches!(error, LayerError::Decompress(_)), "{error}");
    }
}

#[test]
fn skippable_frames_of_zstd_are_no_part_of_the_contents() {
    let archive = tar("file a fill=100000");
    let frame = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    let skippable = b"\x5a\x2a\x4d\x18\x04\0\0\0skip";
    let (first, second) = archive.split_at(50_000);
    let blob = [
        &skippable[..],
        &frame(first),
        skippable,
        &frame(second),
        skippable,
    ]
    .concat();
    let layer = convert_blob(&blob, &archive).unwrap();
    assert_eq!(layer.list().len(), 1);
    let plain = convert_tar(&archive).unwrap();
    assert!(bytes_of(&layer.converted.erofs) == bytes_of(&plain.converted.erofs));
}

#[test]
fn a_path_may_lead_through_40_links_and_no_more() {
    let chain = |links: usize| {
        let links = (0..links).map(|number| format!("symlink l{number} -> l{}\n", number + 1));
        links.collect::<String>()
    };
    for (links, fits) in [(39, true), (40, true), (41, false), (100, false)] {
        let text = format!("{}dir l{links}\nfile l0/x data=y", chain(links));
        match convert_tar(&tar(&text)) {
            Ok(layer) => {
                assert!(fits, "{links}");
                assert!(layer.list().contains(&format!("file l{links}/x = y")));
            }
            Err(error) => {
                assert!(!fits, "{links}: {error}");
                assert!(error.to_string().contains("too many symbolic links"));
            }
        }
    }
}

#[test]
fn a_link_that_waits_finds_its_target_through_a_link_that_came_later() {
    assert_layer(
        "link l -> u/a\nsymlink u -> usr\nfile usr/a data=x",
        &[
            "file l = x links=2",
            "symlink u -> usr",
            "dir usr",
            "file usr/a = x links=2",
        ],
    );
}

#[test]
fn a_malformed_record_is_refused_with_its_reason() {
    for (record, reason) in [
        ("path=a\\n", "a record has no length"),
        ("99\\spath=a\\n", "the length of a record is wrong"),
        ("9\\spathxa\\n", "a record has no `=`"),
        ("9\\spath=a\\s", "a record has no line end"),
    ] {
        assert_refused(
            &format!("entry x PaxHeaders/x data={record}\nfile a"),
            reason,
        );
    }
}

#[test]
fn case_02_a_path_record_takes_the_place_of_prefix_and_name() {
    let mut archive = tar("symlink a -> b pax.path=c/d/ pax.linkpath=e\nchar x 1:3 pax.path=f/");
    archive[1024 + 345..1024 + 351].copy_from_slice(b"prefix");
    sign(&mut archive[1024..1536]);
    let layer = convert_tar(&archive).unwrap();
    assert_eq!(layer.list(), ["dir c", "symlink c/d -> e", "char f 1:3"]);
}

#[test]
fn case_20_headers_of_solaris_are_read_and_files_of_apple_are_files() {
    let layer = convert_tar(&tar(
        "entry A acl data=user::rwx\nentry X PaxHeaders/x data=9\\spath=b\\n\nfile a data=x\n\
         file ._b data=fork",
    ))
    .unwrap();
    assert_eq!(layer.list(), ["file ._b = fork", "file b = x"]);
    let notices = &layer.converted.notices;
    assert!(
        matches!(&notices[..], [notice] if notice.starts_with("`acl`: an entry of type `A`")),
        "{notices:?}"
    );
}
