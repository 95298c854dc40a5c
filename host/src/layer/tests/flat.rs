//! Images with all contents, compressed and not.

use std::num::NonZero;

use msb_erofs::{Algorithm, FileCompression};

use super::merge::merged;
use super::*;

/// Layers of files that shrink, that do not, and that are too small to.
fn layers() -> Vec<File> {
    let mut builder = ::tar::Builder::new(Vec::new());
    let mut add = |path: &str, bytes: &[u8]| {
        let mut header = ::tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, bytes).unwrap();
    };
    let mut state = 1_u32;
    let noise: Vec<u8> = (0..300_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect();
    add("noise", &noise);
    add(
        "mixed",
        &[&vec![b'a'; 200_000], &noise[..], &vec![0; 70_001]].concat(),
    );
    for number in 0..300_usize {
        add(
            &format!("many/{number}"),
            &vec![number.to_le_bytes()[0]; number * 97],
        );
    }
    add("zeros", &vec![0; 3 << 20]);
    let archive = builder.into_inner().unwrap();
    let converted = convert_tar(&archive).unwrap().converted;
    vec![converted.erofs]
}

fn flat(options: &FlatOptions, budget: &Budget, cancel: &Cancel) -> Result<Vec<u8>, LayerError> {
    let tree = merged(&layers());
    let file = tempfile::tempfile().unwrap();
    let written = tree.write_flat(file, options, budget, &|_| (), cancel)?;
    assert!(erofs::verify(&written.file).unwrap().is_sound());
    Ok(bytes_of(&written.file))
}

fn options(compression: FileCompression, threads: usize) -> FlatOptions {
    FlatOptions {
        uuid: [7; 16],
        compression: Some(compression),
        threads: NonZero::new(threads),
    }
}

/// Returns all files of an image by path.
fn contents(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let image = Image::open(bytes).unwrap();
    let mut pending = vec![(image.root(), String::new())];
    let mut files = BTreeMap::new();
    while let Some((nid, path)) = pending.pop() {
        let info = image.inode(nid).unwrap();
        if info.file_type == FileType::Directory {
            for entry in image.entries(&info).unwrap() {
                let name = String::from_utf8(entry.name.to_vec()).unwrap();
                pending.push((entry.nid, format!("{path}/{name}")));
            }
        } else {
            let mut bytes = vec![0; usize::try_from(info.size).unwrap()];
            assert_eq!(image.read_file(&info, 0, &mut bytes).unwrap(), bytes.len());
            files.insert(path, bytes);
        }
    }
    files
}

#[test]
fn compressed_images_are_the_same_with_any_number_of_threads() {
    let budget = Budget::new(&Limits::default());
    let cancel = Cancel::default();
    let plain = flat(&FlatOptions::default(), &budget, &cancel).unwrap();
    let expected = contents(&plain);
    assert_eq!(expected.len(), 303);
    for algorithm in Algorithm::ALL {
        for size in [8 << 10, 64 << 10, 1 << 20] {
            let compression = FileCompression::new(algorithm)
                .with_cluster_size(size)
                .unwrap();
            let one = flat(&options(compression, 1), &budget, &cancel).unwrap();
            assert!(one.len() < plain.len() * 3 / 4);
            assert!(contents(&one) == expected, "{compression:?}");
            for threads in [2, 8] {
                let other = flat(&options(compression, threads), &budget, &cancel).unwrap();
                assert!(one == other, "{compression:?} {threads}");
            }
        }
    }
}

#[test]
fn compressing_keeps_to_its_budget_and_stops_when_asked() {
    let compression = FileCompression::new(Algorithm::Zstd)
        .with_cluster_size(1 << 20)
        .unwrap();
    let budget = |memory_bytes| {
        Budget::new(&Limits {
            memory_bytes,
            ..Limits::default()
        })
    };
    let cancel = Cancel::default();
    let error = flat(&options(compression, 8), &budget(8 << 20), &cancel).unwrap_err();
    let words = error.to_string();
    assert!(
        words.contains("parts of files that are being compressed"),
        "{words}"
    );
    assert!(words.contains("`memory_bytes`"), "{words}");
    // With room for one thread, there is one, and the image is the same.
    let one = flat(&options(compression, 8), &budget(40 << 20), &cancel).unwrap();
    let all = flat(&options(compression, 8), &budget(1 << 30), &cancel).unwrap();
    assert!(one == all);
    let little_disk = Budget::new(&Limits {
        image_bytes: 100_000,
        ..Limits::default()
    });
    let error = flat(&options(compression, 2), &little_disk, &cancel).unwrap_err();
    assert!(error.to_string().contains("`image_bytes`"), "{error}");
    cancel.cancel();
    let error = flat(&options(compression, 2), &budget(1 << 30), &cancel).unwrap_err();
    assert!(matches!(error, LayerError::Cancelled(_)), "{error}");
}
