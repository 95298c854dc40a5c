//! Directories as EROFS keeps them: blocks of entries in the order of their names.

use super::format::{BLOCK, BLOCK_SIZE, DIRENT_SIZE};
use super::tree::Kind;

/// Returns the length of a directory with entries of these names, `.` and `..` among them.
pub(super) fn size<'a>(names: impl Iterator<Item = &'a [u8]>) -> u64 {
    let mut blocks = 0;
    let mut used = 0;
    for name in names {
        let length = DIRENT_SIZE + name.len();
        if used + length > BLOCK_SIZE {
            blocks += 1;
            used = 0;
        }
        used += length;
    }
    blocks * BLOCK + used as u64
}

/// An entry on its way to the disk.
pub(super) struct Dirent<'a> {
    pub(super) name: &'a [u8],
    pub(super) nid: u64,
    pub(super) file_type: u8,
}

/// Returns the bytes of a directory; all blocks but the last one are full.
pub(super) fn encode(entries: &[Dirent<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = entries;
    while !rest.is_empty() {
        let mut used = 0;
        let fitting = rest
            .iter()
            .take_while(|entry| {
                used += DIRENT_SIZE + entry.name.len();
                used <= BLOCK_SIZE
            })
            .count();
        let (block, later) = rest.split_at(fitting.max(1));
        let mut name_offset = block.len() * DIRENT_SIZE;
        for entry in block {
            bytes.extend(entry.nid.to_le_bytes());
            bytes.extend(u16::try_from(name_offset).unwrap_or(u16::MAX).to_le_bytes());
            bytes.extend([entry.file_type, 0]);
            name_offset += entry.name.len();
        }
        for entry in block {
            bytes.extend_from_slice(entry.name);
        }
        if !later.is_empty() {
            bytes.resize(bytes.len().next_multiple_of(BLOCK_SIZE), 0);
        }
        rest = later;
    }
    bytes
}

/// Returns the type of an inode as a directory entry says it. Source: Linux `fs_types.h`.
pub(super) fn file_type(kind: &Kind) -> u8 {
    match kind {
        Kind::File(_) => 1,
        Kind::Directory(_) => 2,
        Kind::CharDevice(_) => 3,
        Kind::BlockDevice(_) => 4,
        Kind::Fifo => 5,
        Kind::Socket => 6,
        Kind::Symlink(_) => 7,
    }
}
