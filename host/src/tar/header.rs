//! The 512 bytes of a header: checksum and numeric fields.

use super::TarError;

pub(super) type Block = [u8; 512];

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
        .is_some_and(|block| !is_zero(block) && checksum_matches(block))
}

pub(super) fn is_zero(block: &Block) -> bool {
    block.iter().all(|byte| *byte == 0)
}

/// The sum of all bytes with spaces in place of the sum itself; old tools took them as signed.
fn checksum_matches(block: &Block) -> bool {
    let Ok(stated) = number(&block[148..156]) else {
        return false;
    };
    let fill = 8 * i64::from(b' ');
    let others = block[..148].iter().chain(&block[156..]);
    let unsigned = fill + others.clone().map(|byte| i64::from(*byte)).sum::<i64>();
    let signed = fill
        + others
            .map(|byte| i64::from(byte.cast_signed()))
            .sum::<i64>();
    stated == unsigned || stated == signed
}

impl<'a> Header<'a> {
    pub(super) fn new(block: &'a Block, offset: u64) -> Result<Self, TarError> {
        if checksum_matches(block) {
            Ok(Self { block, offset })
        } else {
            Err(TarError::Checksum { offset })
        }
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

    pub(super) fn block(&self) -> &'a Block {
        self.block
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
    if let [first @ 0x80..=0xff, rest @ ..] = bytes {
        let negative = first & 0x40 != 0;
        let high = if negative { first | 0x80 } else { first & 0x3f };
        let start = i64::from(high.cast_signed());
        return rest.iter().try_fold(start, |value, byte| {
            value
                .checked_mul(256)
                .map(|value| value | i64::from(*byte))
                .ok_or("it is too large")
        });
    }
    let digits = bytes
        .iter()
        .skip_while(|byte| matches!(byte, b' ' | 0))
        .take_while(|byte| !matches!(byte, b' ' | 0));
    digits
        .into_iter()
        .try_fold(0_i64, |value, digit| match digit {
            b'0'..=b'7' => value
                .checked_mul(8)
                .map(|value| value + i64::from(digit - b'0'))
                .ok_or("it is too large"),
            _ => Err("it is not an octal number"),
        })
}
