//! The tree of a layer while its entries come in, in whatever order they do.
//!
//! Owns what an entry does to the entries before it. Inodes and their names are in
//! [`inodes`](super::inodes), what has to wait for the last entry in [`settle`](super::settle), the way
//! from a path to a directory in [`walk`](super::walk). Data is written elsewhere; a file enters the
//! tree with its extent.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use msb_erofs::{Extent, Inode, InodeId, Kind, Metadata, Tree, Xattrs};

use super::LayerError;
use super::attributes::{Attributes, text_size};
use super::inodes::{FIRST_NAME, Node, implied_directory};
use super::links::{Deferred, Waiting, to_directory};
use super::path::{Cleaner, split};
use super::walk::{Recent, Steps};
use crate::limits::{Account, Budget, Purpose};

const WHITEOUT: u64 = 112;
const DEFERRED: u64 = 240;

/// The tree of one layer. All paths that come in are clean.
pub(super) struct LayerTree {
    pub(super) tree: Tree,
    /// What is known of an inode and does not go into the image, by its id.
    pub(super) nodes: Vec<Node>,
    /// Names of the layers below that are gone, by directory.
    pub(super) whiteouts: HashMap<InodeId, BTreeSet<Box<[u8]>>>,
    /// Directories in which nothing of the layers below shows.
    pub(super) opaque: BTreeSet<InodeId>,
    /// Directories of AUFS, which are taken out at the end.
    pub(super) hidden: Vec<(InodeId, Box<[u8]>)>,
    /// Hard links to what has not come yet.
    pub(super) deferred: Vec<Deferred>,
    /// Their numbers, by the inode that holds their place.
    pub(super) places: HashMap<InodeId, usize>,
    /// Data of files that no name leads to any more.
    pub(super) dead: Vec<Extent>,
    /// The last way to an entry, and the last one to what a link leads to.
    pub(super) recent: [Recent; 2],
    pub(super) steps: Steps,
    /// Makes the targets of links clean.
    pub(super) targets: Cleaner,
    /// The targets of links that are kept, each once.
    kept_targets: HashSet<Arc<[u8]>>,
    last_target: Arc<[u8]>,
    /// Links that wait for a name, once all entries are there.
    pub(super) waiting: Waiting,
    /// How many directories are there that no entry was for.
    pub(super) implied: u64,
    attributes: Attributes,
    pub(super) account: Account,
}

/// Where a path leads.
pub(super) enum Located {
    At(InodeId),
    /// Nowhere, because a directory does not have a name.
    Missing((InodeId, Box<[u8]>)),
}

impl LayerTree {
    /// Returns an empty tree, whose memory is taken from a budget.
    pub(super) fn new(budget: &Budget) -> Self {
        let root = Node {
            links: 1,
            parent: InodeId::ROOT,
            implied: true,
        };
        Self {
            tree: Tree::new(implied_directory().metadata),
            nodes: vec![root],
            whiteouts: HashMap::new(),
            opaque: BTreeSet::new(),
            hidden: Vec::new(),
            deferred: Vec::new(),
            places: HashMap::new(),
            dead: Vec::new(),
            recent: Default::default(),
            steps: Steps::within(budget.limits()),
            targets: Cleaner::default(),
            kept_targets: HashSet::new(),
            last_target: Arc::default(),
            waiting: Waiting::default(),
            implied: 0,
            attributes: Attributes::default(),
            account: budget.account(),
        }
    }

    /// Returns how many directories were made that no entry was for.
    pub(super) fn implied(&self) -> u64 {
        self.implied
    }

    /// Returns the attributes of an entry, and tells the names that EROFS has no place for.
    pub(super) fn attributes(
        &mut self,
        xattrs: crate::tar::PaxXattrs,
        dropped: impl FnMut(&[u8]),
    ) -> Result<Xattrs, LayerError> {
        let account = &mut self.account;
        Ok(self.attributes.of_entry(xattrs, account, dropped)?)
    }

    /// Returns the copy of some attributes that is kept.
    pub(super) fn unique(&mut self, xattrs: Xattrs) -> Result<Xattrs, LayerError> {
        Ok(self.attributes.unique(xattrs, &mut self.account)?)
    }

    /// Gives an inode one more attribute.
    pub(super) fn mark(
        &mut self,
        id: InodeId,
        attribute: (&'static [u8], &'static [u8]),
    ) -> Result<(), LayerError> {
        let xattrs = &mut self.tree.get_mut(id).metadata.xattrs;
        *xattrs = self.attributes.with(xattrs, attribute, &mut self.account)?;
        Ok(())
    }

    /// Gives the root directory its metadata.
    pub(super) fn set_root(&mut self, metadata: Metadata) {
        self.replace_metadata(InodeId::ROOT, metadata);
    }

    /// Adds an inode at a path, in the place of what was there. A directory over a directory gives
    /// it other metadata and leaves its entries.
    pub(super) fn insert(&mut self, path: &[u8], inode: Inode) -> Result<(), LayerError> {
        let (parent, name) = self.parent(path)?;
        if let Kind::Directory(_) = inode.kind
            && let Some(existing) = self.child(parent, name)
            && self.is_directory(existing)
        {
            self.replace_metadata(existing, inode.metadata);
            return Ok(());
        }
        let id = self.add(path, inode, false)?;
        self.set_name(parent, name, id)
    }

    /// Adds a hard link. If what it leads to is not there, something else holds its place until the
    /// end. The target is as written.
    pub(super) fn link(&mut self, path: &[u8], target: &[u8]) -> Result<(), LayerError> {
        let (parent, name) = self.parent(path)?;
        let clean = self.targets.clean(target);
        let Located::At(id) = self.locate(&clean)? else {
            return self.defer(path, (parent, name), target);
        };
        if self.is_directory(id) {
            return Err(to_directory(path));
        }
        // A link to itself changes nothing; tar writes one for a file that it is told twice.
        if self.child(parent, name) != Some(id) {
            self.set_name(parent, name, id)?;
            self.share_place(id, (parent, name))?;
        }
        Ok(())
    }

    /// Takes memory for a hard link that waits, and for one of its names.
    pub(super) fn account_for_link(&mut self, path: &[u8]) -> Result<(), LayerError> {
        Ok(self
            .account
            .take(Purpose::Links, DEFERRED + text_size(path))?)
    }

    /// Returns the copy of a link's target that is kept. Equal ones mostly come together.
    pub(super) fn kept_target(&mut self, target: &[u8]) -> Result<Arc<[u8]>, LayerError> {
        if *self.last_target != *target {
            self.last_target = if let Some(known) = self.kept_targets.get(target) {
                Arc::clone(known)
            } else {
                let size = 64 + text_size(target);
                self.account.take(Purpose::Links, size)?;
                let target: Arc<[u8]> = target.into();
                self.kept_targets.insert(Arc::clone(&target));
                target
            };
        }
        Ok(Arc::clone(&self.last_target))
    }

    /// Notes that a name of the layers below is gone.
    pub(super) fn whiteout(&mut self, path: &[u8], victim: &[u8]) -> Result<(), LayerError> {
        let (parent, _) = self.parent(path)?;
        let victims = self.whiteouts.entry(parent).or_default();
        let size = match victims.len() {
            0 => WHITEOUT + FIRST_NAME,
            _ => WHITEOUT,
        };
        if victims.insert(victim.into()) {
            let size = size + victim.len() as u64;
            self.account.take(Purpose::Whiteouts, size)?;
        }
        Ok(())
    }

    /// Notes that everything of the layers below is gone from the directory that a path is in.
    pub(super) fn make_opaque(&mut self, path: &[u8]) -> Result<(), LayerError> {
        let (parent, _) = self.parent(path)?;
        self.opaque.insert(parent);
        Ok(())
    }

    /// Returns what a path leads to, following links on the way but not at its end.
    pub(super) fn locate(&mut self, path: &[u8]) -> Result<Located, LayerError> {
        let (above, name) = split(path);
        if name.is_empty() {
            return Ok(Located::At(InodeId::ROOT));
        }
        match self.walk(path, above, false)? {
            Located::At(parent) => Ok(match self.child(parent, name) {
                Some(id) => Located::At(id),
                None => Located::Missing((parent, name.into())),
            }),
            missing @ Located::Missing(_) => Ok(missing),
        }
    }

    /// Returns the directory that a path lies in, and its last name. Makes directories on the way
    /// where there are none.
    pub(super) fn parent<'a>(&mut self, path: &'a [u8]) -> Result<(InodeId, &'a [u8]), LayerError> {
        let (above, name) = split(path);
        match self.walk(path, above, true)? {
            Located::At(id) => Ok((id, name)),
            // Nothing is missing where it is made.
            Located::Missing(_) => Ok((InodeId::ROOT, name)),
        }
    }
}
