//! The bytes of one member, unpacked piece by piece and never beyond the size that the directory states.

use crc32fast::Hasher;
use flate2::{Decompress, FlushDecompress, Status};
use msb_plugin::{Archive, Error};

use crate::members::{Member, Packing};

/// How much is read and returned at a time: the most that the host gives.
const CHUNK: usize = 1 << 20;

/// What is left of a member.
pub(crate) struct Body {
    path: String,
    /// Where its packed bytes go on in the input, and how many are left.
    offset: u64,
    packed: u64,
    /// How many bytes are missing.
    missing: u64,
    crc32: u32,
    hasher: Hasher,
    inflater: Option<Decompress>,
    /// Packed bytes that were read, and how many of them are used.
    input: Vec<u8>,
    used: usize,
    ended: bool,
}

impl Body {
    pub(crate) fn of(member: &Member) -> Result<Self, Error> {
        let inflater = match &member.packing {
            Packing::Stored => None,
            Packing::Deflated => Some(Decompress::new(false)),
            Packing::Other(how) => {
                return Err(Error::Unsupported(format!(
                    "{} is {how}: zip it without that",
                    member.path
                )));
            }
        };
        Ok(Self {
            path: member.path.clone(),
            offset: member.offset,
            packed: member.packed,
            missing: member.size,
            crc32: member.crc32,
            hasher: Hasher::new(),
            inflater,
            input: Vec::new(),
            used: 0,
            ended: false,
        })
    }

    /// Returns at most `limit` of the next bytes, none at the end.
    ///
    /// `malformed` says that the directory states something else.
    pub(crate) fn next(&mut self, archive: &dyn Archive, limit: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::with_capacity(limit.min(CHUNK));
        while bytes.is_empty() && !self.ended {
            self.fill(archive)?;
            self.unpack(&mut bytes)?;
            self.hasher.update(&bytes);
            let length = bytes.len() as u64;
            let missing = self.missing.checked_sub(length);
            self.missing = missing.ok_or_else(|| self.is_malformed("has more bytes"))?;
            if self.ended && self.missing > 0 {
                return Err(self.is_malformed("has fewer bytes"));
            }
            if self.ended && self.hasher.clone().finalize() != self.crc32 {
                return Err(self.is_malformed("has other bytes"));
            }
        }
        Ok(bytes)
    }

    /// Reads packed bytes if all are used.
    fn fill(&mut self, archive: &dyn Archive) -> Result<(), Error> {
        if self.used < self.input.len() || self.packed == 0 {
            return Ok(());
        }
        let length = self.packed.min(CHUNK as u64);
        self.input = archive.read(0, self.offset, u32::try_from(length).unwrap_or(u32::MAX))?;
        self.used = 0;
        if self.input.is_empty() {
            return Err(self.is_malformed("ends before its last byte"));
        }
        self.offset += self.input.len() as u64;
        self.packed = self.packed.saturating_sub(self.input.len() as u64);
        Ok(())
    }

    /// Fills the room in `bytes`, as far as there are packed ones.
    fn unpack(&mut self, bytes: &mut Vec<u8>) -> Result<(), Error> {
        let input = self.input.get(self.used..).unwrap_or_default();
        let Some(inflater) = &mut self.inflater else {
            let room = bytes.capacity().min(input.len());
            bytes.extend_from_slice(input.get(..room).unwrap_or_default());
            self.used += room;
            self.ended = self.packed == 0 && self.used == self.input.len();
            return Ok(());
        };
        let before = inflater.total_in();
        let status = inflater.decompress_vec(input, bytes, FlushDecompress::None);
        let used = usize::try_from(inflater.total_in() - before).unwrap_or(usize::MAX);
        self.used = self.used.saturating_add(used);
        match status {
            Ok(Status::StreamEnd) => self.ended = true,
            Ok(_) if used > 0 || !bytes.is_empty() => {}
            // Without a step forward it would never end.
            Ok(_) => return Err(self.is_malformed("has fewer packed bytes")),
            Err(error) => return Err(Error::Malformed(format!("{}: {error}", self.path))),
        }
        Ok(())
    }

    fn is_malformed(&self, what: &str) -> Error {
        Error::Malformed(format!(
            "{} {what} than the directory of the zip archive states",
            self.path
        ))
    }
}
