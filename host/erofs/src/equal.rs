//! Files of an image by their contents, so that equal ones are kept once.
//!
//! Owns the index by which the writer finds an earlier file that may be equal. The index proves
//! nothing: the writer compares the bytes. So it may be small and fast, and files that were made to
//! collide in it cost one comparison each.

use std::collections::HashMap;

use tokio_util::sync::CancellationToken;

/// Bytes at the start of a file that its key is computed of. With its size, they tell apart nearly all
/// files that differ, and large files cost no more than small ones.
const HEAD: usize = 64 << 10;

static ZEROS: [u8; HEAD] = [0; HEAD];

/// Files that are remembered at most, whatever memory there is: what an image shares depends on its files
/// alone. The table has 3.3 MiB then, and half of that again while it grows for the last time.
const FILES_MAX: usize = (1 << 18) / 8 * 7;

/// What files with equal contents have in common, and few others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ContentsKey {
    size: u32,
    checksum: u32,
}

/// The key of a file that is being written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyOfFile {
    checksum: u32,
    /// Bytes that are in the checksum.
    length: usize,
    /// The file has a long hole. It takes little space anyway, and reading it back may take long.
    has_hole: bool,
}

impl KeyOfFile {
    /// Adds bytes of the file.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let (head, _) = bytes.split_at(bytes.len().min(HEAD - self.length));
        if !head.is_empty() {
            self.checksum = crc32c::crc32c_append(self.checksum, head);
            self.length += head.len();
        }
    }

    /// Adds zeros, which are not written if they are many.
    pub(super) fn add_hole(&mut self, length: u64) {
        let zeros = usize::try_from(length).ok();
        match zeros.and_then(|length| ZEROS.get(..length)) {
            Some(zeros) => self.add(zeros),
            None => self.has_hole = true,
        }
    }

    /// Returns the key of the file, once it has ended with that size: `None` for one with a long hole or
    /// of 4 GiB or more.
    pub(super) fn finish(self, size: u64) -> Option<ContentsKey> {
        let size = u32::try_from(size).ok().filter(|_| !self.has_hole)?;
        Some(ContentsKey {
            size,
            checksum: self.checksum,
        })
    }
}

/// The index.
#[derive(Debug)]
pub(super) struct EqualFiles {
    /// The first blocks of files, by their keys.
    blocks: HashMap<ContentsKey, u32>,
    /// Asked while files are compared.
    pub(super) cancel: CancellationToken,
}

impl EqualFiles {
    pub(super) fn new(cancel: CancellationToken) -> Self {
        Self {
            blocks: HashMap::new(),
            cancel,
        }
    }

    /// Returns the first block of the file that may be equal to one with that key, or remembers that one,
    /// which starts at `block`. Of files with one key, the first stays.
    pub(super) fn find_or_insert(&mut self, key: ContentsKey, block: u32) -> Option<u32> {
        let known = self.blocks.get(&key).copied();
        // An entry would make room for one more file, whether it is remembered or not.
        if known.is_none() && self.blocks.len() < FILES_MAX {
            self.blocks.insert(key, block);
        }
        known
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_key_does_not_depend_on_how_the_bytes_come() {
        let bytes: Vec<u8> = (0..200_000_u32)
            .map(|number| number.to_le_bytes()[0])
            .collect();
        let key = |sizes: &[usize]| {
            let mut key = KeyOfFile::default();
            let mut rest = &bytes[..];
            for size in sizes.iter().copied().cycle() {
                let (part, after) = rest.split_at(size.min(rest.len()));
                if part.is_empty() {
                    break;
                }
                key.add(part);
                rest = after;
            }
            key.finish(bytes.len() as u64)
        };
        assert_eq!(key(&[200_000]), key(&[1, 70_000, 5]));
        let mut zeros = KeyOfFile::default();
        zeros.add(&[0; 1000]);
        let mut hole = KeyOfFile::default();
        hole.add_hole(1000);
        assert_eq!(zeros.finish(1000), hole.finish(1000));
        hole.add_hole(1 << 40);
        assert_eq!(hole.finish(1 << 40), None);
    }

    #[test]
    fn the_index_stops_to_grow() {
        let mut files = EqualFiles::new(CancellationToken::new());
        let key = |checksum| ContentsKey { size: 1, checksum };
        for number in 0..u32::try_from(FILES_MAX).unwrap() + 9 {
            assert_eq!(files.find_or_insert(key(number), number), None);
        }
        assert_eq!(files.blocks.len(), FILES_MAX);
        // Those that it has are found, the first of each key.
        assert_eq!(files.find_or_insert(key(7), 1), Some(7));
        assert!(files.blocks.capacity() <= FILES_MAX);
        let bytes = (files.blocks.capacity() / 7 * 8) * (size_of::<(ContentsKey, u32)>() + 1);
        assert!(bytes < 7 << 19, "{bytes}");
    }
}
