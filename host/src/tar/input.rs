//! Where a tar stream comes from: readers, and files that can skip.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

const BUFFER: usize = 64 << 10;

/// A buffered reader that can leave bytes out.
pub trait TarInput: BufRead {
    /// Passes over that many bytes and returns how many there were: fewer at the end of the input.
    fn skip(&mut self, length: u64) -> io::Result<u64> {
        let mut skipped = 0;
        while skipped < length {
            let held = match self.fill_buf() {
                Ok(held) => held.len(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if held == 0 {
                break;
            }
            let step = held.min(usize::try_from(length - skipped).unwrap_or(usize::MAX));
            self.consume(step);
            skipped += step as u64;
        }
        Ok(skipped)
    }
}

impl<R: Read> TarInput for BufReader<R> {}

impl TarInput for &[u8] {}

/// A part of a file, read at its own place whatever others do with the file.
#[derive(Debug)]
pub struct FileRange {
    file: Arc<File>,
    /// Where the next byte that is not in the buffer lies.
    offset: u64,
    left: u64,
    buffer: Vec<u8>,
    used: usize,
}

impl FileRange {
    /// Returns a reader of `length` bytes from `offset` on.
    pub fn new(file: Arc<File>, offset: u64, length: u64) -> Self {
        Self {
            file,
            offset,
            left: length,
            buffer: Vec::new(),
            used: 0,
        }
    }

    fn held(&self) -> &[u8] {
        self.buffer.get(self.used..).unwrap_or_default()
    }

    fn read_file(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = usize::try_from(self.left).unwrap_or(usize::MAX);
        let length = length.min(buffer.len());
        let (target, _) = buffer.split_at_mut(length);
        let count = self.file.read_at(target, self.offset)?;
        self.offset += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

impl Read for FileRange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.held().is_empty() && buffer.len() >= BUFFER {
            return self.read_file(buffer);
        }
        let mut held = self.fill_buf()?;
        let count = held.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for FileRange {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.held().is_empty() {
            let mut buffer = std::mem::take(&mut self.buffer);
            self.used = 0;
            let length = usize::try_from(self.left).unwrap_or(usize::MAX);
            buffer.resize(length.min(BUFFER), 0);
            let count = self.read_file(&mut buffer)?;
            buffer.truncate(count);
            self.buffer = buffer;
        }
        Ok(self.held())
    }

    fn consume(&mut self, count: usize) {
        self.used = self.used.saturating_add(count).min(self.buffer.len());
    }
}

impl TarInput for FileRange {
    fn skip(&mut self, length: u64) -> io::Result<u64> {
        let held = self.held().len();
        let step = held.min(usize::try_from(length).unwrap_or(usize::MAX));
        self.consume(step);
        let step = step as u64;
        let rest = (length - step).min(self.left);
        self.offset += rest;
        self.left -= rest;
        Ok(step + rest)
    }
}
