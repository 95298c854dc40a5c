//! Where every inode of a tree goes.
//!
//! Owns the order of the inodes, their nids, the count of their names, and the check that every
//! part of the tree fits the format. Writes nothing.

use std::collections::{HashMap, HashSet};

use tokio_util::sync::CancellationToken;

use super::cluster_map::{ClusterMap, map_size};
use super::device::{Chunks, DeviceSlot, blocks_of};
use super::dirent;
use super::error::{ErofsError, check};
use super::format::{BLOCK_SIZE, DataLayout, NAME_MAX, Nid, SLOT_SIZE, TARGET_MAX};
use super::metadata::Device;
use super::raw::{CHUNK_INDEX_SIZE, INODE_SIZE, XATTR_HEADER_SIZE};
use super::shared::Shared;
use super::tree::{Extent, Inode, InodeId, Kind, Tree};
use super::xattr::{self, BODY_MAX, SUFFIX_MAX, VALUE_MAX};

/// Bytes of an inode without its attributes.
const HEAD: u64 = INODE_SIZE as u64;

/// The area starts with unused bytes: an inode there would have nid 0, which readdir(3) callers
/// take for a deleted entry.
const RESERVED: u64 = 64;

/// What follows the last inode at least: `fsck.erofs` 1.5 reads the header of attributes behind an
/// inode that has none, and an image that ends there it takes for damaged.
const BEHIND_LAST: u64 = XATTR_HEADER_SIZE as u64;

/// The plan of an inode area.
#[derive(Debug)]
pub(super) struct Layout<'t> {
    /// Every inode that a name reaches, in the order of the area, the root first.
    pub(super) order: Vec<InodeId>,
    /// By [`InodeId::index`].
    slots: Vec<InodeSlot>,
    /// Bytes of the area, with what has to follow its last inode.
    pub(super) size: u64,
    /// Blocks of directories and symbolic links outside of the area.
    pub(super) blocks: u64,
    /// The attributes of all inodes.
    pub(super) shared: Shared<'t>,
    /// The clusters of compressed files, by their first blocks.
    maps: &'t HashMap<u32, ClusterMap>,
}

/// Where one inode goes.
#[derive(Clone, Copy, Debug, Default)]
struct InodeSlot {
    nid: u64,
    nlink: u32,
    /// The directory of the first name, as an index into the tree.
    parent: InodeId,
}

/// The size of an inode and of what belongs to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct InodeShape {
    /// Bytes of the attributes.
    pub(super) xattrs: u64,
    /// Bytes of the contents of a directory or a symbolic link, 0 for all others.
    pub(super) contents: u64,
    /// Where these contents go.
    pub(super) layout: DataLayout,
    /// The chunks of a file on another device.
    pub(super) chunks: Option<Chunks>,
    /// Bytes of the indexes of chunks or clusters.
    pub(super) indexes: u64,
}

impl InodeShape {
    fn new(xattrs: u64, contents: u64) -> Self {
        let tail = contents % BLOCK_SIZE;
        let inline = tail > 0 && HEAD + xattrs + tail <= BLOCK_SIZE;
        Self {
            xattrs,
            contents,
            layout: if inline {
                DataLayout::Inline
            } else {
                DataLayout::Plain
            },
            chunks: None,
            indexes: 0,
        }
    }

    /// Returns the shape of a regular file.
    fn of_file(xattrs: u64, extent: Extent, is_compressed: bool) -> Self {
        let chunks = (extent.device > 0 && extent.size > 0).then(|| Chunks::of(extent.size));
        let (layout, indexes) = match chunks {
            Some(chunks) => (DataLayout::Chunked, chunks.size()),
            None if is_compressed => (DataLayout::Compressed, map_size(extent.size)),
            None => (DataLayout::Plain, 0),
        };
        Self {
            layout,
            chunks,
            indexes,
            ..Self::new(xattrs, 0)
        }
    }

    /// Returns how many bytes of the contents follow the inode.
    pub(super) fn tail(self) -> u64 {
        match self.layout {
            DataLayout::Plain | DataLayout::Chunked | DataLayout::Compressed => 0,
            DataLayout::Inline => self.contents % BLOCK_SIZE,
        }
    }

    /// Returns how many blocks the rest of the contents takes.
    pub(super) fn blocks(self) -> u64 {
        (self.contents - self.tail()).div_ceil(BLOCK_SIZE)
    }

    /// Returns where the last byte that belongs to an inode of this shape is followed, when the inode
    /// ends at `head_end`.
    pub(super) fn end(self, head_end: u64) -> u64 {
        let end = head_end + self.xattrs + self.tail();
        match self.indexes {
            0 => end,
            indexes => end.next_multiple_of(CHUNK_INDEX_SIZE as u64) + indexes,
        }
    }

    /// Returns where an inode of this shape starts when the area is in use up to `end`. Neither an
    /// inode nor the inline data behind it crosses a block: kernels before 6.12 read the target of
    /// a symbolic link from the block of its inode.
    fn start(self, end: u64) -> u64 {
        let start = end.next_multiple_of(SLOT_SIZE);
        let together = match self.layout {
            DataLayout::Plain | DataLayout::Chunked | DataLayout::Compressed => HEAD,
            DataLayout::Inline => HEAD + self.xattrs + self.tail(),
        };
        if start % BLOCK_SIZE + together <= BLOCK_SIZE {
            start
        } else {
            start.next_multiple_of(BLOCK_SIZE)
        }
    }
}

impl<'t> Layout<'t> {
    /// Plans the area of a tree whose file data ends at block `data_end`, some of it in clusters.
    ///
    /// The children of a directory follow one another, in the order of their names, then come
    /// those of its first subdirectory: listing a directory reads consecutive blocks.
    pub(super) fn plan(
        tree: &'t Tree,
        data_end: u64,
        devices: &[DeviceSlot],
        maps: &'t HashMap<u32, ClusterMap>,
        cancel: &CancellationToken,
    ) -> Result<Self, ErofsError> {
        let mut layout = Self {
            order: Vec::new(),
            slots: vec![InodeSlot::default(); tree.len()],
            size: RESERVED,
            blocks: 0,
            shared: Shared::default(),
            maps,
        };
        layout.link(tree, cancel)?;
        let order = std::mem::take(&mut layout.order);
        layout.shared = Shared::plan(tree, &order, cancel)?;
        let mut checked = HashSet::new();
        let mut head_end = 0;
        for id in &order {
            check(cancel)?;
            layout.check(tree, *id, data_end, devices)?;
            // Inodes that share their attributes share what is wrong with them.
            if checked.insert(tree.get(*id).metadata.xattrs.address()) {
                layout.check_xattrs(tree, *id)?;
            }
            let shape = layout.shape(tree, *id);
            let start = shape.start(layout.size);
            head_end = start + HEAD;
            layout.size = shape.end(head_end);
            layout.blocks += shape.blocks();
            layout.slot_mut(*id).nid = start / SLOT_SIZE;
        }
        layout.order = order;
        layout.size = layout.size.max(head_end + BEHIND_LAST);
        Ok(layout)
    }

    /// Returns the nid of an inode that a name reaches.
    pub(super) fn nid(&self, id: InodeId) -> Nid {
        Nid(self.slot(id).nid)
    }

    /// Returns how many names lead to an inode; for a directory, 2 and the count of its
    /// subdirectories.
    pub(super) fn nlink(&self, id: InodeId) -> u32 {
        self.slot(id).nlink
    }

    /// Returns the directory that holds a directory, the root for the root.
    pub(super) fn parent(&self, id: InodeId) -> InodeId {
        self.slot(id).parent
    }

    /// Returns the size of an inode and of its contents.
    pub(super) fn shape(&self, tree: &Tree, id: InodeId) -> InodeShape {
        let inode = tree.get(id);
        let xattrs = self.shared.body_size(&inode.metadata.xattrs);
        let contents = match &inode.kind {
            Kind::File(extent) => {
                return InodeShape::of_file(xattrs, *extent, self.map(*extent).is_some());
            }
            Kind::Directory(_) => {
                let names = dirent::listing(tree, id, self.parent(id));
                dirent::packed_size(names.map(|(name, _)| name.len()))
            }
            Kind::Symlink(target) => target.len() as u64,
            _ => 0,
        };
        InodeShape::new(xattrs, contents)
    }

    /// Returns the clusters of a file, `None` for one that is not compressed.
    pub(super) fn map(&self, extent: Extent) -> Option<&'t ClusterMap> {
        let map = self.maps.get(&extent.block);
        map.filter(|_| extent.device == 0 && extent.size > 0)
    }

    /// Walks the tree: fills the order, the counts of names and the parents.
    fn link(&mut self, tree: &Tree, cancel: &CancellationToken) -> Result<(), ErofsError> {
        self.order.push(InodeId::ROOT);
        self.slot_mut(InodeId::ROOT).nlink = 2;
        let mut pending = vec![InodeId::ROOT];
        while let Some(directory) = pending.pop() {
            let Kind::Directory(entries) = &tree.get(directory).kind else {
                continue;
            };
            let first = pending.len();
            for (name, child) in entries {
                check(cancel)?;
                self.check_name(tree, directory, name)?;
                let is_directory = matches!(tree.get(*child).kind, Kind::Directory(_));
                let known = self.slot(*child).nlink > 0;
                if is_directory && known {
                    return Err(ErofsError::DirectoryLink {
                        path: self.path_in(tree, directory, name),
                    });
                }
                if !known {
                    self.order.push(*child);
                    self.slot_mut(*child).parent = directory;
                }
                if is_directory {
                    self.slot_mut(*child).nlink = 2;
                    self.slot_mut(directory).nlink += 1;
                    pending.push(*child);
                } else {
                    let slot = self.slot_mut(*child);
                    slot.nlink = slot.nlink.saturating_add(1);
                }
            }
            pending.get_mut(first..).unwrap_or_default().reverse();
        }
        Ok(())
    }

    fn check_name(&self, tree: &Tree, directory: InodeId, name: &[u8]) -> Result<(), ErofsError> {
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
    fn check(
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

    fn check_xattrs(&self, tree: &Tree, id: InodeId) -> Result<(), ErofsError> {
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

    fn path_in(&self, tree: &Tree, directory: InodeId, name: &[u8]) -> String {
        let mut path = self.path(tree, directory);
        if path != "/" {
            path.push('/');
        }
        path.push_str(&String::from_utf8_lossy(name));
        path
    }

    /// Returns the first path of an inode, found from its parents upwards.
    fn path(&self, tree: &Tree, id: InodeId) -> String {
        let mut names = Vec::new();
        let mut child = id;
        while child != InodeId::ROOT {
            let parent = self.parent(child);
            if let Kind::Directory(entries) = &tree.get(parent).kind
                && let Some((name, _)) = entries.iter().find(|(_, entry)| **entry == child)
            {
                names.push(String::from_utf8_lossy(name));
            }
            child = parent;
        }
        names.reverse();
        format!("/{}", names.join("/"))
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "one place for every inode of the tree"
    )]
    fn slot(&self, id: InodeId) -> &InodeSlot {
        &self.slots[id.index()]
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "one place for every inode of the tree"
    )]
    fn slot_mut(&mut self, id: InodeId) -> &mut InodeSlot {
        &mut self.slots[id.index()]
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
