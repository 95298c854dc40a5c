//! The data area: bytes of regular files, written once and in order.
//!
//! Owns the buffered, block-aligned stream to the file. Knows nothing of inodes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use rustix::fs::FallocateFlags;

use super::ErofsError;
use super::format::{BLOCK, BLOCK_SIZE};
use super::tree::Extent;

const BUFFER: usize = 1 << 20;

/// A forward-only stream into a file.
#[derive(Debug)]
pub(super) struct Stream {
    file: File,
    buffer: Vec<u8>,
    /// Where the first byte of the buffer belongs.
    start: u64,
}

impl Stream {
    pub(super) fn new(file: File, start: u64) -> Self {
        Self {
            file,
            buffer: Vec::with_capacity(BUFFER),
            start,
        }
    }

    pub(super) fn position(&self) -> u64 {
        self.start + self.buffer.len() as u64
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), ErofsError> {
        let room = BUFFER - self.buffer.len();
        if bytes.len() <= room {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.flush()?;
        if bytes.len() < BUFFER {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.write_at(bytes, self.start)?;
        self.start += bytes.len() as u64;
        Ok(())
    }

    /// Leaves bytes out, which then read as zeros. The file must not have had any there.
    pub(super) fn skip(&mut self, length: u64) -> Result<(), ErofsError> {
        if length < BLOCK {
            let zeros = [0; BLOCK_SIZE];
            return self.write(&zeros[..usize::try_from(length).unwrap_or(0)]);
        }
        self.flush()?;
        self.start = self.start.checked_add(length).ok_or(ErofsError::TooLarge)?;
        Ok(())
    }

    pub(super) fn align(&mut self) -> Result<(), ErofsError> {
        let over = self.position() % BLOCK;
        if over == 0 {
            Ok(())
        } else {
            self.skip(BLOCK - over)
        }
    }

    pub(super) fn flush(&mut self) -> Result<(), ErofsError> {
        if !self.buffer.is_empty() {
            self.write_at(&self.buffer, self.start)?;
            self.start += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(())
    }

    pub(super) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), ErofsError> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(|source| ErofsError::Io {
                operation: "write",
                source,
            })
    }

    /// Reads back what was written, from the file or from the buffer.
    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, ErofsError> {
        if let Some(inside) = offset.checked_sub(self.start) {
            let inside = usize::try_from(inside).unwrap_or(usize::MAX);
            let held = self.buffer.get(inside..).unwrap_or_default();
            let length = held.len().min(buffer.len());
            buffer[..length].copy_from_slice(&held[..length]);
            return Ok(length);
        }
        let before = usize::try_from(self.start - offset).unwrap_or(usize::MAX);
        let length = buffer.len().min(before);
        let read = |source| ErofsError::Io {
            operation: "read",
            source,
        };
        match self.file.read_at(&mut buffer[..length], offset) {
            // Left out at the end of the file.
            Ok(0) => {
                buffer[..length].fill(0);
                Ok(length)
            }
            Ok(count) => Ok(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(read(error)),
        }
    }

    /// Turns the blocks of an extent into zeros.
    pub(super) fn clear(&mut self, extent: Extent) -> Result<(), ErofsError> {
        self.flush()?;
        let start = u64::from(extent.block) * BLOCK;
        let length = extent.size.next_multiple_of(BLOCK).min(self.start - start);
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if rustix::fs::fallocate(&self.file, flags, start, length).is_ok() {
            return Ok(());
        }
        let zeros = vec![0; BUFFER];
        let mut done = 0;
        while done < length {
            let step = (length - done).min(BUFFER as u64);
            self.write_at(&zeros[..usize::try_from(step).unwrap_or(0)], start + done)?;
            done += step;
        }
        Ok(())
    }

    /// Ends the stream with a file of exactly the bytes that were written.
    pub(super) fn finish(mut self) -> Result<(File, u64), ErofsError> {
        self.align()?;
        self.flush()?;
        self.file
            .set_len(self.start)
            .map_err(|source| ErofsError::Io {
                operation: "write",
                source,
            })?;
        Ok((self.file, self.start))
    }
}
