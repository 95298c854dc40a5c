//! The inodes of a layer's tree, and the names that lead to them.
//!
//! Owns what of the memory budget they take, and what goes with the last name of an inode.

use std::collections::BTreeMap;

use msb_erofs::{Inode, InodeId, Kind, Metadata};

use super::LayerError;
use super::attributes::{TEXT, text_size};
use super::tree::LayerTree;
use crate::limits::Purpose;

/// Permissions of a directory that no entry is for.
const IMPLIED_MODE: u16 = 0o755;
/// Bytes of memory that an inode takes: itself, what is known of it, and its place in the image once
/// that is laid out.
const INODE: u64 = (size_of::<Inode>() + size_of::<Node>() + 24) as u64;
/// The same of a name in a directory, of the first one in it, and of what is allocated for text.
const NAME: u64 = 48;
pub(super) const FIRST_NAME: u64 = 200;

/// The side of an inode that stays in memory.
#[derive(Clone, Copy)]
pub(super) struct Node {
    /// How many names lead to it.
    pub(super) links: u32,
    /// Of a directory: where it is.
    pub(super) parent: InodeId,
    /// A directory that no entry is for: the layers below may know more of it.
    pub(super) implied: bool,
}

impl LayerTree {
    pub(super) fn child(&self, directory: InodeId, name: &[u8]) -> Option<InodeId> {
        match &self.tree.get(directory).kind {
            Kind::Directory(names) => names.get(name).copied(),
            _ => None,
        }
    }

    pub(super) fn is_directory(&self, id: InodeId) -> bool {
        matches!(self.tree.get(id).kind, Kind::Directory(_))
    }

    /// Adds a directory that no entry is for.
    pub(super) fn add_implied(&mut self, path: &[u8]) -> Result<InodeId, LayerError> {
        self.implied += 1;
        self.add(path, implied_directory(), true)
    }

    pub(super) fn add(
        &mut self,
        path: &[u8],
        inode: Inode,
        implied: bool,
    ) -> Result<InodeId, LayerError> {
        self.account.take(Purpose::Inodes, INODE)?;
        if let Kind::Symlink(target) = &inode.kind {
            self.account.take(Purpose::Links, text_size(target))?;
        }
        let id = self
            .tree
            .insert(inode)
            .ok_or_else(|| LayerError::entry(path, "there are too many before it"))?;
        self.nodes.push(Node {
            links: 0,
            parent: InodeId::ROOT,
            implied,
        });
        Ok(id)
    }

    /// Makes a name lead to an inode, and away from what it led to before.
    pub(super) fn set_name(
        &mut self,
        directory: InodeId,
        name: &[u8],
        id: InodeId,
    ) -> Result<(), LayerError> {
        let node = &mut self.nodes[id.index()];
        node.links += 1;
        node.parent = directory;
        let (before, is_first) = match &mut self.tree.get_mut(directory).kind {
            Kind::Directory(names) => (names.insert(name.into(), id), names.len() == 1),
            _ => (None, false),
        };
        self.waiting.wake(directory, name);
        if before.is_none() {
            let text = (name.len() as u64 + TEXT).max(32);
            let first = if is_first { FIRST_NAME } else { 0 };
            self.account.take(Purpose::Inodes, NAME + text + first)?;
        }
        if let Some(before) = before {
            // What was no directory has hidden the one of the layers below for good.
            if self.is_directory(id) && !self.is_directory(before) {
                self.opaque.insert(id);
                self.nodes[id.index()].implied = false;
            }
            self.release(before);
        }
        Ok(())
    }

    pub(super) fn remove_name(&mut self, directory: InodeId, name: &[u8]) {
        let before = match &mut self.tree.get_mut(directory).kind {
            Kind::Directory(names) => names.remove(name),
            _ => None,
        };
        if let Some(before) = before {
            self.release(before);
        }
    }

    pub(super) fn replace_metadata(&mut self, directory: InodeId, metadata: Metadata) {
        self.tree.get_mut(directory).metadata = metadata;
        self.nodes[directory.index()].implied = false;
    }

    /// Takes away one name of an inode; with the last one of a directory all below it go.
    fn release(&mut self, id: InodeId) {
        // Ways lead through directories and symbolic links alone.
        if matches!(
            self.tree.get(id).kind,
            Kind::Directory(_) | Kind::Symlink(_)
        ) {
            for recent in &mut self.recent {
                recent.clear();
            }
        }
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            let links = &mut self.nodes[id.index()].links;
            *links = links.saturating_sub(1);
            if *links > 0 {
                continue;
            }
            match &mut self.tree.get_mut(id).kind {
                Kind::Directory(names) => {
                    open.extend(std::mem::take(names).into_values());
                    self.whiteouts.remove(&id);
                    self.opaque.remove(&id);
                }
                Kind::File(extent) if extent.size > 0 => self.dead.push(*extent),
                _ => {}
            }
        }
    }
}

/// Returns a directory that no entry describes.
pub(super) fn implied_directory() -> Inode {
    Inode {
        metadata: Metadata {
            permissions: IMPLIED_MODE,
            ..Metadata::default()
        },
        kind: Kind::Directory(BTreeMap::new()),
    }
}
