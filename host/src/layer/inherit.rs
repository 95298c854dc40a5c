//! What a layer takes from the layers below: the metadata of directories that it only implies, and
//! the files behind its hard links.
//!
//! Overlayfs shows a directory with the metadata of the topmost layer that has it. So a layer that
//! has a directory only as a way to something else must have it as it is below.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::LayerError;
use super::convert::ConvertOptions;
use super::error::lossy;
use super::lower::{LowerInode, LowerLayers, LowerNode};
use super::notices::Notices;
use super::path::{clean, components};
use super::settle::Settled;
use super::tree::{Deferred, LayerTree};
use crate::erofs::{FileType, ImageWriter, Inode, InodeId, Kind, Metadata};
use crate::limits::Limit;

/// Bytes of a file that are copied at a time.
const BUFFER: usize = 256 << 10;

/// A file whose data is still to be copied.
pub(super) struct Copied {
    pub(super) id: InodeId,
    pub(super) from: LowerInode,
}

/// Which directories of a layer are merged with those of the same path below.
pub(super) struct Reach {
    /// Those that no entry is for, the root aside.
    pub(super) implied: HashSet<InodeId>,
    /// These and all above them.
    ways: HashSet<InodeId>,
}

impl Reach {
    pub(super) fn new(tree: &LayerTree, replaced: &BTreeSet<InodeId>) -> Self {
        let mut known = HashMap::from([(InodeId::ROOT, true)]);
        let mut reach = Self {
            implied: HashSet::new(),
            ways: HashSet::from([InodeId::ROOT]),
        };
        for id in tree.implied_directories() {
            let mut way = Vec::new();
            let mut here = id;
            let mut merged = loop {
                if let Some(merged) = known.get(&here) {
                    break *merged;
                }
                way.push(here);
                here = tree.nodes[here.index()].parent;
            };
            for step in way.iter().rev() {
                let parent = tree.nodes[step.index()].parent;
                merged &= !replaced.contains(step) && !tree.opaque.contains(&parent);
                known.insert(*step, merged);
            }
            if merged {
                reach.implied.insert(id);
                let mut here = id;
                while reach.ways.insert(here) {
                    here = tree.nodes[here.index()].parent;
                }
            }
        }
        reach
    }
}

impl LayerTree {
    /// Gives implied directories the metadata that they have in the layers below. Opaque ones have
    /// it too, but nothing in them does; replaced ones do not. Returns whether that made a
    /// difference.
    pub(super) fn inherit(
        &mut self,
        lower: &LowerLayers,
        replaced: &BTreeSet<InodeId>,
        notices: &mut Notices,
    ) -> Result<bool, LayerError> {
        let root = lower.root()?;
        let mut changed = false;
        if self.nodes[InodeId::ROOT.index()].implied {
            changed |= self.take(InodeId::ROOT, lower.directory_metadata(&root)?);
        }
        let reach = Reach::new(self, replaced);
        let mut open = vec![(InodeId::ROOT, root, Vec::new())];
        while let Some((directory, below, path)) = open.pop() {
            for (name, child) in self.ways_down(directory, &reach) {
                let path = [&path, &*name, b"/"].concat();
                let is_implied = reach.implied.contains(&child);
                match lower.child(&below, &name)? {
                    Some(LowerNode::Directory(below)) => {
                        if is_implied {
                            changed |= self.take(child, lower.directory_metadata(&below)?);
                        }
                        open.push((child, below, path));
                    }
                    Some(LowerNode::Other(inode))
                        if is_implied && inode.info.file_type == FileType::Symlink =>
                    {
                        let text = "it is a symbolic link in the layers below, and this layer \
                                    puts a directory in its place";
                        notices.add(&path, text.to_owned());
                    }
                    _ => {}
                }
            }
        }
        Ok(changed)
    }

    /// Makes hard links to files of the layers below. The file becomes part of this layer, under
    /// its own name as well where that is still to be seen, so that both lead to one inode.
    pub(super) fn link_below(
        &mut self,
        lower: &LowerLayers,
        mut waiting: Vec<Deferred>,
        replaced: &BTreeSet<InodeId>,
    ) -> Result<Vec<Copied>, LayerError> {
        let mut copied = Vec::new();
        let mut known = HashMap::new();
        loop {
            let before = waiting.len();
            let mut left = Vec::new();
            for deferred in waiting {
                let target = clean(&deferred.target).into_owned();
                if self.find(&target)?.is_some() {
                    self.link(&deferred.path, &deferred.target)?;
                    continue;
                }
                let (inode, is_direct) = match lower.find(&target)? {
                    Some((LowerNode::Other(inode), through_links)) => (inode, !through_links),
                    Some((LowerNode::Directory(_), _)) => {
                        let reason = "it is a hard link to a directory";
                        return Err(LayerError::entry(&deferred.path, reason));
                    }
                    None => {
                        left.push(deferred);
                        continue;
                    }
                };
                let id = match known.get(&inode.key()) {
                    Some(id) => *id,
                    None => self.copy_inode(lower, inode, &deferred.path, &mut copied)?,
                };
                known.insert(inode.key(), id);
                self.name(&deferred.path, id)?;
                if is_direct && self.shows_below(&target, replaced) {
                    self.name(&target, id)?;
                }
            }
            waiting = left;
            match waiting.first() {
                None => {
                    // A later link may have taken the only name of a file.
                    copied.retain(|copied| self.nodes[copied.id.index()].links > 0);
                    return Ok(copied);
                }
                Some(first) if waiting.len() == before => {
                    return Err(LayerError::HardlinkTarget {
                        path: lossy(&first.path),
                        target: lossy(&clean(&first.target)),
                    });
                }
                Some(_) => {}
            }
        }
    }

    fn copy_inode(
        &mut self,
        lower: &LowerLayers,
        from: LowerInode,
        path: &[u8],
        copied: &mut Vec<Copied>,
    ) -> Result<InodeId, LayerError> {
        let inode = Inode {
            metadata: lower.metadata(&from)?,
            kind: lower.kind(&from)?,
        };
        let is_file = matches!(inode.kind, Kind::File(_));
        let id = self.add(path, inode, false)?;
        if is_file && from.info.size > 0 {
            copied.push(Copied { id, from });
        }
        Ok(id)
    }

    fn name(&mut self, path: &[u8], id: InodeId) -> Result<(), LayerError> {
        let (parent, name) = self.parent(path)?;
        if self.child(parent, name) != Some(id) {
            self.set_name(parent, name, id);
        }
        Ok(())
    }

    /// Returns whether a clean path that the layer does not have leads to what is below.
    fn shows_below(&self, path: &[u8], replaced: &BTreeSet<InodeId>) -> bool {
        let mut here = InodeId::ROOT;
        for name in components(path) {
            let is_gone = self
                .whiteouts
                .get(&here)
                .is_some_and(|victims| victims.contains(name));
            if is_gone || self.opaque.contains(&here) || replaced.contains(&here) {
                return false;
            }
            match self.child(here, name) {
                Some(child) if self.is_directory(child) => here = child,
                Some(_) => return false,
                None => return true,
            }
        }
        false
    }

    /// Returns the live directories that no entry is for, the root aside.
    fn implied_directories(&self) -> impl Iterator<Item = InodeId> {
        self.tree.ids().filter(|id| {
            let node = &self.nodes[id.index()];
            node.implied && node.links > 0 && *id != InodeId::ROOT
        })
    }

    /// Returns the directories in a directory on the way to implied ones.
    fn ways_down(&self, directory: InodeId, reach: &Reach) -> Vec<(Box<[u8]>, InodeId)> {
        match &self.tree.get(directory).kind {
            Kind::Directory(names) => names
                .iter()
                .filter(|(_, id)| reach.ways.contains(id))
                .map(|(name, id)| (name.clone(), *id))
                .collect(),
            _ => Vec::new(),
        }
    }

    fn take(&mut self, directory: InodeId, metadata: Option<Metadata>) -> bool {
        let own = &mut self.tree.get_mut(directory).metadata;
        match metadata {
            Some(metadata) if *own != metadata => {
                *own = metadata;
                true
            }
            _ => false,
        }
    }
}

/// Copies the data of files that the layer took from those below.
pub(super) fn copy_files(
    lower: &LowerLayers,
    settled: &mut Settled,
    image: &mut ImageWriter,
    options: &ConvertOptions<'_>,
) -> Result<(), LayerError> {
    let mut buffer = vec![0; BUFFER];
    let mut total: u64 = 0;
    for Copied { id, from } in std::mem::take(&mut settled.copied) {
        total = total.saturating_add(from.info.size);
        if total > options.limits.sparse_bytes {
            return Err(LayerError::Limit {
                what: "bytes in files of the layers below",
                max: options.limits.sparse_bytes,
                limit: Limit::SparseBytes,
            });
        }
        image.begin_file()?;
        let mut offset = 0;
        while offset < from.info.size {
            options.cancel.check()?;
            let count = lower.read_file(&from, offset, &mut buffer)?;
            let bytes = buffer.get(..count).unwrap_or_default();
            if bytes.iter().all(|byte| *byte == 0) {
                image.hole(count as u64)?;
            } else {
                image.write(bytes)?;
            }
            offset += count as u64;
        }
        settled.tree.get_mut(id).kind = Kind::File(image.end_file()?);
    }
    Ok(())
}
