//! Blobs: bytes as they are stored and sent, perhaps compressed.
//!
//! Owns the recognition and undoing of compression. Knows nothing of what is inside.

mod decoder;

pub use decoder::Decoder;

use std::io;

/// How bytes are compressed, by their first bytes. A media type is never trusted for this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not, as far as one can tell.
    None,
    /// RFC 1952, one member or several.
    Gzip,
    /// RFC 8878, one frame or several.
    Zstd,
    /// bzip2, which is recognised and not read.
    Bzip2,
    /// xz, which is recognised and not read.
    Xz,
}

impl Compression {
    /// Recognises a compression by its magic number.
    pub fn sniff(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // The second is that of a skippable frame: 0x184D2A50 to 0x184D2A5F.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            _ => Self::None,
        }
    }
}

/// A blob that cannot be decompressed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// The compression is known and not supported.
    #[error("{0} compression is not supported")]
    Unsupported(&'static str),
    /// The decoder could not be set up.
    #[error("could not start the decoder")]
    Decoder(#[source] io::Error),
}
