//! Archives that others made, from the folder that `MSB_FIXTURES` names.

use std::path::{Path, PathBuf};

use super::*;
use crate::blob::{Compression, Decoder};

/// Archives that are broken on purpose.
const BROKEN: [&str; 17] = [
    "diff-014-unterminated-pax.tar",
    "diff-024-pending-pax-boundary.tar",
    "diff-039-truncated-entry-body.tar",
    "issue10968.tar",
    "issue11169.tar",
    "issue12435.tar",
    "neg-size.tar",
    "pax-bad-hdr-file.tar",
    "pax-bad-hdr-large.tar.bz2",
    "pax-bad-mtime-file.tar",
    "pax-nul-path.tar",
    "pax-nul-xattrs.tar",
    "pax-path-hdr.tar",
    "small.txt",
    "small2.txt",
    "writer-big-long.tar",
    "writer-big.tar",
];

fn archives(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(archives(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn the_archives_of_others_are_read_or_refused_as_they_deserve() {
    let Some(folder) = std::env::var_os("MSB_FIXTURES") else {
        skip("MSB_FIXTURES names no folder of archives");
        return;
    };
    let archives = archives(&Path::new(&folder).join("tars"));
    assert!(archives.len() > 40);
    for path in archives {
        let name = path.file_name().unwrap().to_str().unwrap();
        let file = std::fs::read(&path).unwrap();
        let compression = Compression::sniff(&file);
        let mut decoder = Decoder::new(&*file, compression, &Limits::default()).unwrap();
        let mut archive = Vec::new();
        decoder.read_to_end(&mut archive).unwrap();
        let result = read(&archive);
        assert_eq!(
            result.is_err(),
            BROKEN.contains(&name),
            "{name}: {result:?}"
        );
    }
}

#[expect(clippy::print_stderr, reason = "a test that was not run must be seen")]
fn skip(reason: &str) {
    eprintln!("SKIPPED, NOT TESTED: {reason}");
}
