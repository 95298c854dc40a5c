//! A whole image back into the model.
//!
//! Owns the walk over all names. A hostile image cannot make it run or grow without end: every
//! directory is entered once, and what is read must not be more than the image holds.

use std::collections::{BTreeMap, HashMap};

use super::ErofsError;
use super::format::{DataLayout, FileType};
use super::inode::InodeInfo;
use super::metadata::Metadata;
use super::raw::INODE_SIZE;
use super::reader::Image;
use super::source::ReadAt;
use super::tree::{Inode, InodeId, Kind, Tree};

impl<R: ReadAt> Image<R> {
    /// Returns the tree of the image. Names of one inode lead to one inode again.
    pub fn tree(&self) -> Result<Tree, ErofsError> {
        let mut budget = Budget::new(self);
        let root = self.inode(self.root())?;
        budget.spend(&root)?;
        let mut tree = Tree::new(self.metadata(&root)?);
        let mut known = HashMap::from([(root.nid, InodeId::ROOT)]);
        let mut pending = vec![(InodeId::ROOT, root, root.nid)];
        while let Some((id, info, parent)) = pending.pop() {
            let directory = self.directory(&info)?;
            if directory.parent != parent {
                return Err(info.damaged("its `..` leads elsewhere"));
            }
            let mut names = Vec::with_capacity(directory.entries.len());
            for entry in directory.entries {
                let child = if let Some(child) = known.get(&entry.nid) {
                    if matches!(tree.get(*child).kind, Kind::Directory(_)) {
                        return Err(info.damaged("it holds a second name of a directory"));
                    }
                    *child
                } else {
                    let child = self.inode(entry.nid)?;
                    budget.spend(&child)?;
                    if child.file_type != entry.file_type {
                        return Err(info.damaged("an entry has another type than its inode"));
                    }
                    let inode = Inode {
                        metadata: self.metadata(&child)?,
                        kind: self.kind(&child)?,
                    };
                    let id = tree.insert(inode).ok_or(ErofsError::ImageTooLarge)?;
                    known.insert(entry.nid, id);
                    if child.file_type == FileType::Directory {
                        pending.push((id, child, info.nid));
                    }
                    id
                };
                names.push((entry.name, child));
            }
            tree.get_mut(id).kind = Kind::Directory(names.into_iter().collect());
        }
        Ok(tree)
    }

    /// Returns the metadata of an inode.
    pub fn metadata(&self, inode: &InodeInfo) -> Result<Metadata, ErofsError> {
        Ok(Metadata {
            permissions: inode.permissions,
            uid: inode.uid,
            gid: inode.gid,
            mtime: inode.mtime,
            xattrs: self.xattrs(inode)?,
        })
    }

    /// Returns the kind of an inode; the names of a directory are still missing.
    pub fn kind(&self, inode: &InodeInfo) -> Result<Kind, ErofsError> {
        let device = inode.device().unwrap_or_default();
        Ok(match inode.file_type {
            FileType::Directory => Kind::Directory(BTreeMap::new()),
            FileType::Regular if inode.layout == DataLayout::Compressed => {
                return Err(ErofsError::Unsupported {
                    what: "a compressed file, whose data has no place in a tree",
                });
            }
            FileType::Regular => Kind::File(
                self.extent(inode)?
                    .ok_or(inode.damaged("it is a regular file with inline data"))?,
            ),
            FileType::Symlink => Kind::Symlink(self.read_link(inode)?),
            FileType::CharDevice => Kind::CharDevice(device),
            FileType::BlockDevice => Kind::BlockDevice(device),
            FileType::Fifo => Kind::Fifo,
            FileType::Socket => Kind::Socket,
        })
    }
}

/// How much metadata may still be read. Inodes that share bytes would make a small image large in
/// memory; the inodes of a sound one are together no larger than the image.
#[derive(Debug)]
pub(super) struct Budget(u64);

impl Budget {
    pub(super) fn new<R: ReadAt>(image: &Image<R>) -> Self {
        Self(image.size())
    }

    /// Takes an inode, its attributes, and the contents of a directory or a symbolic link away.
    pub(super) fn spend(&mut self, inode: &InodeInfo) -> Result<(), ErofsError> {
        let contents = match inode.file_type {
            FileType::Directory | FileType::Symlink => inode.size,
            _ => 0,
        };
        let cost = (INODE_SIZE as u64 + inode.xattr_size)
            .saturating_add(contents)
            .saturating_add(inode.index_size());
        self.0 = self
            .0
            .checked_sub(cost)
            .ok_or(inode.damaged("it shares bytes with other inodes"))?;
        Ok(())
    }
}
