//! The layers below: what a layer finds there that it changes, hides or links to.
//!
//! Owns the merged view of several images, by the rules of overlayfs: the first layer from the top
//! that has a name decides, directories of one name are merged unless one is opaque. Source: Linux
//! `Documentation/filesystems/overlayfs.rst`.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};

use super::LayerError;
use super::path::components;
use super::settle::{Dependence, OPAQUE_XATTR};
use super::tree::implied_directory;
use crate::erofs::{Device, DirEntry, Extent, FileType, Image, InodeInfo, Kind, Metadata, Nid};

/// Symbolic links that are followed on the way to one path, as in Linux.
const MAX_LINKS: usize = 40;
/// Directories whose names are kept at hand.
const KEPT: usize = 256;

/// The layers below a layer, as they lie over each other. None of them for the bottom layer.
#[derive(Clone, Debug, Default)]
pub struct LowerLayers {
    /// The bottom one first.
    images: Vec<Arc<LowerImage>>,
}

#[derive(Debug)]
struct LowerImage {
    image: Image<Arc<File>>,
    /// The names of directories that were looked at.
    names: Mutex<HashMap<Nid, Arc<Vec<DirEntry>>>>,
}

/// An inode of one of the layers.
#[derive(Clone, Copy, Debug)]
pub(super) struct LowerInode {
    layer: usize,
    pub(super) info: InodeInfo,
}

/// A directory as all layers together show it.
#[derive(Clone, Debug, Default)]
pub(super) struct LowerDirectory {
    /// The inodes that it is made of, the topmost first; its metadata is that of the first.
    parts: Vec<LowerInode>,
}

/// What a name leads to.
#[derive(Clone, Debug)]
pub(super) enum LowerNode {
    Directory(LowerDirectory),
    Other(LowerInode),
}

impl LowerLayers {
    /// Puts one more layer on top of the others.
    ///
    /// # Errors
    /// [`LayerError::Erofs`] for a file that is no image of msb.
    pub fn push(&mut self, image: Arc<File>) -> Result<(), LayerError> {
        self.images.push(Arc::new(LowerImage {
            image: Image::open(image)?,
            names: Mutex::default(),
        }));
        Ok(())
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// Returns whether a layer may have another image over these than over layers that are not
    /// known.
    pub fn change(&self, dependence: Dependence) -> Result<bool, LayerError> {
        if self.is_empty() {
            return Ok(dependence.intersects(Dependence::LINKS | Dependence::MARKERS));
        }
        let open = Dependence::LINKS | Dependence::DIRECTORIES | Dependence::ROOT_OPAQUE;
        if dependence.intersects(open) {
            return Ok(true);
        }
        let usual = implied_directory().metadata;
        Ok(dependence.contains(Dependence::ROOT)
            && self.directory_metadata(&self.root()?)? != Some(usual))
    }

    /// Returns the root directory.
    pub(super) fn root(&self) -> Result<LowerDirectory, LayerError> {
        let mut root = LowerDirectory::default();
        for (layer, LowerImage { image, .. }) in
            self.images.iter().map(Arc::as_ref).enumerate().rev()
        {
            let info = image.inode(image.root())?;
            root.parts.push(LowerInode { layer, info });
        }
        Ok(root)
    }

    /// Returns what a name in a directory leads to.
    pub(super) fn child(
        &self,
        directory: &LowerDirectory,
        name: &[u8],
    ) -> Result<Option<LowerNode>, LayerError> {
        let mut found = LowerDirectory::default();
        for part in &directory.parts {
            let Some(inode) = self.look_up(part, name)? else {
                continue;
            };
            if inode.info.file_type != FileType::Directory {
                if found.parts.is_empty() && !is_whiteout(&inode.info) {
                    return Ok(Some(LowerNode::Other(inode)));
                }
                break;
            }
            found.parts.push(inode);
            if self.is_opaque(&inode)? {
                break;
            }
        }
        Ok((!found.parts.is_empty()).then_some(LowerNode::Directory(found)))
    }

    /// Returns the names that a directory shows, sorted.
    pub(super) fn names(
        &self,
        directory: &LowerDirectory,
    ) -> Result<BTreeSet<Box<[u8]>>, LayerError> {
        let mut names = BTreeSet::new();
        for part in &directory.parts {
            for entry in self.entries(part)?.iter() {
                names.insert(entry.name.clone());
            }
        }
        let mut shown = BTreeSet::new();
        for name in names {
            if self.child(directory, &name)?.is_some() {
                shown.insert(name);
            }
        }
        Ok(shown)
    }

    /// Returns what a path leads to, through symbolic links on the way but not at its end, and
    /// whether there were any.
    pub(super) fn find(&self, path: &[u8]) -> Result<Option<(LowerNode, bool)>, LayerError> {
        let mut way = vec![self.root()?];
        let mut ahead: Vec<Box<[u8]>> = components(path).rev().map(Box::from).collect();
        let mut links = 0;
        let mut last = LowerNode::Directory(self.root()?);
        while let Some(name) = ahead.pop() {
            if *name == *b".." {
                if way.len() > 1 {
                    way.pop();
                }
                last = LowerNode::Directory(way.last().cloned().unwrap_or_default());
                continue;
            }
            let Some(node) = self.child(way.last().unwrap_or(&LowerDirectory::default()), &name)?
            else {
                return Ok(None);
            };
            match &node {
                LowerNode::Directory(directory) => way.push(directory.clone()),
                LowerNode::Other(_) if ahead.is_empty() => {}
                LowerNode::Other(inode) if inode.info.file_type == FileType::Symlink => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Ok(None);
                    }
                    let target = self.image(inode).read_link(&inode.info)?;
                    if target.starts_with(b"/") {
                        way.truncate(1);
                    }
                    ahead.extend(components(&target).rev().map(Box::from));
                }
                LowerNode::Other(_) => return Ok(None),
            }
            last = node;
        }
        Ok(Some((last, links > 0)))
    }

    /// Returns the metadata of a directory.
    pub(super) fn directory_metadata(
        &self,
        directory: &LowerDirectory,
    ) -> Result<Option<Metadata>, LayerError> {
        let Some(top) = directory.parts.first() else {
            return Ok(None);
        };
        let mut metadata = self.metadata(top)?;
        // These speak of the layer that the directory is in.
        metadata
            .xattrs
            .retain(|name, _| !name.starts_with(b"trusted.overlay."));
        Ok(Some(metadata))
    }

    pub(super) fn metadata(&self, inode: &LowerInode) -> Result<Metadata, LayerError> {
        Ok(Metadata {
            permissions: inode.info.permissions,
            uid: inode.info.uid,
            gid: inode.info.gid,
            mtime: inode.info.mtime,
            xattrs: self.image(inode).xattrs(&inode.info)?,
        })
    }

    /// Returns the kind of an inode that is no directory; a file without its data.
    pub(super) fn kind(&self, inode: &LowerInode) -> Result<Kind, LayerError> {
        let device = inode.info.device().unwrap_or_default();
        Ok(match inode.info.file_type {
            FileType::Symlink => Kind::Symlink(self.image(inode).read_link(&inode.info)?),
            FileType::CharDevice => Kind::CharDevice(device),
            FileType::BlockDevice => Kind::BlockDevice(device),
            FileType::Fifo => Kind::Fifo,
            FileType::Socket => Kind::Socket,
            FileType::Regular | FileType::Directory => Kind::File(Extent::default()),
        })
    }

    /// Reads the data of a regular file, as [`Image::read_file`] does.
    pub(super) fn read_file(
        &self,
        inode: &LowerInode,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<usize, LayerError> {
        Ok(self.image(inode).read_file(&inode.info, offset, buffer)?)
    }

    fn look_up(&self, part: &LowerInode, name: &[u8]) -> Result<Option<LowerInode>, LayerError> {
        let entries = self.entries(part)?;
        let Ok(index) = entries.binary_search_by(|entry| (*entry.name).cmp(name)) else {
            return Ok(None);
        };
        let info = self.image(part).inode(entries[index].nid)?;
        Ok(Some(LowerInode {
            layer: part.layer,
            info,
        }))
    }

    fn entries(&self, part: &LowerInode) -> Result<Arc<Vec<DirEntry>>, LayerError> {
        let LowerImage { image, names } = &*self.images[part.layer];
        let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entries) = names.get(&part.info.nid) {
            return Ok(Arc::clone(entries));
        }
        if names.len() >= KEPT {
            names.clear();
        }
        let entries = Arc::new(image.entries(&part.info)?);
        names.insert(part.info.nid, Arc::clone(&entries));
        Ok(entries)
    }

    fn is_opaque(&self, directory: &LowerInode) -> Result<bool, LayerError> {
        let (name, value) = OPAQUE_XATTR;
        let xattrs = self.image(directory).xattrs(&directory.info)?;
        Ok(xattrs.get(name).is_some_and(|found| **found == *value))
    }

    fn image(&self, inode: &LowerInode) -> &Image<Arc<File>> {
        &self.images[inode.layer].image
    }
}

impl LowerInode {
    /// Returns what tells an inode from all others.
    pub(super) fn key(&self) -> (usize, Nid) {
        (self.layer, self.info.nid)
    }
}

fn is_whiteout(inode: &InodeInfo) -> bool {
    inode.file_type == FileType::CharDevice && inode.device() == Some(Device::default())
}
