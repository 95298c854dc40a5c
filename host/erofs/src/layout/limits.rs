//! The check that every part of a tree fits the format.

use crate::cluster_map::ClusterMap;
use crate::device::{DeviceSlot, blocks_of};
use crate::error::ErofsError;
use crate::format::{NAME_MAX, TARGET_MAX};
use crate::metadata::Device;
use crate::tree::{Inode, InodeId, Kind, Tree};
use crate::xattr::{self, BODY_MAX, SUFFIX_MAX, VALUE_MAX};

use super::Layout;

impl Layout<'_> {
    pub(super) fn check_name(
        &self,
        tree: &Tree,
        directory: InodeId,
        name: &[u8],
    ) -> Result<(), ErofsError> {
        if name.len() > NAME_MAX {
            return Err(ErofsError::Limit {
                path: self.path_in(tree, directory, name),
                what: "the length of the name in bytes",
                actual: name.len() as u64,
                limit: NAME_MAX as u64,
            });
        }
        if matches!(name, b"" | b"." | b"..") || name.iter().any(|byte| matches!(byte, 0 | b'/')) {
            return Err(ErofsError::Name {
                path: self.path_in(tree, directory, name),
            });
        }
        Ok(())
    }

    /// Checks everything of an inode but its names.
    pub(super) fn check(
        &self,
        tree: &Tree,
        id: InodeId,
        data_end: u64,
        devices: &[DeviceSlot],
    ) -> Result<(), ErofsError> {
        let inode = tree.get(id);
        let limits = limits(inode);
        if let Some((what, actual, limit)) =
            limits.into_iter().find(|(_, actual, limit)| actual > limit)
        {
            return Err(ErofsError::Limit {
                path: self.path(tree, id),
                what,
                actual,
                limit,
            });
        }
        match &inode.kind {
            Kind::File(extent) if extent.size > 0 => {
                let block = u64::from(extent.block);
                let blocks = self
                    .map(*extent)
                    .map_or(blocks_of(extent.size), ClusterMap::blocks);
                let end = block.saturating_add(blocks);
                let device = usize::from(extent.device).checked_sub(1);
                let last = match device.map(|device| devices.get(device)) {
                    None => data_end,
                    Some(device) => device.map_or(0, |device| device.blocks.into()),
                };
                if block == 0 || end > last {
                    return Err(ErofsError::Extent {
                        path: self.path(tree, id),
                    });
                }
            }
            Kind::Symlink(target) if target.is_empty() || target.contains(&0) => {
                return Err(ErofsError::Target {
                    path: self.path(tree, id),
                });
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn check_xattrs(&self, tree: &Tree, id: InodeId) -> Result<(), ErofsError> {
        let xattrs = &tree.get(id).metadata.xattrs;
        let limit = |what, actual, limit| ErofsError::Limit {
            path: self.path(tree, id),
            what,
            actual,
            limit,
        };
        for (name, value) in xattrs {
            let Some((_, suffix)) = xattr::split(name) else {
                return Err(ErofsError::XattrName {
                    path: self.path(tree, id),
                    name: String::from_utf8_lossy(name).into_owned(),
                });
            };
            if suffix.len() > SUFFIX_MAX {
                let what = "the length of the name of an attribute in bytes, less the prefix,";
                return Err(limit(what, suffix.len() as u64, SUFFIX_MAX as u64));
            }
            if value.len() > VALUE_MAX {
                let what = "the length of the value of an attribute in bytes";
                return Err(limit(what, value.len() as u64, VALUE_MAX as u64));
            }
        }
        let size = xattr::body_size(xattrs);
        if size > BODY_MAX {
            return Err(limit("the size of all attributes in bytes", size, BODY_MAX));
        }
        Ok(())
    }
}

/// Returns the numbers of an inode that might not fit: what, value, limit.
fn limits(inode: &Inode) -> [(&'static str, u64, u64); 4] {
    let metadata = &inode.metadata;
    let (major, minor) = match &inode.kind {
        Kind::CharDevice(device) | Kind::BlockDevice(device) => (device.major, device.minor),
        _ => (0, 0),
    };
    let target = match &inode.kind {
        Kind::Symlink(target) => target.len(),
        _ => 0,
    };
    [
        (
            "the fraction of the time in nanoseconds",
            u64::from(metadata.mtime.nanoseconds),
            999_999_999,
        ),
        (
            "the major device number",
            u64::from(major),
            u64::from(Device::MAJOR_MAX),
        ),
        (
            "the minor device number",
            u64::from(minor),
            u64::from(Device::MINOR_MAX),
        ),
        (
            "the length of the target in bytes",
            target as u64,
            TARGET_MAX as u64,
        ),
    ]
}
