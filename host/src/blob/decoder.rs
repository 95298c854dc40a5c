//! Undoing compression while reading.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

use super::{BlobError, Compression};
use crate::limits::Limits;

const INPUT_BUFFER: usize = 256 << 10;
/// log2 of the largest window that a zstd frame may ask memory for: 128 MiB.
const ZSTD_WINDOW: u32 = 27;
/// Below this many bytes no ratio is suspicious.
const RATIO_FLOOR: u64 = 64 << 20;

/// A reader of decompressed bytes.
#[derive(Debug)]
pub struct Decoder<R: Read> {
    inner: Inner<R>,
    compression: Compression,
    ratio: u64,
    produced: u64,
}

enum Inner<R: Read> {
    Plain(R),
    Gzip(Gzip<R>),
    Zstd(Box<zstd::Decoder<'static, BufReader<Counting<R>>>>),
}

impl<R: Read> std::fmt::Debug for Inner<R> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Gzip(_) => "Gzip",
            Self::Zstd(_) => "Zstd",
        })
    }
}

impl<R: Read> Decoder<R> {
    /// Starts a decoder for bytes of a known compression.
    pub fn new(reader: R, compression: Compression, limits: &Limits) -> Result<Self, BlobError> {
        let counting = |inner| Counting { inner, bytes: 0 };
        let inner = match compression {
            Compression::None => Inner::Plain(reader),
            Compression::Gzip => Inner::Gzip(Gzip::member(BufReader::with_capacity(
                INPUT_BUFFER,
                counting(reader),
            ))),
            Compression::Zstd => {
                let buffered = BufReader::with_capacity(INPUT_BUFFER, counting(reader));
                let mut decoder =
                    zstd::Decoder::with_buffer(buffered).map_err(BlobError::Decoder)?;
                decoder
                    .window_log_max(ZSTD_WINDOW)
                    .map_err(BlobError::Decoder)?;
                Inner::Zstd(Box::new(decoder))
            }
            Compression::Bzip2 => return Err(BlobError::Unsupported("bzip2")),
            Compression::Xz => return Err(BlobError::Unsupported("xz")),
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
        if self.produced > RATIO_FLOOR && self.produced / self.ratio > self.consumed() {
            return Err(io::Error::other(format!(
                "{:?} data grows to more than {} times its size (limit `inflate_ratio`)",
                self.compression, self.ratio
            )));
        }
        Ok(count)
    }
}

/// All members of a gzip stream, and the zeros that some tools put behind them.
enum Gzip<R: Read> {
    Member(Box<GzDecoder<BufReader<Counting<R>>>>),
    Between,
    Ended(u64),
}

impl<R: Read> Gzip<R> {
    fn member(reader: BufReader<Counting<R>>) -> Self {
        Self::Member(Box::new(GzDecoder::new(reader)))
    }

    fn consumed(&self) -> u64 {
        match self {
            Self::Member(decoder) => decoder.get_ref().get_ref().bytes,
            Self::Between => 0,
            Self::Ended(bytes) => *bytes,
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Self::Member(decoder) = self else {
                return Ok(0);
            };
            let count = decoder.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let Self::Member(decoder) = std::mem::replace(self, Self::Between) else {
                return Ok(0);
            };
            *self = next_member(decoder.into_inner())?;
        }
    }
}

fn next_member<R: Read>(mut reader: BufReader<Counting<R>>) -> io::Result<Gzip<R>> {
    let mut padded = false;
    loop {
        let bytes = reader.fill_buf()?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        match bytes.get(zeros) {
            None if bytes.is_empty() => return Ok(Gzip::Ended(reader.get_ref().bytes)),
            None => {
                padded = true;
                reader.consume(zeros);
            }
            Some(0x1f) if !padded && zeros == 0 => {
                return Ok(Gzip::member(reader));
            }
            Some(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "there is something else than zeros behind the gzip data",
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
