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
mod tests;
