use std::io::Write as _;

use bzip2::write::BzEncoder;
use flate2::write::GzEncoder;
use lzma_rust2::{XzOptions, XzWriter};

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn decode_within(bytes: &[u8], limits: &Limits) -> io::Result<Vec<u8>> {
    let compression = Compression::sniff(bytes);
    let mut decoder = Decoder::new(bytes, compression, limits).map_err(io::Error::other)?;
    let mut plain = Vec::new();
    decoder.read_to_end(&mut plain)?;
    Ok(plain)
}

fn decode(bytes: &[u8]) -> io::Result<Vec<u8>> {
    decode_within(bytes, &Limits::default())
}

#[test]
fn case_21_all_members_of_a_gzip_stream_count() {
    let members = [gzip(b"one "), gzip(b""), gzip(b"two")].concat();
    assert_eq!(decode(&members).unwrap(), b"one two");
}

#[test]
fn zeros_behind_gzip_data_are_padding() {
    let padded = [gzip(b"data"), vec![0; 300_000]].concat();
    assert_eq!(decode(&padded).unwrap(), b"data");
}

#[test]
fn anything_else_behind_gzip_data_is_an_error() {
    for tail in [&b"garbage"[..], b"\0\0garbage", b"\x1f", b"\0\x1f\x8b\x08"] {
        let bytes = [&gzip(b"data"), tail].concat();
        assert!(decode(&bytes).is_err(), "{tail:?}");
    }
}

#[test]
fn case_23_all_frames_of_a_zstd_stream_count_and_skippable_ones_are_skipped() {
    let skippable = b"\x5a\x2a\x4d\x18\x04\0\0\0skip";
    let frames = [
        &skippable[..],
        &zstd(b"one "),
        skippable,
        &zstd(b"two"),
        skippable,
    ]
    .concat();
    assert_eq!(decode(&frames).unwrap(), b"one two");
}

#[test]
fn garbage_behind_zstd_data_is_an_error() {
    let bytes = [&zstd(b"data")[..], b"garbage"].concat();
    assert!(decode(&bytes).is_err());
}

#[test]
fn a_zstd_window_of_more_than_128_mib_is_refused() {
    // Frame header: no checksum, no content size, window of 2^(10 + exponent).
    let frame = |exponent: u8| [&b"\x28\xb5\x2f\xfd\x00"[..], &[exponent << 3, 1, 0, 0]].concat();
    assert_eq!(decode(&frame(17)).unwrap(), b"");
    let error = decode(&frame(18)).unwrap_err().to_string();
    assert!(error.contains("`window_bytes`"), "{error}");
}

#[test]
fn case_26_a_stream_that_was_cut_or_changed_is_an_error() {
    let text = b"not so very long, and not so very short".repeat(9);
    for whole in [gzip(&text), zstd(&text), bzip2(&text), xz(&text)] {
        for length in 2..whole.len() {
            // Input shorter than a magic number is not compressed.
            if Compression::sniff(&whole[..length]) != Compression::None {
                assert!(decode(&whole[..length]).is_err(), "{length}");
            }
        }
    }
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(&text).unwrap();
    let zstd = encoder.finish().unwrap();
    assert_eq!(decode(&zstd).unwrap(), text);
    // Checksum and length of gzip, checksum of zstd.
    for (whole, from_end) in [(gzip(&text), 8), (gzip(&text), 4), (zstd, 4)] {
        let mut changed = whole;
        let at = changed.len() - from_end;
        changed[at] ^= 1;
        assert!(decode(&changed).is_err(), "{from_end}");
    }
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz_with(bytes: &[u8], dictionary: u32) -> Vec<u8> {
    let mut options = XzOptions::with_preset(0);
    options.lzma_options.dict_size = dictionary;
    let mut encoder = XzWriter::new(Vec::new(), options).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    xz_with(bytes, 1 << 20)
}

#[test]
fn case_25_all_streams_of_bzip2_and_xz_count() {
    for one in [bzip2, xz] {
        let streams = [one(b"one "), one(b""), one(b"two")].concat();
        assert_eq!(decode(&streams).unwrap(), b"one two");
        let padded = [one(b"data"), vec![0; 512]].concat();
        assert_eq!(decode(&padded).unwrap(), b"data");
        let garbage = [one(b"data"), b"garbage!".to_vec()].concat();
        assert!(decode(&garbage).is_err());
    }
}

#[test]
fn an_xz_window_beyond_the_limit_is_refused_and_the_limit_is_named() {
    let bytes = xz_with(b"data", 1 << 20);
    let limits = Limits {
        window_bytes: 64 << 10,
        ..Limits::default()
    };
    let error = decode_within(&bytes, &limits).unwrap_err().to_string();
    assert!(error.contains("`window_bytes`"), "{error}");
    // The size of the dictionary is a byte of the header, followed by a checksum: 4 GiB.
    let mut huge = bytes;
    let at = huge.windows(2).position(|pair| pair == [0x21, 1]).unwrap() + 2;
    huge[at] = 40;
    let header = 12..12 + (usize::from(huge[12]) + 1) * 4;
    let checked = header.end - 4;
    let mut crc = flate2::Crc::new();
    crc.update(&huge[header.start..checked]);
    huge[checked..header.end].copy_from_slice(&crc.sum().to_le_bytes());
    let error = decode(&huge).unwrap_err().to_string();
    assert!(error.contains("`window_bytes`"), "{error}");
}

#[test]
fn no_change_of_a_byte_makes_a_decoder_panic_or_pass_as_something_else() {
    let text = b"not so very long, and not so very short".repeat(9);
    for whole in [bzip2(&text), xz(&text)] {
        for at in 0..whole.len() {
            for change in [1, 0x80, 0xff] {
                let mut changed = whole.clone();
                changed[at] ^= change;
                if Compression::sniff(&changed) != Compression::None
                    && let Ok(plain) = decode(&changed)
                {
                    assert_eq!(plain, text, "byte {at}");
                }
            }
        }
    }
}

#[test]
fn case_27_data_that_grows_beyond_reason_is_an_error_that_names_the_limit() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    let floor = Limits::default().growth(0);
    io::copy(&mut io::repeat(0).take(floor + 1), &mut encoder).unwrap();
    let bomb = encoder.finish().unwrap();
    let grow = |limits: &Limits| {
        let mut decoder = Decoder::new(&*bomb, Compression::Zstd, limits).unwrap();
        io::copy(&mut decoder, &mut io::sink())
    };
    let error = grow(&Limits::default()).unwrap_err();
    assert!(error.to_string().contains("`inflate_ratio`"), "{error}");
    let lenient = Limits {
        inflate_ratio: 1_000_000,
        ..Limits::default()
    };
    assert_eq!(grow(&lenient).unwrap(), floor + 1);
}
