//! The filesystem to be written: inodes and the names that lead to them.
//!
//! Owns the in-memory model that the writer turns into bytes. It knows POSIX inodes, and nothing
//! of layers, whiteouts or archives.

use std::collections::{BTreeMap, btree_map};
use std::ops::Deref;
use std::sync::Arc;

use super::format::FileType;
use super::metadata::{Device, Metadata};

/// The number of an inode inside its [`Tree`]. Not an EROFS nid, which exists only once written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeId(u32);

impl InodeId {
    /// The root directory of every tree.
    pub const ROOT: Self = Self(0);

    /// Returns the position of the inode in the order of insertion, the root being 0.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Extended attributes by full name (`security.capability`), in the order of their names. A copy
/// shares them until it is changed, and different sets may share their names and values.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Xattrs(Option<Arc<XattrMap>>);

type XattrMap = BTreeMap<Arc<[u8]>, Arc<[u8]>>;

static NO_XATTRS: XattrMap = BTreeMap::new();

impl Xattrs {
    /// Sets an attribute.
    pub fn insert(&mut self, name: Arc<[u8]>, value: Arc<[u8]>) {
        Arc::make_mut(self.0.get_or_insert_default()).insert(name, value);
    }

    /// Keeps those of whose names that is said.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        if self.keys().all(|name| keep(name)) {
            return;
        }
        let kept = self.iter().filter(|(name, _)| keep(name));
        *self = kept
            .map(|(name, value)| (Arc::clone(name), Arc::clone(value)))
            .collect();
    }

    /// Returns a number that copies have in common, and no other set while one of them is there.
    pub fn address(&self) -> usize {
        self.0
            .as_ref()
            .map_or(0, |xattrs| Arc::as_ptr(xattrs) as usize)
    }

    /// Returns whether two are one copy.
    pub fn is_same(&self, other: &Self) -> bool {
        self.address() == other.address()
    }
}

impl Deref for Xattrs {
    type Target = BTreeMap<Arc<[u8]>, Arc<[u8]>>;

    fn deref(&self) -> &Self::Target {
        self.0.as_deref().unwrap_or(&NO_XATTRS)
    }
}

impl<'a> IntoIterator for &'a Xattrs {
    type Item = (&'a Arc<[u8]>, &'a Arc<[u8]>);
    type IntoIter = btree_map::Iter<'a, Arc<[u8]>, Arc<[u8]>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<N: Into<Arc<[u8]>>, V: Into<Arc<[u8]>>> FromIterator<(N, V)> for Xattrs {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(xattrs: I) -> Self {
        let xattrs = xattrs.into_iter();
        let xattrs: XattrMap = xattrs
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Self((!xattrs.is_empty()).then(|| Arc::new(xattrs)))
    }
}

/// Where the data of a regular file lies in the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// The device that holds it: 0 for the image itself, 1 for its first [device](crate::DeviceSlot).
    pub device: u16,
    /// The first block; without meaning when `size` is 0.
    pub block: u32,
    /// Bytes.
    pub size: u64,
}

/// What an inode is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory and its names, without `.` and `..`.
    Directory(BTreeMap<Box<[u8]>, InodeId>),
    /// A regular file whose data has been written already.
    File(Extent),
    /// A symbolic link and its target, as is.
    Symlink(Box<[u8]>),
    /// A character device; 0:0 is what overlayfs takes for a whiteout.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl Kind {
    /// Returns the type of such an inode.
    pub(super) fn file_type(&self) -> FileType {
        match self {
            Self::Directory(_) => FileType::Directory,
            Self::File(_) => FileType::Regular,
            Self::Symlink(_) => FileType::Symlink,
            Self::CharDevice(_) => FileType::CharDevice,
            Self::BlockDevice(_) => FileType::BlockDevice,
            Self::Fifo => FileType::Fifo,
            Self::Socket => FileType::Socket,
        }
    }
}

/// One inode. Several names may lead to it, unless it is a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inode {
    /// Owner, permissions, time, attributes.
    pub metadata: Metadata,
    /// Type and contents.
    pub kind: Kind,
}

/// A tree of inodes. Inodes that no name reaches any more are not written.
#[derive(Clone, Debug)]
pub struct Tree {
    inodes: Vec<Inode>,
}

impl Tree {
    /// Returns a tree of an empty root directory.
    pub fn new(root: Metadata) -> Self {
        Self {
            inodes: vec![Inode {
                metadata: root,
                kind: Kind::Directory(BTreeMap::new()),
            }],
        }
    }

    /// Adds an inode that no name leads to yet. `None` when the tree holds 2^32 - 1 already.
    pub fn insert(&mut self, inode: Inode) -> Option<InodeId> {
        let id = u32::try_from(self.inodes.len()).ok()?;
        self.inodes.push(inode);
        Some(InodeId(id))
    }

    /// Returns an inode. Ids come from this tree, so they always name one.
    pub fn get(&self, id: InodeId) -> &Inode {
        &self.inodes[id.index()]
    }

    /// Returns an inode to be changed.
    pub fn get_mut(&mut self, id: InodeId) -> &mut Inode {
        &mut self.inodes[id.index()]
    }

    /// Returns every inode that was ever inserted, the root first.
    pub fn ids(&self) -> impl Iterator<Item = InodeId> + use<> {
        (0..u32::try_from(self.inodes.len()).unwrap_or(u32::MAX)).map(InodeId)
    }

    /// Returns how many inodes were ever inserted, the root included.
    pub fn len(&self) -> usize {
        self.inodes.len()
    }

    /// Returns whether the tree is empty, which it never is: a root is always there.
    pub fn is_empty(&self) -> bool {
        self.inodes.is_empty()
    }
}
