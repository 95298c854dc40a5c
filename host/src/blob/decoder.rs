//! Undoing compression while reading.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use lzma_rust2::XzReader;

use super::{BlobError, Compression};
use crate::limits::{Budget, Inflation, Limits};

const INPUT_BUFFER: usize = 256 << 10;
/// What the xz decoder needs besides its window, in KiB.
const XZ_OVERHEAD_KIB: u32 = 1 << 10;
/// Base 2 logarithms of the smallest and largest window that the zstd decoder can be held to.
const ZSTD_WINDOW_LOGS: (u32, u32) = (10, 31);

/// A reader of decompressed bytes. Reads its input to the end.
pub struct Decoder<R: Read> {
    inner: Inner<R>,
    compression: Compression,
    limits: Limits,
    produced: u64,
    inflation: Inflation,
}

enum Inner<R: Read> {
    Plain(R),
    Gzip(Members<GzDecoder<Input<R>>>),
    Zstd(Box<zstd::Decoder<'static, Input<R>>>),
    Bzip2(Members<BzDecoder<Input<R>>>),
    Xz(Box<XzReader<Input<R>>>),
}

type Input<R> = BufReader<Counting<R>>;

impl<R: Read> Decoder<R> {
    /// Starts a decoder for bytes of a known compression, with a budget of its own.
    pub fn new(reader: R, compression: Compression, limits: &Limits) -> Result<Self, BlobError> {
        let inner = match compression {
            Compression::None => Inner::Plain(reader),
            Compression::Gzip => Inner::Gzip(Members::first(buffered(reader))),
            Compression::Zstd => Inner::Zstd(Box::new(zstd_decoder(buffered(reader), limits)?)),
            Compression::Bzip2 => Inner::Bzip2(Members::first(buffered(reader))),
            Compression::Xz => {
                let kibibytes = u32::try_from(limits.window_bytes >> 10).unwrap_or(u32::MAX);
                let memory = kibibytes.saturating_add(XZ_OVERHEAD_KIB);
                let decoder = XzReader::new_mem_limit(buffered(reader), true, memory);
                Inner::Xz(Box::new(decoder))
            }
        };
        Ok(Self {
            inner,
            compression,
            limits: limits.clone(),
            produced: 0,
            inflation: Budget::new(limits).inflation(),
        })
    }

    /// Counts for a whole operation, of which this decoder is a part.
    #[must_use]
    pub fn counted_by(self, inflation: Inflation) -> Self {
        Self { inflation, ..self }
    }

    fn consumed(&self) -> u64 {
        match &self.inner {
            Inner::Plain(_) => self.produced,
            Inner::Gzip(members) => members.consumed(),
            Inner::Zstd(decoder) => decoder.get_ref().get_ref().bytes,
            Inner::Bzip2(members) => members.consumed(),
            Inner::Xz(decoder) => decoder.inner().get_ref().bytes,
        }
    }

    /// Names the limit in the error of a decoder that may not have the memory it wants.
    fn explained(&self, error: io::Error) -> io::Error {
        let wants_memory = match self.compression {
            // The library has no other way to tell than these words of its own.
            Compression::Zstd => error.to_string().contains("too much memory"),
            Compression::Xz => error.kind() == io::ErrorKind::OutOfMemory,
            _ => false,
        };
        if !wants_memory {
            return error;
        }
        io::Error::other(BlobError::Window {
            compression: self.compression,
            max: self.limits.window_bytes,
        })
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.inner {
            Inner::Plain(reader) => reader.read(buffer),
            Inner::Gzip(members) => members.read(buffer),
            Inner::Zstd(decoder) => decoder.read(buffer),
            Inner::Bzip2(members) => members.read(buffer),
            Inner::Xz(decoder) => decoder.read(buffer),
        };
        let count = count.map_err(|error| self.explained(error))?;
        self.produced += count as u64;
        let (consumed, produced) = (self.consumed(), self.produced);
        if !self.inflation.is_bearable(consumed, produced) {
            return Err(io::Error::other(BlobError::Ratio {
                compression: self.compression,
                max: self.limits.inflate_ratio,
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

fn zstd_decoder<R: Read>(
    input: Input<R>,
    limits: &Limits,
) -> Result<zstd::Decoder<'static, Input<R>>, BlobError> {
    let failed = |source| BlobError::Decoder {
        compression: Compression::Zstd,
        source,
    };
    let mut decoder = zstd::Decoder::with_buffer(input).map_err(failed)?;
    let log = limits.window_bytes.checked_ilog2().unwrap_or(0);
    let log = log.clamp(ZSTD_WINDOW_LOGS.0, ZSTD_WINDOW_LOGS.1);
    decoder.window_log_max(log).map_err(failed)?;
    Ok(decoder)
}

/// A decoder that ends with the member it decodes, several of which can follow each other.
trait Member: Read {
    type Input: BufRead;
    const COMPRESSION: Compression;
    /// The first byte of a member.
    const MAGIC: u8;

    fn start(input: Self::Input) -> Self;
    fn input(&self) -> &Self::Input;
    fn into_input(self) -> Self::Input;
}

impl<R: Read> Member for GzDecoder<Input<R>> {
    type Input = Input<R>;
    const COMPRESSION: Compression = Compression::Gzip;
    const MAGIC: u8 = 0x1f;

    fn start(input: Input<R>) -> Self {
        Self::new(input)
    }

    fn input(&self) -> &Input<R> {
        self.get_ref()
    }

    fn into_input(self) -> Input<R> {
        self.into_inner()
    }
}

impl<R: Read> Member for BzDecoder<Input<R>> {
    type Input = Input<R>;
    const COMPRESSION: Compression = Compression::Bzip2;
    const MAGIC: u8 = b'B';

    fn start(input: Input<R>) -> Self {
        Self::new(input)
    }

    fn input(&self) -> &Input<R> {
        self.get_ref()
    }

    fn into_input(self) -> Input<R> {
        self.into_inner()
    }
}

/// All members of a gzip or bzip2 stream, and the zeros that some tools put after them.
enum Members<M> {
    Member(Box<M>),
    /// No member is left. Also in between, while the next one is looked for.
    Ended(u64),
}

impl<R: Read, M: Member<Input = Input<R>>> Members<M> {
    fn first(reader: Input<R>) -> Self {
        Self::Member(Box::new(M::start(reader)))
    }

    fn consumed(&self) -> u64 {
        match self {
            Self::Member(decoder) => decoder.input().get_ref().bytes,
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
                *self = next_member(decoder.into_input())?;
            }
        }
    }
}

fn next_member<R: Read, M: Member<Input = Input<R>>>(
    mut reader: Input<R>,
) -> io::Result<Members<M>> {
    let mut padded = false;
    loop {
        let bytes = match reader.fill_buf() {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        match bytes.get(zeros) {
            None if bytes.is_empty() => return Ok(Members::Ended(reader.get_ref().bytes)),
            None => {
                padded = true;
                reader.consume(zeros);
            }
            Some(first) if *first == M::MAGIC && !padded && zeros == 0 => {
                return Ok(Members::first(reader));
            }
            Some(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    BlobError::Trailing(M::COMPRESSION),
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
        let frame =
            |exponent: u8| [&b"\x28\xb5\x2f\xfd\x00"[..], &[exponent << 3, 1, 0, 0]].concat();
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
}
