//! Hashing while reading.

use std::io::{self, Read};

use crate::digest::{Algorithm, Digest, Hasher};

/// A reader that hashes and counts what goes through.
#[derive(Debug)]
pub struct HashingReader<R> {
    inner: R,
    hasher: Hasher,
    bytes: u64,
}

impl<R> HashingReader<R> {
    /// Returns a reader that starts with the digest of nothing.
    pub fn new(inner: R, algorithm: Algorithm) -> Self {
        Self {
            inner,
            hasher: Hasher::new(algorithm),
            bytes: 0,
        }
    }

    /// Returns how many bytes went through.
    pub fn position(&self) -> u64 {
        self.bytes
    }

    /// Returns what is read from.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// Returns what is read from, to be changed.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// Returns the digest of what went through, and how many bytes that was.
    pub fn finish(self) -> (Digest, u64) {
        (self.hasher.finish(), self.bytes)
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let (read, _) = buffer.split_at(count.min(buffer.len()));
        self.hasher.update(read);
        self.bytes += read.len() as u64;
        Ok(read.len())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_goes_through_is_hashed_and_counted() {
        let mut reader = HashingReader::new(&b"some bytes"[..], Algorithm::Sha256);
        let mut start = [0; 4];
        reader.read_exact(&mut start).unwrap();
        assert_eq!(reader.position(), 4);
        io::copy(&mut reader, &mut io::sink()).unwrap();
        assert_eq!(reader.finish(), (Digest::of(b"some bytes"), 10));
    }
}
