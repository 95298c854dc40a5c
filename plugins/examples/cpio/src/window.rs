//! Reading at any place in as few calls as there can be: the host gives 1 MiB at a time.

use msb_plugin::{Archive, Error};

/// How much is read at a time.
const CHUNK: u32 = 1 << 20;

/// What was read last.
#[derive(Default)]
pub(crate) struct Window {
    offset: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// Returns at least one and at most `length` bytes of the input from `offset` on; none at its end.
    pub(crate) fn read(
        &mut self,
        archive: &dyn Archive,
        offset: u64,
        length: usize,
    ) -> Result<&[u8], Error> {
        let end = self.offset + self.bytes.len() as u64;
        if offset < self.offset || offset >= end {
            self.bytes = archive.read(0, offset, CHUNK)?;
            self.offset = offset;
        }
        let start = usize::try_from(offset - self.offset).unwrap_or(usize::MAX);
        let rest = self.bytes.get(start..).unwrap_or_default();
        Ok(rest.get(..length).unwrap_or(rest))
    }

    /// Returns these bytes; fewer where the input ends.
    pub(crate) fn read_exact(
        &mut self,
        archive: &dyn Archive,
        offset: u64,
        length: usize,
    ) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let part = self.read(archive, offset + bytes.len() as u64, length - bytes.len())?;
            if part.is_empty() {
                break;
            }
            bytes.extend_from_slice(part);
        }
        Ok(bytes)
    }
}
