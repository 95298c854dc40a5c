//! The reader: from a stream of bytes to entries and their payloads.

use std::io::{self, BufRead, Read};

use super::entry::{Entry, EntryKind};
use super::header::{Block, Header, is_zero, until_nul};
use super::pax::{self, Records};
use super::sparse;
use super::{TAR_BLOCK, TarError, TarInput};
use crate::erofs::Device;
use crate::limits::Limits;

/// Reads a tar stream entry by entry.
///
/// Bytes that are not payload (headers, maps, padding) are kept until [`skeleton`](Self::skeleton)
/// takes them, if the reader was made for that.
#[derive(Debug)]
pub struct TarReader<R> {
    input: R,
    position: u64,
    /// Payload of the current entry that was not read yet.
    left: u64,
    padding: u64,
    ended: bool,
    ahead: Option<Box<Block>>,
    globals: Records,
    skeleton: Option<Vec<u8>>,
    path_limit: u64,
    pax_limit: u64,
}

impl<R: TarInput> TarReader<R> {
    /// Starts at the first header.
    pub fn new(input: R, limits: &Limits) -> Self {
        Self {
            input,
            position: 0,
            left: 0,
            padding: 0,
            ended: false,
            ahead: None,
            globals: Records::default(),
            skeleton: None,
            path_limit: limits.path_bytes,
            pax_limit: limits.xattr_bytes,
        }
    }

    /// Keeps the bytes that are not payload.
    #[must_use]
    pub fn keeping_skeleton(mut self) -> Self {
        self.skeleton = Some(Vec::new());
        self
    }

    /// Takes the bytes that were kept since the last call.
    pub fn skeleton(&mut self) -> &mut Vec<u8> {
        self.skeleton.get_or_insert_default()
    }

    /// Returns what the stream was read from.
    pub fn into_inner(self) -> R {
        self.input
    }

    /// Returns how many bytes of the stream were read.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Goes on to the next entry, past what is left of the current one. `None` at the end of the
    /// archive, which is two blocks of zeros, one of them, or the end of the stream.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        self.finish_payload()?;
        if self.ended {
            return Ok(None);
        }
        let mut local = Records::default();
        let mut long_path = None;
        let mut long_link = None;
        loop {
            let offset = self.position - if self.ahead.is_some() { TAR_BLOCK } else { 0 };
            let Some(block) = self.header_block()? else {
                self.ended = true;
                return if long_path.is_some() || long_link.is_some() {
                    Err(self.truncated("an extension header"))
                } else {
                    Ok(None)
                };
            };
            let header = Header::new(&block, offset)?;
            match header.typeflag() {
                b'L' => {
                    let name = self.extension(&header, self.path_limit, "path_bytes")?;
                    long_path = Some(until_nul(&name).to_vec());
                }
                b'K' => {
                    let name = self.extension(&header, self.path_limit, "path_bytes")?;
                    long_link = Some(until_nul(&name).to_vec());
                }
                b'x' | b'X' => {
                    let records = self.extension(&header, self.pax_limit, "xattr_bytes")?;
                    local
                        .add(&records)
                        .map_err(|reason| header.error("pax", reason))?;
                }
                b'g' => {
                    let records = self.extension(&header, self.pax_limit, "xattr_bytes")?;
                    let mut globals = Records::default();
                    globals
                        .add(&records)
                        .map_err(|reason| header.error("pax", reason))?;
                    self.globals = self.globals.overlaid(globals);
                }
                _ => {
                    let records = self.globals.overlaid(local);
                    return self
                        .entry(&header, &records, long_path, long_link)
                        .map(Some);
                }
            }
        }
    }

    /// Returns a reader of what is left of the current payload.
    pub fn data(&mut self) -> Payload<'_, R> {
        Payload { reader: self }
    }

    /// Passes over the current payload without looking at it.
    pub fn skip_data(&mut self) -> Result<(), TarError> {
        let (left, offset) = (self.left, self.position);
        let skipped = self
            .input
            .skip(left)
            .map_err(|source| TarError::Read { offset, source })?;
        self.position += skipped;
        self.left = 0;
        if skipped < left {
            return Err(self.truncated("the contents of an entry"));
        }
        Ok(())
    }

    /// Reads what follows the end of the archive, up to `buffer`; 0 at the end of the stream.
    pub fn read_trailing(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        let offset = self.position;
        let count = self
            .input
            .read(buffer)
            .map_err(|source| TarError::Read { offset, source })?;
        self.position += count as u64;
        Ok(count)
    }

    fn finish_payload(&mut self) -> Result<(), TarError> {
        if self.left > 0 {
            self.skip_data()?;
        }
        let padding = usize::try_from(std::mem::take(&mut self.padding)).unwrap_or(0);
        let mut block = [0; 512];
        // An archive may end with its last byte of data.
        let count = self.read_block(&mut block[..padding])?;
        if count < padding && count > 0 {
            return Err(self.truncated("the padding behind an entry"));
        }
        self.keep(&block[..count]);
        Ok(())
    }

    /// Returns the next header, or `None` at the end of the archive.
    fn header_block(&mut self) -> Result<Option<Box<Block>>, TarError> {
        let block = match self.ahead.take() {
            Some(block) => block,
            None => match self.block()? {
                Some(block) => block,
                None => return Ok(None),
            },
        };
        self.keep(&block[..]);
        if !is_zero(&block) {
            return Ok(Some(block));
        }
        if let Some(second) = self.block()? {
            self.keep(&second[..]);
        }
        Ok(None)
    }

    /// Reads a whole block, or nothing at the end of the stream.
    fn block(&mut self) -> Result<Option<Box<Block>>, TarError> {
        let mut block = Box::new([0; 512]);
        match self.read_block(&mut block[..])? {
            0 => Ok(None),
            512 => Ok(Some(block)),
            count => {
                // Less than a block of zeros is the way some tools end.
                if is_zero(&block) {
                    self.keep(&block[..count]);
                    return Ok(None);
                }
                Err(self.truncated("a header"))
            }
        }
    }

    fn read_block(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        let mut count = 0;
        while count < buffer.len() {
            match self.input.read(&mut buffer[count..]) {
                Ok(0) => break,
                Ok(more) => {
                    count += more;
                    self.position += more as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(TarError::Read {
                        offset: self.position,
                        source,
                    });
                }
            }
        }
        Ok(count)
    }

    /// Reads the payload of an extension header.
    fn extension(
        &mut self,
        header: &Header<'_>,
        limit: u64,
        setting: &'static str,
    ) -> Result<Vec<u8>, TarError> {
        let size = header.size()?;
        if size > limit {
            return Err(TarError::TooLarge {
                offset: self.position,
                size,
                limit,
                setting,
            });
        }
        let whole = usize::try_from(size.next_multiple_of(TAR_BLOCK)).unwrap_or(usize::MAX);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let mut bytes = vec![0; whole];
        let count = self.read_block(&mut bytes)?;
        if count < size {
            return Err(self.truncated("an extension header"));
        }
        bytes.truncate(count);
        self.keep(&bytes);
        bytes.truncate(size);
        Ok(bytes)
    }

    fn entry(
        &mut self,
        header: &Header<'_>,
        records: &Records,
        long_path: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
    ) -> Result<Entry, TarError> {
        let text = |key: &str, field| match records.get(key) {
            Some(value) if value.contains(&0) => Err(header.error(field, "it holds a NUL")),
            value => Ok(value.map(<[u8]>::to_vec)),
        };
        let path = text("path", "path")?
            .or(long_path)
            .unwrap_or_else(|| header.path());
        let link = text("linkpath", "linkpath")?
            .or(long_link)
            .unwrap_or_else(|| header.link());
        let mut kind = match header.typeflag() {
            0 | b'0' | b'7' | b'S' => EntryKind::File,
            b'1' => EntryKind::Hardlink,
            b'2' => EntryKind::Symlink,
            b'3' => EntryKind::CharDevice,
            b'4' => EntryKind::BlockDevice,
            b'5' | b'D' => EntryKind::Directory,
            b'6' => EntryKind::Fifo,
            other => EntryKind::Other(other),
        };
        // Before POSIX, a trailing slash made a directory.
        if kind == EntryKind::File && path.ends_with(b"/") && matches!(header.typeflag(), 0 | b'0')
        {
            kind = EntryKind::Directory;
        }
        let number = |key: &str, field, other: i64| match records.number(key) {
            Ok(Some(value)) => {
                u32::try_from(value).map_err(|_| header.error(field, "it is too large"))
            }
            Ok(None) => u32::try_from(other)
                .map_err(|_| header.error(field, "it is not between 0 and 4294967295")),
            Err(reason) => Err(header.error(field, reason)),
        };
        let mtime = match records.get("mtime") {
            Some(value) => {
                pax::parse_time(value).ok_or_else(|| header.error("mtime", "it is not a time"))?
            }
            None => crate::erofs::Timestamp {
                seconds: header.mtime()?,
                nanoseconds: 0,
            },
        };
        let size = match records.number("size") {
            Ok(Some(size)) => size,
            Ok(None) => header.size()?,
            Err(reason) => return Err(header.error("size", reason)),
        };
        let (major, minor) = match kind {
            EntryKind::CharDevice | EntryKind::BlockDevice => header.device()?,
            _ => (0, 0),
        };
        let device_part = |value: i64, field| {
            u32::try_from(value).map_err(|_| header.error(field, "it is too large"))
        };
        let mut entry = Entry {
            path,
            link,
            kind,
            mode: u16::try_from(header.mode()? & 0o7777).unwrap_or(0),
            uid: number("uid", "uid", header.uid()?)?,
            gid: number("gid", "gid", header.gid()?)?,
            mtime,
            device: Device {
                major: device_part(major, "devmajor")?,
                minor: device_part(minor, "devminor")?,
            },
            size,
            sparse: None,
            xattrs: records.xattrs(),
            data_offset: 0,
        };
        self.body(header, records, &mut entry)?;
        entry.data_offset = self.position;
        self.left = entry.size;
        Ok(entry)
    }

    /// Settles how many bytes follow, and the map of a sparse file among them.
    fn body(
        &mut self,
        header: &Header<'_>,
        records: &Records,
        entry: &mut Entry,
    ) -> Result<(), TarError> {
        let whole = entry.size;
        self.padding = (TAR_BLOCK - whole % TAR_BLOCK) % TAR_BLOCK;
        if !matches!(entry.kind, EntryKind::File | EntryKind::Other(_)) {
            // Links, directories and devices have no contents, whatever some writers put into
            // their size field; a few really wrote some. What follows decides.
            if whole > 0 {
                match self.block()? {
                    Some(block) if is_zero(&block) || super::is_header(&block[..]) => {
                        self.ahead = Some(block);
                        entry.size = 0;
                    }
                    Some(block) => {
                        self.keep(&block[..]);
                        entry.size = whole.saturating_sub(TAR_BLOCK);
                    }
                    None => entry.size = 0,
                }
                if entry.size == 0 {
                    self.padding = 0;
                }
            }
            return Ok(());
        }
        if header.typeflag() == b'S' {
            let block = header.block();
            let length = super::header::number(&block[483..495])
                .and_then(|length| u64::try_from(length).map_err(|_| "it is negative"))
                .map_err(|reason| header.error("realsize", reason))?;
            let mut regions = Vec::new();
            let (pairs, mut more) = sparse::old_gnu_header(block);
            let bad = |reason| header.error("sparse", reason);
            sparse::old_gnu(pairs, &mut regions).map_err(bad)?;
            while more {
                let extension = self
                    .block()?
                    .ok_or_else(|| self.truncated("the map of a sparse file"))?;
                self.keep(&extension[..]);
                let (pairs, another) = sparse::old_gnu_extension(&extension);
                sparse::old_gnu(pairs, &mut regions).map_err(bad)?;
                more = another;
            }
            entry.sparse = Some((length, regions));
        } else if entry.kind == EntryKind::File {
            self.pax_sparse(header, records, entry)?;
        }
        if let Some((length, regions)) = &entry.sparse
            && !sparse::is_valid(regions, *length, entry.size)
        {
            return Err(header.error("sparse", "its regions do not fit the file"));
        }
        Ok(())
    }

    fn pax_sparse(
        &mut self,
        header: &Header<'_>,
        records: &Records,
        entry: &mut Entry,
    ) -> Result<(), TarError> {
        let bad = |reason| header.error("GNU.sparse", reason);
        let in_data = records.get("GNU.sparse.major") == Some(b"1")
            && records.get("GNU.sparse.minor") == Some(b"0");
        let regions = if in_data {
            let mut map = sparse::DataMap::default();
            loop {
                if entry.size < TAR_BLOCK {
                    return Err(bad("the map is longer than the data"));
                }
                let block = self
                    .block()?
                    .ok_or_else(|| self.truncated("the map of a sparse file"))?;
                self.keep(&block[..]);
                entry.size -= TAR_BLOCK;
                if let Some(regions) = map.add(&block).map_err(bad)? {
                    break regions;
                }
            }
        } else {
            match sparse::pax_0(records).map_err(bad)? {
                Some(regions) => regions,
                None => return Ok(()),
            }
        };
        let length = records
            .number("GNU.sparse.realsize")
            .and_then(|length| match length {
                Some(length) => Ok(Some(length)),
                None => records.number("GNU.sparse.size"),
            })
            .map_err(bad)?
            .ok_or_else(|| bad("the size of the file is missing"))?;
        if let Some(name) = records.get("GNU.sparse.name") {
            entry.path = name.to_vec();
        }
        entry.sparse = Some((length, regions));
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) {
        if let Some(skeleton) = &mut self.skeleton {
            skeleton.extend_from_slice(bytes);
        }
    }

    fn truncated(&self, inside: &str) -> TarError {
        TarError::Truncated {
            offset: self.position,
            inside: inside.to_owned(),
        }
    }
}

/// What is left of the payload of an entry.
#[derive(Debug)]
pub struct Payload<'a, R> {
    reader: &'a mut TarReader<R>,
}

impl<R: TarInput> Read for Payload<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.reader.left).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        if length == 0 {
            return Ok(0);
        }
        let count = self.reader.input.read(&mut buffer[..length])?;
        self.reader.advance(count)?;
        Ok(count)
    }
}

impl<R: TarInput> BufRead for Payload<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let left = usize::try_from(self.reader.left).unwrap_or(usize::MAX);
        if left == 0 {
            return Ok(&[]);
        }
        let held = self.reader.input.fill_buf()?;
        if held.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(&held[..held.len().min(left)])
    }

    fn consume(&mut self, count: usize) {
        self.reader.input.consume(count);
        self.reader.left -= count as u64;
        self.reader.position += count as u64;
    }
}

impl<R> TarReader<R> {
    fn advance(&mut self, count: usize) -> io::Result<()> {
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count as u64;
        self.position += count as u64;
        Ok(())
    }
}
