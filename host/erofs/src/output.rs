//! The image file while it grows.
//!
//! Owns buffering, sparse zeros and reading back. It knows offsets, not structures.

use std::fmt;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;

use tokio_util::sync::CancellationToken;

use super::ErofsError;
use super::error::check;

/// Bytes gathered before a write.
const BUFFER_SIZE: usize = 1 << 20;

/// Slices of so many bytes pass through without a copy, which costs more than one more write.
const PASSES: usize = 64 << 10;

/// More zeros than these are skipped over instead of written.
const SPARSE_FROM: usize = 64 << 10;

/// Bytes of each of two files that are compared at a time.
const COMPARED: usize = 64 << 10;

static ZEROS: [u8; SPARSE_FROM] = [0; SPARSE_FROM];

/// A file that is written from front to back.
pub(super) struct Output {
    file: File,
    /// What follows `flushed` and is not in the file yet.
    buffer: Vec<u8>,
    flushed: u64,
}

impl Output {
    /// Starts at `position`; what the file held before is gone.
    pub(super) fn new(file: File, position: u64) -> Result<Self, ErofsError> {
        file.set_len(0).map_err(|source| ErofsError::Io {
            operation: "truncate",
            offset: 0,
            source,
        })?;
        Ok(Self {
            file,
            buffer: Vec::with_capacity(BUFFER_SIZE),
            flushed: position,
        })
    }

    /// Returns where the next byte goes.
    pub(super) fn position(&self) -> u64 {
        self.flushed + self.buffer.len() as u64
    }

    /// Appends bytes.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), ErofsError> {
        let passes = bytes.len() >= PASSES;
        if passes || self.buffer.len() + bytes.len() > BUFFER_SIZE {
            self.flush()?;
        }
        if passes {
            self.write(bytes, self.flushed)?;
            self.flushed += bytes.len() as u64;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Appends zeros; many of them take no space on disk.
    pub(super) fn append_zeros(&mut self, length: u64) -> Result<(), ErofsError> {
        let zeros = usize::try_from(length)
            .ok()
            .and_then(|length| ZEROS.get(..length));
        if let Some(zeros) = zeros {
            return self.append(zeros);
        }
        self.flush()?;
        self.flushed += length;
        Ok(())
    }

    /// Appends zeros up to `position`.
    pub(super) fn pad_to(&mut self, position: u64) -> Result<(), ErofsError> {
        self.append_zeros(position.saturating_sub(self.position()))
    }

    /// Drops everything from `position` on.
    pub(super) fn rewind(&mut self, position: u64) -> Result<(), ErofsError> {
        if let Some(kept) = position.checked_sub(self.flushed) {
            self.buffer
                .truncate(usize::try_from(kept).unwrap_or(usize::MAX));
            return Ok(());
        }
        self.buffer.clear();
        self.flushed = position;
        self.file
            .set_len(position)
            .map_err(|source| ErofsError::Io {
                operation: "truncate",
                offset: position,
                source,
            })
    }

    /// Hands everything appended so far to the file.
    pub(super) fn flush(&mut self) -> Result<(), ErofsError> {
        if !self.buffer.is_empty() {
            self.write(&self.buffer, self.flushed)?;
            self.flushed += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Flushes, puts `bytes` in front of everything and gives the file back.
    pub(super) fn finish(mut self, bytes: &[u8]) -> Result<File, ErofsError> {
        self.flush()?;
        self.write(bytes, 0)?;
        Ok(self.file)
    }

    /// Reads bytes appended before. All of `target` is filled: the caller keeps it in the range.
    pub(super) fn read(&self, offset: u64, target: &mut [u8]) -> Result<(), ErofsError> {
        let in_file = usize::try_from(self.flushed.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (from_file, from_buffer) = target.split_at_mut(in_file.min(target.len()));
        self.read_file(offset, from_file)?;
        let start = usize::try_from(offset.saturating_sub(self.flushed)).unwrap_or(usize::MAX);
        let bytes = self.buffer.get(start..).unwrap_or_default();
        for (target, byte) in from_buffer.iter_mut().zip(bytes) {
            *target = *byte;
        }
        Ok(())
    }

    /// Returns whether two ranges of bytes appended before are equal.
    pub(super) fn is_equal(
        &self,
        one: u64,
        two: u64,
        length: u64,
        cancel: &CancellationToken,
    ) -> Result<bool, ErofsError> {
        let size = usize::try_from(length).map_or(COMPARED, |length| length.min(COMPARED));
        let (mut left, mut right) = (vec![0; size], vec![0; size]);
        let mut done = 0;
        while done < length {
            check(cancel)?;
            let count = usize::try_from(length - done).map_or(size, |left| left.min(size));
            let (left, _) = left.split_at_mut(count);
            let (right, _) = right.split_at_mut(count);
            self.read(one + done, left)?;
            self.read(two + done, right)?;
            if left != right {
                return Ok(false);
            }
            done += count as u64;
        }
        Ok(true)
    }

    /// Turns bytes appended before into zeros, and gives their space on disk back.
    pub(super) fn erase(&mut self, start: u64, end: u64) -> Result<(), ErofsError> {
        let split = self.flushed.clamp(start, end);
        if start < split && !self.punch(start, split - start)? {
            let mut offset = start;
            while offset < split {
                let left = usize::try_from(split - offset).unwrap_or(usize::MAX);
                let zeros = ZEROS.get(..left).unwrap_or(&ZEROS);
                self.write(zeros, offset)?;
                offset += zeros.len() as u64;
            }
        }
        let index = |offset: u64| {
            usize::try_from(offset.saturating_sub(self.flushed)).unwrap_or(usize::MAX)
        };
        let (first, last) = (index(split), index(end).min(self.buffer.len()));
        if let Some(bytes) = self.buffer.get_mut(first..last) {
            bytes.fill(0);
        }
        Ok(())
    }

    /// Returns whether the filesystem could make a hole.
    #[cfg(target_os = "linux")]
    fn punch(&self, offset: u64, length: u64) -> Result<bool, ErofsError> {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;

        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        loop {
            return match fallocate(&self.file, flags, offset, length) {
                Ok(()) => Ok(true),
                Err(Errno::INTR) => continue,
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
                Err(errno) => Err(ErofsError::Io {
                    operation: "write",
                    offset,
                    source: errno.into(),
                }),
            };
        }
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "the signature above"
    )]
    fn punch(&self, _offset: u64, _length: u64) -> Result<bool, ErofsError> {
        Ok(false)
    }

    fn write(&self, bytes: &[u8], offset: u64) -> Result<(), ErofsError> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(|source| ErofsError::Io {
                operation: "write",
                offset,
                source,
            })
    }

    /// Reads what was flushed. The file may end before: zeros at its end were skipped over.
    fn read_file(&self, mut offset: u64, mut target: &mut [u8]) -> Result<(), ErofsError> {
        while !target.is_empty() {
            match self.file.read_at(target, offset) {
                Ok(0) => {
                    target.fill(0);
                    return Ok(());
                }
                Ok(count) => {
                    offset += count as u64;
                    target = target.get_mut(count..).unwrap_or_default();
                }
                Err(source) if source.kind() == ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(ErofsError::Io {
                        operation: "read",
                        offset,
                        source,
                    });
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Output")
            .field("file", &self.file)
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}
