//! Telling compressions apart.

use std::fmt;

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
    /// bzip2, one stream or several.
    Bzip2,
    /// xz, one stream or several.
    Xz,
}

impl Compression {
    /// Recognises a compression by its magic number. Ten bytes are enough to tell.
    pub fn sniff(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // The second is that of a skippable frame: 0x184D2A50 to 0x184D2A5F.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            // The second is that of a file of nothing.
            [b'B', b'Z', b'h', b'1'..=b'9', block @ ..]
                if block.starts_with(b"\x31\x41\x59\x26\x53\x59")
                    || block.starts_with(b"\x17\x72\x45\x38\x50\x90") =>
            {
                Self::Bzip2
            }
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            _ => Self::None,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "no",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressions_are_told_by_their_first_bytes() {
        let cases: [(&[u8], Compression); 12] = [
            (b"\x1f\x8b", Compression::Gzip),
            (b"\x28\xb5\x2f\xfd\x04", Compression::Zstd),
            (b"\x50\x2a\x4d\x18\x04", Compression::Zstd),
            (b"\x5f\x2a\x4d\x18\x04", Compression::Zstd),
            (b"BZh91AY&SY", Compression::Bzip2),
            (b"BZh9\x17\x72\x45\x38\x50\x90", Compression::Bzip2),
            (b"\xfd7zXZ\0", Compression::Xz),
            (b"BZh9 is a file name", Compression::None),
            (b"\x60\x2a\x4d\x18\x04", Compression::None),
            (b"\x1f", Compression::None),
            (b"usr/bin/", Compression::None),
            (b"", Compression::None),
        ];
        for (start, expected) in cases {
            assert_eq!(Compression::sniff(start), expected, "{start:?}");
        }
    }
}
