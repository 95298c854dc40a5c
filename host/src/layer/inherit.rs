//! What a layer takes from the layers below: the metadata of directories that it only implies, and
//! the files behind its hard links.
//!
//! Overlayfs shows a directory with the metadata of the topmost layer that has it. So a layer that
//! has a directory only as a way to something else must have it as it is below.

use std::collections::{BTreeSet, HashMap, HashSet};

use msb_erofs::{FileType, ImageWriter, InodeId, Kind, Metadata};

use super::LayerError;
use super::convert::ConvertOptions;
use super::lower::{LowerInode, LowerLayers, LowerNode};
use super::notices::Notices;
use super::settle::Settled;
use super::tree::LayerTree;
use crate::cancel::{Cancel, Cancelled};
use crate::limits::Limit;

/// Bytes of a file that are copied at a time.
const BUFFER: usize = 256 << 10;
/// Names of a path in a notice.
const SHOWN: usize = 64;

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
    pub(super) fn new(
        tree: &LayerTree,
        replaced: &BTreeSet<InodeId>,
        cancel: &Cancel,
    ) -> Result<Self, Cancelled> {
        let mut known = HashMap::from([(InodeId::ROOT, true)]);
        let mut reach = Self {
            implied: HashSet::new(),
            ways: HashSet::from([InodeId::ROOT]),
        };
        for id in tree.implied_directories() {
            cancel.check()?;
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
        Ok(reach)
    }
}

impl LayerTree {
    /// Gives implied directories the metadata that they have in the layers below. Opaque ones have
    /// it too, but nothing in them does; replaced ones do not. Returns whether that made a
    /// difference.
    pub(super) fn inherit(
        &mut self,
        lower: &LowerLayers,
        reach: &Reach,
        notices: &mut Notices,
        cancel: &Cancel,
    ) -> Result<bool, LayerError> {
        let Some(root) = lower.root()? else {
            return Ok(false);
        };
        let mut changed = false;
        if self.nodes[InodeId::ROOT.index()].implied {
            changed |= self.take(InodeId::ROOT, lower.directory_metadata(&root)?)?;
        }
        let mut open = vec![(InodeId::ROOT, root)];
        while let Some((directory, below)) = open.pop() {
            for (name, child) in self.ways_down(directory, reach) {
                cancel.check()?;
                let is_implied = reach.implied.contains(&child);
                match lower.child(&below, &name)? {
                    Some(LowerNode::Directory(below)) => {
                        if is_implied {
                            changed |= self.take(child, lower.directory_metadata(&below)?)?;
                        }
                        open.push((child, below));
                    }
                    Some(LowerNode::Other(inode))
                        if is_implied && inode.info.file_type == FileType::Symlink =>
                    {
                        let text = "it is a symbolic link in the layers below, and this layer \
                                    puts a directory in its place";
                        notices.add_at(|| self.path_of(directory, &name), text);
                    }
                    _ => {}
                }
            }
        }
        Ok(changed)
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

    fn take(&mut self, directory: InodeId, mut metadata: Metadata) -> Result<bool, LayerError> {
        metadata.xattrs = self.unique(metadata.xattrs)?;
        let own = &mut self.tree.get_mut(directory).metadata;
        let differs = *own != metadata;
        if differs {
            *own = metadata;
        }
        Ok(differs)
    }

    /// Returns the path of a name in a directory, as much of its end as a person reads.
    fn path_of(&self, directory: InodeId, name: &[u8]) -> Vec<u8> {
        let mut names = vec![[name, b"/"].concat()];
        let mut here = directory;
        while here != InodeId::ROOT && names.len() < SHOWN {
            let parent = self.nodes[here.index()].parent;
            if let Kind::Directory(entries) = &self.tree.get(parent).kind
                && let Some((name, _)) = entries.iter().find(|(_, id)| **id == here)
            {
                names.push([name, &b"/"[..]].concat());
            }
            here = parent;
        }
        names.reverse();
        names.concat()
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
                options.budget.write(bytes.len() as u64)?;
                image.write(bytes)?;
            }
            offset += count as u64;
        }
        settled.tree.get_mut(id).kind = Kind::File(image.end_file()?);
    }
    Ok(())
}
