//! Hard links to what comes later in the layer, or lies in the layers below.
//!
//! Owns the waiting: a link whose target is not there waits for the one name that is missing on the
//! way to it, and is looked at again when that name comes. So time grows with the number of links,
//! in whatever order they stand.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use msb_erofs::{Inode, InodeId, Kind};

use super::LayerError;
use super::error::lossy;
use super::inherit::Copied;
use super::lower::{LowerInode, LowerLayers, LowerNode};
use super::path::{clean, components};
use super::tree::{LayerTree, Located};
use crate::cancel::Cancel;

/// A hard link that waits.
#[derive(Debug)]
pub(super) struct Deferred {
    /// Its place among those that wait.
    pub(super) number: usize,
    pub(super) path: Box<[u8]>,
    /// As written; links to the same path share it.
    pub(super) target: Arc<[u8]>,
    /// The layers below were asked and do not have the target.
    pub(super) is_absent_below: bool,
}

/// Links by the name that they wait for.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    by_name: HashMap<InodeId, HashMap<Box<[u8]>, Vec<Deferred>>>,
    /// Those whose name has come.
    woken: Vec<Deferred>,
    /// How often a link was looked at, for tests.
    looks: usize,
}

impl Waiting {
    /// Takes note that a name has come.
    pub(super) fn wake(&mut self, directory: InodeId, name: &[u8]) {
        if self.by_name.is_empty() {
            return;
        }
        if let Some(names) = self.by_name.get_mut(&directory)
            && let Some(links) = names.remove(name)
        {
            self.woken.extend(links);
        }
    }

    fn add(&mut self, (directory, name): (InodeId, Box<[u8]>), link: Deferred) {
        let names = self.by_name.entry(directory).or_default();
        names.entry(name).or_default().push(link);
    }

    /// Takes those that still wait, in their order.
    fn take_rest(&mut self) -> Vec<Deferred> {
        let names = std::mem::take(&mut self.by_name);
        let names = names.into_values().flat_map(HashMap::into_values);
        let mut rest: Vec<Deferred> = names.flatten().collect();
        rest.sort_by_key(|link| link.number);
        rest
    }
}

impl LayerTree {
    /// Links to what came later. Returns those that lead to nothing that the layer has.
    pub(super) fn settle_links(&mut self, cancel: &Cancel) -> Result<Vec<Deferred>, LayerError> {
        let mut ready = VecDeque::from(std::mem::take(&mut self.deferred));
        while let Some(link) = ready.pop_front() {
            cancel.check()?;
            self.waiting.looks += 1;
            let (parent, name) = self.parent(&link.path)?;
            // An entry that came later at the same path has replaced the link.
            if self.child(parent, name).is_none() {
                let target = self.targets.clean(&link.target);
                match self.locate(&target)? {
                    Located::At(id) => self.name(&link.path, id)?,
                    Located::Missing(name) => self.waiting.add(name, link),
                }
            }
            ready.extend(self.waiting.woken.drain(..));
        }
        Ok(self.waiting.take_rest())
    }

    /// Makes hard links to files of the layers below. The file becomes part of this layer, under
    /// its own name as well where that is still to be seen, so that both lead to one inode.
    pub(super) fn link_below(
        &mut self,
        lower: &LowerLayers,
        open: Vec<Deferred>,
        replaced: &BTreeSet<InodeId>,
        cancel: &Cancel,
    ) -> Result<Vec<Copied>, LayerError> {
        let mut copied = Vec::new();
        let mut known = HashMap::new();
        // What each target leads to below, by the address of its copy.
        let mut found: HashMap<usize, Option<(LowerNode, bool)>> = HashMap::new();
        let mut ready = VecDeque::from(open);
        while let Some(mut link) = ready.pop_front() {
            cancel.check()?;
            self.waiting.looks += 1;
            let written = Arc::clone(&link.target);
            let target = self.targets.clean(&written);
            let missing = match self.locate(&target)? {
                Located::At(id) => {
                    self.name(&link.path, id)?;
                    None
                }
                Located::Missing(name) => Some(name),
            };
            if let Some(name) = missing {
                let below = match found.entry(Arc::as_ptr(&written).cast::<u8>() as usize) {
                    _ if link.is_absent_below => None,
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(unknown) => {
                        *unknown.insert(lower.find(&target, &mut self.steps, cancel)?)
                    }
                };
                match below {
                    Some((LowerNode::Directory(_), _)) => return Err(to_directory(&link.path)),
                    Some((LowerNode::Other(inode), through_links)) => {
                        let id = match known.get(&inode.key()) {
                            Some(id) => *id,
                            None => self.copy_inode(lower, inode, &link.path, &mut copied)?,
                        };
                        known.insert(inode.key(), id);
                        self.name(&link.path, id)?;
                        if !through_links && self.shows_below(&target, replaced)? {
                            self.name(&target, id)?;
                        }
                    }
                    None => {
                        link.is_absent_below = true;
                        self.waiting.add(name, link);
                    }
                }
            }
            ready.extend(self.waiting.woken.drain(..));
        }
        if let Some(first) = self.waiting.take_rest().first() {
            return Err(LayerError::HardlinkTarget {
                path: lossy(&first.path),
                target: lossy(&clean(&first.target)),
            });
        }
        // A later link may have taken the only name of a file.
        copied.retain(|copied: &Copied| self.nodes[copied.id.index()].links > 0);
        Ok(copied)
    }

    fn copy_inode(
        &mut self,
        lower: &LowerLayers,
        from: LowerInode,
        path: &[u8],
        copied: &mut Vec<Copied>,
    ) -> Result<InodeId, LayerError> {
        let mut inode = Inode {
            metadata: lower.metadata(&from)?,
            kind: lower.kind(&from)?,
        };
        inode.metadata.xattrs = self.unique(inode.metadata.xattrs)?;
        let is_file = matches!(inode.kind, Kind::File(_));
        let id = self.add(path, inode, false)?;
        if is_file && from.info.size > 0 {
            copied.push(Copied { id, from });
        }
        Ok(id)
    }

    /// Gives an inode that is not a directory another name.
    fn name(&mut self, path: &[u8], id: InodeId) -> Result<(), LayerError> {
        if self.is_directory(id) {
            return Err(to_directory(path));
        }
        let (parent, name) = self.parent(path)?;
        if self.child(parent, name) != Some(id) {
            self.set_name(parent, name, id)?;
        }
        Ok(())
    }

    /// Returns whether a clean path that the layer does not have leads to what is below.
    fn shows_below(
        &mut self,
        path: &[u8],
        replaced: &BTreeSet<InodeId>,
    ) -> Result<bool, LayerError> {
        let mut here = InodeId::ROOT;
        for name in components(path) {
            self.steps.take()?;
            let is_gone = self
                .whiteouts
                .get(&here)
                .is_some_and(|victims| victims.contains(name));
            if is_gone || self.opaque.contains(&here) || replaced.contains(&here) {
                return Ok(false);
            }
            match self.child(here, name) {
                Some(child) if self.is_directory(child) => here = child,
                Some(_) => return Ok(false),
                None => return Ok(true),
            }
        }
        Ok(false)
    }
}

pub(super) fn to_directory(path: &[u8]) -> LayerError {
    LayerError::entry(path, "it is a hard link to a directory")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::limits::{Budget, Limits};
    use msb_erofs::{Extent, Metadata};

    /// Links that each lead to the next, the last one to a file if there is one; returns how often
    /// one was looked at.
    fn looks(links: usize, has_file: bool, order: impl Fn(usize) -> usize) -> usize {
        let budget = Budget::new(&Limits::default());
        let mut tree = LayerTree::new(&budget);
        for place in 0..links {
            let number = order(place);
            let (path, target) = (format!("d/{number}"), format!("d/{}", number + 1));
            tree.link(path.as_bytes(), target.as_bytes()).unwrap();
        }
        if has_file {
            let file = Inode {
                metadata: Metadata::default(),
                kind: Kind::File(Extent::default()),
            };
            tree.insert(format!("d/{links}").as_bytes(), file).unwrap();
        }
        let rest = tree.settle_links(&Cancel::default()).unwrap();
        assert_eq!(rest.len(), if has_file { 0 } else { links });
        assert!(rest.is_sorted_by_key(|link| link.number));
        tree.waiting.looks
    }

    #[test]
    fn the_steps_for_links_in_a_row_grow_with_their_number_in_any_order() {
        let orders: [fn(usize) -> usize; 3] = [
            |place| place,
            |place| 1999 - place % 2000,
            |place| place * 7919 % 2003,
        ];
        for order in &orders[..1] {
            for links in [500, 1000, 2000] {
                assert!(looks(links, true, order) <= 2 * links);
                assert!(looks(links, false, order) <= 2 * links);
            }
        }
        assert!(looks(2000, true, orders[1]) <= 4000);
        // A prime number of links, so that the order has each of them.
        assert!(looks(2003, true, orders[2]) <= 4006);
    }
}
