//! The filesystem that the layers of an image show together, in memory.
//!
//! Owns the merge, by the rules of overlayfs: the topmost layer that has a name decides, and
//! directories of one name are merged down to the first layer in which the name is something else or
//! an opaque directory. Each directory of a layer is read once, and only if it shows. How the result
//! is walked and read is in [`merged`](super::merged). Source: Linux
//! `Documentation/filesystems/overlayfs.rst`; OCI image-spec `layer.md`.

use std::collections::{HashMap, HashSet};
use std::fs::File;

use msb_erofs::{
    Device, Extent, FileType, Image, Inode, InodeId, InodeInfo, Kind, Metadata, Nid, Tree,
};

use super::LayerError;
use super::attributes::{Attributes, TEXT, text_size};
use super::images::LayerImages;
use super::overlay::is_opaque;
use super::xattr;
use crate::cancel::Cancel;
use crate::limits::{Account, Budget, Purpose};

/// Bytes of memory that an inode takes: itself, where it is from, and its place in an image that is
/// written of the tree.
const INODE: u64 = (size_of::<Inode>() + size_of::<Origin>() + 28) as u64;
/// The same of a name in a directory, and of the first one in it.
const NAME: u64 = 48;
const FIRST_NAME: u64 = 200;
/// The same of an inode of a layer that may have more names, and of a directory that is closed.
const KNOWN: u64 = 48;

/// The filesystem that layers show together.
///
/// The data of a regular file lies in the image of a layer: [`Extent::device`] is the number of the
/// layer, 1 for the bottom one, and [`Extent::block`] a block of its image.
#[derive(Debug)]
pub struct MergedTree {
    pub(super) tree: Tree,
    /// By [`InodeId::index`].
    origins: Vec<Origin>,
    /// How many names lead to an inode that is not a directory.
    links: Vec<u32>,
    pub(super) images: LayerImages,
    /// What the tree takes of the budget of an operation.
    account: Account,
}

/// The inode of a layer that an inode of the merged filesystem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The layer, 0 for the bottom one.
    pub layer: u16,
    /// The inode in the image of the layer. Of a directory, the one whose metadata it has.
    pub nid: Nid,
}

impl MergedTree {
    /// Merges layers. What is kept of them is taken from the budget until the tree is dropped.
    ///
    /// # Errors
    /// [`LayerError::Overdrawn`] when the tree takes more memory than the budget allows, and
    /// [`LayerError::TooManyLayers`] beyond 65,535 layers, which is what EROFS can count.
    pub fn build(
        images: LayerImages,
        budget: &Budget,
        cancel: &Cancel,
    ) -> Result<Self, LayerError> {
        let count = images.len();
        let layers = u16::try_from(count).map_err(|_| LayerError::TooManyLayers { count })?;
        let mut merge = Merge {
            tree: Tree::new(Metadata {
                permissions: 0o755,
                ..Metadata::default()
            }),
            origins: vec![Origin {
                layer: 0,
                nid: Nid(0),
            }],
            closed: HashSet::new(),
            hidden: Vec::new(),
            attributes: Attributes::default(),
            account: budget.account(),
        };
        for layer in (0..layers).rev() {
            if merge.closed.contains(&InodeId::ROOT) {
                break;
            }
            let image = images.image(layer.into())?;
            merge.add_layer(layer, layer + 1 == layers, &image, cancel)?;
        }
        merge.remove_hidden();
        Ok(Self {
            links: names_of(&merge.tree),
            tree: merge.tree,
            origins: merge.origins,
            images,
            account: merge.account,
        })
    }

    /// Returns the tree. Its inodes have the metadata that the layers had in their archives, without
    /// what only overlayfs needs.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Returns where an inode of the tree is from.
    pub fn origin(&self, id: InodeId) -> Option<Origin> {
        self.origins.get(id.index()).copied()
    }

    /// Returns how many names lead to an inode that is not a directory.
    pub fn nlink(&self, id: InodeId) -> u32 {
        self.links.get(id.index()).copied().unwrap_or_default()
    }

    /// Returns the bytes of memory that the tree is counted with.
    pub fn memory(&self) -> u64 {
        self.account.used()
    }
}

/// Counts the names of every inode.
fn names_of(tree: &Tree) -> Vec<u32> {
    let mut links = vec![0_u32; tree.len()];
    for id in tree.ids() {
        let Kind::Directory(names) = &tree.get(id).kind else {
            continue;
        };
        for child in names.values() {
            if let Some(count) = links.get_mut(child.index()) {
                *count = count.saturating_add(1);
            }
        }
    }
    links
}

/// A merge under way.
struct Merge {
    tree: Tree,
    origins: Vec<Origin>,
    /// Directories in which nothing of the layers below shows.
    closed: HashSet<InodeId>,
    /// Whiteouts, which are names in the tree until the last layer was added, and their directories.
    hidden: Vec<(InodeId, Box<[u8]>)>,
    attributes: Attributes,
    account: Account,
}

/// A directory of a layer, and the one in the tree that it is merged into.
struct Pending {
    info: InodeInfo,
    into: InodeId,
}

impl Merge {
    /// Adds what a layer shows below those that were added before.
    fn add_layer(
        &mut self,
        layer: u16,
        is_top: bool,
        image: &Image<File>,
        cancel: &Cancel,
    ) -> Result<(), LayerError> {
        let root = image.inode(image.root())?;
        if is_top {
            let metadata = self.metadata(image, &root)?;
            self.tree.get_mut(InodeId::ROOT).metadata = metadata;
            self.set_origin(InodeId::ROOT, layer, root.nid);
        }
        // Files of this layer with several names.
        let mut known = HashMap::new();
        let mut pending = vec![Pending {
            info: root,
            into: InodeId::ROOT,
        }];
        while let Some(directory) = pending.pop() {
            for entry in image.entries(&directory.info)? {
                cancel.check()?;
                let Some(child) = self.child(directory.into, &entry.name) else {
                    let id = self.add(layer, image, entry.nid, &mut known, &mut pending)?;
                    if self.is_whiteout(id) {
                        self.account
                            .take(Purpose::Whiteouts, NAME + text_size(&entry.name))?;
                        self.hidden.push((directory.into, entry.name.clone()));
                    }
                    self.set_name(directory.into, entry.name, id)?;
                    continue;
                };
                if !self.is_directory(child) || self.closed.contains(&child) {
                    continue;
                }
                if entry.file_type == FileType::Directory {
                    pending.push(Pending {
                        info: image.inode(entry.nid)?,
                        into: child,
                    });
                } else {
                    self.close(child)?;
                }
            }
            // The layer itself still shows in it.
            if is_opaque(&image.xattrs(&directory.info)?) {
                self.close(directory.into)?;
            }
        }
        Ok(())
    }

    /// Adds an inode that no name of the tree leads to yet, unless another name of it was there.
    fn add(
        &mut self,
        layer: u16,
        image: &Image<File>,
        nid: Nid,
        known: &mut HashMap<Nid, InodeId>,
        pending: &mut Vec<Pending>,
    ) -> Result<InodeId, LayerError> {
        if let Some(id) = known.get(&nid) {
            return Ok(*id);
        }
        let info = image.inode(nid)?;
        let is_directory = info.file_type == FileType::Directory;
        let mut kind = image.kind(&info)?;
        match &mut kind {
            Kind::File(extent) if extent.size > 0 => {
                *extent = Extent {
                    device: layer + 1,
                    ..*extent
                };
            }
            Kind::Symlink(target) => self.account.take(Purpose::Links, text_size(target))?,
            _ => {}
        }
        self.account.take(Purpose::Inodes, INODE)?;
        let metadata = self.metadata(image, &info)?;
        let id = self
            .tree
            .insert(Inode { metadata, kind })
            .ok_or_else(|| LayerError::entry(b"", "there are too many before it"))?;
        self.origins.push(Origin { layer, nid });
        if is_directory {
            pending.push(Pending { info, into: id });
        } else if info.nlink > 1 {
            self.account.take(Purpose::Links, KNOWN)?;
            known.insert(nid, id);
        }
        Ok(id)
    }

    fn metadata(&mut self, image: &Image<File>, info: &InodeInfo) -> Result<Metadata, LayerError> {
        let metadata = image.metadata(info)?;
        let xattrs = xattr::original(&metadata.xattrs);
        Ok(Metadata {
            xattrs: self.attributes.unique(xattrs, &mut self.account)?,
            ..metadata
        })
    }

    fn set_name(&mut self, into: InodeId, name: Box<[u8]>, id: InodeId) -> Result<(), LayerError> {
        let text = (name.len() as u64 + TEXT).max(32);
        if let Kind::Directory(names) = &mut self.tree.get_mut(into).kind {
            let first = if names.is_empty() { FIRST_NAME } else { 0 };
            names.insert(name, id);
            self.account.take(Purpose::Inodes, NAME + text + first)?;
        }
        Ok(())
    }

    /// Lets nothing of the layers below into a directory.
    fn close(&mut self, directory: InodeId) -> Result<(), LayerError> {
        if self.closed.insert(directory) {
            self.account.take(Purpose::Whiteouts, KNOWN)?;
        }
        Ok(())
    }

    /// Takes the whiteouts out of the tree: there is nothing left that they hide.
    fn remove_hidden(&mut self) {
        for (directory, name) in std::mem::take(&mut self.hidden) {
            if let Kind::Directory(names) = &mut self.tree.get_mut(directory).kind {
                names.remove(&name);
            }
        }
    }

    fn set_origin(&mut self, id: InodeId, layer: u16, nid: Nid) {
        if let Some(origin) = self.origins.get_mut(id.index()) {
            *origin = Origin { layer, nid };
        }
    }

    fn child(&self, directory: InodeId, name: &[u8]) -> Option<InodeId> {
        match &self.tree.get(directory).kind {
            Kind::Directory(names) => names.get(name).copied(),
            _ => None,
        }
    }

    fn is_directory(&self, id: InodeId) -> bool {
        matches!(self.tree.get(id).kind, Kind::Directory(_))
    }

    fn is_whiteout(&self, id: InodeId) -> bool {
        matches!(self.tree.get(id).kind, Kind::CharDevice(device) if device == Device::default())
    }
}
