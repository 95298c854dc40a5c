//! Hard links to what comes later in the layer, or lies in the layers below.
//!
//! Owns the waiting. When a link is read whose target the layer does not have yet, the target is that of
//! the layers below, if they have it: what comes later under the same path is another file. Engines
//! that unpack a layer entry by entry link so, and have nothing else to link to. Whether the layers
//! below have it shows at the end, so an inode holds the place of the link until then: what comes later
//! replaces it like any other. If they do not, the link waits for the one name that is missing on the
//! way to its target, and is looked at again when that name comes. So time grows with the number of
//! links, in whatever order they stand.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use msb_erofs::{Inode, InodeId, Kind, Metadata};

use super::LayerError;
use super::path::split;
use super::tree::{LayerTree, Located};
use crate::cancel::Cancel;

/// A name in a directory.
type Name = (InodeId, Box<[u8]>);

/// A hard link that waits.
#[derive(Debug)]
pub(super) struct Deferred {
    /// Its place among those that wait.
    pub(super) number: usize,
    pub(super) path: Box<[u8]>,
    /// As written; links to the same path share it.
    pub(super) target: Arc<[u8]>,
    /// The inode that holds its place.
    place: InodeId,
    /// The names that this inode was given. Some may lead to other inodes by now.
    names: Vec<Name>,
    /// Nothing that came before it in the layer hid the target from the layers below.
    pub(super) showed_below: bool,
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

    fn add(&mut self, (directory, name): Name, link: Deferred) {
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
    /// Gives a link a place whose target is not there.
    pub(super) fn defer(
        &mut self,
        path: &[u8],
        (parent, name): (InodeId, &[u8]),
        target: &[u8],
    ) -> Result<(), LayerError> {
        self.account_for_link(path)?;
        let showed_below = {
            let clean = self.targets.clean(target);
            self.shows_below(&clean, &BTreeSet::new())?
        };
        let target = self.kept_target(target)?;
        let holder = Inode {
            metadata: Metadata::default(),
            kind: Kind::Fifo,
        };
        let place = self.add(path, holder, false)?;
        self.set_name(parent, name, place)?;
        let number = self.deferred.len();
        self.places.insert(place, number);
        self.deferred.push(Deferred {
            number,
            path: path.into(),
            target,
            place,
            names: vec![(parent, name.into())],
            showed_below,
        });
        Ok(())
    }

    /// Takes note of one more name of what may be the place of a link that waits.
    pub(super) fn share_place(
        &mut self,
        id: InodeId,
        (parent, name): (InodeId, &[u8]),
    ) -> Result<(), LayerError> {
        if let Some(number) = self.places.get(&id).copied() {
            self.account_for_link(name)?;
            if let Some(link) = self.deferred.get_mut(number) {
                link.names.push((parent, name.into()));
            }
        }
        Ok(())
    }

    /// Takes the links that wait and that nothing has replaced.
    pub(super) fn take_deferred(&mut self) -> Vec<Deferred> {
        let mut deferred = std::mem::take(&mut self.deferred);
        deferred.retain(|link| self.nodes[link.place.index()].links > 0);
        deferred
    }

    /// Links to what came later. Returns those that lead to nothing that the layer has.
    ///
    /// # Errors
    /// A link to a directory, unless the layers below are not known: they may have a file there.
    pub(super) fn link_within(
        &mut self,
        open: Vec<Deferred>,
        is_final: bool,
        cancel: &Cancel,
    ) -> Result<Vec<Deferred>, LayerError> {
        let mut ready = VecDeque::from(open);
        let mut to_directories = Vec::new();
        while let Some(link) = ready.pop_front() {
            cancel.check()?;
            self.waiting.looks += 1;
            let target = self.targets.clean(&link.target);
            match self.settled(&target)? {
                Located::At(id) if !self.is_directory(id) => self.put_in_place(&link, id)?,
                Located::At(_) if is_final => return Err(to_directory(&link.path)),
                Located::At(_) => to_directories.push(link),
                Located::Missing(name) => self.waiting.add(name, link),
            }
            ready.extend(self.waiting.woken.drain(..));
        }
        let mut rest = self.waiting.take_rest();
        rest.extend(to_directories);
        Ok(rest)
    }

    /// Takes away the names of links that lead to nothing.
    pub(super) fn remove_links(&mut self, links: &[Deferred]) {
        for link in links {
            for (directory, name) in &link.names {
                if self.child(*directory, name) == Some(link.place) {
                    self.remove_name(*directory, name);
                }
            }
        }
    }

    /// Returns what a clean path leads to. The place of a link that waits is nothing yet.
    fn settled(&mut self, path: &[u8]) -> Result<Located, LayerError> {
        let found = self.locate(path)?;
        let Located::At(id) = found else {
            return Ok(found);
        };
        if !self.places.contains_key(&id) {
            return Ok(found);
        }
        let (above, name) = split(path);
        Ok(match self.walk(path, above, false)? {
            Located::At(directory) => Located::Missing((directory, name.into())),
            missing @ Located::Missing(_) => missing,
        })
    }

    /// Makes all names of a link lead to an inode that is not a directory.
    pub(super) fn put_in_place(&mut self, link: &Deferred, id: InodeId) -> Result<(), LayerError> {
        for (directory, name) in &link.names {
            if self.child(*directory, name) == Some(link.place) {
                self.set_name(*directory, name, id)?;
            }
        }
        Ok(())
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
    use msb_erofs::Extent;

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
        let deferred = tree.take_deferred();
        let rest = tree.link_within(deferred, true, &Cancel::default());
        let rest = rest.unwrap();
        let names: usize = rest.iter().map(|link| link.names.len()).sum();
        assert_eq!(names, if has_file { 0 } else { links });
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
