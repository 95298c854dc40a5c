//! From blob to contents: digests, lengths, limits, and an early end.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::write::GzEncoder;

use super::*;
use crate::digest::{Algorithm, Hasher};
use crate::limits::Limit;

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

pub(super) fn sample() -> Vec<u8> {
    tar("dir d\nfile d/a fill=2000000\nfile d/b data=x\nfile .wh.c\nlink e -> d/a")
}

fn sha512(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha512);
    hasher.update(bytes);
    hasher.finish()
}

#[test]
fn case_28_expected_digests_and_lengths_are_checked() {
    let archive = sample();
    let other = Digest::of(b"other");
    for blob in [archive.clone(), gzip(&archive)] {
        let (digest, size) = (Digest::of(&blob), blob.len() as u64);
        let diff_id = Digest::of(&archive);
        let convert = |expected, expected_diff_id| {
            convert_with(&*blob, |options| {
                options.expected_blob = expected;
                options.expected_diff_id = expected_diff_id;
            })
        };
        convert(Some((digest.clone(), None)), None).unwrap();
        convert(Some((digest.clone(), Some(size))), Some(diff_id)).unwrap();
        let error = convert(Some((other.clone(), None)), None).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the digest is {digest}, not {other}")
        );
        let error = convert(Some((digest.clone(), Some(size + 1))), None).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("it is {size} bytes long, not {}", size + 1)
        );
        let error = convert(Some((digest.clone(), Some(size - 1))), None).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("it is longer than {} bytes", size - 1)
        );
        let error = convert(None, Some(other.clone())).unwrap_err();
        assert!(matches!(error, LayerError::DiffId { expected, .. } if expected == other));
    }
}

#[test]
fn no_more_is_read_of_a_blob_than_was_stated() {
    let archive = sample();
    let endless = archive.chain(io::repeat(0));
    let expected = Some((Digest::of(&sample()), Some(sample().len() as u64)));
    let error = convert_with(endless, |options| options.expected_blob = expected).unwrap_err();
    assert!(matches!(error, LayerError::BlobTooLong { .. }), "{error}");
}

#[test]
fn digests_may_be_sha512() {
    let archive = sample();
    for blob in [archive.clone(), gzip(&archive)] {
        for diff_id in [Digest::of(&archive), sha512(&archive)] {
            let converted = convert_with(&*blob, |options| {
                options.expected_blob = Some((sha512(&blob), None));
                options.expected_diff_id = Some(diff_id.clone());
            });
            let converted = converted.unwrap();
            assert_eq!(converted.blob_digest, sha512(&blob));
            assert_eq!(converted.diff_id, diff_id);
            assert!(rebuilt(&converted) == archive);
        }
        let converted = convert_with(&*blob, |options| {
            options.expected_blob = Some((sha512(&blob), None));
        });
        assert_eq!(converted.unwrap().diff_id, Digest::of(&archive));
    }
}

#[test]
fn bytes_that_make_no_sense_and_are_the_wrong_ones_are_reported_as_the_latter() {
    let good = gzip(&sample());
    let expected = Some((Digest::of(&good), Some(good.len() as u64)));
    let mut damaged = good.clone();
    damaged[1000] ^= 0x55;
    damaged[5000..5100].fill(0xff);
    let convert = |blob: &[u8], expected| {
        convert_with(blob, |options| options.expected_blob = expected).unwrap_err()
    };
    let error = convert(&damaged, None);
    assert!(matches!(error, LayerError::Decompress(_)), "{error}");
    let error = convert(&damaged, expected.clone());
    assert!(matches!(error, LayerError::BlobDigest { .. }), "{error}");
    let error = convert(&good[..good.len() / 2], expected);
    assert!(matches!(error, LayerError::BlobSize { .. }), "{error}");
    let mut broken = sample();
    broken[0] ^= 1;
    let stated = Some((Digest::of(&sample()), Some(broken.len() as u64)));
    let error = convert(&broken, stated);
    assert!(matches!(error, LayerError::BlobDigest { .. }), "{error}");
    let stated = Some((Digest::of(&broken), Some(broken.len() as u64)));
    let error = convert(&broken, stated);
    assert!(matches!(error, LayerError::Tar(_)), "{error}");
}

#[test]
fn an_input_that_fails_is_not_a_damaged_layer() {
    struct Failing;

    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the cable"))
        }
    }

    for blob in [sample(), gzip(&sample()), zstd(&sample())] {
        let (start, _) = blob.split_at(blob.len() / 2);
        let error = convert_with(start.chain(Failing), |_| {}).unwrap_err();
        let LayerError::Read(source) = error else {
            panic!("{error:?}");
        };
        assert_eq!(source.to_string(), "the cable");
    }
    assert!(convert_with(Failing, |_| {}).is_err());
}

#[test]
fn a_layer_that_was_cut_is_refused() {
    let archive = sample();
    for blob in [gzip(&archive), zstd(&archive)] {
        let error = convert_with(&blob[..blob.len() - 1], |_| {}).unwrap_err();
        assert!(matches!(error, LayerError::Decompress(_)), "{error}");
    }
    let error = convert_with(&archive[..600_000], |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "the layer ends in the middle of `d/a`");
}

#[test]
fn all_bytes_of_the_blob_are_reported() {
    for blob in [
        sample(),
        gzip(&sample()),
        [gzip(&sample()), vec![0; 300_000]].concat(),
    ] {
        let told = AtomicU64::new(0);
        let advanced = |bytes| {
            assert!(bytes > 0);
            told.fetch_add(bytes, Ordering::Relaxed);
        };
        convert_with(&*blob, |options| options.advanced = &advanced).unwrap();
        assert_eq!(told.into_inner(), blob.len() as u64);
    }
}

#[test]
fn an_operation_that_was_cancelled_ends() {
    let cancel = Cancel::default();
    let told = AtomicU64::new(0);
    // Cancelled on the way, so that both halves have begun.
    let advanced = |bytes| {
        if told.fetch_add(bytes, Ordering::Relaxed) > 1 << 20 {
            cancel.cancel();
        }
    };
    let start = unended("file a size=8589934591");
    let endless = start.chain(io::repeat(b'x'));
    let error = convert_with(endless, |options| {
        options.cancel = cancel.clone();
        options.advanced = &advanced;
    });
    assert!(matches!(error, Err(LayerError::Cancelled(_))));
}

#[test]
fn limits_are_named_when_they_are_reached() {
    let blob = gzip(&sample());
    for (limit, value) in [
        (Limit::LayerBytes, 1_000_000),
        (Limit::Entries, 4),
        (Limit::SparseBytes, 2_000_000),
    ] {
        let mut limits = Limits::default();
        limits.set(limit, value);
        let error = convert_with(&*blob, |options| options.limits = limits.clone()).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(&value.to_string()) && text.contains(&format!("`{}`", limit.name())),
            "{text}"
        );
        limits.set(limit, value * 3);
        convert_with(&*blob, |options| options.limits = limits.clone()).unwrap();
    }
}

#[test]
fn bytes_behind_the_end_count_for_the_layer_limit() {
    let limits = Limits {
        layer_bytes: 10_000,
        ..Limits::default()
    };
    let blob = gzip(&[tar("file a"), vec![0; 20_000]].concat());
    let error = convert_with(&*blob, |options| options.limits = limits.clone()).unwrap_err();
    assert!(matches!(error, LayerError::Limit { .. }), "{error}");
}

#[test]
fn the_uuid_is_made_of_the_diff_id() {
    let uuid = |archive: &[u8]| convert_tar(archive).unwrap().image.superblock().uuid;
    let first = uuid(&tar("file a"));
    assert_eq!(first, uuid(&tar("file a")));
    assert_ne!(first, uuid(&tar("file b")));
    assert_eq!(
        (first[6] >> 4, first[8] >> 6),
        (5, 2),
        "version and variant"
    );
}

/// Inspects a blob that is to have these contents and this digest.
fn inspect(
    blob: &[u8],
    contents: &[u8],
    digest: Option<Digest>,
) -> Result<InspectedBlob, LayerError> {
    let options = ConvertOptions {
        limits: &Limits::default(),
        budget: &Budget::new(&Limits::default()),
        cancel: &Cancel::default(),
        advanced: &|_| {},
        expected_blob: digest.map(|digest| (digest, Some(blob.len() as u64))),
        expected_diff_id: Some(Digest::of(contents)),
        chain: &|| Ok(None),
    };
    inspect_blob(blob, &options)
}

#[test]
fn a_blob_is_inspected_without_converting_it() {
    for (blob, contents) in [
        (sample(), sample()),
        (gzip(&sample()), sample()),
        (zstd(&sample()), sample()),
        (vec![], vec![]),
        (fill(3_000_000), fill(3_000_000)),
    ] {
        for digest in [None, Some(Digest::of(&blob))] {
            let inspected = inspect(&blob, &contents, digest).unwrap();
            assert_eq!(inspected.digest, Digest::of(&blob));
            assert_eq!(inspected.size, blob.len() as u64);
        }
    }
}

#[test]
fn a_blob_that_is_not_what_it_should_be_is_told_by_inspecting_it() {
    let cut = |blob: Vec<u8>| blob[..blob.len() - 9].to_vec();
    for blob in [
        b"garbage".to_vec(),
        gzip(&tar("file another data=x")),
        cut(sample()),
        cut(gzip(&sample())),
    ] {
        assert!(inspect(&blob, &sample(), None).is_err());
        // Whole, and not the one that it was to be.
        let error = inspect(&blob, &sample(), Some(Digest::of(b"other"))).unwrap_err();
        assert!(matches!(error, LayerError::BlobDigest { .. }), "{error}");
    }
}

#[test]
fn what_files_held_before_is_gone() {
    let dirty = || {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&fill(500_000)).unwrap();
        file
    };
    let archive = tar("file a data=x");
    let dirty = convert_into(&*archive, dirty(), dirty(), |_| {}).unwrap();
    let clean = convert_with(&*archive, |_| {}).unwrap();
    assert!(bytes_of(&dirty.erofs) == bytes_of(&clean.erofs));
    assert!(bytes_of(&dirty.recipe) == bytes_of(&clean.recipe));
}

#[test]
fn a_place_that_cannot_be_written_is_not_the_fault_of_the_layer() {
    let read_only = || File::open("/dev/null").unwrap();
    let writable = || tempfile::tempfile().unwrap();
    let archive = sample();
    for (erofs, recipe) in [(read_only(), writable()), (writable(), read_only())] {
        let error = convert_into(&*archive, erofs, recipe, |_| {}).unwrap_err();
        assert!(error.is_output(), "{error}");
    }
    assert!(!convert_with(&b"x"[..], |_| {}).unwrap_err().is_output());
}

#[test]
fn case_15_bytes_behind_the_end_are_digested_and_nothing_else() {
    let archive = tar("file a data=x");
    for rest in [vec![0; 10_240], b"garbage".to_vec(), fill(2000)] {
        // The helper asserts that the digest is that of all bytes, and that all come back.
        let whole = [&*archive, &rest].concat();
        for blob in [whole.clone(), gzip(&whole)] {
            let layer = convert_blob(&blob, &whole).unwrap();
            assert_eq!(layer.list(), ["file a = x"]);
        }
    }
}

#[test]
fn case_17_the_first_of_two_archives_is_the_layer() {
    let whole = [tar("file a data=x"), tar("file b\nfile a data=y")].concat();
    for blob in [whole.clone(), zstd(&whole)] {
        let layer = convert_blob(&blob, &whole).unwrap();
        assert_eq!(layer.list(), ["file a = x"]);
    }
}
