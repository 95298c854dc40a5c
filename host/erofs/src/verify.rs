//! The check of a whole image.
//!
//! Owns everything that the kernel, `fsck.erofs` or another reader could trip over, and what only
//! msb promises: counts of names and inodes that are right, no byte in two places, unless all data of
//! two files is the same, zeros wherever nothing is, the features of the writer of this room and no
//! others. The contents of files are not judged: the format has no checksum for them, and compressed
//! ones are not decompressed.

mod inode_rules;
mod space;
mod superblock;

use std::collections::{BTreeSet, HashMap};

use super::device::{blocks_of, table_end};
use super::finding::{Finding, FsckReport, rule};
use super::format::{BLOCK_SIZE, DataLayout, FileType, Nid};
use super::inode::InodeInfo;
use super::load::Budget;
use super::raw::INODE_SIZE;
use super::reader::Image;
use super::source::ReadAt;
use super::{ErofsError, xattr};

use inode_rules::broken_rule;

/// How many names at the end of a path a finding shows.
const PATH_NAMES: usize = 64;

/// Checks an image. What is wrong with the image is in the report.
///
/// # Errors
/// Only a source that cannot be read is an error.
pub fn verify<R: ReadAt>(source: R) -> Result<FsckReport, ErofsError> {
    verify_as(source, true)
}

/// Checks an image that another program has written: everything that the kernel or another reader could
/// trip over, and nothing of what only msb promises. It may have no other features than ours, and no
/// devices.
///
/// # Errors
/// Only a source that cannot be read is an error.
pub fn verify_foreign<R: ReadAt>(source: R) -> Result<FsckReport, ErofsError> {
    verify_as(source, false)
}

fn verify_as<R: ReadAt>(source: R, is_own: bool) -> Result<FsckReport, ErofsError> {
    let mut report = FsckReport::default();
    let (image, block) = match Image::load(source) {
        Ok(loaded) => loaded,
        Err(error) => {
            let (nid, what) = rule(error)?;
            report.add(|| Finding {
                nid,
                path: None,
                what,
            });
            return Ok(report);
        }
    };
    let mut check = Check {
        is_own,
        budget: Budget::new(&image),
        image,
        report,
        seen: HashMap::new(),
        directories: Vec::new(),
        shared: HashMap::new(),
        has_compressed: false,
        used: vec![(0, BLOCK_SIZE)],
        data: Vec::new(),
    };
    let table = table_end(check.image.devices().len());
    if table > BLOCK_SIZE {
        check.used.push((BLOCK_SIZE, table));
    }
    check.superblock(&block);
    check.devices()?;
    check.walk()?;
    if is_own {
        check.counts();
    }
    check.space()?;
    Ok(check.report)
}

/// A check under way.
struct Check<R> {
    /// What only msb promises is checked as well.
    is_own: bool,
    image: Image<R>,
    budget: Budget,
    report: FsckReport,
    seen: HashMap<Nid, Seen>,
    /// Every directory that was reached: the index of the one that holds it, and its name.
    directories: Vec<(usize, Box<[u8]>)>,
    /// The names of shared attributes, by their numbers.
    shared: HashMap<u32, Box<[u8]>>,
    /// A file is compressed.
    has_compressed: bool,
    /// The bytes that belong to something: first, and behind the last.
    used: Vec<(u64, u64)>,
    /// The same of the data of files.
    data: Vec<(u64, u64)>,
}

/// A name: the index of the directory that holds it, and itself. The directory, for no name.
type EntryPath<'a> = (usize, &'a [u8]);

/// An inode that was reached.
struct Seen {
    file_type: FileType,
    ino: u32,
    /// How many names it says lead to it, and how many do.
    nlink: u32,
    names: u32,
}

/// A directory that is still to be entered.
struct Pending {
    info: InodeInfo,
    parent: Nid,
    index: usize,
}

impl<R: ReadAt> Check<R> {
    /// Checks that the data of a file lies on its device.
    fn extent(&self, info: &InodeInfo) -> Result<(), ErofsError> {
        if info.layout != DataLayout::Chunked {
            return Ok(());
        }
        let Some(extent) = self.image.extent(info)? else {
            return Ok(());
        };
        let device = usize::from(extent.device).checked_sub(1);
        let device = device.and_then(|device| self.image.devices().get(device));
        let end = u64::from(extent.block) + blocks_of(extent.size);
        match device {
            Some(device) if extent.block > 0 && end <= u64::from(device.blocks) => Ok(()),
            _ => Err(info.damaged("its data lies outside of its device")),
        }
    }

    /// Enters every directory once.
    fn walk(&mut self) -> Result<(), ErofsError> {
        let nid = self.image.root();
        let mut pending = Vec::new();
        match self.image.inode(nid) {
            Ok(info) if info.file_type == FileType::Directory => {
                self.directories.push((0, Box::default()));
                self.inode(&info, 0, b"")?;
                pending.push(Pending {
                    info,
                    parent: nid,
                    index: 0,
                });
            }
            Ok(_) => self.add(Some(nid), None, "the root is not a directory"),
            Err(error) => self.add_error(error, None)?,
        }
        while let Some(directory) = pending.pop() {
            self.directory(&directory, &mut pending)?;
        }
        Ok(())
    }

    fn directory(
        &mut self,
        directory: &Pending,
        pending: &mut Vec<Pending>,
    ) -> Result<(), ErofsError> {
        let nid = directory.info.nid;
        let names = match self.image.directory(&directory.info) {
            Ok(names) => names,
            Err(error) => {
                self.add_error(error, Some((directory.index, b"")))?;
                return Ok(());
            }
        };
        if names.parent != directory.parent {
            let place = Some((directory.index, &b""[..]));
            self.add(Some(nid), place, "its `..` leads elsewhere");
        }
        for entry in names.entries {
            let place = Some((directory.index, &*entry.name));
            if let Some(seen) = self.seen.get_mut(&entry.nid) {
                seen.names = seen.names.saturating_add(1);
                if seen.file_type == FileType::Directory {
                    self.add(Some(entry.nid), place, "a second name of a directory");
                } else if seen.file_type != entry.file_type {
                    let what = "an entry has another type than its inode";
                    self.add(Some(entry.nid), place, what);
                }
                continue;
            }
            let info = match self.image.inode(entry.nid) {
                Ok(info) => info,
                Err(error) => {
                    self.add_error(error, place)?;
                    continue;
                }
            };
            if info.file_type != entry.file_type {
                let what = "an entry has another type than its inode";
                self.add(Some(entry.nid), place, what);
            }
            let affordable = self.inode(&info, directory.index, &entry.name)?;
            if info.file_type == FileType::Directory {
                if let Some(parent) = self.seen.get_mut(&nid) {
                    parent.names = parent.names.saturating_add(1);
                }
                if affordable {
                    pending.push(Pending {
                        info,
                        parent: nid,
                        index: self.directories.len(),
                    });
                    self.directories.push((directory.index, entry.name));
                }
            }
        }
        Ok(())
    }

    /// Checks an inode that is reached for the first time, but for the names in a directory.
    /// Returns whether the image is large enough for it beside all others.
    fn inode(&mut self, info: &InodeInfo, index: usize, name: &[u8]) -> Result<bool, ErofsError> {
        self.report.inodes += 1;
        let names = if info.file_type == FileType::Directory {
            2
        } else {
            1
        };
        self.seen.insert(
            info.nid,
            Seen {
                file_type: info.file_type,
                ino: info.ino,
                nlink: info.nlink,
                names,
            },
        );
        let place = Some((index, name));
        if let Err(error) = self.budget.spend(info) {
            self.add_error(error, place)?;
            return Ok(false);
        }
        let start = self.image.offset(info.nid).unwrap_or_default();
        let end = start + INODE_SIZE as u64 + info.xattr_size + info.tail();
        self.used.push((start, end));
        self.used.extend(info.index_range(start));
        let (first, last) = info.blocks();
        if first < last && info.file_type == FileType::Regular {
            self.data.push((first, last));
        } else if first < last {
            self.used.push((first, last));
        }
        match self.image.compressed_blocks(info) {
            Ok(Some((first, last))) => {
                self.has_compressed = true;
                self.data.push((first * BLOCK_SIZE, last * BLOCK_SIZE));
            }
            Ok(None) => {}
            Err(error) => self.add_error(error, place)?,
        }
        let raw = self.image.raw_inode(info.nid)?;
        if let Some(what) = broken_rule(info, start, &raw, self.is_own) {
            self.add(Some(info.nid), place, what);
        }
        let target = match info.file_type {
            FileType::Symlink => self.image.read_link(info).map(drop),
            _ => Ok(()),
        };
        for result in [target, self.extent(info), self.xattrs(info)] {
            if let Err(error) = result {
                self.add_error(error, place)?;
            }
        }
        Ok(true)
    }

    /// Checks the attributes of an inode, and each shared one the first time.
    fn xattrs(&mut self, info: &InodeInfo) -> Result<(), ErofsError> {
        let body = self.image.xattr_body(info)?;
        let body = xattr::decode(&body).map_err(|what| info.damaged(what))?;
        let mut names: BTreeSet<Box<[u8]>> =
            body.inline.into_iter().map(|(name, _)| name).collect();
        for number in body.shared {
            if !self.shared.contains_key(&number) {
                let found = self.image.shared_xattr(number)?;
                let ((name, _), place) = found.map_err(|what| info.damaged(what))?;
                self.used.push((place.start, place.end));
                self.shared.insert(number, name);
            }
            let name = self.shared.get(&number).cloned().unwrap_or_default();
            if !names.insert(name) {
                return Err(info.damaged("an attribute is there twice"));
            }
        }
        Ok(())
    }

    fn add(&mut self, nid: Option<Nid>, place: Option<EntryPath<'_>>, what: &'static str) {
        let directories = &self.directories;
        self.report.add(|| Finding {
            nid,
            path: place.map(|place| path(directories, place)),
            what,
        });
    }

    fn add_error(
        &mut self,
        error: ErofsError,
        place: Option<EntryPath<'_>>,
    ) -> Result<(), ErofsError> {
        let (nid, what) = rule(error)?;
        self.add(nid, place, what);
        Ok(())
    }
}

/// Returns the path of a place, its end alone where it is long.
fn path(directories: &[(usize, Box<[u8]>)], (mut index, name): EntryPath<'_>) -> String {
    let mut names = vec![String::from_utf8_lossy(name)];
    while let Some((parent, name)) = directories.get(index).filter(|_| index > 0) {
        if names.len() > PATH_NAMES {
            names.push("…".into());
            break;
        }
        names.push(String::from_utf8_lossy(name));
        index = *parent;
    }
    names.retain(|name| !name.is_empty());
    names.reverse();
    format!("/{}", names.join("/"))
}
