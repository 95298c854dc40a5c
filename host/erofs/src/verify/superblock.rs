//! The check of the superblock and of the table of devices.

use crate::ErofsError;
use crate::device::{encode, table_end};
use crate::format::{BLOCK_BITS, BLOCK_SIZE, COMPAT_CHECKSUM, COMPAT_MTIME};
use crate::raw::{FirstBlock, MAGIC, RawSuperblock};
use crate::source::ReadAt;
use crate::writer::device_slot;

use super::Check;

impl<R: ReadAt> Check<R> {
    /// Checks the first block against the one that the writer would have written.
    pub(super) fn superblock(&mut self, block: &FirstBlock) {
        let superblock = &block.superblock;
        let devices = self.image.devices();
        let table = match self.image.compression {
            Some(compression) => compression.encode(),
            None => encode(devices),
        };
        let expected = RawSuperblock {
            magic: MAGIC,
            checksum: block.checksum().into(),
            feature_compat: (COMPAT_CHECKSUM | COMPAT_MTIME).into(),
            block_bits: BLOCK_BITS,
            root_nid: superblock.root_nid,
            inodes: superblock.inodes,
            build_time: superblock.build_time,
            blocks: superblock.blocks,
            meta_block: superblock.meta_block,
            xattr_block: superblock.xattr_block,
            uuid: superblock.uuid,
            feature_incompat: superblock.feature_incompat,
            algorithms: superblock.algorithms,
            extra_devices: superblock.extra_devices,
            device_slot: device_slot(!devices.is_empty()).into(),
            ..RawSuperblock::default()
        };
        let size = u64::from(superblock.blocks.get()) * BLOCK_SIZE;
        let disk = devices.last().map_or(size, |last| last.end() * BLOCK_SIZE);
        let has_checksum = superblock.feature_compat.get() & COMPAT_CHECKSUM != 0;
        if !self.is_own {
            let rules = [
                (
                    !has_checksum || superblock.checksum == expected.checksum,
                    "the checksum of the superblock is wrong",
                ),
                (
                    superblock.feature_incompat.get() == 0,
                    "it has features that no layer needs",
                ),
                (
                    self.image.source().size() == size,
                    "its length is not what the superblock says",
                ),
            ];
            if let Some((_, what)) = rules.into_iter().find(|(kept, _)| !kept) {
                self.add(None, None, what);
            }
            return;
        }
        let rules = [
            (
                superblock.checksum == expected.checksum,
                "the checksum of the superblock is wrong",
            ),
            (
                superblock.feature_compat == expected.feature_compat,
                "the compatible features are not checksum and mtime",
            ),
            (
                *block == FirstBlock::with_table(expected.clone(), &table),
                "a field of the first block that should be zero is not",
            ),
            (
                [size, disk].contains(&self.image.source().size()),
                "its length is not what the superblock says",
            ),
            (superblock.root_nid.get() != 0, "the root is inode 0"),
        ];
        // The first rule that is broken often breaks the third one, too.
        if let Some((_, what)) = rules.into_iter().find(|(kept, _)| !kept) {
            self.add(None, None, what);
        }
    }

    /// Checks the table of devices.
    pub(super) fn devices(&mut self) -> Result<(), ErofsError> {
        let mut end = u64::from(self.image.superblock().blocks);
        let mut wrong = None;
        for device in self.image.devices() {
            if device.tag.iter().all(|byte| *byte == 0) || device.blocks == 0 {
                wrong = Some("a device has no tag or no blocks");
            } else if u64::from(device.mapped_block) != end {
                wrong = Some("a device does not follow the one before it");
            }
            end = device.end();
        }
        if let Some(what) = wrong {
            self.add(None, None, what);
        }
        // What of the table is in the first block was compared with it.
        let table = encode(self.image.devices());
        let mut found = vec![0; table.len()];
        self.image.source().read(table_end(0), &mut found)?;
        if found != table {
            let what = "a reserved field of a device is not zero";
            self.add(None, None, what);
        }
        Ok(())
    }
}
