//! The writing half of the data path: from the bytes of a tar to data, tree and recipe.
//!
//! Owns what becomes of an entry. Every byte of the tar ends in exactly one of two places, as data
//! in the image or as itself in the recipe.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _};

use msb_erofs::{BLOCK_SIZE, Device, Extent, ImageWriter, Inode, Kind, Metadata};

use super::error::{LayerError, lossy};
use super::notices::Notices;
use super::path::{Cleaner, Role};
use super::pipeline::Chunks;
use super::recipe::RecipeWriter;
use super::tree::LayerTree;
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::limits::{Budget, Limit, Limits};
use crate::tar::{Entry, EntryKind, SparseMap, SparseRegion, Step, TarReader};

/// Bytes of a symbolic link's target that Linux can read.
const TARGET_MAX: usize = 4095;

/// Everything of a layer but its metadata.
pub(super) struct Written {
    pub(super) image: ImageWriter,
    pub(super) tree: LayerTree,
    pub(super) recipe: RecipeWriter,
    /// The digest of the contents, unless it is the blob's.
    pub(super) digest: Option<Digest>,
    pub(super) tar_size: u64,
    pub(super) entries: u64,
    pub(super) notices: Notices,
}

/// Writes the contents of a layer.
pub(super) fn write(
    mut chunks: Chunks,
    erofs: File,
    recipe: File,
    limits: &Limits,
    budget: &Budget,
    cancel: &Cancel,
) -> Result<Written, LayerError> {
    chunks.start();
    let mut contents = Contents {
        reader: TarReader::new(chunks, limits, budget).keeping_skeleton(),
        image: ImageWriter::new(erofs)?,
        tree: LayerTree::new(budget),
        recipe: RecipeWriter::new(recipe)?,
        notices: Notices::default(),
        paths: Cleaner::default(),
        file_bytes: 0,
        limits,
        budget,
        cancel,
    };
    contents.image.share_equal_files(cancel.token());
    let mut entries = 0;
    while let Some(step) = contents.reader.step()? {
        cancel.check()?;
        contents.keep_skeleton()?;
        let Step::Entry(entry) = step else {
            continue;
        };
        entries += 1;
        contents.check("entries", entries, Limit::Entries)?;
        contents.entry(*entry)?;
        // A path may have come with a whole row of directories.
        let all = entries + contents.tree.implied();
        contents.check("entries and directories without one", all, Limit::Entries)?;
    }
    contents.trailing()?;
    contents.image.stop_sharing();
    Ok(Written {
        tar_size: contents.reader.position(),
        digest: contents.reader.into_inner().into_digest(),
        image: contents.image,
        tree: contents.tree,
        recipe: contents.recipe,
        entries,
        notices: contents.notices,
    })
}

struct Contents<'a> {
    reader: TarReader<Chunks>,
    image: ImageWriter,
    tree: LayerTree,
    recipe: RecipeWriter,
    notices: Notices,
    paths: Cleaner,
    /// Bytes of all files, holes included.
    file_bytes: u64,
    limits: &'a Limits,
    budget: &'a Budget,
    cancel: &'a Cancel,
}

impl Contents<'_> {
    fn entry(&mut self, mut entry: Entry) -> Result<(), LayerError> {
        let written = std::mem::take(&mut entry.path);
        let path = self.paths.clean(&written);
        match path.role()? {
            Role::Node => return self.node(&path, entry),
            Role::Whiteout(victim) => self.tree.whiteout(&path, victim)?,
            Role::Opaque => self.tree.make_opaque(&path)?,
            Role::Bookkeeping => {}
            Role::Root => match entry.kind {
                EntryKind::Directory => {
                    let metadata = self.metadata(&path, &mut entry)?;
                    self.tree.set_root(metadata);
                }
                EntryKind::Other(flag) => self.note_type(&written, flag),
                _ => {
                    return Err(LayerError::entry(
                        &written,
                        "the root can only be a directory",
                    ));
                }
            },
        }
        self.skip(&path)
    }

    /// Adds something with a name to the tree.
    fn node(&mut self, path: &[u8], mut entry: Entry) -> Result<(), LayerError> {
        let kind = match entry.kind {
            EntryKind::File => Kind::File(self.file(path, &mut entry)?),
            EntryKind::Hardlink => {
                self.tree.link(path, &entry.link)?;
                return self.skip(path);
            }
            EntryKind::Symlink => Kind::Symlink(target(path, &entry.link)?),
            EntryKind::CharDevice => {
                if entry.device == Device::default() {
                    let text = "overlayfs takes a character device 0:0 for a whiteout";
                    self.notices.add(path, text);
                }
                Kind::CharDevice(device(path, entry.device)?)
            }
            EntryKind::BlockDevice => Kind::BlockDevice(device(path, entry.device)?),
            EntryKind::Directory => Kind::Directory(BTreeMap::new()),
            EntryKind::Fifo => Kind::Fifo,
            EntryKind::Other(flag) => {
                self.note_type(path, flag);
                return self.skip(path);
            }
        };
        self.skip(path)?;
        let metadata = self.metadata(path, &mut entry)?;
        self.tree.insert(path, Inode { metadata, kind })
    }

    /// Writes the data of a file to the image, and where it lies to the recipe. A file with the contents
    /// of one before lies where that one does.
    fn file(&mut self, path: &[u8], entry: &mut Entry) -> Result<Extent, LayerError> {
        let map = entry.sparse.take().unwrap_or_else(|| SparseMap {
            length: entry.size,
            regions: vec![SparseRegion {
                offset: 0,
                length: entry.size,
            }],
        });
        self.file_bytes = self.file_bytes.saturating_add(map.length);
        self.check("bytes in files", self.file_bytes, Limit::SparseBytes)?;
        let start = self.image.begin_file()?;
        let (mut end, mut written) = (0, 0);
        for region in &map.regions {
            self.image.hole(region.offset - end)?;
            let length = region.length.next_multiple_of(BLOCK_SIZE);
            self.budget.write(length)?;
            written += length;
            self.copy(path, region.length)?;
            end = region.offset + region.length;
        }
        self.image.hole(map.length - end)?;
        let extent = self.image.end_file()?;
        let place = u64::from(extent.block) * BLOCK_SIZE;
        if extent.size > 0 && place != start {
            self.budget.unwrite(written);
        }
        for region in map.regions {
            self.recipe.data(place + region.offset, region.length)?;
        }
        Ok(extent)
    }

    /// Copies payload to the image, straight out of the buffers it came in.
    fn copy(&mut self, path: &[u8], mut length: u64) -> Result<(), LayerError> {
        let mut payload = self.reader.data();
        while length > 0 {
            self.cancel.check()?;
            let held = payload.fill_buf().map_err(|error| cut_off(path, error))?;
            let wanted = usize::try_from(length).unwrap_or(usize::MAX);
            let (bytes, _) = held.split_at(wanted.min(held.len()));
            let count = bytes.len();
            self.image.write(bytes)?;
            payload.consume(count);
            length -= count as u64;
        }
        Ok(())
    }

    /// Keeps the rest of a payload that belongs to no file.
    fn skip(&mut self, path: &[u8]) -> Result<(), LayerError> {
        let mut payload = self.reader.data();
        loop {
            let held = payload.fill_buf().map_err(|error| cut_off(path, error))?;
            let count = held.len();
            if count == 0 {
                return Ok(());
            }
            self.recipe.literal(held)?;
            payload.consume(count);
            self.cancel.check()?;
        }
    }

    /// Keeps what follows the end of the archive: it is part of the digest.
    fn trailing(&mut self) -> Result<(), LayerError> {
        self.keep_skeleton()?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            self.cancel.check()?;
            let count = self.reader.read_trailing(&mut buffer)?;
            let (bytes, _) = buffer.split_at(count.min(buffer.len()));
            if bytes.is_empty() {
                return Ok(());
            }
            self.recipe.literal(bytes)?;
        }
    }

    fn keep_skeleton(&mut self) -> Result<(), LayerError> {
        let skeleton = self.reader.skeleton();
        self.recipe.literal(skeleton)?;
        self.tree.steps.allow(skeleton.len() as u64);
        skeleton.clear();
        Ok(())
    }

    fn metadata(&mut self, path: &[u8], entry: &mut Entry) -> Result<Metadata, LayerError> {
        let notices = &mut self.notices;
        let dropped = |name: &[u8]| {
            let text = format!(
                "EROFS has no place for the extended attribute `{}`; it is kept for export only",
                lossy(name),
            );
            notices.add(path, &text);
        };
        let xattrs = std::mem::take(&mut entry.xattrs);
        let xattrs = self.tree.attributes(xattrs, dropped)?;
        Ok(Metadata {
            permissions: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
            xattrs,
        })
    }

    fn note_type(&mut self, path: &[u8], flag: u8) {
        let text = format!(
            "an entry of type `{}` is nothing that a filesystem has; it is kept for export only",
            flag.escape_ascii(),
        );
        self.notices.add(path, &text);
    }

    fn check(&self, what: &'static str, value: u64, limit: Limit) -> Result<(), LayerError> {
        let max = self.limits.get(limit);
        if value > max {
            return Err(LayerError::Limit { what, max, limit });
        }
        Ok(())
    }
}

fn target(path: &[u8], link: &[u8]) -> Result<Box<[u8]>, LayerError> {
    match link.len() {
        0 => Err(LayerError::entry(path, "it is a symbolic link to nothing")),
        1..=TARGET_MAX => Ok(link.into()),
        _ => Err(LayerError::entry(
            path,
            "the target of the symbolic link is longer than 4095 bytes",
        )),
    }
}

fn device(path: &[u8], device: Device) -> Result<Device, LayerError> {
    if device.major > Device::MAJOR_MAX || device.minor > Device::MINOR_MAX {
        return Err(LayerError::entry(path, "its device number is too large"));
    }
    Ok(device)
}

/// The only error of the way between the halves is that it ends too early.
fn cut_off(path: &[u8], error: io::Error) -> LayerError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => LayerError::Truncated { path: lossy(path) },
        _ => LayerError::Read(error),
    }
}
