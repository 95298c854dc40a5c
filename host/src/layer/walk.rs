//! The way from a path to a directory of the tree, through symbolic links of the same layer.

use msb_erofs::{InodeId, Kind};

use super::LayerError;
use super::path::{AUFS_LINKS, check_name, components};
use super::tree::{LayerTree, Located};
use crate::limits::{Limit, Limits};

/// Symbolic links that are followed on the way to one path, as in Linux.
const MAX_LINKS: usize = 40;

/// How many names may still be looked up on the way along paths: as many as the headers of the tar have
/// bytes, and besides as many as the layer may have entries. Paths that stand in their headers never
/// need more; a global path, or symbolic links that lead through others, could make each entry a long
/// way.
#[derive(Debug)]
pub(super) struct Steps {
    left: u64,
    max: u64,
}

impl Steps {
    pub(super) fn within(limits: &Limits) -> Self {
        Self {
            left: limits.entries,
            max: limits.entries,
        }
    }

    /// Takes note of bytes of headers that have come.
    pub(super) fn allow(&mut self, bytes: u64) {
        self.left = self.left.saturating_add(bytes);
    }

    /// Takes one step.
    pub(super) fn take(&mut self) -> Result<(), LayerError> {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(LayerError::Limit {
                what: "names to look up on the ways along its paths, besides those in its headers",
                max: self.max,
                limit: Limit::Entries,
            }),
        }
    }
}

/// The last way that was gone: entries of one directory mostly come together, and those of its
/// neighbours next. Holds as long as names are only added to the tree.
#[derive(Default)]
pub(super) struct Recent {
    path: Vec<u8>,
    /// Where each name of the path ends in it, and the directory that it leads to.
    steps: Vec<(usize, InodeId)>,
}

impl Recent {
    pub(super) fn clear(&mut self) {
        self.path.clear();
        self.steps.clear();
    }

    /// Goes back to where the way to a clean path is still the same. Returns that directory and
    /// the rest of the path.
    fn back_to<'a>(&mut self, path: &'a [u8]) -> (InodeId, &'a [u8]) {
        // Mostly all of it is the same, which takes no look at each byte.
        let same = if path.starts_with(&self.path) {
            self.path.len()
        } else {
            let pairs = self.path.iter().zip(path);
            pairs.take_while(|(here, there)| here == there).count()
        };
        let ends = |end: usize| matches!(path.get(end), None | Some(b'/'));
        while let Some((end, id)) = self.steps.last().copied() {
            if end <= same && ends(end) {
                self.path.truncate(end);
                return (id, path.get(end..).unwrap_or_default());
            }
            self.steps.pop();
        }
        self.path.clear();
        (InodeId::ROOT, path)
    }

    fn step(&mut self, name: &[u8], id: InodeId) {
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name);
        self.steps.push((self.path.len(), id));
    }
}

impl LayerTree {
    /// Follows a clean path of directories from the root, inside of which it stays. Makes those
    /// that are missing if asked to; else it returns the name that is missing.
    ///
    /// # Errors
    /// A way through too many symbolic links, which names the path of the `entry`.
    pub(super) fn walk(
        &mut self,
        entry: &[u8],
        path: &[u8],
        create: bool,
    ) -> Result<Located, LayerError> {
        let way = usize::from(!create);
        let (mut here, rest) = self.recent[way].back_to(path);
        let mut links = 0;
        let mut recording = true;
        for name in components(rest) {
            self.steps.take()?;
            let steps = self.recent[way].steps.len();
            here = match self.enter(entry, here, name, create, &mut links)? {
                Located::At(next) => next,
                missing @ Located::Missing(_) => return Ok(missing),
            };
            // A directory that took the place of something else made the steps worthless.
            recording &= self.recent[way].steps.len() == steps;
            if recording {
                self.recent[way].step(name, here);
            }
        }
        Ok(Located::At(here))
    }

    /// Goes from a directory to the one that a name in it leads to, perhaps through links.
    fn enter(
        &mut self,
        entry: &[u8],
        start: InodeId,
        name: &[u8],
        create: bool,
        links: &mut usize,
    ) -> Result<Located, LayerError> {
        if let Some(child) = self.child(start, name)
            && self.is_directory(child)
        {
            return Ok(Located::At(child));
        }
        let mut here = start;
        let mut ahead: Vec<Box<[u8]>> = vec![name.into()];
        while let Some(name) = ahead.pop() {
            self.steps.take()?;
            if *name == *b".." {
                here = self.nodes[here.index()].parent;
                continue;
            }
            let child = self.child(here, &name);
            match child.map(|child| (child, &self.tree.get(child).kind)) {
                Some((child, Kind::Directory(_))) => here = child,
                Some((_, Kind::Symlink(target))) => {
                    *links += 1;
                    if *links > MAX_LINKS {
                        return Err(LayerError::entry(
                            entry,
                            "its path leads through too many symbolic links",
                        ));
                    }
                    if target.starts_with(b"/") {
                        here = InodeId::ROOT;
                    }
                    ahead.extend(components(target).rev().map(Box::from));
                }
                _ if !create => return Ok(Located::Missing((here, name))),
                // Nobody mentioned this directory, or something else was there that gives way.
                _ => {
                    check_name(entry, &name)?;
                    let id = self.add_implied(entry)?;
                    if *name == *AUFS_LINKS {
                        self.hidden.push((here, name.clone()));
                    }
                    self.set_name(here, &name, id)?;
                    here = id;
                }
            }
        }
        Ok(Located::At(here))
    }
}
