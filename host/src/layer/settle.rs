//! What waits for the last entry of a layer: hard links to later entries, and the form that
//! overlayfs wants.
//!
//! Sources: OCI image-spec `layer.md`, "Whiteouts"; Linux `overlayfs.rst`, "whiteouts and opaque
//! directories".

use std::collections::BTreeSet;

use super::LayerError;
use super::error::lossy;
use super::path::clean;
use super::tree::LayerTree;
use crate::erofs::{Device, Extent, Inode, InodeId, Kind, Metadata, Tree};

/// Hard links to hard links that come later still, one behind the other.
const MAX_ROUNDS: usize = 40;
/// Overlayfs does not look at it on the root of a layer. Whoever mounts layers and finds it there
/// leaves out those below.
const OPAQUE_XATTR: (&[u8], &[u8]) = (b"trusted.overlay.opaque", b"y");
/// Makes overlayfs look for whiteouts in a directory that it would otherwise list as it is, since
/// no layer below has one of that name.
const ORIGIN_XATTR: (&[u8], &[u8]) = (b"trusted.overlay.origin", b"");

/// What the layers below have, for entries that refer to it.
pub(super) trait ParentChain {
    /// Returns the metadata of a directory in the layers below, for a directory that this layer
    /// only implies. The path is clean.
    fn directory(&self, path: &[u8]) -> Option<Metadata>;
}

/// A tree with nothing left to wait for.
pub(super) struct Settled {
    pub(super) tree: Tree,
    /// Data that was written and belongs to no file of the tree.
    pub(super) dead: Vec<Extent>,
}

impl LayerTree {
    /// Settles what had to wait, and returns the tree as overlayfs wants it.
    ///
    /// # Errors
    /// A hard link whose target never came: the layers below have it, or nobody.
    pub(super) fn settle(
        mut self,
        parents: Option<&dyn ParentChain>,
    ) -> Result<Settled, LayerError> {
        self.settle_links()?;
        for (parent, name) in std::mem::take(&mut self.hidden) {
            self.remove_name(parent, &name);
        }
        let whiteouts = self.sorted_whiteouts();
        let replaced = self.replaced_directories(&whiteouts);
        if let Some(parents) = parents {
            self.adopt(parents, &replaced);
        }
        self.opaque.extend(replaced);
        for (parent, victim) in whiteouts {
            self.place_whiteout(parent, &victim)?;
        }
        for directory in std::mem::take(&mut self.opaque) {
            self.mark(directory, OPAQUE_XATTR);
        }
        Ok(Settled {
            tree: self.tree,
            dead: self.dead,
        })
    }

    /// Links to what came later, link by link as long as that helps.
    fn settle_links(&mut self) -> Result<(), LayerError> {
        for _ in 0..MAX_ROUNDS {
            let waiting = std::mem::take(&mut self.deferred);
            let before = waiting.len();
            for deferred in waiting {
                let (parent, name) = self.parent(&deferred.path)?;
                // An entry that came later at the same path has replaced the link.
                if self.child(parent, name).is_none() {
                    self.link(&deferred.path, &deferred.target)?;
                }
            }
            if self.deferred.len() == before {
                break;
            }
        }
        match self.deferred.first() {
            None => Ok(()),
            Some(first) => Err(LayerError::HardlinkTarget {
                path: lossy(&first.path),
                target: lossy(&clean(&first.target)),
            }),
        }
    }

    fn sorted_whiteouts(&mut self) -> Vec<(InodeId, Box<[u8]>)> {
        let mut whiteouts: Vec<_> = std::mem::take(&mut self.whiteouts)
            .into_iter()
            .flat_map(|(parent, victims)| victims.into_iter().map(move |victim| (parent, victim)))
            .collect();
        whiteouts.sort();
        whiteouts
    }

    /// Returns the directories of this layer whose namesakes below are gone. A whiteout only
    /// speaks of the layers below: what this layer has itself stays, and nothing of theirs shows
    /// in it.
    fn replaced_directories(&self, whiteouts: &[(InodeId, Box<[u8]>)]) -> BTreeSet<InodeId> {
        whiteouts
            .iter()
            .filter_map(|(parent, victim)| self.child(*parent, victim))
            .filter(|child| self.is_directory(*child))
            .collect()
    }

    /// Puts a whiteout of overlayfs in a directory, unless it says nothing there.
    fn place_whiteout(&mut self, parent: InodeId, victim: &[u8]) -> Result<(), LayerError> {
        if self.child(parent, victim).is_some() || self.hides_all_below(parent) {
            return Ok(());
        }
        let whiteout = Inode {
            metadata: Metadata::default(),
            kind: Kind::CharDevice(Device::default()),
        };
        let id = self.add(victim, whiteout, false)?;
        self.set_name(parent, victim, id);
        self.mark(parent, ORIGIN_XATTR);
        Ok(())
    }

    /// Returns whether a directory is opaque or lies in an opaque one. Overlayfs lists whiteouts
    /// there like any file.
    fn hides_all_below(&self, directory: InodeId) -> bool {
        let mut here = directory;
        loop {
            if self.opaque.contains(&here) {
                return true;
            }
            if here == InodeId::ROOT {
                return false;
            }
            here = self.nodes[here.index()].parent;
        }
    }

    /// Gives implied directories the metadata that they have in the layers below. Opaque ones have
    /// it too, but nothing in them does; replaced ones do not.
    fn adopt(&mut self, parents: &dyn ParentChain, replaced: &BTreeSet<InodeId>) {
        let mut path = Vec::new();
        let mut open = vec![(InodeId::ROOT, 0, Box::from(&b""[..]))];
        while let Some((id, above, name)) = open.pop() {
            path.truncate(above);
            if above > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(&name);
            if replaced.contains(&id) {
                continue;
            }
            if self.nodes[id.index()].implied
                && let Some(metadata) = parents.directory(&path)
            {
                self.tree.get_mut(id).metadata = metadata;
            }
            if self.opaque.contains(&id) {
                continue;
            }
            if let Kind::Directory(names) = &self.tree.get(id).kind {
                let directories = names.iter().filter(|(_, id)| self.is_directory(**id));
                open.extend(directories.map(|(name, id)| (*id, path.len(), name.clone())));
            }
        }
    }

    fn mark(&mut self, directory: InodeId, (name, value): (&[u8], &[u8])) {
        let xattrs = &mut self.tree.get_mut(directory).metadata.xattrs;
        xattrs.insert(name.into(), value.into());
    }
}
