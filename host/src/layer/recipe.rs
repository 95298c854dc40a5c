//! The tar recipe: how a layer's tar is put together again from its EROFS image.
//!
//! A zstd stream of the magic, then records: bytes that stand for themselves (headers, padding,
//! whiteouts), and ranges of the image, which are the data of files. All numbers little-endian:
//!
//! ```text
//! magic    "msb tar recipe 1\n"
//! literal  0x00, length: u32, bytes
//! data     0x01, offset in the image: u64, length: u64
//! end      0x02, length of the tar: u64
//! ```

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt as _;

use super::LayerError;
use crate::cancel::Cancel;
use crate::digest::{Digest, Hasher};

const MAGIC: &[u8; 17] = b"msb tar recipe 1\n";
const LITERAL: u8 = 0;
const DATA: u8 = 1;
const END: u8 = 2;
/// Longer literals are cut, so that reading one takes bounded memory.
const MAX_LITERAL: usize = 1 << 20;
const LEVEL: i32 = 3;
const BUFFER: usize = 256 << 10;

/// A recipe in the making.
pub(super) struct RecipeWriter {
    encoder: zstd::Encoder<'static, File>,
    /// Bytes that stand for themselves, not written yet.
    literal: Vec<u8>,
}

impl RecipeWriter {
    pub(super) fn new(file: File) -> Result<Self, LayerError> {
        let mut encoder = zstd::Encoder::new(file, LEVEL).map_err(write_error)?;
        encoder.write_all(MAGIC).map_err(write_error)?;
        Ok(Self {
            encoder,
            literal: Vec::new(),
        })
    }

    /// Adds bytes that stand for themselves, and empties them.
    pub(super) fn literal(&mut self, bytes: &mut Vec<u8>) -> Result<(), LayerError> {
        self.literal.append(bytes);
        if self.literal.len() >= MAX_LITERAL {
            self.flush()?;
        }
        Ok(())
    }

    /// Adds a range of the image.
    pub(super) fn data(&mut self, offset: u64, length: u64) -> Result<(), LayerError> {
        if length == 0 {
            return Ok(());
        }
        self.flush()?;
        let mut record = [DATA; 17];
        record[1..9].copy_from_slice(&offset.to_le_bytes());
        record[9..].copy_from_slice(&length.to_le_bytes());
        self.encoder.write_all(&record).map_err(write_error)
    }

    /// Ends the recipe of a tar of that length and returns its size.
    pub(super) fn finish(mut self, tar_size: u64) -> Result<u64, LayerError> {
        self.flush()?;
        let mut record = [END; 9];
        record[1..].copy_from_slice(&tar_size.to_le_bytes());
        self.encoder.write_all(&record).map_err(write_error)?;
        let mut file = self.encoder.finish().map_err(write_error)?;
        file.stream_position().map_err(write_error)
    }

    fn flush(&mut self) -> Result<(), LayerError> {
        for piece in self.literal.chunks(MAX_LITERAL) {
            let length = u32::try_from(piece.len()).unwrap_or(u32::MAX);
            let mut head = [LITERAL; 5];
            head[1..].copy_from_slice(&length.to_le_bytes());
            self.encoder.write_all(&head).map_err(write_error)?;
            self.encoder.write_all(piece).map_err(write_error)?;
        }
        self.literal.clear();
        Ok(())
    }
}

/// A tar that was rebuilt.
#[derive(Clone, Debug)]
pub struct Rebuilt {
    /// Its length.
    pub bytes: u64,
    /// Its digest: the layer's `diff_id`, if the store is whole.
    pub digest: Digest,
}

/// Writes the tar that a layer was made from, byte for byte.
///
/// # Errors
/// [`LayerError::DamagedRecipe`] when the recipe is broken or points outside of the image. Bytes
/// that changed without breaking anything show in the digest only.
pub fn rebuild(
    erofs: &File,
    recipe: &File,
    output: &mut dyn Write,
    cancel: &Cancel,
) -> Result<Rebuilt, LayerError> {
    let mut recipe = recipe.try_clone().map_err(read_error)?;
    recipe.seek(SeekFrom::Start(0)).map_err(read_error)?;
    let mut reader = BufReader::new(zstd::Decoder::new(recipe).map_err(read_error)?);
    let mut output = Hashed {
        output,
        hasher: Hasher::default(),
        bytes: 0,
    };
    if &read_array::<17>(&mut reader)? != MAGIC {
        return Err(LayerError::DamagedRecipe("it does not begin like one"));
    }
    let mut buffer = vec![0; BUFFER];
    loop {
        cancel.check()?;
        match read_array::<1>(&mut reader)?[0] {
            LITERAL => {
                let length = u32::from_le_bytes(read_array(&mut reader)?) as usize;
                if length > MAX_LITERAL {
                    return Err(LayerError::DamagedRecipe("a literal is too long"));
                }
                buffer.resize(length.max(BUFFER), 0);
                reader.read_exact(&mut buffer[..length]).map_err(broken)?;
                output.write(&buffer[..length])?;
            }
            DATA => {
                let mut offset = u64::from_le_bytes(read_array(&mut reader)?);
                let mut left = u64::from_le_bytes(read_array(&mut reader)?);
                while left > 0 {
                    cancel.check()?;
                    let length = usize::try_from(left).unwrap_or(usize::MAX).min(BUFFER);
                    erofs.read_exact_at(&mut buffer[..length], offset).map_err(
                        |error| match error.kind() {
                            io::ErrorKind::UnexpectedEof => {
                                LayerError::DamagedRecipe("it points past the end of the image")
                            }
                            _ => read_error(error),
                        },
                    )?;
                    output.write(&buffer[..length])?;
                    offset += length as u64;
                    left -= length as u64;
                }
            }
            END => {
                if u64::from_le_bytes(read_array(&mut reader)?) != output.bytes {
                    return Err(LayerError::DamagedRecipe("its length is another"));
                }
                return Ok(Rebuilt {
                    bytes: output.bytes,
                    digest: output.hasher.finish(),
                });
            }
            _ => return Err(LayerError::DamagedRecipe("it has a record of unknown kind")),
        }
    }
}

struct Hashed<'a> {
    output: &'a mut dyn Write,
    hasher: Hasher,
    bytes: u64,
}

impl Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), LayerError> {
        self.output.write_all(bytes).map_err(LayerError::Output)?;
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

fn read_array<const N: usize>(reader: &mut impl Read) -> Result<[u8; N], LayerError> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes).map_err(broken)?;
    Ok(bytes)
}

/// The decoder says of damaged bytes that it could not read them.
fn broken(error: io::Error) -> LayerError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => LayerError::DamagedRecipe("it ends too early"),
        _ => read_error(error),
    }
}

fn read_error(source: io::Error) -> LayerError {
    LayerError::Recipe {
        operation: "read",
        source,
    }
}

fn write_error(source: io::Error) -> LayerError {
    LayerError::Recipe {
        operation: "write",
        source,
    }
}
