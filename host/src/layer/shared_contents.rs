//! Files that have their contents in common, while an image with all contents is written.
//!
//! Owns which file of the merged filesystem was the first at its place in a layer. Contents are not
//! compared here: what lies at one place is the same.

use std::collections::HashMap;

use msb_erofs::{Extent, InodeId, Tree};

/// Places that are remembered at most, whatever memory there is: the same layers give the same image. They
/// take 8 MiB, and half of that again while the table grows for the last time.
const PLACES_MAX: usize = (1 << 18) / 8 * 7;

/// Files by the places of their contents.
#[derive(Debug, Default)]
pub(super) struct SharedContents {
    /// The first file at each place: layer, first block, size.
    first: HashMap<(u16, u32, u64), InodeId>,
    /// Each other one, with the first.
    others: Vec<(InodeId, InodeId)>,
}

impl SharedContents {
    /// Returns whether another file has the contents of this one, and will be written for both.
    pub(super) fn has(&mut self, id: InodeId, source: Extent) -> bool {
        let place = (source.device, source.block, source.size);
        if let Some(first) = self.first.get(&place) {
            self.others.push((id, *first));
            return true;
        }
        if self.first.len() < PLACES_MAX {
            self.first.insert(place, id);
        }
        false
    }

    /// Gives each file the contents of the first one, once that is written.
    pub(super) fn apply(self, tree: &mut Tree) {
        for (id, first) in self.others {
            tree.get_mut(id).kind = tree.get(first).kind.clone();
        }
    }
}
