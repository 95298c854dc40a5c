//! Where every inode of a tree goes.
//!
//! Owns the order of the inodes, their nids, the count of their names, and the check that every
//! part of the tree fits the format. Writes nothing.

mod limits;
mod shape;

use std::collections::{HashMap, HashSet};

use tokio_util::sync::CancellationToken;

use super::cluster_map::ClusterMap;
use super::device::DeviceSlot;
use super::dirent;
use super::error::{ErofsError, check};
use super::format::{Nid, SLOT_SIZE};
use super::raw::XATTR_HEADER_SIZE;
use super::shared::Shared;
use super::tree::{Extent, InodeId, Kind, Tree};

use shape::HEAD;
pub(super) use shape::InodeShape;

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
