//! Hard links to what lies in the layers below.
//!
//! Owns the copies: a file of the layers below becomes part of the layer, once for all links to it. Which
//! links wait, and for what, is in [`links`](super::links).

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use msb_erofs::{Inode, InodeId, Kind, Nid};

use super::LayerError;
use super::error::lossy;
use super::inherit::Copied;
use super::links::{Deferred, to_directory};
use super::lower::{LowerInode, LowerLayers, LowerNode};
use super::path::{clean, components};
use super::tree::LayerTree;
use crate::cancel::Cancel;

impl LayerTree {
    /// Makes hard links to files of the layers below, and then to what came later in this one. Returns
    /// the files that are copied from below, and whether a link led there.
    ///
    /// # Errors
    /// A link that leads to nothing, or to a directory.
    pub(super) fn link_below(
        &mut self,
        lower: &LowerLayers,
        open: Vec<Deferred>,
        replaced: &BTreeSet<InodeId>,
        cancel: &Cancel,
    ) -> Result<(Vec<Copied>, bool), LayerError> {
        let mut below = Below {
            lower,
            replaced,
            known: HashMap::new(),
            found: HashMap::new(),
            copied: Vec::new(),
        };
        let (showed, hidden): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|link| link.showed_below);
        let mut rest = below.link(self, showed, cancel)?;
        rest.extend(hidden);
        rest.sort_by_key(|link| link.number);
        rest = self.link_within(rest, true, cancel)?;
        // What this layer hides is better than nothing.
        rest = below.link(self, rest, cancel)?;
        rest = self.link_within(rest, true, cancel)?;
        if let Some(first) = rest.first() {
            return Err(LayerError::HardlinkTarget {
                path: lossy(&first.path),
                target: lossy(&clean(&first.target)),
            });
        }
        let Below {
            known, mut copied, ..
        } = below;
        // A later link may have taken the only name of a file.
        copied.retain(|copied: &Copied| self.nodes[copied.id.index()].links > 0);
        Ok((copied, !known.is_empty()))
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
    pub(super) fn shows_below(
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

/// The layers below, while links to their files are made.
struct Below<'a> {
    lower: &'a LowerLayers,
    /// Directories of the layer whose namesakes below are gone.
    replaced: &'a BTreeSet<InodeId>,
    /// Files that this layer has by now, by what they are below.
    known: HashMap<(u32, Nid), InodeId>,
    /// What each target leads to, by the address of its copy, and whether through symbolic links.
    found: HashMap<usize, Option<(LowerNode, bool)>>,
    copied: Vec<Copied>,
}

impl Below<'_> {
    /// Makes the links that lead to files of the layers below, and returns the others. A file becomes
    /// part of the layer, under its own name as well where that is still to be seen, so that both lead
    /// to one inode.
    fn link(
        &mut self,
        layer: &mut LayerTree,
        links: Vec<Deferred>,
        cancel: &Cancel,
    ) -> Result<Vec<Deferred>, LayerError> {
        let mut rest = Vec::new();
        for link in links {
            cancel.check()?;
            let target = layer.targets.clean(&link.target);
            let address = Arc::as_ptr(&link.target).cast::<u8>() as usize;
            let found = match self.found.entry(address) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(unknown) => {
                    *unknown.insert(self.lower.find(&target, &mut layer.steps, cancel)?)
                }
            };
            let (inode, through_links) = match found {
                Some((LowerNode::Other(inode), through_links)) => (inode, through_links),
                Some((LowerNode::Directory(_), _)) => return Err(to_directory(&link.path)),
                None => {
                    rest.push(link);
                    continue;
                }
            };
            let id = match self.known.get(&inode.key()) {
                Some(id) => *id,
                None => layer.copy_inode(self.lower, inode, &link.path, &mut self.copied)?,
            };
            self.known.insert(inode.key(), id);
            layer.put_in_place(&link, id)?;
            if !through_links && layer.shows_below(&target, self.replaced)? {
                layer.name(&target, id)?;
            }
        }
        Ok(rest)
    }
}
