//! SHA-256 of bytes and files, as hexadecimal digits.

use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};

use crate::command::Result;

/// Returns the SHA-256 of some bytes.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Returns the SHA-256 of all that is left to read.
pub(crate) fn sha256_of(input: &mut impl Read) -> Result<String> {
    let mut hasher = Hasher::default();
    io::copy(input, &mut hasher)?;
    Ok(hasher.finish())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Hashes what is written to it.
#[derive(Default)]
pub(crate) struct Hasher(Sha256);

impl Hasher {
    /// Returns the SHA-256 of what was written.
    pub(crate) fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
