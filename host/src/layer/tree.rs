//! The tree of a layer while its entries come in, in whatever order they do.
//!
//! Owns what an entry does to the entries before it, the directories that nobody mentioned, and
//! what waits for the end: hard links to what has not come yet, whiteouts. Data is written
//! elsewhere; a file enters the tree with its extent.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::LayerError;
use crate::erofs::{Device, Inode, InodeId, Kind, Metadata, Tree};

/// Symbolic links that are followed on the way to one path, as in Linux.
const MAX_LINKS: usize = 40;
const OPAQUE_MARKER: &[u8] = b".wh..wh..opq";
const AUFS_PREFIX: &[u8] = b".wh..wh.";
const WHITEOUT_PREFIX: &[u8] = b".wh.";
/// The directory of AUFS that holds files with hard links elsewhere.
const AUFS_LINKS: &[u8] = b".wh..wh.plnk";
const OPAQUE_XATTR: (&[u8], &[u8]) = (b"trusted.overlay.opaque", b"y");
/// Makes overlayfs look for whiteouts in a directory that it would otherwise read as it is.
const ORIGIN_XATTR: (&[u8], &[u8]) = (b"trusted.overlay.origin", b"");
const IMPLIED_MODE: u16 = 0o755;

/// What the layers below have, for entries that refer to it.
pub(super) trait ParentChain {
    /// Returns the metadata of a directory in the layers below, for a directory that this layer
    /// only implies.
    fn directory(&self, path: &[&[u8]]) -> Option<Metadata>;
}

/// The tree of one layer.
pub(super) struct LayerTree {
    tree: Tree,
    /// By inode: how many names lead to it.
    links: Vec<u32>,
    /// By inode: a directory that no entry is for.
    implied: Vec<bool>,
    whiteouts: HashMap<InodeId, BTreeSet<Box<[u8]>>>,
    opaque: BTreeSet<InodeId>,
    /// Names of AUFS that are taken out at the end.
    hidden: Vec<(InodeId, Box<[u8]>)>,
    deferred: Vec<Deferred>,
    /// The parent of the entry before, as written: entries of one directory mostly come together.
    recent: Option<(Box<[u8]>, InodeId)>,
}

struct Deferred {
    path: Box<[u8]>,
    target: Box<[u8]>,
}

/// What the name of an entry says it is for.
pub(super) enum Role<'a> {
    /// The root directory.
    Root,
    /// Something with a name.
    Node,
    /// A marker: this name of the layers below is gone.
    Whiteout(&'a [u8]),
    /// A marker: everything of the layers below is gone.
    Opaque,
    /// Bookkeeping of AUFS, not part of the layer.
    Skipped,
}

impl LayerTree {
    pub(super) fn new() -> Self {
        let root = Metadata {
            permissions: IMPLIED_MODE,
            ..Metadata::default()
        };
        Self {
            tree: Tree::new(root),
            links: vec![1],
            implied: vec![true],
            whiteouts: HashMap::new(),
            opaque: BTreeSet::new(),
            hidden: Vec::new(),
            deferred: Vec::new(),
            recent: None,
        }
    }

    /// Tells what an entry is for by its path.
    pub(super) fn role(path: &[u8]) -> Result<Role<'_>, LayerError> {
        let Some(name) = components(path).last() else {
            return Ok(Role::Root);
        };
        let inside_marker = components(path)
            .rev()
            .skip(1)
            .any(|name| name.starts_with(WHITEOUT_PREFIX) && name != AUFS_LINKS);
        if inside_marker {
            return Ok(Role::Skipped);
        }
        if name == OPAQUE_MARKER {
            return Ok(Role::Opaque);
        }
        if name.starts_with(AUFS_PREFIX) {
            return Ok(Role::Skipped);
        }
        match name.strip_prefix(WHITEOUT_PREFIX) {
            None if name == b".." => Err(LayerError::entry(path, "its name is `..`")),
            None if name.len() > 255 => {
                Err(LayerError::entry(path, "its name is longer than 255 bytes"))
            }
            None => Ok(Role::Node),
            Some(b"" | b"." | b"..") => Err(LayerError::entry(path, "it is a whiteout of no name")),
            Some(victim) => Ok(Role::Whiteout(victim)),
        }
    }

    /// Gives the root directory its metadata.
    pub(super) fn set_root(&mut self, metadata: Metadata) {
        self.tree.get_mut(InodeId::ROOT).metadata = metadata;
        self.implied[0] = false;
    }

    /// Adds an inode at a path, in the place of what was there. A directory over a directory gives
    /// it other metadata and leaves its entries.
    pub(super) fn insert(&mut self, path: &[u8], inode: Inode) -> Result<(), LayerError> {
        let (parent, name) = self.parent(path)?;
        if let Some(existing) = self.child(parent, name)
            && let Kind::Directory(_) = inode.kind
            && let Kind::Directory(_) = self.tree.get(existing).kind
        {
            self.tree.get_mut(existing).metadata = inode.metadata;
            self.implied[existing.index()] = false;
            return Ok(());
        }
        let id = self.add(path, inode, false)?;
        if name.starts_with(AUFS_PREFIX) {
            self.hidden.push((parent, name.into()));
        }
        self.set_name(parent, name, id);
        Ok(())
    }

    /// Adds a hard link, or remembers it until the end if what it leads to is not there.
    pub(super) fn link(&mut self, path: &[u8], target: &[u8]) -> Result<(), LayerError> {
        let (parent, name) = self.parent(path)?;
        let Some(id) = self.find(target)? else {
            self.deferred.push(Deferred {
                path: path.into(),
                target: target.into(),
            });
            return Ok(());
        };
        if let Kind::Directory(_) = self.tree.get(id).kind {
            return Err(LayerError::entry(path, "it is a hard link to a directory"));
        }
        if self.child(parent, name) != Some(id) {
            self.set_name(parent, name, id);
        }
        Ok(())
    }

    /// Notes that a name of the layers below is gone.
    pub(super) fn whiteout(&mut self, path: &[u8], victim: &[u8]) -> Result<(), LayerError> {
        let (parent, _) = self.parent(path)?;
        self.whiteouts
            .entry(parent)
            .or_default()
            .insert(victim.into());
        Ok(())
    }

    /// Notes that everything of the layers below is gone from the directory of this path.
    pub(super) fn make_opaque(&mut self, path: &[u8]) -> Result<(), LayerError> {
        let (parent, _) = self.parent(path)?;
        self.opaque.insert(parent);
        Ok(())
    }

    /// Settles what had to wait, and returns the tree as overlayfs wants it.
    pub(super) fn finish(mut self, parents: Option<&dyn ParentChain>) -> Result<Tree, LayerError> {
        self.settle_links()?;
        for (parent, name) in std::mem::take(&mut self.hidden) {
            self.remove_name(parent, &name);
        }
        if let Some(parents) = parents {
            self.adopt(parents);
        }
        // A whiteout only speaks of the layers below. What this layer has itself stays; if it is
        // a directory, nothing of theirs shows in it.
        let mut whiteouts = Vec::new();
        for (parent, victims) in std::mem::take(&mut self.whiteouts) {
            for victim in victims {
                match self.child(parent, &victim) {
                    Some(child) => {
                        if let Kind::Directory(_) = self.tree.get(child).kind {
                            self.opaque.insert(child);
                        }
                    }
                    None => whiteouts.push((parent, victim)),
                }
            }
        }
        whiteouts.sort();
        for (parent, victim) in whiteouts {
            // Overlayfs shows the whiteouts in an opaque directory, and needs none there.
            if self.opaque.contains(&parent) || self.links[parent.index()] == 0 {
                continue;
            }
            let inode = Inode {
                metadata: Metadata::default(),
                kind: Kind::CharDevice(Device::default()),
            };
            let id = self.add(&victim, inode, false)?;
            self.set_name(parent, &victim, id);
            self.mark(parent, ORIGIN_XATTR);
        }
        for directory in std::mem::take(&mut self.opaque) {
            self.mark(directory, OPAQUE_XATTR);
        }
        Ok(self.tree)
    }

    /// Links to what came later, link by link as long as that helps.
    fn settle_links(&mut self) -> Result<(), LayerError> {
        let mut waiting = std::mem::take(&mut self.deferred);
        loop {
            let before = waiting.len();
            for deferred in waiting {
                let (parent, name) = self.parent(&deferred.path)?;
                // An entry that came later at the same path has replaced the link.
                if self.child(parent, name).is_none() {
                    self.link(&deferred.path, &deferred.target)?;
                }
            }
            waiting = std::mem::take(&mut self.deferred);
            match waiting.first() {
                None => return Ok(()),
                Some(first) if waiting.len() == before => {
                    return Err(LayerError::HardlinkTarget {
                        path: String::from_utf8_lossy(&first.path).into_owned(),
                        target: String::from_utf8_lossy(&first.target).into_owned(),
                    });
                }
                Some(_) => {}
            }
        }
    }

    /// Gives implied directories the metadata that they have in the layers below.
    fn adopt(&mut self, parents: &dyn ParentChain) {
        let mut open = vec![(InodeId::ROOT, Vec::<Box<[u8]>>::new())];
        while let Some((id, path)) = open.pop() {
            if self.implied[id.index()] {
                let path: Vec<&[u8]> = path.iter().map(|name| &**name).collect();
                if let Some(metadata) = parents.directory(&path) {
                    self.tree.get_mut(id).metadata = metadata;
                }
            }
            if let Kind::Directory(names) = &self.tree.get(id).kind {
                for (name, child) in names {
                    if let Kind::Directory(_) = self.tree.get(*child).kind {
                        let mut path = path.clone();
                        path.push(name.clone());
                        open.push((*child, path));
                    }
                }
            }
        }
    }

    fn mark(&mut self, directory: InodeId, (name, value): (&[u8], &[u8])) {
        self.tree
            .get_mut(directory)
            .metadata
            .xattrs
            .insert(name.into(), value.into());
    }

    /// Returns the directory that a path lies in, and its last component. Makes directories on the
    /// way where there are none.
    fn parent<'a>(&mut self, path: &'a [u8]) -> Result<(InodeId, &'a [u8]), LayerError> {
        let Some(name) = components(path).last() else {
            return Err(LayerError::entry(path, "the root can only be a directory"));
        };
        let end = name.as_ptr().addr() - path.as_ptr().addr();
        let above = &path[..end];
        if let Some((recent, id)) = &self.recent
            && **recent == *above
        {
            return Ok((*id, name));
        }
        let id = self.walk(path, above, true)?.unwrap_or(InodeId::ROOT);
        self.recent = Some((above.into(), id));
        Ok((id, name))
    }

    /// Returns what a path leads to, following links on the way but not at its end.
    fn find(&mut self, path: &[u8]) -> Result<Option<InodeId>, LayerError> {
        let Some(name) = components(path).last() else {
            return Ok(Some(InodeId::ROOT));
        };
        let end = name.as_ptr().addr() - path.as_ptr().addr();
        let Some(parent) = self.walk(path, &path[..end], false)? else {
            return Ok(None);
        };
        if name == b".." {
            return self.walk(path, path, false);
        }
        Ok(self.child(parent, name))
    }

    /// Follows a path of directories from the root, inside of which it stays.
    fn walk(
        &mut self,
        entry: &[u8],
        path: &[u8],
        create: bool,
    ) -> Result<Option<InodeId>, LayerError> {
        let mut directories = vec![InodeId::ROOT];
        let mut ahead: Vec<Box<[u8]>> = components(path).rev().map(Box::from).collect();
        let mut links = 0;
        while let Some(name) = ahead.pop() {
            let here = directories.last().copied().unwrap_or(InodeId::ROOT);
            if *name == *b".." {
                if directories.len() > 1 {
                    directories.pop();
                }
                continue;
            }
            if let Some(child) = self.child(here, &name) {
                match &self.tree.get(child).kind {
                    Kind::Directory(_) => {
                        directories.push(child);
                        continue;
                    }
                    Kind::Symlink(target) => {
                        links += 1;
                        if links > MAX_LINKS {
                            return Err(LayerError::entry(
                                entry,
                                "its path leads through too many symbolic links",
                            ));
                        }
                        if target.starts_with(b"/") {
                            directories.truncate(1);
                        }
                        ahead.extend(components(target).rev().map(Box::from));
                        continue;
                    }
                    _ => {}
                }
            }
            if !create {
                return Ok(None);
            }
            if name.len() > 255 {
                return Err(LayerError::entry(
                    entry,
                    "a name in it is longer than 255 bytes",
                ));
            }
            // Nobody mentioned this directory, or something else was there that gives way.
            let inode = Inode {
                metadata: Metadata {
                    permissions: IMPLIED_MODE,
                    ..Metadata::default()
                },
                kind: Kind::Directory(BTreeMap::new()),
            };
            let id = self.add(entry, inode, true)?;
            if name.starts_with(AUFS_PREFIX) {
                self.hidden.push((here, name.clone()));
            }
            self.set_name(here, &name, id);
            directories.push(id);
        }
        Ok(directories.last().copied())
    }

    fn child(&self, directory: InodeId, name: &[u8]) -> Option<InodeId> {
        match &self.tree.get(directory).kind {
            Kind::Directory(names) => names.get(name).copied(),
            _ => None,
        }
    }

    fn add(&mut self, path: &[u8], inode: Inode, implied: bool) -> Result<InodeId, LayerError> {
        let id = self
            .tree
            .insert(inode)
            .ok_or_else(|| LayerError::entry(path, "there are too many before it"))?;
        self.links.push(0);
        self.implied.push(implied);
        Ok(id)
    }

    /// Makes a name lead to an inode, and away from what it led to before.
    fn set_name(&mut self, directory: InodeId, name: &[u8], id: InodeId) {
        self.links[id.index()] += 1;
        let before = match &mut self.tree.get_mut(directory).kind {
            Kind::Directory(names) => names.insert(name.into(), id),
            _ => None,
        };
        if let Some(before) = before {
            self.release(before);
        }
    }

    fn remove_name(&mut self, directory: InodeId, name: &[u8]) {
        let before = match &mut self.tree.get_mut(directory).kind {
            Kind::Directory(names) => names.remove(name),
            _ => None,
        };
        if let Some(before) = before {
            self.release(before);
        }
    }

    /// Takes away one name of an inode; with the last one of a directory all below it go.
    fn release(&mut self, id: InodeId) {
        self.recent = None;
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            let links = &mut self.links[id.index()];
            *links = links.saturating_sub(1);
            if *links == 0
                && let Kind::Directory(names) = &mut self.tree.get_mut(id).kind
            {
                open.extend(std::mem::take(names).into_values());
                self.whiteouts.remove(&id);
                self.opaque.remove(&id);
            }
        }
    }
}

/// Returns the components of a path that mean something.
fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
        .filter(|component| !matches!(*component, b"" | b"."))
}
