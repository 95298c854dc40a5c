//! What becomes of a layer: from lines of text through tar and EROFS to lines of text.

use std::io::Write as _;

use super::fixture::{made, made_with, tar};
use super::{LayerError, looks_like_layer};
use crate::limits::Limits;

/// Asserts that a layer of some lines becomes an image of others, below the root.
#[track_caller]
fn assert_becomes(layer: &str, image: &str) {
    let lines = made(&tar(layer)).unwrap().lines();
    let root =
        lines[0].ends_with('/') && !lines[0].contains("opaque") && !lines[0].contains("origin");
    let seen = if root { &lines[1..] } else { &lines[..] };
    assert_eq!(seen.join("\n"), image, "from\n{layer}");
}

/// Asserts that a layer is refused with some words.
#[track_caller]
fn assert_refused(layer: &[u8], words: &str) {
    let seen = chain(&made(layer).unwrap_err());
    assert!(seen.contains(words), "{seen}");
}

/// Returns an error and all its causes.
fn chain(error: &LayerError) -> String {
    let mut chain = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        chain = format!("{chain}: {cause}");
        source = cause.source();
    }
    chain
}

#[test]
fn every_spelling_of_a_path_names_one_node() {
    for path in ["./a/b", "/a/b", "a//b", "a/./b", "a/c/../b"] {
        let lines = made(&tar(&format!("a/\n{path} = x"))).unwrap().lines();
        assert!(lines.contains(&"a/b = x".to_owned()), "{path}: {lines:?}");
    }
}

#[test]
fn a_path_that_leads_above_the_root_stays_inside() {
    assert_becomes("../../x = 1", "x = 1");
    assert_becomes("a/../../b = 1", "b = 1");
}

#[test]
fn parents_that_nobody_mentioned_are_made_and_take_their_own_entry_later() {
    assert_becomes("a/b/c = 1", "a/\na/b/\na/b/c = 1");
    assert_becomes(
        "a/b = 1\n[mode=700 uid=7] a/",
        "[mode=700 uid=7] a/\na/b = 1",
    );
}

#[test]
fn a_parent_that_is_a_link_of_the_same_layer_is_followed_inside_the_root() {
    assert_becomes(
        "usr/lib/\nlib -> usr/lib\nlib/x = 1",
        "[mode=644] lib -> usr/lib\nusr/\nusr/lib/\nusr/lib/x = 1"
            .replace("[mode=644] ", "")
            .as_str(),
    );
    assert_becomes(
        "up -> ../../../etc\nup/x = 1",
        "etc/\netc/x = 1\nup -> ../../../etc",
    );
}

#[test]
fn links_that_lead_in_circles_are_refused() {
    assert_refused(&tar("a -> b\nb -> a\na/x = 1"), "too many symbolic links");
}

#[test]
fn what_comes_later_replaces_what_was_there() {
    for (layer, image) in [
        ("a = old\na = new", "a = new"),
        ("a/\na/b = 1\na = file", "a = file"),
        // The file would have hidden what lies below, and so does what takes its place.
        (
            "a = file\na/\na/b = 1",
            "[trusted.overlay.opaque=y] a/\na/b = 1",
        ),
        (
            "a = file\na/b = 1",
            "[trusted.overlay.opaque=y] a/\na/b = 1",
        ),
        ("a/\na/b = 1\na -> x", "a -> x"),
        ("d -> x\nd/", "[trusted.overlay.opaque=y] d/"),
        ("a/\na/b = 1\n[mode=700] a/", "[mode=700] a/\na/b = 1"),
        ("a = 1\nl => a\na = 2", "a = 2\nl = 1"),
    ] {
        assert_becomes(layer, image);
    }
}

#[test]
fn hard_links_share_an_inode_of_any_kind() {
    for (layer, image) in [
        ("a = 1\nb => a", "[names=2] a = 1\n[names=2] b = 1"),
        ("a -> x\nb => a", "[names=2] a -> x\n[names=2] b -> x"),
        ("a : 1,3\nb => a", "[names=2] a : 1,3\n[names=2] b : 1,3"),
        ("a = 1\na => a", "a = 1"),
        ("a = 1\nb => /./a", "[names=2] a = 1\n[names=2] b = 1"),
        ("b => a\na = 1", "[names=2] a = 1\n[names=2] b = 1"),
        (
            "c => b\nb => a\na = 1",
            "[names=3] a = 1\n[names=3] b = 1\n[names=3] c = 1",
        ),
        (
            "d/\nd/a = 1\nl -> d\nb => l/a",
            "[names=2] b = 1\nd/\n[names=2] d/a = 1\nl -> d",
        ),
        ("x/b => y\ny = 1", "x/\n[names=2] x/b = 1\n[names=2] y = 1"),
    ] {
        assert_becomes(layer, image);
    }
    assert_refused(&tar("a/\nb => a"), "hard link to a directory");
    assert_refused(&tar("b => nowhere"), "hard link to `nowhere`");
}

#[test]
fn whiteouts_hide_only_what_lies_below_whatever_their_place() {
    for (layer, image) in [
        (
            "d/.wh.x = ",
            "[trusted.overlay.origin=] d/\n[mode=0] d/x : 0,0",
        ),
        ("d/x = new\nd/.wh.x = ", "d/\nd/x = new"),
        ("d/.wh.x = \nd/x = new", "d/\nd/x = new"),
        ("d/\n.wh.d = ", "[trusted.overlay.opaque=y] d/"),
        (
            ".wh.d = \nd/x = new",
            "[trusted.overlay.opaque=y] d/\nd/x = new",
        ),
        (
            "d/.wh..wh..opq = \nd/x = 1",
            "[trusted.overlay.opaque=y] d/\nd/x = 1",
        ),
        (
            "d/x = 1\nd/.wh.y = \nd/.wh..wh..opq = ",
            "[trusted.overlay.opaque=y] d/\nd/x = 1",
        ),
        (
            ".wh..wh..opq = \nx = 1",
            "[trusted.overlay.opaque=y] /\nx = 1",
        ),
        (
            ".wh.x = \n.wh.x = ",
            "[trusted.overlay.origin=] /\n[mode=0] x : 0,0",
        ),
        (".wh..wh.aufs = \n.wh..wh.orph/\nx = 1", "x = 1"),
        (".wh..wh.plnk/7 = data\nx => .wh..wh.plnk/7", "x = data"),
    ] {
        assert_becomes(layer, image);
    }
    for name in [".wh.", ".wh..", ".wh..."] {
        assert_refused(&tar(&format!("{name} = ")), "whiteout of no name");
    }
}

#[test]
fn modes_owners_and_times_are_kept() {
    for line in [
        "[mode=4755 uid=1] a = x",
        "[mode=1777] a/",
        "[mtime=1700000000.123456789] a = x",
        "[mtime=8589934592.000000000] a = x",
        "a : 4095,1048575",
    ] {
        assert_becomes(line, line);
    }
    assert_becomes("[mtime=-5.5] a = x", "[mtime=-6.500000000] a = x");
    assert_refused(&tar("a : 4096,0"), "device number is too large");
}

#[test]
fn the_root_takes_the_metadata_of_its_entry() {
    let lines = made(&tar("[mode=711 uid=7] ./\na = 1")).unwrap().lines();
    assert_eq!(lines, ["[mode=711 uid=7] /", "a = 1"]);
    assert_refused(&tar(". = x"), "the root can only be a directory");
}

#[test]
fn extended_attributes_are_kept_unless_they_speak_to_somebody_else() {
    assert_becomes("[user.note=1] a = x", "[user.note=1] a = x");
    assert_becomes(
        "[security.capability=cap trusted.x=y] a = x",
        "[security.capability=cap trusted.x=y] a = x",
    );
    assert_becomes(
        "[trusted.overlay.opaque=y] a/",
        "[trusted.overlay.overlay.opaque=y] a/",
    );
    assert_becomes("[security.selinux=label] a = x", "a = x");
    let made = made(&tar("[strange.name=1] a = x")).unwrap();
    assert!(made.converted.notices[0].contains("strange.name"));
    assert_eq!(made.lines()[1], "a = x");
}

#[test]
fn an_empty_layer_is_an_empty_directory() {
    for bytes in [&[][..], &[0; 1024], &[0; 512]] {
        assert_eq!(made(bytes).unwrap().lines(), ["/"]);
    }
}

#[test]
fn bytes_behind_the_end_belong_to_the_digest_and_not_to_the_tree() {
    let mut layer = tar("a = 1");
    layer.extend(tar("b = 2"));
    layer.extend(b"and garbage");
    let made = made(&layer).unwrap();
    assert_eq!(made.lines(), ["/", "a = 1"]);
    assert_eq!(made.converted.tar_size, layer.len() as u64);
}

#[test]
fn a_layer_that_ends_too_early_is_refused() {
    let layer = tar(&format!("a = {}", "x".repeat(2000)));
    assert_refused(&layer[..1000], "ends in the middle of `a`");
    assert_refused(&layer[..100], "ends at byte");
    assert_refused(
        b"not a tar at all, but long enough to be one"
            .repeat(20)
            .as_slice(),
        "no tar header",
    );
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

#[test]
fn one_layer_in_any_compression_is_one_image() {
    let layer = tar(&format!("a = {}\nb/\nb/c -> d", "text ".repeat(500)));
    let (first, second) = layer.split_at(700);
    let several = [gzip(first), gzip(second)].concat();
    let padded = [gzip(&layer), vec![0; 600]].concat();
    let frames = [
        zstd(first),
        b"\x50\x2a\x4d\x18\x04\0\0\0skip".to_vec(),
        zstd(second),
    ]
    .concat();
    let plain = made(&layer).unwrap();
    for blob in [gzip(&layer), several, padded, zstd(&layer), frames] {
        assert!(looks_like_layer(&blob));
        let other = made(&blob).unwrap();
        assert_eq!(other.converted.diff_id, plain.converted.diff_id);
        assert_ne!(other.converted.blob_digest, plain.converted.blob_digest);
        assert_eq!(bytes(&other.erofs), bytes(&plain.erofs));
        assert_eq!(bytes(&other.recipe), bytes(&plain.recipe));
    }
}

fn bytes(file: &std::fs::File) -> Vec<u8> {
    use std::os::unix::fs::FileExt as _;
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

#[test]
fn compressions_that_are_broken_or_unknown_are_refused() {
    let blob = gzip(&tar(&format!("a = {}", "x".repeat(5000))));
    assert_refused(&blob[..blob.len() - 4], "could not decompress the layer");
    let mut flipped = blob.clone();
    let last = flipped.len() - 6;
    flipped[last] ^= 1;
    assert_refused(&flipped, "could not decompress the layer");
    assert_refused(
        &[blob.clone(), b"more".to_vec()].concat(),
        "something else than zeros",
    );
    assert_refused(
        b"BZh91AY&SY and so on",
        "bzip2 compression is not supported",
    );
    assert_refused(b"\xfd7zXZ\0\0\0", "xz compression is not supported");
}

#[test]
fn limits_are_named_by_the_error_that_they_cause() {
    let layer = tar("a = 1\nb = 2\nc = 3");
    let limits = Limits::default;
    for (limits, words) in [
        (
            Limits {
                entries: 2,
                ..limits()
            },
            "`entries`",
        ),
        (
            Limits {
                layer_bytes: 600,
                ..limits()
            },
            "`layer_bytes`",
        ),
        (
            Limits {
                path_bytes: 0,
                ..limits()
            },
            "`path_bytes`",
        ),
    ] {
        let words_seen = chain(&made_with(&layer, &limits).unwrap_err());
        assert!(words_seen.contains(words), "{words_seen}");
    }
}

#[test]
fn a_damaged_recipe_is_an_error_and_no_panic() {
    let made = made(&tar("a = 1\nb/\nb/c = 2")).unwrap();
    let whole = bytes(&made.recipe);
    for position in 0..whole.len() {
        for damaged in [
            whole[..position].to_vec(),
            [
                &whole[..position],
                &[whole[position] ^ 0x55],
                &whole[position + 1..],
            ]
            .concat(),
        ] {
            let mut recipe = tempfile::tempfile().unwrap();
            recipe.write_all(&damaged).unwrap();
            let mut back = Vec::new();
            let cancel = crate::cancel::Cancel::default();
            if let Ok(rebuilt) = super::rebuild(&made.erofs, &recipe, &mut back, &cancel) {
                // A changed bit that decodes all the same shows in the digest.
                let same = rebuilt.digest == made.converted.diff_id;
                assert!(!same || back == tar("a = 1\nb/\nb/c = 2"));
            }
        }
    }
}

#[test]
fn each_tar_of_others_is_given_back_to_the_bit_or_refused() {
    let Some(folder) = std::env::var_os("MSB_FIXTURES") else {
        skipped();
        return;
    };
    let (mut given_back, mut refused) = (0, 0);
    for file in walkdir::WalkDir::new(std::path::Path::new(&folder).join("tars")) {
        let file = file.unwrap();
        if file.file_type().is_file() && file.path().extension().is_some_and(|end| end != "txt") {
            // `made` compares what is rebuilt with what went in.
            match made(&std::fs::read(file.path()).unwrap()) {
                Ok(_) => given_back += 1,
                Err(_) => refused += 1,
            }
        }
    }
    assert!(
        given_back >= 50 && refused >= 5,
        "{given_back} and {refused}"
    );
}

#[expect(clippy::print_stderr, reason = "whoever runs the tests should know")]
fn skipped() {
    eprintln!("SKIPPED: MSB_FIXTURES names no folder of tars");
}
