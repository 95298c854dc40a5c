//! Undoing compression while reading.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

use super::{BlobError, Compression};
use crate::limits::Limits;

const INPUT_BUFFER: usize = 256 << 10;
/// The base 2 logarithm of the largest window that a zstd frame may ask memory for: 128 MiB.
const ZSTD_WINDOW: u32 = 27;
/// Below this many bytes no ratio is suspicious: an empty disk image compresses very well.
const RATIO_FLOOR: u64 = 1 << 30;

/// A reader of decompressed bytes. Reads its input to the end.
pub struct Decoder<R: Read> {
    inner: Inner<R>,
    compression: Compression,
    ratio: u64,
    produced: u64,
}

enum Inner<R: Read> {
    Plain(R),
    Gzip(Gzip<R>),
    Zstd(Box<zstd::Decoder<'static, Input<R>>>),
}

type Input<R> = BufReader<Counting<R>>;

impl<R: Read> Decoder<R> {
    /// Starts a decoder for bytes of a known compression.
    pub fn new(reader: R, compression: Compression, limits: &Limits) -> Result<Self, BlobError> {
        let inner = match compression {
            Compression::None => Inner::Plain(reader),
            Compression::Gzip => Inner::Gzip(Gzip::member(buffered(reader))),
            Compression::Zstd => Inner::Zstd(Box::new(zstd_decoder(buffered(reader))?)),
            Compression::Bzip2 | Compression::Xz => {
                return Err(BlobError::Unsupported(compression));
            }
        };
        Ok(Self {
            inner,
            compression,
            ratio: limits.inflate_ratio,
            produced: 0,
        })
    }

    fn consumed(&self) -> u64 {
        match &self.inner {
            Inner::Plain(_) => self.produced,
            Inner::Gzip(gzip) => gzip.consumed(),
            Inner::Zstd(decoder) => decoder.get_ref().get_ref().bytes,
        }
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.inner {
            Inner::Plain(reader) => reader.read(buffer)?,
            Inner::Gzip(gzip) => gzip.read(buffer)?,
            Inner::Zstd(decoder) => decoder.read(buffer)?,
        };
        self.produced += count as u64;
        let allowed = self.consumed().saturating_mul(self.ratio).max(RATIO_FLOOR);
        if self.produced > allowed {
            return Err(io::Error::other(BlobError::Ratio {
                compression: self.compression,
                max: self.ratio,
            }));
        }
        Ok(count)
    }
}

impl<R: Read> fmt::Debug for Decoder<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Decoder")
            .field("compression", &self.compression)
            .field("produced", &self.produced)
            .finish_non_exhaustive()
    }
}

fn buffered<R: Read>(inner: R) -> Input<R> {
    BufReader::with_capacity(INPUT_BUFFER, Counting { inner, bytes: 0 })
}

fn zstd_decoder<R: Read>(input: Input<R>) -> Result<zstd::Decoder<'static, Input<R>>, BlobError> {
    let failed = |source| BlobError::Decoder {
        compression: Compression::Zstd,
        source,
    };
    let mut decoder = zstd::Decoder::with_buffer(input).map_err(failed)?;
    decoder.window_log_max(ZSTD_WINDOW).map_err(failed)?;
    Ok(decoder)
}

/// All members of a gzip stream, and the zeros that some tools put behind them.
enum Gzip<R: Read> {
    Member(Box<GzDecoder<Input<R>>>),
    /// No member is left. Also in between, while the next one is looked for.
    Ended(u64),
}

impl<R: Read> Gzip<R> {
    fn member(reader: Input<R>) -> Self {
        Self::Member(Box::new(GzDecoder::new(reader)))
    }

    fn consumed(&self) -> u64 {
        match self {
            Self::Member(decoder) => decoder.get_ref().get_ref().bytes,
            Self::Ended(bytes) => *bytes,
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let consumed = self.consumed();
            let Self::Member(decoder) = self else {
                return Ok(0);
            };
            let count = decoder.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            if let Self::Member(decoder) = std::mem::replace(self, Self::Ended(consumed)) {
                *self = next_member(decoder.into_inner())?;
            }
        }
    }
}

fn next_member<R: Read>(mut reader: Input<R>) -> io::Result<Gzip<R>> {
    let mut padded = false;
    loop {
        let bytes = match reader.fill_buf() {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        match bytes.get(zeros) {
            None if bytes.is_empty() => return Ok(Gzip::Ended(reader.get_ref().bytes)),
            None => {
                padded = true;
                reader.consume(zeros);
            }
            Some(0x1f) if !padded && zeros == 0 => return Ok(Gzip::member(reader)),
            Some(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    BlobError::Trailing,
                ));
            }
        }
    }
}

struct Counting<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Write as _;

    use flate2::write::GzEncoder;

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
        let frame =
            |exponent: u8| [&b"\x28\xb5\x2f\xfd\x00"[..], &[exponent << 3, 1, 0, 0]].concat();
        assert_eq!(decode(&frame(17)).unwrap(), b"");
        assert!(decode(&frame(18)).is_err());
    }

    #[test]
    fn case_26_a_stream_that_was_cut_or_changed_is_an_error() {
        let text = b"not so very long, and not so very short".repeat(9);
        for whole in [gzip(&text), zstd(&text)] {
            for length in 2..whole.len() {
                // Less than a magic number is no compression.
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

    #[test]
    fn case_25_compressions_that_are_not_read_are_named() {
        for (bytes, name) in [(&b"BZh91AY&SY"[..], "bzip2"), (b"\xfd7zXZ\0", "xz")] {
            let error = decode(bytes).unwrap_err().to_string();
            assert_eq!(error, format!("{name} compression is not supported"));
        }
    }

    #[test]
    fn case_27_data_that_grows_beyond_reason_is_an_error_that_names_the_limit() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        io::copy(&mut io::repeat(0).take(RATIO_FLOOR + 1), &mut encoder).unwrap();
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
        assert_eq!(grow(&lenient).unwrap(), RATIO_FLOOR + 1);
    }
}
