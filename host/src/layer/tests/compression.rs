//! Compressed blobs: how they are recognised, and that their contents are the same.

use std::io::{self, Write as _};

use super::blobs::{gzip, sample, zstd};
use super::*;
use crate::blob::Compression;

#[test]
fn the_same_contents_give_the_same_files_however_they_are_compressed() {
    let archive = sample();
    let (first, second) = archive.split_at(100_000);
    let mut files = Vec::new();
    for (blob, compression) in [
        (archive.clone(), Compression::None),
        (gzip(&archive), Compression::Gzip),
        (
            [gzip(first), gzip(second), vec![0; 99]].concat(),
            Compression::Gzip,
        ),
        (zstd(&archive), Compression::Zstd),
        ([zstd(first), zstd(second)].concat(), Compression::Zstd),
    ] {
        let layer = convert_blob(&blob, &archive).unwrap();
        assert_eq!(layer.converted.compression, compression);
        files.push((
            bytes_of(&layer.converted.erofs),
            bytes_of(&layer.converted.recipe),
        ));
    }
    files.dedup();
    assert_eq!(files.len(), 1);
}

#[test]
fn files_are_the_same_however_the_blob_comes_in() {
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = self.1 % 999 + 1;
            if self.1.is_multiple_of(7) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let length = self.1.min(buffer.len());
            self.0.read(&mut buffer[..length])
        }
    }

    for blob in [sample(), gzip(&sample()), zstd(&sample())] {
        let whole = convert_with(&*blob, |_| {}).unwrap();
        let pieces = convert_with(Trickle(&blob, 0), |_| {}).unwrap();
        assert!(bytes_of(&whole.erofs) == bytes_of(&pieces.erofs));
        assert!(bytes_of(&whole.recipe) == bytes_of(&pieces.recipe));
    }
}

#[test]
fn case_16_layers_of_nothing_are_layers() {
    let zeros = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
    for (archive, diff_id) in [
        (
            vec![],
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        (vec![0; 1024], zeros),
    ] {
        for blob in [archive.clone(), gzip(&archive), zstd(&archive)] {
            let layer = convert_blob(&blob, &archive).unwrap();
            assert_eq!(layer.converted.diff_id.hex(), diff_id);
            assert!(layer.list().is_empty());
        }
    }
    // The empty layer that Docker writes.
    let empty =
        b"\x1f\x8b\x08\0\0\x09\x6e\x88\0\xff\x62\x18\x05\xa3\x60\x14\x8c\x58\0\x08\0\0\xff\xff\
        \x2e\xaf\xb5\xef\0\x04\0\0";
    let layer = convert_blob(empty, &[0; 1024]).unwrap();
    assert_eq!(
        layer.converted.blob_digest.hex(),
        "a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4"
    );
    assert_eq!(layer.converted.diff_id.hex(), zeros);
}

#[test]
fn layers_are_recognised_by_their_first_block() {
    let archive = sample();
    for start in [&archive[..512], &gzip(&archive), &zstd(&archive), &[0; 512]] {
        assert!(looks_like_layer(start));
    }
    for start in [&b"{\"layers\":[]}"[..], b"", &[0; 100], &[b'x'; 512]] {
        assert!(!looks_like_layer(start));
    }
}

#[test]
fn a_tar_whose_first_name_looks_compressed_is_a_tar() {
    for name in ["BZh91AY&SY", "\\x1f\\x8b\\x08", "P*M\\x18"] {
        let layer = convert_tar(&tar(&format!("file {name}"))).unwrap();
        assert_eq!(layer.list().len(), 1);
    }
}

#[test]
fn a_window_of_more_memory_than_the_limit_is_refused_by_name() {
    let mut encoder =
        lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).unwrap();
    encoder.write_all(&[0; 1024]).unwrap();
    let blob = encoder.finish().unwrap();
    assert!(convert_with(&*blob, |_| {}).is_ok());
    let error = convert_with(&*blob, |request| request.limits.window_bytes = 4096).unwrap_err();
    let LayerError::Decompress(source) = error else {
        panic!("{error}");
    };
    assert!(source.to_string().contains("`window_bytes`"), "{source}");
}
