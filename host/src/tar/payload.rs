//! The payload of an entry, while it is the current one.

use std::io::{self, BufRead, Read};

use super::{TarInput, TarReader};

/// What is left of the payload of an entry. A stream that ends before is an error of the kind
/// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof).
#[derive(Debug)]
pub struct Payload<'a, R> {
    pub(super) reader: &'a mut TarReader<R>,
}

impl<R: TarInput> Read for Payload<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.reader.left).unwrap_or(usize::MAX);
        let (target, _) = buffer.split_at_mut(left.min(buffer.len()));
        if target.is_empty() {
            return Ok(0);
        }
        let count = self.reader.blocks.input.read(target)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.pass(count);
        Ok(count)
    }
}

impl<R: TarInput> BufRead for Payload<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let left = usize::try_from(self.reader.left).unwrap_or(usize::MAX);
        if left == 0 {
            return Ok(&[]);
        }
        let held = self.reader.blocks.input.fill_buf()?;
        if held.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(held.get(..left).unwrap_or(held))
    }

    fn consume(&mut self, count: usize) {
        self.reader.blocks.input.consume(count);
        self.pass(count);
    }
}

impl<R> Payload<'_, R> {
    fn pass(&mut self, count: usize) {
        self.reader.left = self.reader.left.saturating_sub(count as u64);
        self.reader.blocks.position += count as u64;
    }
}
