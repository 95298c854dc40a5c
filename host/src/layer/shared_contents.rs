//! Files that have their contents in common, while an image with all contents is written.
//!
//! Owns which file of the merged filesystem was the first at its place in a layer. Contents are not
//! compared here: what lies at one place is the same.

use std::collections::HashMap;

use msb_erofs::{Extent, InodeId, Tree};

use crate::limits::{Budget, Spare};

/// Bytes of memory that a place takes, the room to grow counted.
const PLACE: u64 = 64;

/// Files by the places of their contents.
#[derive(Debug)]
pub(super) struct SharedContents {
    /// The first file at each place: layer, first block, size. `None` once memory is short.
    first: Option<HashMap<(u16, u32, u64), InodeId>>,
    memory: Spare,
    /// Each other one, with the first.
    others: Vec<(InodeId, InodeId)>,
}

impl SharedContents {
    pub(super) fn new(budget: &Budget) -> Self {
        Self {
            first: Some(HashMap::new()),
            memory: budget.spare(),
            others: Vec::new(),
        }
    }

    /// Returns whether another file has the contents of this one, and will be written for both.
    pub(super) fn has(&mut self, id: InodeId, source: Extent) -> bool {
        let Some(known) = &mut self.first else {
            return false;
        };
        let key = (source.device, source.block, source.size);
        if let Some(first) = known.get(&key) {
            self.others.push((id, *first));
            return true;
        }
        known.insert(key, id);
        if !self.memory.hold(known.len() as u64 * PLACE) {
            self.first = None;
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
