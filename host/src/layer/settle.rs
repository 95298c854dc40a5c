//! What waits for the last entry of a layer: what depends on the layers below, and the form that
//! overlayfs wants. Hard links that wait are in [`links`](super::links).
//!
//! Sources: OCI image-spec `layer.md`, "Whiteouts"; Linux `overlayfs.rst`, "whiteouts and opaque
//! directories".

use std::collections::{BTreeSet, HashMap};

use msb_erofs::{Device, Extent, Inode, InodeId, Kind, Metadata, Tree};

use super::LayerError;
use super::dependence::Dependence;
use super::inherit::{Copied, Reach};
use super::lower::LowerLayers;
use super::notices::Notices;
use super::overlay::{OPAQUE_XATTR, ORIGIN_XATTR};
use super::tree::LayerTree;
use crate::cancel::Cancel;

/// A tree with nothing left to wait for.
pub(super) struct Settled {
    pub(super) tree: Tree,
    /// Data that was written and belongs to no file of the tree, each once.
    pub(super) dead: Vec<Extent>,
    pub(super) dependence: Dependence,
    /// The tree is another one than it would be without what is known of the layers below.
    pub(super) chained: bool,
    /// Files of the tree whose data lies in the layers below.
    pub(super) copied: Vec<Copied>,
}

/// A name of the layers below that is gone, and the directory that it was in.
type Whiteout = (InodeId, Box<[u8]>);

impl LayerTree {
    /// Settles what had to wait, and returns the tree as overlayfs wants it. What depends on
    /// layers below that are not known is left open: directories have usual metadata, links are
    /// missing, and markers stay.
    ///
    /// # Errors
    /// A hard link whose target is in no layer, as far as that is known.
    pub(super) fn settle(
        mut self,
        lower: Option<&LowerLayers>,
        notices: &mut Notices,
        cancel: &Cancel,
    ) -> Result<Settled, LayerError> {
        let links = self.take_deferred();
        let has_links = !links.is_empty();
        let mut whiteouts = self.sorted_whiteouts();
        let replaced = self.replaced_directories(&whiteouts);
        whiteouts.retain(|(parent, victim)| self.child(*parent, victim).is_none());
        let of_entries = self.nodes.len();
        let (copied, mut chained) = if let Some(lower) = lower {
            self.link_below(lower, links, &replaced, cancel)?
        } else {
            let open = self.link_within(links, false, cancel)?;
            self.remove_links(&open);
            (Vec::new(), false)
        };
        for (parent, name) in std::mem::take(&mut self.hidden) {
            self.remove_name(parent, &name);
        }
        let reach = Reach::new(&self, &replaced, cancel)?;
        let mut dependence = self.dependence(&whiteouts, &replaced);
        dependence.set(Dependence::LINKS, has_links);
        // Files of the layers below may have come with directories that no entry is for.
        let mut implied = reach.implied.iter();
        let is_implied = implied.any(|directory| directory.index() < of_entries);
        dependence.set(Dependence::DIRECTORIES, is_implied);
        if let Some(lower) = lower {
            chained |= self.inherit(lower, &reach, notices, cancel)?;
        }
        self.opaque.extend(replaced);
        match lower {
            Some(lower) if lower.is_empty() => {
                chained |= dependence.contains(Dependence::MARKERS);
                self.opaque.clear();
                whiteouts.clear();
            }
            Some(lower) if self.opaque.remove(&InodeId::ROOT) => {
                whiteouts = self.hide_all(lower, cancel)?;
                chained = true;
            }
            _ => {}
        }
        let mut hidden = HashMap::new();
        for (parent, victim) in whiteouts {
            cancel.check()?;
            if !self.hides_all_below(parent, &mut hidden) {
                self.place_whiteout(parent, &victim)?;
            }
        }
        for directory in std::mem::take(&mut self.opaque) {
            cancel.check()?;
            self.mark(directory, OPAQUE_XATTR)?;
        }
        let dead = self.dead_data();
        Ok(Settled {
            tree: self.tree,
            dead,
            dependence,
            chained,
            copied,
        })
    }

    /// Returns the data that belongs to no file any more. Files with equal contents have it in common, so
    /// a file that is left may have that of one that is gone.
    fn dead_data(&mut self) -> Vec<Extent> {
        let mut dead: HashMap<u32, Extent> = std::mem::take(&mut self.dead)
            .into_iter()
            .map(|extent| (extent.block, extent))
            .collect();
        if !dead.is_empty() {
            for id in self.tree.ids() {
                if let Kind::File(extent) = &self.tree.get(id).kind
                    && extent.size > 0
                    && self.nodes[id.index()].links > 0
                {
                    dead.remove(&extent.block);
                }
            }
        }
        dead.into_values().collect()
    }

    /// Returns what depends on the layers below, but for links and directories.
    fn dependence(&self, whiteouts: &[Whiteout], replaced: &BTreeSet<InodeId>) -> Dependence {
        let mut dependence = Dependence::empty();
        dependence.set(Dependence::ROOT, self.nodes[InodeId::ROOT.index()].implied);
        let hides = !self.opaque.is_empty() || !replaced.is_empty() || !whiteouts.is_empty();
        dependence.set(Dependence::MARKERS, hides);
        let root = self.opaque.contains(&InodeId::ROOT);
        dependence.set(Dependence::ROOT_OPAQUE, root);
        dependence
    }

    fn sorted_whiteouts(&self) -> Vec<Whiteout> {
        let mut parents: Vec<_> = self.whiteouts.iter().collect();
        parents.sort_unstable_by_key(|(parent, _)| **parent);
        parents
            .into_iter()
            .flat_map(|(parent, victims)| victims.iter().map(|victim| (*parent, victim.clone())))
            .collect()
    }

    /// Returns the directories of this layer whose namesakes below are gone. A whiteout only
    /// speaks of the layers below: what this layer has itself stays, and nothing of theirs shows
    /// in it.
    fn replaced_directories(&self, whiteouts: &[Whiteout]) -> BTreeSet<InodeId> {
        whiteouts
            .iter()
            .filter_map(|(parent, victim)| self.child(*parent, victim))
            .filter(|child| self.is_directory(*child))
            .collect()
    }

    /// Puts a whiteout of overlayfs in a directory, unless it says nothing there.
    fn place_whiteout(&mut self, parent: InodeId, victim: &[u8]) -> Result<(), LayerError> {
        if self.child(parent, victim).is_some() {
            return Ok(());
        }
        let whiteout = Inode {
            metadata: Metadata::default(),
            kind: Kind::CharDevice(Device::default()),
        };
        let id = self.add(victim, whiteout, false)?;
        self.set_name(parent, victim, id)?;
        self.mark(parent, ORIGIN_XATTR)
    }

    /// Returns whether a directory is opaque or lies in an opaque one. Overlayfs lists whiteouts
    /// there like any file. What is found of the directories on the way is remembered in `known`.
    fn hides_all_below(&self, directory: InodeId, known: &mut HashMap<InodeId, bool>) -> bool {
        let mut way = Vec::new();
        let mut here = directory;
        let hides = loop {
            if let Some(hides) = known.get(&here) {
                break *hides;
            }
            way.push(here);
            if self.opaque.contains(&here) {
                break true;
            }
            if here == InodeId::ROOT {
                break false;
            }
            here = self.nodes[here.index()].parent;
        };
        known.extend(way.into_iter().map(|directory| (directory, hides)));
        hides
    }

    /// Hides every name in the root of the layers below, one by one.
    fn hide_all(
        &mut self,
        lower: &LowerLayers,
        cancel: &Cancel,
    ) -> Result<Vec<Whiteout>, LayerError> {
        let mut whiteouts = Vec::new();
        let Some(root) = lower.root()? else {
            return Ok(whiteouts);
        };
        for name in lower.names_in(&root)? {
            cancel.check()?;
            match self.child(InodeId::ROOT, &name) {
                Some(child) if self.is_directory(child) => {
                    self.opaque.insert(child);
                }
                Some(_) => {}
                None => whiteouts.push((InodeId::ROOT, name)),
            }
        }
        Ok(whiteouts)
    }
}
