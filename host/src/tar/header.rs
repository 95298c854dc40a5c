//! The 512 bytes of a header: checksum, names and numeric fields.

use super::TarError;

pub(super) type Block = [u8; 512];

pub(super) const ZERO: Block = [0; 512];

/// A header whose checksum is right.
#[derive(Clone, Copy)]
pub(super) struct Header<'a> {
    block: &'a Block,
    offset: u64,
}

/// Returns whether bytes begin with a tar header.
pub(crate) fn is_header(start: &[u8]) -> bool {
    start
        .first_chunk()
        .is_some_and(|block| *block != ZERO && checksum_matches(block))
}

/// The sum of all bytes with spaces in place of the sum itself; old tools took them as signed.
fn checksum_matches(block: &Block) -> bool {
    let Ok(stated) = number(&block[148..156]) else {
        return false;
    };
    let (mut unsigned, mut signed) = (0_i32, 0_i32);
    for byte in block {
        unsigned += i32::from(*byte);
        signed += i32::from(byte.cast_signed());
    }
    for byte in &block[148..156] {
        unsigned += i32::from(b' ') - i32::from(*byte);
        signed += i32::from(b' ') - i32::from(byte.cast_signed());
    }
    stated == i64::from(unsigned) || stated == i64::from(signed)
}

impl<'a> Header<'a> {
    pub(super) fn new(block: &'a Block, offset: u64) -> Result<Self, TarError> {
        if checksum_matches(block) {
            Ok(Self { block, offset })
        } else {
            Err(TarError::Checksum { offset })
        }
    }

    pub(super) fn block(&self) -> &'a Block {
        self.block
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn typeflag(&self) -> u8 {
        self.block[156]
    }

    /// Returns the path of a header without extensions: in POSIX archives, prefix and name.
    pub(super) fn path(&self) -> Vec<u8> {
        let name = until_nul(&self.block[..100]);
        // Old GNU archives keep other things where POSIX has the prefix; so does star, past 131.
        let prefix = match &self.block[257..265] {
            b"ustar\x0000" if self.block.ends_with(b"tar\0") => until_nul(&self.block[345..476]),
            [b'u', b's', b't', b'a', b'r', 0, ..] => until_nul(&self.block[345..500]),
            _ => b"",
        };
        if prefix.is_empty() {
            name.to_vec()
        } else {
            [prefix, b"/", name].concat()
        }
    }

    pub(super) fn link(&self) -> Vec<u8> {
        until_nul(&self.block[157..257]).to_vec()
    }

    pub(super) fn mode(&self) -> Result<i64, TarError> {
        self.number("mode", &self.block[100..108])
    }

    pub(super) fn uid(&self) -> Result<i64, TarError> {
        self.number("uid", &self.block[108..116])
    }

    pub(super) fn gid(&self) -> Result<i64, TarError> {
        self.number("gid", &self.block[116..124])
    }

    pub(super) fn size(&self) -> Result<u64, TarError> {
        let size = self.number("size", &self.block[124..136])?;
        u64::try_from(size).map_err(|_| self.error("size", "it is negative"))
    }

    pub(super) fn mtime(&self) -> Result<i64, TarError> {
        self.number("mtime", &self.block[136..148])
    }

    /// Returns major and minor number of a device. Archives older than POSIX have none.
    pub(super) fn device(&self) -> Result<(i64, i64), TarError> {
        if &self.block[257..262] != b"ustar" {
            return Ok((0, 0));
        }
        Ok((
            self.number("devmajor", &self.block[329..337])?,
            self.number("devminor", &self.block[337..345])?,
        ))
    }

    pub(super) fn error(&self, field: &'static str, reason: &'static str) -> TarError {
        TarError::Field {
            offset: self.offset,
            field,
            reason,
        }
    }

    fn number(&self, field: &'static str, bytes: &[u8]) -> Result<i64, TarError> {
        number(bytes).map_err(|reason| self.error(field, reason))
    }
}

/// Returns the bytes in front of the first NUL.
pub(super) fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Reads a number: octal digits between spaces and NULs, or the binary form of GNU and star, whose
/// first bit is set.
pub(super) fn number(bytes: &[u8]) -> Result<i64, &'static str> {
    const TOO_LARGE: &str = "it is too large";
    if let [first @ 0x80..=0xff, rest @ ..] = bytes {
        // The second bit is the sign of a two's complement.
        let high = if first & 0x40 == 0 {
            first & 0x3f
        } else {
            *first
        };
        return rest
            .iter()
            .try_fold(i64::from(high.cast_signed()), |value, byte| {
                let shifted = value.checked_mul(256).ok_or(TOO_LARGE)?;
                Ok(shifted | i64::from(*byte))
            });
    }
    bytes
        .iter()
        .skip_while(|byte| matches!(byte, b' ' | 0))
        .take_while(|byte| !matches!(byte, b' ' | 0))
        .try_fold(0_i64, |value, digit| match digit {
            b'0'..=b'7' => {
                let shifted = value.checked_mul(8).ok_or(TOO_LARGE)?;
                Ok(shifted | i64::from(digit - b'0'))
            }
            _ => Err("it is not an octal number"),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_11_numbers_are_octal_or_binary() {
        let cases: [(&[u8], Result<i64, &str>); 14] = [
            (b"0000644\0", Ok(0o644)),
            (b"   644 \0", Ok(0o644)),
            (b"00000644", Ok(0o644)),
            (b"\0\0\0\0\0\0\0\0", Ok(0)),
            (b"        ", Ok(0)),
            (b"644\0zzzz", Ok(0o644)),
            (b"77777777777\0", Ok(0o77_777_777_777)),
            (b"0000648\0", Err("it is not an octal number")),
            (b"-000644\0", Err("it is not an octal number")),
            (b"\x80\0\0\0\0\x20\0\0", Ok(1 << 21)),
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", Ok(i64::MAX)),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", Err("it is too large")),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", Ok(-2)),
            (b"\xff\xff\xff\xff\0\0\0\0\0\0\0\0", Err("it is too large")),
        ];
        for (bytes, expected) in cases {
            assert_eq!(number(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn case_10_a_checksum_of_signed_bytes_is_right_too() {
        let mut block = ZERO;
        block[..4].copy_from_slice(b"\xe4\xf6\xfc\xdf");
        for sum in [
            8 * 32 + 0xe4 + 0xf6 + 0xfc + 0xdf,
            8 * 32 + 0xe4 + 0xf6 + 0xfc + 0xdf - 4 * 256,
        ] {
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            assert!(is_header(&block), "{sum}");
        }
        block[148..156].copy_from_slice(b"0000001\0");
        assert!(!is_header(&block));
    }

    #[test]
    fn zeros_and_fewer_bytes_than_a_block_are_no_header() {
        assert!(!is_header(&ZERO));
        assert!(!is_header(&[1; 511]));
    }
}
