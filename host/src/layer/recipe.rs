//! The tar recipe: how a layer's tar is put together again from its EROFS image.
//!
//! Owns the format. A recipe is a zstd stream of the magic, then records: bytes that stand for
//! themselves (headers, padding, whiteouts), and ranges of the image, which are the data of files.
//! All numbers are little-endian:
//!
//! ```text
//! magic    "msb tar recipe 1\n"
//! literal  0x00, length: u32, bytes
//! data     0x01, offset: u64, length: u64
//! end      0x02, length of the tar: u64
//! ```
//!
//! The offset of a data record counts from the block behind the data record before, modulo 2^64:
//! mostly it is 0, which compresses to nothing. The first one counts from the start of the image.
//! The same tar gives the same recipe, byte for byte.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, Write as _};

use msb_erofs::BLOCK_SIZE;

use super::LayerError;

pub(super) const MAGIC: &[u8; 17] = b"msb tar recipe 1\n";
const LITERAL: u8 = 0;
const DATA: u8 = 1;
const END: u8 = 2;
/// Longer literals are cut, so that reading one takes bounded memory.
const MAX_LITERAL: usize = 1 << 20;
const LEVEL: i32 = 3;
const BUFFER: usize = 128 << 10;
/// The base 2 logarithm of the largest window that reading takes memory for; level 3 uses 21.
const WINDOW: u32 = 23;

/// A recipe in the making.
pub(super) struct RecipeWriter {
    encoder: zstd::Encoder<'static, File>,
    /// Bytes that stand for themselves, not written yet.
    literal: Vec<u8>,
    /// Where the next data is expected.
    next: u64,
}

impl RecipeWriter {
    /// Starts a recipe at the place where the file stands.
    pub(super) fn new(file: File) -> Result<Self, LayerError> {
        let start = || {
            let mut encoder = zstd::Encoder::new(file, LEVEL)?;
            encoder.include_checksum(true)?;
            encoder.write_all(MAGIC)?;
            Ok(encoder)
        };
        Ok(Self {
            encoder: start().map_err(write_error)?,
            literal: Vec::new(),
            next: 0,
        })
    }

    /// Adds bytes that stand for themselves.
    pub(super) fn literal(&mut self, bytes: &[u8]) -> Result<(), LayerError> {
        self.literal.extend_from_slice(bytes);
        // Cut at the same places however the bytes come in.
        while self.literal.len() >= MAX_LITERAL {
            let rest = self.literal.split_off(MAX_LITERAL);
            self.write_literal()?;
            self.literal = rest;
        }
        Ok(())
    }

    /// Adds a range of the image.
    pub(super) fn data(&mut self, offset: u64, length: u64) -> Result<(), LayerError> {
        if length == 0 {
            return Ok(());
        }
        self.write_literal()?;
        let mut record = [DATA; 17];
        record[1..9].copy_from_slice(&offset.wrapping_sub(self.next).to_le_bytes());
        record[9..].copy_from_slice(&length.to_le_bytes());
        self.next = behind(offset, length);
        self.encoder.write_all(&record).map_err(write_error)
    }

    /// Ends the recipe of a tar of that length, and returns the file and where it stands.
    pub(super) fn finish(mut self, tar_size: u64) -> Result<(File, u64), LayerError> {
        self.write_literal()?;
        let mut record = [END; 9];
        record[1..].copy_from_slice(&tar_size.to_le_bytes());
        let finish = || {
            self.encoder.write_all(&record)?;
            let mut file = self.encoder.finish()?;
            let end = file.stream_position()?;
            Ok((file, end))
        };
        finish().map_err(write_error)
    }

    fn write_literal(&mut self) -> Result<(), LayerError> {
        if self.literal.is_empty() {
            return Ok(());
        }
        let length = u32::try_from(self.literal.len()).unwrap_or(u32::MAX);
        let mut head = [LITERAL; 5];
        head[1..].copy_from_slice(&length.to_le_bytes());
        self.encoder.write_all(&head).map_err(write_error)?;
        self.encoder.write_all(&self.literal).map_err(write_error)?;
        self.literal.clear();
        Ok(())
    }
}

/// A step on the way to the tar.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// These bytes.
    Literal(&'a [u8]),
    /// These bytes of the image.
    Data {
        /// Where they start.
        offset: u64,
        /// How many.
        length: u64,
    },
    /// The tar is whole.
    End {
        /// How long it has to be.
        tar_size: u64,
    },
}

/// A recipe that is read.
pub(super) struct RecipeReader<R: BufRead> {
    decoder: BufReader<zstd::Decoder<'static, R>>,
    literal: Vec<u8>,
    next: u64,
}

impl<R: BufRead> RecipeReader<R> {
    pub(super) fn new(input: R) -> Result<Self, LayerError> {
        let start = || {
            let mut decoder = zstd::Decoder::with_buffer(input)?;
            decoder.window_log_max(WINDOW)?;
            Ok(decoder)
        };
        let mut reader = Self {
            decoder: BufReader::with_capacity(BUFFER, start().map_err(read_error)?),
            literal: Vec::new(),
            next: 0,
        };
        if &reader.array()? != MAGIC {
            return Err(LayerError::DamagedRecipe("it does not begin like one"));
        }
        Ok(reader)
    }

    /// Returns the next step. There is none behind the end.
    pub(super) fn step(&mut self) -> Result<Step<'_>, LayerError> {
        let [kind] = self.array()?;
        match kind {
            LITERAL => {
                let length = u32::from_le_bytes(self.array()?);
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                if length > MAX_LITERAL {
                    return Err(LayerError::DamagedRecipe("a literal is too long"));
                }
                self.literal.resize(length, 0);
                self.decoder.read_exact(&mut self.literal).map_err(damage)?;
                Ok(Step::Literal(&self.literal))
            }
            DATA => {
                let offset = u64::from_le_bytes(self.array()?).wrapping_add(self.next);
                let length = u64::from_le_bytes(self.array()?);
                self.next = behind(offset, length);
                Ok(Step::Data { offset, length })
            }
            END => {
                let tar_size = u64::from_le_bytes(self.array()?);
                // The checksum of the stream is checked when it ends.
                match self.decoder.fill_buf().map_err(damage)? {
                    [] => Ok(Step::End { tar_size }),
                    _ => Err(LayerError::DamagedRecipe("it continues after its end")),
                }
            }
            _ => Err(LayerError::DamagedRecipe("it has a record of unknown kind")),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], LayerError> {
        let mut bytes = [0; N];
        self.decoder.read_exact(&mut bytes).map_err(damage)?;
        Ok(bytes)
    }
}

/// Returns where the next file starts if nothing else comes in between.
fn behind(offset: u64, length: u64) -> u64 {
    let end = offset.wrapping_add(length);
    end.checked_next_multiple_of(BLOCK_SIZE).unwrap_or(end)
}

/// Tells bytes that make no sense from bytes that could not be had: the decoder speaks of both in
/// the same words, but only the system has numbers for its errors.
fn damage(error: io::Error) -> LayerError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => LayerError::DamagedRecipe("it ends too early"),
        _ if error.raw_os_error().is_none() => {
            LayerError::DamagedRecipe("it cannot be decompressed")
        }
        _ => read_error(error),
    }
}

pub(super) fn read_error(source: io::Error) -> LayerError {
    LayerError::Recipe {
        operation: "read",
        source,
    }
}

pub(super) fn write_error(source: io::Error) -> LayerError {
    LayerError::Recipe {
        operation: "write",
        source,
    }
}
