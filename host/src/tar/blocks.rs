//! The stream of blocks under the entries.
//!
//! Owns the position in the stream, and the bytes that are kept for rebuilding it.

use std::io;

use super::header::{Block, ZERO};
use super::{TarError, TarInput};
use crate::limits::{Account, Purpose};

/// A stream that is read in blocks.
#[derive(Debug)]
pub(super) struct Blocks<R> {
    pub(super) input: R,
    /// Bytes read so far.
    pub(super) position: u64,
    /// Bytes that are not payload, if they are wanted.
    pub(super) skeleton: Option<Vec<u8>>,
    /// What the reader of the stream keeps in memory, and how much of it is for the skeleton.
    pub(super) account: Account,
    held: u64,
}

impl<R: TarInput> Blocks<R> {
    pub(super) fn new(input: R, account: Account) -> Self {
        Self {
            input,
            position: 0,
            skeleton: None,
            account,
            held: 0,
        }
    }

    /// Reads a whole block, or nothing at the end of the stream.
    pub(super) fn block(&mut self, inside: &'static str) -> Result<Option<Block>, TarError> {
        let mut block = ZERO;
        match self.fill(&mut block)? {
            0 => Ok(None),
            512 => Ok(Some(block)),
            // Less than a block of zeros is the way some tools end.
            count if block == ZERO => {
                self.keep(&block[..count])?;
                Ok(None)
            }
            _ => Err(self.truncated(inside)),
        }
    }

    /// Reads and keeps a whole block, which has to be there.
    pub(super) fn whole_block(&mut self, inside: &'static str) -> Result<Block, TarError> {
        let mut block = ZERO;
        if self.fill(&mut block)? < block.len() {
            return Err(self.truncated(inside));
        }
        self.keep(&block)?;
        Ok(block)
    }

    /// Reads until the buffer is full or the stream ends, and returns how much that was.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        let mut count = 0;
        while let Some(target) = buffer.get_mut(count..).filter(|target| !target.is_empty()) {
            match self.read(target)? {
                0 => break,
                more => count += more,
            }
        }
        Ok(count)
    }

    /// Reads once; 0 at the end of the stream.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        loop {
            match self.input.read(buffer) {
                Ok(count) => {
                    self.position += count as u64;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(self.read_error(source)),
            }
        }
    }

    /// Passes over bytes, and returns how many there were.
    pub(super) fn skip(&mut self, length: u64) -> Result<u64, TarError> {
        let skipped = self
            .input
            .skip(length)
            .map_err(|source| self.read_error(source))?;
        self.position += skipped;
        Ok(skipped)
    }

    /// Keeps bytes that are not payload. What was taken for them once is used again: the buffer
    /// does not shrink.
    pub(super) fn keep(&mut self, bytes: &[u8]) -> Result<(), TarError> {
        if let Some(skeleton) = &mut self.skeleton {
            skeleton.extend_from_slice(bytes);
            let length = skeleton.len() as u64;
            if length > self.held {
                self.account.take(Purpose::Headers, length - self.held)?;
                self.held = length;
            }
        }
        Ok(())
    }

    pub(super) fn truncated(&self, inside: &'static str) -> TarError {
        TarError::Truncated {
            offset: self.position,
            inside,
        }
    }

    fn read_error(&self, source: io::Error) -> TarError {
        TarError::Read {
            offset: self.position,
            source,
        }
    }
}
