//! The names of the layers below, as far as they have been looked up.
//!
//! Owns an index of directories by name, over all layers at once: each directory of each layer is
//! read once, when a name in it is looked for, and a name is found without asking every layer. So
//! a hundred layers over each other cost no more than the sum of what they hold.

use std::collections::HashMap;

use msb_erofs::{FileType, Nid};

use super::lower::{LowerDirectory, LowerInode, LowerNode, Stack};
use super::overlay::is_whiteout;
use super::{LayerError, overlay};
use crate::limits::{Account, Budget, Purpose};

/// Bytes of memory that a name takes, and a place where it stands.
const NAME: u64 = 144;
const PLACE: u64 = 40;

/// A name in the index: that of the root, or of something in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Directory(u32);

/// The index.
#[derive(Debug)]
pub(super) struct Names {
    known: Vec<Name>,
    children: HashMap<u32, HashMap<Box<[u8]>, u32>>,
    account: Account,
    /// How many directories were read, for tests.
    read: usize,
}

/// What one name leads to in the layers that have it.
#[derive(Debug, Default)]
struct Name {
    /// The bottom one first.
    places: Vec<NameSlot>,
    /// How many of the places, or of layers in the case of the root, have their names in the index.
    read: usize,
}

#[derive(Clone, Copy, Debug)]
struct NameSlot {
    layer: u32,
    nid: Nid,
    file_type: FileType,
    /// The lowest layer that shows in this directory, once it has been looked up.
    from: Option<u32>,
}

impl Names {
    /// The root directory.
    pub(super) const ROOT: Directory = Directory(0);

    pub(super) fn new(budget: &Budget) -> Self {
        Self {
            known: vec![Name::default()],
            children: HashMap::new(),
            account: budget.account(),
            read: 0,
        }
    }

    /// Returns what a name in a directory leads to in the lowest layers, so many of them.
    pub(super) fn child(
        &mut self,
        stack: &Stack,
        depth: u32,
        directory: &LowerDirectory,
        name: &[u8],
    ) -> Result<Option<LowerNode>, LayerError> {
        let Directory(number) = directory.names;
        self.read(stack, depth, number)?;
        let names = self.children.get(&number);
        match names.and_then(|names| names.get(name)) {
            Some(child) => self.shown_by(stack, depth, directory, *child),
            None => Ok(None),
        }
    }

    /// Returns the names that a directory shows, sorted.
    pub(super) fn shown(
        &mut self,
        stack: &Stack,
        depth: u32,
        directory: &LowerDirectory,
    ) -> Result<Vec<Box<[u8]>>, LayerError> {
        let Directory(number) = directory.names;
        self.read(stack, depth, number)?;
        let names = self.children.remove(&number).unwrap_or_default();
        let mut shown = Vec::new();
        let mut outcome = Ok(());
        for (name, child) in &names {
            match self.shown_by(stack, depth, directory, *child) {
                Ok(Some(_)) => shown.push(name.clone()),
                Ok(None) => {}
                Err(error) => outcome = Err(error),
            }
        }
        self.children.insert(number, names);
        outcome?;
        shown.sort_unstable();
        Ok(shown)
    }

    /// Returns what a name leads to in a directory.
    fn shown_by(
        &mut self,
        stack: &Stack,
        depth: u32,
        directory: &LowerDirectory,
        child: u32,
    ) -> Result<Option<LowerNode>, LayerError> {
        let places = &self.known[child as usize].places;
        let end = places.partition_point(|place| place.layer < depth);
        let Some(top) = end.checked_sub(1) else {
            return Ok(None);
        };
        let NameSlot {
            layer,
            nid,
            file_type,
            ..
        } = places[top];
        if layer < directory.from {
            return Ok(None);
        }
        if file_type != FileType::Directory {
            let info = stack.image(layer)?.inode(nid)?;
            let other = LowerNode::Other(LowerInode { layer, info });
            return Ok((!is_whiteout(&info)).then_some(other));
        }
        Ok(Some(LowerNode::Directory(LowerDirectory {
            names: Directory(child),
            layer,
            nid,
            from: self.from(stack, child, top)?.max(directory.from),
        })))
    }

    /// Returns the lowest layer that shows in a directory of a name. Remembers it for all that lie
    /// in between.
    fn from(&mut self, stack: &Stack, name: u32, top: usize) -> Result<u32, LayerError> {
        let places = &mut self.known[name as usize].places;
        let mut bottom = top;
        let from = loop {
            let place = places[bottom];
            if let Some(from) = place.from {
                break from;
            }
            let below = bottom.checked_sub(1).map(|below| places[below].file_type);
            if below != Some(FileType::Directory) || is_opaque(stack, &place)? {
                break place.layer;
            }
            bottom -= 1;
        };
        for place in &mut places[bottom..=top] {
            place.from = Some(from);
        }
        Ok(from)
    }

    /// Puts the names of a directory in the index, those of the lowest layers that are not there.
    fn read(&mut self, stack: &Stack, depth: u32, number: u32) -> Result<(), LayerError> {
        loop {
            let name = &self.known[number as usize];
            let (layer, nid) = if number == Self::ROOT.0 {
                let layer = u32::try_from(name.read).unwrap_or(u32::MAX);
                if layer >= depth {
                    return Ok(());
                }
                (layer, None)
            } else {
                match name.places.get(name.read) {
                    Some(place) if place.layer < depth => {
                        let is_directory = place.file_type == FileType::Directory;
                        if !is_directory {
                            self.known[number as usize].read += 1;
                            continue;
                        }
                        (place.layer, Some(place.nid))
                    }
                    _ => return Ok(()),
                }
            };
            self.read += 1;
            let image = stack.image(layer)?;
            let info = image.inode(nid.unwrap_or(image.root()))?;
            let entries = image.entries(&info)?;
            for entry in entries {
                let names = self.children.entry(number).or_default();
                let child = if let Some(child) = names.get(&entry.name) {
                    *child
                } else {
                    let size = NAME + entry.name.len() as u64;
                    self.account.take(Purpose::LowerNames, size)?;
                    let child = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
                    self.known.push(Name::default());
                    names.insert(entry.name, child);
                    child
                };
                self.account.take(Purpose::LowerNames, PLACE)?;
                self.known[child as usize].places.push(NameSlot {
                    layer,
                    nid: entry.nid,
                    file_type: entry.file_type,
                    from: None,
                });
            }
            self.known[number as usize].read += 1;
        }
    }
}

fn is_opaque(stack: &Stack, place: &NameSlot) -> Result<bool, LayerError> {
    let image = stack.image(place.layer)?;
    let xattrs = image.xattrs(&image.inode(place.nid)?)?;
    Ok(overlay::is_opaque(&xattrs))
}
