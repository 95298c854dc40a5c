//! Directory entries in blocks.
//!
//! Owns the packing of sorted names into directory blocks and the parsing of such a block. A block
//! holds its entries, 12 bytes each, then their names in the same order. No entry crosses a block,
//! and names rise strictly by unsigned bytes over the whole directory, so that the kernel can
//! search them by halves (`fs/erofs/namei.c`).

use super::format::{BLOCK, BLOCK_SIZE, DIRENT_SIZE, FileType, NAME_MAX, Nid, field};
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
    /// The entries of the block: nid, type, length of the name.
    entries: Vec<(Nid, FileType, usize)>,
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
        self.entries.push((nid, file_type, name.len()));
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
        let mut offset = self.entries.len() * DIRENT_SIZE;
        for (nid, file_type, length) in self.entries.drain(..) {
            // The offset is less than a block, so its low 16 bits are all of it.
            let [low, high, ..] = offset.to_le_bytes();
            self.block.extend_from_slice(&nid.0.to_le_bytes());
            self.block
                .extend_from_slice(&[low, high, file_type.code(), 0]);
            offset += length;
        }
        self.block.append(&mut self.names);
    }
}

/// Returns the entries of a directory block, or the rule that it breaks. `.` and `..` are entries
/// like any other here, and the order of names is not looked at.
pub(super) fn parse(block: &[u8]) -> Result<Vec<DirEntry>, &'static str> {
    let first = usize::from(u16::from_le_bytes(field(block, 8)));
    if first < DIRENT_SIZE || first % DIRENT_SIZE != 0 || first > block.len() {
        return Err("a directory block does not start with entries");
    }
    let (entries, _) = block.split_at(first);
    let mut parsed = Vec::with_capacity(first / DIRENT_SIZE);
    let mut records = entries.chunks_exact(DIRENT_SIZE).peekable();
    let mut start = first;
    while let Some(record) = records.next() {
        let end = match records.peek() {
            Some(next) => usize::from(u16::from_le_bytes(field(next, 8))),
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
        let [code, reserved] = field(record, 10);
        if reserved != 0 {
            return Err("a reserved byte of a directory entry is not zero");
        }
        parsed.push(DirEntry {
            name: name.into(),
            nid: Nid(u64::from_le_bytes(field(record, 0))),
            file_type: FileType::from_code(code).ok_or("a directory entry has an unknown type")?,
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
