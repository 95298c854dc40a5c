//! The hash tree by which a kernel proves each block of a disk that it reads (dm-verity).
//!
//! Owns the tree and the superblock in front of it, appended to the data or apart from it, and the line
//! of the device mapper's table that puts both together. Source: Linux
//! `Documentation/admin-guide/device-mapper/verity.rst`, and the on-disk format of cryptsetup
//! (`lib/verity/verity.c`).

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::disk::SECTOR;
use crate::cancel::Cancel;
use crate::digest::hex;

/// Bytes of a block, of data and of hashes.
const BLOCK: usize = 4096;
/// Bytes of a digest.
const DIGEST: usize = 32;
/// Digests in a block.
const FANOUT: u64 = (BLOCK / DIGEST) as u64;
/// What is hashed in front of each block. All zeros: the same data has the same root.
const SALT: [u8; DIGEST] = [0; DIGEST];
/// How the superblock begins.
const MAGIC: &[u8] = b"verity\0\0";
/// Bytes that are read at a time.
const BUFFER: usize = 64 * BLOCK;

/// What a mount needs to prove a disk. Its JSON form is part of the command line's contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verity {
    /// The digest that proves everything, in hexadecimal digits.
    pub root_hash: String,
    /// Where the data ends, in bytes. On a disk that has both, the superblock of the tree starts there.
    pub hash_offset: u64,
    /// The algorithm of the digests.
    pub algorithm: &'static str,
    /// Bytes of a block of data, and of hashes.
    pub block_size: usize,
    /// The salt, in hexadecimal digits.
    pub salt: String,
}

/// One level of the tree under way, the one next to the data first.
struct Level {
    /// Where its next block goes.
    position: u64,
    block: Vec<u8>,
}

/// Appends a tree over the first `length` bytes of a file, whole blocks. The UUID is that of the tree.
pub(super) fn append(
    file: &File,
    length: u64,
    uuid: [u8; 16],
    cancel: &Cancel,
) -> io::Result<Verity> {
    write(&[(file, length)], file, length, uuid, cancel)
}

/// Writes a tree over the first bytes of some files, one after the other, whole blocks of each, into
/// `file` from `start` on.
pub(super) fn write(
    parts: &[(&File, u64)],
    file: &File,
    start: u64,
    uuid: [u8; 16],
    cancel: &Cancel,
) -> io::Result<Verity> {
    let length: u64 = parts.iter().map(|(_, length)| length).sum();
    let blocks = length / BLOCK as u64;
    let mut tree = Tree {
        file,
        levels: levels(blocks, start + BLOCK as u64),
        root: [0; DIGEST],
    };
    let mut buffer = vec![0; BUFFER];
    for (input, length) in parts {
        let mut offset = 0;
        while offset < *length {
            cancel.check().map_err(io::Error::other)?;
            let left = usize::try_from(length - offset).unwrap_or(usize::MAX);
            let (part, _) = buffer.split_at_mut(left.min(BUFFER));
            input.read_exact_at(part, offset)?;
            for block in part.chunks(BLOCK) {
                tree.push(0, digest(block))?;
            }
            offset += part.len() as u64;
        }
    }
    let root = tree.finish()?;
    file.write_all_at(&superblock(blocks, uuid), start)?;
    Ok(Verity {
        root_hash: hex(&root),
        hash_offset: length,
        algorithm: "sha256",
        block_size: BLOCK,
        salt: hex(&SALT),
    })
}

impl Verity {
    /// Returns the line of the device mapper's table for a device that is proven. `hash_offset` is where
    /// the superblock of the tree is on the device with the hashes, in bytes.
    pub(super) fn table(&self, data: &str, hashes: &str, hash_offset: u64) -> String {
        let Self {
            root_hash,
            hash_offset: length,
            algorithm,
            block_size,
            salt,
        } = self;
        let sectors = length / SECTOR;
        let blocks = length / *block_size as u64;
        // The tree follows its superblock.
        let start = hash_offset / *block_size as u64 + 1;
        format!(
            "0 {sectors} verity 1 {data} {hashes} {block_size} {block_size} {blocks} {start} {algorithm} \
             {root_hash} {salt}"
        )
    }
}

/// Returns how many bytes a tree over the first `length` bytes of a file takes with its superblock.
pub(super) fn appended_size(length: u64) -> u64 {
    let mut count = length / BLOCK as u64;
    let mut blocks = 1;
    while count > 1 {
        count = count.div_ceil(FANOUT);
        blocks += count;
    }
    blocks * BLOCK as u64
}

/// Returns whether a block begins as the superblock of a tree does.
pub(super) fn is_superblock(block: &[u8]) -> bool {
    block.starts_with(MAGIC)
}

/// Returns the levels of a tree over so many blocks. On disk the topmost comes first.
fn levels(blocks: u64, start: u64) -> Vec<Level> {
    let mut counts = Vec::new();
    let mut count = blocks;
    while count > 1 {
        count = count.div_ceil(FANOUT);
        counts.push(count);
    }
    let mut position = start;
    let mut levels: Vec<Level> = counts
        .iter()
        .rev()
        .map(|count| {
            let level = Level {
                position,
                block: Vec::with_capacity(BLOCK),
            };
            position += count * BLOCK as u64;
            level
        })
        .collect();
    levels.reverse();
    levels
}

struct Tree<'a> {
    file: &'a File,
    levels: Vec<Level>,
    root: [u8; DIGEST],
}

impl Tree<'_> {
    /// Adds a digest to a level, and what that completes to those above.
    fn push(&mut self, mut number: usize, mut digest: [u8; DIGEST]) -> io::Result<()> {
        loop {
            let Some(level) = self.levels.get_mut(number) else {
                self.root = digest;
                return Ok(());
            };
            level.block.extend_from_slice(&digest);
            if level.block.len() < BLOCK {
                return Ok(());
            }
            digest = level.flush(self.file)?;
            number += 1;
        }
    }

    /// Completes all levels, and returns the root.
    fn finish(mut self) -> io::Result<[u8; DIGEST]> {
        for number in 0..self.levels.len() {
            let Some(level) = self.levels.get_mut(number) else {
                break;
            };
            if !level.block.is_empty() {
                let digest = level.flush(self.file)?;
                self.push(number + 1, digest)?;
            }
        }
        Ok(self.root)
    }
}

impl Level {
    /// Writes the block, and returns its digest.
    fn flush(&mut self, file: &File) -> io::Result<[u8; DIGEST]> {
        self.block.resize(BLOCK, 0);
        file.write_all_at(&self.block, self.position)?;
        self.position += BLOCK as u64;
        let digest = digest(&self.block);
        self.block.clear();
        Ok(digest)
    }
}

/// Returns the block with the superblock: `struct verity_sb`.
fn superblock(blocks: u64, uuid: [u8; 16]) -> Vec<u8> {
    let block = u32::try_from(BLOCK).unwrap_or_default();
    let mut algorithm = [0; 32];
    let mut name: &mut [u8] = &mut algorithm;
    // It is shorter than the field.
    let _ = name.write_all(b"sha256");
    let mut bytes = Vec::with_capacity(BLOCK);
    bytes.extend_from_slice(MAGIC);
    // Version of the superblock, and type 1: the salt comes first, digests fill a power of two.
    bytes.extend_from_slice(&1_u32.to_le_bytes());
    bytes.extend_from_slice(&1_u32.to_le_bytes());
    bytes.extend_from_slice(&uuid);
    bytes.extend_from_slice(&algorithm);
    bytes.extend_from_slice(&block.to_le_bytes());
    bytes.extend_from_slice(&block.to_le_bytes());
    bytes.extend_from_slice(&blocks.to_le_bytes());
    let salt = u16::try_from(SALT.len()).unwrap_or_default();
    bytes.extend_from_slice(&salt.to_le_bytes());
    bytes.extend_from_slice(&[0; 6]);
    bytes.extend_from_slice(&SALT);
    bytes.resize(BLOCK, 0);
    bytes
}

/// Returns the digest of a block.
fn digest(block: &[u8]) -> [u8; DIGEST] {
    Sha256::new()
        .chain_update(SALT)
        .chain_update(block)
        .finalize()
        .into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// A root that is computed level by level, in memory.
    fn root_of(data: &[u8]) -> [u8; DIGEST] {
        let mut digests: Vec<[u8; DIGEST]> = data.chunks(BLOCK).map(digest).collect();
        while digests.len() > 1 {
            let blocks = digests.chunks(BLOCK / DIGEST).map(|digests| {
                let mut block = digests.concat();
                block.resize(BLOCK, 0);
                digest(&block)
            });
            digests = blocks.collect();
        }
        digests.first().copied().unwrap()
    }

    #[test]
    fn the_root_is_that_of_all_levels_and_the_topmost_level_comes_first() {
        for blocks in [1, 2, 127, 128, 129, 128 * 128, 128 * 128 + 1] {
            let data: Vec<u8> = (0..blocks)
                .flat_map(|block: usize| block.to_le_bytes().repeat(BLOCK / 8))
                .collect();
            let file = tempfile::tempfile().unwrap();
            file.write_all_at(&data, 0).unwrap();
            let length = data.len() as u64;
            let verity = append(&file, length, [7; 16], &Cancel::default()).unwrap();
            let root = root_of(&data);
            assert_eq!(verity.root_hash, hex(&root), "{blocks}");
            assert_eq!(verity.hash_offset, length);
            let mut block = vec![0; BLOCK];
            file.read_exact_at(&mut block, length).unwrap();
            assert!(block.starts_with(b"verity\0\0\x01\0\0\0\x01\0\0\0\x07"));
            if blocks > 1 {
                file.read_exact_at(&mut block, length + BLOCK as u64)
                    .unwrap();
                assert_eq!(digest(&block), root, "{blocks}");
            }
            let levels: usize = match blocks {
                1 => 0,
                2..=128 => 1,
                129..=16_384 => blocks.div_ceil(128) + 1,
                _ => blocks.div_ceil(128) + 2 + 1,
            };
            let expected = length + ((1 + levels) * BLOCK) as u64;
            assert_eq!(file.metadata().unwrap().len(), expected, "{blocks}");
        }
    }

    #[test]
    fn a_tree_over_parts_is_that_of_all_of_them_in_one_file() {
        let data: Vec<u8> = (0..300_usize)
            .flat_map(|block| block.to_le_bytes().repeat(BLOCK / 8))
            .collect();
        let file = |data: &[u8]| {
            let file = tempfile::tempfile().unwrap();
            file.write_all_at(data, 0).unwrap();
            file
        };
        let length = data.len() as u64;
        let disk = file(&data);
        let appended = append(&disk, length, [7; 16], &Cancel::default()).unwrap();
        let (first, second) = data.split_at(130 * BLOCK);
        let (first_file, second_file, apart) = (file(first), file(second), file(&[]));
        let parts = [
            (&first_file, first.len() as u64),
            (&second_file, second.len() as u64),
        ];
        let written = write(&parts, &apart, 0, [7; 16], &Cancel::default()).unwrap();
        assert_eq!(written, appended);
        let mut on_disk = vec![0; usize::try_from(appended_size(length)).unwrap()];
        disk.read_exact_at(&mut on_disk, length).unwrap();
        let mut alone = vec![0; on_disk.len()];
        apart.read_exact_at(&mut alone, 0).unwrap();
        assert!(alone == on_disk);
        assert_eq!(apart.metadata().unwrap().len(), alone.len() as u64);
    }

    #[test]
    fn the_wish_to_stop_is_heard() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(BLOCK as u64).unwrap();
        let cancel = Cancel::default();
        cancel.cancel();
        assert!(append(&file, BLOCK as u64, [0; 16], &cancel).is_err());
    }
}
