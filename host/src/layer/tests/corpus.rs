//! Layers that others made, from the folder that `MSB_FIXTURES` names.

use std::path::{Path, PathBuf};

use super::*;
use crate::blob::{Compression, Decoder};
use crate::tar::TarReader;

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn decoded(blob: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = Decoder::new(blob, Compression::sniff(blob), &Limits::default()).ok()?;
    let mut archive = Vec::new();
    decoder.read_to_end(&mut archive).unwrap();
    Some(archive)
}

/// Returns whether the framing of an archive is sound.
fn is_tar(archive: &[u8]) -> bool {
    let limits = Limits::default();
    let mut reader = TarReader::new(archive, &limits, &Budget::new(&limits));
    loop {
        match reader.next_entry() {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

#[test]
fn the_archives_of_others_come_back_or_are_refused() {
    let Some(folder) = std::env::var_os("MSB_FIXTURES") else {
        skip("MSB_FIXTURES names no folder of archives");
        return;
    };
    let files = files(&Path::new(&folder).join("tars"));
    assert!(files.len() > 40);
    let mut converted = 0;
    for path in files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let blob = std::fs::read(&path).unwrap();
        let Some(archive) = decoded(&blob) else {
            assert!(convert_with(&*blob, |_| {}).is_err(), "{name}");
            continue;
        };
        let result = convert_with(&*blob, |_| {});
        assert_eq!(result.is_ok(), is_tar(&archive), "{name}: {result:?}");
        if let Ok(layer) = result {
            converted += 1;
            assert_eq!(layer.diff_id, Digest::of(&archive), "{name}");
            assert!(rebuilt(&layer) == archive, "{name}");
            let report = erofs::verify(layer.erofs).unwrap();
            assert!(report.is_sound(), "{name}: {:?}", report.findings);
        }
    }
    assert!(converted > 40, "{converted}");
}
