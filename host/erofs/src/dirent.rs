//! Directory entries in blocks.
//!
//! Owns the packing of sorted names into directory blocks and the parsing of such a block. A block
//! holds its entries, 12 bytes each, then their names in the same order. No entry crosses a block,
//! and names rise strictly by unsigned bytes over the whole directory, so that the kernel can
//! search them by halves (`fs/erofs/namei.c`).

use zerocopy::little_endian::{U16, U64};
use zerocopy::{FromBytes as _, IntoBytes as _};

use super::format::{BLOCK, BLOCK_SIZE, FileType, NAME_MAX, Nid};
use super::raw::{DIRENT_SIZE, RawDirent};
use super::tree::{InodeId, Kind, Tree};

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name, never empty.
    pub name: Box<[u8]>,
    /// The inode that it leads to.
    pub nid: Nid,
    /// The type of that inode, as the entry says.
    pub file_type: FileType,
}

/// Returns the names of a directory in the order of the format, `.` and `..` among them.
pub(super) fn listing(
    tree: &Tree,
    directory: InodeId,
    parent: InodeId,
) -> impl Iterator<Item = (&[u8], InodeId)> {
    let entries = match &tree.get(directory).kind {
        Kind::Directory(entries) => Some(entries),
        _ => None,
    };
    let mut names = entries
        .into_iter()
        .flatten()
        .map(|(name, id)| (&**name, *id))
        .peekable();
    let mut dots = [(&b"."[..], directory), (b"..", parent)]
        .into_iter()
        .peekable();
    std::iter::from_fn(move || match (names.peek(), dots.peek()) {
        (Some(name), Some(dot)) if name.0 < dot.0 => names.next(),
        (_, Some(_)) => dots.next(),
        (_, None) => names.next(),
    })
}

/// Returns the bytes of a directory with names of these lengths.
pub(super) fn packed_size(lengths: impl Iterator<Item = usize>) -> u64 {
    let mut full_blocks = 0;
    let mut used = 0;
    for length in lengths {
        let entry = DIRENT_SIZE + length;
        if used + entry > BLOCK {
            full_blocks += 1;
            used = 0;
        }
        used += entry;
    }
    full_blocks * BLOCK_SIZE + used as u64
}

/// Packs entries, given in order, into blocks.
#[derive(Debug, Default)]
pub(super) struct Packer {
    /// The entries of the block, whose offsets count from the first name for now.
    entries: Vec<RawDirent>,
    names: Vec<u8>,
    block: Vec<u8>,
}

impl Packer {
    /// Adds an entry. Where it starts a block, hands out the one before, zero-padded to its full
    /// size.
    pub(super) fn push(&mut self, name: &[u8], nid: Nid, file_type: FileType) -> Option<&[u8]> {
        let used = self.entries.len() * DIRENT_SIZE + self.names.len();
        let full = used + DIRENT_SIZE + name.len() > BLOCK;
        if full {
            self.encode();
            self.block.resize(BLOCK, 0);
        }
        self.entries.push(RawDirent {
            nid: U64::new(nid.0),
            name_offset: offset(self.names.len()),
            file_type: file_type.code(),
            reserved: 0,
        });
        self.names.extend_from_slice(name);
        full.then_some(&self.block)
    }

    /// Returns the last block, not padded.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.encode();
        self.block
    }

    fn encode(&mut self) {
        self.block.clear();
        let first = offset(self.entries.len() * DIRENT_SIZE);
        for entry in &mut self.entries {
            entry.name_offset += first;
        }
        self.block.extend_from_slice(self.entries.as_bytes());
        self.block.append(&mut self.names);
        self.entries.clear();
    }
}

/// Returns an offset in a block, which has 16 bits.
fn offset(offset: usize) -> U16 {
    u16::try_from(offset).unwrap_or(u16::MAX).into()
}

/// Returns the entries of a directory block, or the rule that it breaks. `.` and `..` are entries
/// like any other here, and the order of names is not looked at.
pub(super) fn parse(block: &[u8]) -> Result<Vec<DirEntry>, &'static str> {
    let no_entries = "a directory block does not start with entries";
    let (entry, _) = RawDirent::ref_from_prefix(block).map_err(|_| no_entries)?;
    let first = usize::from(entry.name_offset.get());
    let entries = block.get(..first).ok_or(no_entries)?;
    let entries = <[RawDirent]>::ref_from_bytes(entries).map_err(|_| no_entries)?;
    if entries.is_empty() {
        return Err(no_entries);
    }
    let mut parsed = Vec::with_capacity(entries.len());
    let mut entries = entries.iter().peekable();
    let mut start = first;
    while let Some(entry) = entries.next() {
        let end = match entries.peek() {
            Some(next) => usize::from(next.name_offset.get()),
            None => end_of_names(block, start),
        };
        let name = block
            .get(start..end)
            .ok_or("a name lies outside of its directory block")?;
        if name.is_empty() || name.len() > NAME_MAX {
            return Err("a name is empty or longer than 255 bytes");
        }
        if name.iter().any(|byte| matches!(byte, 0 | b'/')) {
            return Err("a name has a slash or a zero byte");
        }
        if entry.reserved != 0 {
            return Err("a reserved byte of a directory entry is not zero");
        }
        parsed.push(DirEntry {
            name: name.into(),
            nid: Nid(entry.nid.get()),
            file_type: FileType::from_code(entry.file_type)
                .ok_or("a directory entry has an unknown type")?,
        });
        start = end;
    }
    let padding = block.get(start..).unwrap_or_default();
    if padding.iter().any(|byte| *byte != 0) {
        return Err("the padding of a directory block is not zero");
    }
    Ok(parsed)
}

/// Returns where the last name of a block ends: at the first zero byte, or with the block.
fn end_of_names(block: &[u8], start: usize) -> usize {
    let rest = block.get(start..).unwrap_or_default();
    start
        + rest
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(rest.len())
}
