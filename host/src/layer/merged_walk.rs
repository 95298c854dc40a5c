//! A walk through the filesystem that layers show together, one inode at a time.

use std::collections::{HashMap, btree_map};
use std::sync::Arc;

use msb_erofs::{InodeId, Kind};

use super::LayerError;
use super::merge::MergedTree;
use crate::limits::{Account, Budget, Purpose};

/// Bytes of memory that a file with several names takes besides its path.
const LINK: u64 = 96;

/// A walk: directories before what is in them, names in the order of their bytes. The first name of
/// each file that has several is kept, and taken from the budget.
#[derive(Debug)]
pub struct MergedWalk<'a> {
    tree: &'a MergedTree,
    account: Account,
    firsts: HashMap<InodeId, Arc<[u8]>>,
    path: Vec<u8>,
    start: Option<InodeId>,
    way: Vec<Level<'a>>,
}

/// Where a walk is.
#[derive(Debug)]
pub struct WalkedNode<'a> {
    /// The path, without a slash at its beginning; empty for the root.
    pub path: &'a [u8],
    /// What is there.
    pub id: InodeId,
    /// The path where the walk met the same inode first, if that was another one.
    pub link_to: Option<Arc<[u8]>>,
}

/// What is left of a directory.
#[derive(Debug)]
struct Level<'a> {
    /// Bytes of its path.
    length: usize,
    names: btree_map::Iter<'a, Box<[u8]>, InodeId>,
}

impl MergedTree {
    /// Starts a walk at an inode, which has this path and comes first.
    pub fn walk(&self, path: &[u8], id: InodeId, budget: &Budget) -> MergedWalk<'_> {
        MergedWalk {
            tree: self,
            account: budget.account(),
            firsts: HashMap::new(),
            path: path.to_owned(),
            start: Some(id),
            way: Vec::new(),
        }
    }
}

impl MergedWalk<'_> {
    /// Returns where the walk comes next; `None` at the end.
    pub fn advance(&mut self) -> Result<Option<WalkedNode<'_>>, LayerError> {
        let next = match self.start.take() {
            Some(start) => Some(start),
            None => self.step(),
        };
        let Some(id) = next else {
            return Ok(None);
        };
        let mut link_to = None;
        match &self.tree.tree().get(id).kind {
            Kind::Directory(names) => self.way.push(Level {
                length: self.path.len(),
                names: names.iter(),
            }),
            _ if self.tree.nlink(id) > 1 => {
                link_to = self.firsts.get(&id).cloned();
                if link_to.is_none() {
                    let size = LINK + self.path.len() as u64;
                    self.account.take(Purpose::Links, size)?;
                    self.firsts.insert(id, self.path.as_slice().into());
                }
            }
            _ => {}
        }
        Ok(Some(WalkedNode {
            path: &self.path,
            id,
            link_to,
        }))
    }

    /// Goes on to the next name, and sets the path.
    fn step(&mut self) -> Option<InodeId> {
        while let Some(level) = self.way.last_mut() {
            if let Some((name, id)) = level.names.next() {
                self.path.truncate(level.length);
                if level.length > 0 {
                    self.path.push(b'/');
                }
                self.path.extend_from_slice(name);
                return Some(*id);
            }
            self.way.pop();
        }
        None
    }
}
