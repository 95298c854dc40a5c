//! The layers below: what a layer finds there that it changes, hides or links to.
//!
//! Owns the merged view of several images, by the rules of overlayfs: the first layer from the top
//! that has a name decides, directories of one name are merged unless one is opaque. Source: Linux
//! `Documentation/filesystems/overlayfs.rst`. How the names are kept is in [`names`](super::names).

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use msb_erofs::{Extent, FileType, Image, InodeInfo, Kind, Metadata, Nid};

use super::LayerError;
use super::dependence::Dependence;
use super::images::LayerImages;
use super::inodes::implied_directory;
use super::names::{Directory, Names};
use super::path::components;
use super::walk::Steps;
use crate::cancel::Cancel;
use crate::limits::{Budget, Limits};

/// Symbolic links that are followed on the way to one path, as in Linux.
const MAX_LINKS: usize = 40;

/// The layers below a layer, as they lie over each other. None of them for the bottom layer.
/// A copy shows the same layers, also when more are put on top of the other one.
#[derive(Clone, Debug)]
pub struct LowerLayers {
    stack: Arc<Stack>,
    /// How many layers of the stack are below.
    depth: u32,
}

/// The layers of an image, as far as they are there.
#[derive(Debug)]
pub(super) struct Stack {
    images: LayerImages,
    names: Mutex<Names>,
}

/// An inode of one of the layers.
#[derive(Clone, Copy, Debug)]
pub(super) struct LowerInode {
    pub(super) layer: u32,
    pub(super) info: InodeInfo,
}

/// A directory as all layers together show it.
#[derive(Clone, Copy, Debug)]
pub(super) struct LowerDirectory {
    /// Where its names are.
    pub(super) names: Directory,
    /// The topmost layer that has it, and its inode there: its metadata is that of this one.
    pub(super) layer: u32,
    pub(super) nid: Nid,
    /// The lowest layer that still shows in it.
    pub(super) from: u32,
}

/// What a name leads to.
#[derive(Clone, Copy, Debug)]
pub(super) enum LowerNode {
    Directory(LowerDirectory),
    Other(LowerInode),
}

impl Default for LowerLayers {
    fn default() -> Self {
        Self::within(&Budget::new(&Limits::default()))
    }
}

impl LowerLayers {
    /// Returns no layers. What is kept of those to come is taken from the budget.
    pub fn within(budget: &Budget) -> Self {
        Self {
            stack: Arc::new(Stack {
                images: LayerImages::default(),
                names: Mutex::new(Names::new(budget)),
            }),
            depth: 0,
        }
    }

    /// Puts one more layer on top of the others. Its image is opened when it is needed, and not
    /// kept open. To be called on the copy that shows all layers.
    pub fn push(&mut self, open: impl Fn() -> io::Result<File> + Send + Sync + 'static) {
        self.stack.images.push(open);
        self.depth += 1;
    }

    /// Returns the lowest of them.
    #[must_use]
    pub fn lowest(&self, depth: usize) -> Self {
        let depth = u32::try_from(depth).unwrap_or(u32::MAX);
        Self {
            stack: Arc::clone(&self.stack),
            depth: self.depth.min(depth),
        }
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.depth as usize
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.depth == 0
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
        if !dependence.contains(Dependence::ROOT) {
            return Ok(false);
        }
        let usual = implied_directory().metadata;
        Ok(match self.root()? {
            Some(root) => self.directory_metadata(&root)? != usual,
            None => false,
        })
    }

    /// Returns the root directory, unless there are no layers.
    pub(super) fn root(&self) -> Result<Option<LowerDirectory>, LayerError> {
        let Some(layer) = self.depth.checked_sub(1) else {
            return Ok(None);
        };
        Ok(Some(LowerDirectory {
            names: Names::ROOT,
            layer,
            nid: self.stack.image(layer)?.root(),
            from: 0,
        }))
    }

    /// Returns what a name in a directory leads to.
    pub(super) fn child(
        &self,
        directory: &LowerDirectory,
        name: &[u8],
    ) -> Result<Option<LowerNode>, LayerError> {
        let mut names = self.names();
        names.child(&self.stack, self.depth, directory, name)
    }

    /// Returns the names that a directory shows, sorted.
    pub(super) fn names_in(
        &self,
        directory: &LowerDirectory,
    ) -> Result<Vec<Box<[u8]>>, LayerError> {
        self.names().shown(&self.stack, self.depth, directory)
    }

    /// Returns what a path leads to, through symbolic links on the way but not at its end, and
    /// whether there were any.
    pub(super) fn find(
        &self,
        path: &[u8],
        steps: &mut Steps,
        cancel: &Cancel,
    ) -> Result<Option<(LowerNode, bool)>, LayerError> {
        let Some(root) = self.root()? else {
            return Ok(None);
        };
        let mut way = vec![root];
        let mut ahead: Vec<Box<[u8]>> = components(path).rev().map(Box::from).collect();
        let mut links = 0;
        let mut last = LowerNode::Directory(root);
        while let Some(name) = ahead.pop() {
            cancel.check()?;
            steps.take()?;
            let here = *way.last().unwrap_or(&root);
            if *name == *b".." {
                if way.len() > 1 {
                    way.pop();
                }
                last = LowerNode::Directory(*way.last().unwrap_or(&root));
                continue;
            }
            let Some(node) = self.child(&here, &name)? else {
                return Ok(None);
            };
            match &node {
                LowerNode::Directory(directory) => way.push(*directory),
                LowerNode::Other(_) if ahead.is_empty() => {}
                LowerNode::Other(inode) if inode.info.file_type == FileType::Symlink => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Ok(None);
                    }
                    let target = self.image(inode)?.read_link(&inode.info)?;
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

    /// Returns the inode whose metadata a directory has.
    pub(super) fn directory_inode(
        &self,
        directory: &LowerDirectory,
    ) -> Result<LowerInode, LayerError> {
        let layer = directory.layer;
        let info = self.stack.image(layer)?.inode(directory.nid)?;
        Ok(LowerInode { layer, info })
    }

    /// Returns the metadata of a directory.
    pub(super) fn directory_metadata(
        &self,
        directory: &LowerDirectory,
    ) -> Result<Metadata, LayerError> {
        let mut metadata = self.metadata(&self.directory_inode(directory)?)?;
        // These speak of the layer that the directory is in.
        metadata
            .xattrs
            .retain(|name| !name.starts_with(b"trusted.overlay."));
        Ok(metadata)
    }

    pub(super) fn metadata(&self, inode: &LowerInode) -> Result<Metadata, LayerError> {
        Ok(self.image(inode)?.metadata(&inode.info)?)
    }

    /// Returns the kind of an inode that is not a directory; a file without its data.
    pub(super) fn kind(&self, inode: &LowerInode) -> Result<Kind, LayerError> {
        let device = inode.info.device().unwrap_or_default();
        Ok(match inode.info.file_type {
            FileType::Symlink => Kind::Symlink(self.image(inode)?.read_link(&inode.info)?),
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
        Ok(self.image(inode)?.read_file(&inode.info, offset, buffer)?)
    }

    fn image(&self, inode: &LowerInode) -> Result<Arc<Image<File>>, LayerError> {
        self.stack.image(inode.layer)
    }

    fn names(&self) -> std::sync::MutexGuard<'_, Names> {
        let names = &self.stack.names;
        names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stack {
    /// Returns the image of a layer, opened if it is not.
    pub(super) fn image(&self, layer: u32) -> Result<Arc<Image<File>>, LayerError> {
        self.images.image(layer as usize)
    }
}

impl LowerInode {
    /// Returns what tells an inode from all others.
    pub(super) fn key(&self) -> (u32, Nid) {
        (self.layer, self.info.nid)
    }
}
