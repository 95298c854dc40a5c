//! The reader: from a stream of bytes to entries and their payloads.
//!
//! Owns what is read when: extension headers, payloads, padding, the end. What the fields of a
//! header come to is decided in [`fields`](super::fields).

use super::blocks::Blocks;
use super::entry::{Entry, SparseMap, SparseRegion};
use super::fields::{Body, Extensions};
use super::globals::Globals;
use super::header::{Block, Header, ZERO, is_header, until_nul};
use super::pax::Records;
use super::payload::Payload;
use super::sparse::{self, DataMap, GnuMap};
use super::{TAR_BLOCK, TarError, TarInput};
use crate::limits::{Budget, Limit, Limits, Purpose};

const IN_EXTENSION: &str = "an extension header";
const IN_CONTENTS: &str = "the contents of an entry";
const IN_MAP: &str = "the map of a sparse file";

/// What a reader has come to.
#[derive(Debug)]
pub enum Step {
    /// An entry.
    Entry(Box<Entry>),
    /// A header that says something about entries to come.
    Extension,
}

/// Reads a tar stream entry by entry.
///
/// Bytes that are not payload (headers, maps, padding) are kept until [`skeleton`](Self::skeleton)
/// takes them, if the reader was made for that.
#[derive(Debug)]
pub struct TarReader<R> {
    pub(super) blocks: Blocks<R>,
    /// Payload of the current entry that was not read yet.
    pub(super) left: u64,
    padding: u64,
    ended: bool,
    /// A block that was read to find out what it is, and is a header or the end.
    ahead: Option<Block>,
    globals: Globals,
    /// What the extension headers say that have come for the next entry.
    extensions: Extensions,
    /// Bytes of memory that the map of the current entry takes.
    map: u64,
    path_bytes: u64,
    extension_bytes: u64,
}

impl<R: TarInput> TarReader<R> {
    /// Starts at the first header. What the stream makes the reader keep is taken from the budget.
    pub fn new(input: R, limits: &Limits, budget: &Budget) -> Self {
        Self {
            blocks: Blocks::new(input, budget.account()),
            left: 0,
            padding: 0,
            ended: false,
            ahead: None,
            globals: Globals::default(),
            extensions: Extensions::default(),
            map: 0,
            path_bytes: limits.path_bytes,
            extension_bytes: limits.xattr_bytes,
        }
    }

    /// Keeps the bytes that are not payload.
    #[must_use]
    pub fn keeping_skeleton(mut self) -> Self {
        self.blocks.skeleton = Some(Vec::new());
        self
    }

    /// Returns the bytes that were kept; who takes them empties it.
    pub fn skeleton(&mut self) -> &mut Vec<u8> {
        self.blocks.skeleton.get_or_insert_default()
    }

    /// Returns what the stream was read from.
    pub fn into_inner(self) -> R {
        self.blocks.input
    }

    /// Returns how many bytes of the stream were read.
    pub fn position(&self) -> u64 {
        self.blocks.position
    }

    /// Goes on to the next entry, past what is left of the current one. `None` at the end of the
    /// archive, which is two blocks of zeros, one of them, or the end of the stream.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        loop {
            match self.step()? {
                Some(Step::Entry(entry)) => return Ok(Some(*entry)),
                Some(Step::Extension) => {}
                None => return Ok(None),
            }
        }
    }

    /// Goes on to the next entry or extension header, past what is left of the current entry. There
    /// may be any number of extension headers in front of an entry: who calls this can take the
    /// skeleton and stop in between.
    pub fn step(&mut self) -> Result<Option<Step>, TarError> {
        self.finish_payload()?;
        if self.ended {
            return Ok(None);
        }
        let map = std::mem::take(&mut self.map);
        if map > 0 {
            self.blocks.account.give_back(Purpose::SparseMaps, map);
        }
        let Some((block, offset)) = self.header_block()? else {
            self.ended = true;
            return if self.extensions.are_none() {
                Ok(None)
            } else {
                Err(TarError::Dangling {
                    offset: self.blocks.position,
                })
            };
        };
        let header = Header::new(&block, offset)?;
        let records =
            |bytes: Vec<u8>| Records::parse(bytes).map_err(|reason| header.error("pax", reason));
        // An extension header has the size that it says itself. What the ones before it say is about
        // the entry that they all belong to.
        match header.typeflag() {
            b'L' => {
                let name = self.extension(&header, Limit::PathBytes)?;
                self.extensions.path = Some(until_nul(&name).to_vec());
            }
            b'K' => {
                let name = self.extension(&header, Limit::PathBytes)?;
                self.extensions.link = Some(until_nul(&name).to_vec());
            }
            // Of several, the last one counts alone.
            b'x' | b'X' => {
                let bytes = self.extension(&header, Limit::XattrBytes)?;
                self.extensions.records = Some(records(bytes)?);
            }
            b'g' => {
                let bytes = self.extension(&header, Limit::XattrBytes)?;
                self.add_globals(&header, &records(bytes)?)?;
            }
            _ => {
                let extensions = std::mem::take(&mut self.extensions);
                let entry = self.entry(&header, extensions)?;
                return Ok(Some(Step::Entry(Box::new(entry))));
            }
        }
        Ok(Some(Step::Extension))
    }

    /// Returns a reader of what is left of the current payload.
    pub fn data(&mut self) -> Payload<'_, R> {
        Payload { reader: self }
    }

    /// Passes over the current payload without looking at it.
    pub fn skip_data(&mut self) -> Result<(), TarError> {
        let left = std::mem::take(&mut self.left);
        if self.blocks.skip(left)? < left {
            return Err(self.blocks.truncated(IN_CONTENTS));
        }
        Ok(())
    }

    /// Reads what follows the end of the archive, up to `buffer`; 0 at the end of the stream.
    pub fn read_trailing(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        self.blocks.read(buffer)
    }

    fn finish_payload(&mut self) -> Result<(), TarError> {
        if self.left > 0 {
            self.skip_data()?;
        }
        let padding = usize::try_from(std::mem::take(&mut self.padding)).unwrap_or(0);
        if padding > 0 {
            let mut block = ZERO;
            let (target, _) = block.split_at_mut(padding.min(ZERO.len()));
            // Some archives end with their last byte of data; nothing is missing then.
            let count = self.blocks.fill(target)?;
            self.blocks.keep(&block[..count])?;
        }
        Ok(())
    }

    /// Returns the next header and where it is, or `None` at the end of the archive.
    fn header_block(&mut self) -> Result<Option<(Block, u64)>, TarError> {
        let block = match self.ahead.take() {
            Some(block) => Some(block),
            None => self.blocks.block("a header")?,
        };
        let Some(block) = block else {
            return Ok(None);
        };
        self.blocks.keep(&block)?;
        if block != ZERO {
            return Ok(Some((block, self.blocks.position - TAR_BLOCK)));
        }
        let mut second = ZERO;
        let count = self.blocks.fill(&mut second)?;
        self.blocks.keep(&second[..count])?;
        Ok(None)
    }

    /// Reads the payload of an extension header.
    fn extension(&mut self, header: &Header<'_>, limit: Limit) -> Result<Vec<u8>, TarError> {
        let max = match limit {
            Limit::PathBytes => self.path_bytes,
            _ => self.extension_bytes,
        };
        let size = header.size()?;
        if size > max {
            return Err(too_large(header, "extension header", size, max, limit));
        }
        let whole = usize::try_from(size.next_multiple_of(TAR_BLOCK)).unwrap_or(usize::MAX);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let mut bytes = vec![0; whole];
        let count = self.blocks.fill(&mut bytes)?;
        if count < size {
            return Err(self.blocks.truncated(IN_EXTENSION));
        }
        bytes.truncate(count);
        self.blocks.keep(&bytes)?;
        bytes.truncate(size);
        Ok(bytes)
    }

    /// Adds global records. All in force may be as long together as one header.
    fn add_globals(&mut self, header: &Header<'_>, records: &Records) -> Result<(), TarError> {
        let size = self.globals.add(records, &mut self.blocks.account)?;
        let max = self.extension_bytes;
        if size > max {
            let what = "sum of all global extension headers";
            return Err(too_large(header, what, size, max, Limit::XattrBytes));
        }
        Ok(())
    }

    fn entry(&mut self, header: &Header<'_>, extensions: Extensions) -> Result<Entry, TarError> {
        let account = &mut self.blocks.account;
        let (mut entry, body) = extensions.entry(header, &mut self.globals, account)?;
        for (what, text) in [("path", &entry.path), ("link target", &entry.link)] {
            let (size, max) = (text.len() as u64, self.path_bytes);
            if size > max {
                return Err(too_large(header, what, size, max, Limit::PathBytes));
            }
        }
        self.padding = (TAR_BLOCK - entry.size % TAR_BLOCK) % TAR_BLOCK;
        match body {
            Body::Plain => {}
            Body::Doubtful => self.settle_doubt(&mut entry)?,
            Body::GnuSparse => entry.sparse = Some(self.gnu_map(header)?),
            Body::Sparse(map) => entry.sparse = Some(map),
            Body::MapInData { length } => {
                let regions = self.map_in_data(header, &mut entry.size)?;
                entry.sparse = Some(SparseMap { length, regions });
            }
        }
        if let Some(map) = &entry.sparse {
            if !sparse::is_valid(map, entry.size) {
                return Err(header.error("sparse", "the regions of its map do not fit the file"));
            }
            let size = (map.regions.capacity() * size_of::<SparseRegion>()) as u64;
            self.blocks.account.take(Purpose::SparseMaps, size)?;
            self.map = size;
        }
        let ahead = if self.ahead.is_some() { TAR_BLOCK } else { 0 };
        entry.data_offset = self.blocks.position - ahead;
        self.left = entry.size;
        Ok(entry)
    }

    /// Links, directories and devices have no contents, whatever some writers put into their size
    /// field; a few writers did put some behind. What follows tells the two apart.
    fn settle_doubt(&mut self, entry: &mut Entry) -> Result<(), TarError> {
        match self.blocks.block(IN_CONTENTS)? {
            Some(block) if block != ZERO && !is_header(&block) => {
                self.blocks.keep(&block)?;
                entry.size = entry.size.saturating_sub(TAR_BLOCK);
            }
            ahead => {
                self.ahead = ahead;
                entry.size = 0;
            }
        }
        if entry.size == 0 {
            self.padding = 0;
        }
        Ok(())
    }

    fn gnu_map(&mut self, header: &Header<'_>) -> Result<SparseMap, TarError> {
        let bad = |reason| header.error("sparse", reason);
        let mut map = GnuMap::default();
        let mut more = map.header(header.block()).map_err(bad)?;
        while more {
            more = map
                .extension(&self.blocks.whole_block(IN_MAP)?)
                .map_err(bad)?;
        }
        map.finish(header.block()).map_err(bad)
    }

    /// Reads the map at the start of the data, of which `size` bytes are left afterwards.
    fn map_in_data(
        &mut self,
        header: &Header<'_>,
        size: &mut u64,
    ) -> Result<Vec<SparseRegion>, TarError> {
        let bad = |reason| header.error("GNU.sparse", reason);
        let mut map = DataMap::default();
        loop {
            *size = size
                .checked_sub(TAR_BLOCK)
                .ok_or_else(|| bad("its map is longer than its data"))?;
            if let Some(regions) = map.add(&self.blocks.whole_block(IN_MAP)?).map_err(bad)? {
                return Ok(regions);
            }
        }
    }
}

fn too_large(
    header: &Header<'_>,
    what: &'static str,
    size: u64,
    max: u64,
    limit: Limit,
) -> TarError {
    TarError::TooLarge {
        offset: header.offset(),
        what,
        size,
        max,
        limit,
    }
}
