//! `image ls` and `image cat`: what lies in an image, read from its layers without mounting them.

use std::io::{self, Read};
use std::ops::ControlFlow;

use msb_erofs::{InodeId, Kind};

use super::FilesError;
use super::file_entry::FileEntry;
use super::rootfs::{Located, Rootfs, joined};
use crate::context::Context;
use crate::limits::{Limits, Purpose};
use crate::store::Store;

/// A file of an image, to be read. Its layers stay in the store until this is dropped.
#[derive(Debug)]
pub struct ImageFile {
    entry: FileEntry,
    rootfs: Rootfs,
    id: InodeId,
    offset: u64,
}

impl ImageFile {
    /// Returns what the image says of it. Its path has no symbolic links.
    pub fn entry(&self) -> &FileEntry {
        &self.entry
    }
}

impl Read for ImageFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(mut file) = self.rootfs.tree.open(self.id) else {
            return Ok(0);
        };
        file.seek(self.offset);
        let count = file.read(buffer)?;
        self.offset += count as u64;
        Ok(count)
    }
}

/// Returns what lies in a directory of the image that `selector` names, sorted; of anything else, that
/// alone. A symbolic link to a directory is followed.
pub fn list_files(
    store: &Store,
    selector: &str,
    path: &[u8],
    limits: &Limits,
    context: &Context,
) -> Result<Vec<FileEntry>, FilesError> {
    let rootfs = Rootfs::open(store, selector, limits, context)?;
    let Located { path, id } = directory_or_link(&rootfs, path)?;
    let Kind::Directory(names) = rootfs.kind(id) else {
        return Ok(vec![FileEntry::of(&rootfs.tree, &path, None, id)]);
    };
    let mut entries = Vec::with_capacity(names.len());
    let mut account = rootfs.budget.account();
    for (name, id) in names {
        context.cancel.check()?;
        let entry = FileEntry::of(&rootfs.tree, &joined(&path, name), None, *id);
        account.take(Purpose::Inodes, entry.memory())?;
        entries.push(entry);
    }
    Ok(entries)
}

/// Shows everything below a path of the image that `selector` names, directories before what is in
/// them, until `visit` breaks. A symbolic link to a directory is followed at the end of the path, and
/// nowhere else. What is at the path itself is shown only if it is not a directory.
pub fn walk_files(
    store: &Store,
    selector: &str,
    path: &[u8],
    limits: &Limits,
    context: &Context,
    visit: &mut dyn FnMut(FileEntry) -> ControlFlow<()>,
) -> Result<(), FilesError> {
    let rootfs = Rootfs::open(store, selector, limits, context)?;
    let Located { path, id } = directory_or_link(&rootfs, path)?;
    let mut walk = rootfs.tree.walk(&path, id, &rootfs.budget);
    while let Some(node) = walk.advance().map_err(|error| rootfs.failed(error))? {
        context.cancel.check()?;
        if node.id == id && matches!(rootfs.kind(id), Kind::Directory(_)) {
            continue;
        }
        let entry = FileEntry::of(&rootfs.tree, node.path, node.link_to.as_deref(), node.id);
        if visit(entry).is_break() {
            break;
        }
    }
    Ok(())
}

/// Opens a file of the image that `selector` names. Symbolic links are followed as for a process whose
/// root is the image: none leads out of it.
pub fn open_file(
    store: &Store,
    selector: &str,
    path: &[u8],
    limits: &Limits,
    context: &Context,
) -> Result<ImageFile, FilesError> {
    let rootfs = Rootfs::open(store, selector, limits, context)?;
    let Located { path, id } = rootfs.locate(path, true)?;
    let entry = FileEntry::of(&rootfs.tree, &path, None, id);
    let image = rootfs.name.clone();
    match rootfs.kind(id) {
        Kind::File(_) => Ok(ImageFile {
            entry,
            rootfs,
            id,
            offset: 0,
        }),
        Kind::Directory(_) => Err(FilesError::IsADirectory { image, path }),
        _ => Err(FilesError::NotAFile {
            image,
            path,
            kind: entry.kind.noun(),
        }),
    }
}

/// Finds what a path leads to, through a symbolic link at its end only if that leads to a directory.
fn directory_or_link(rootfs: &Rootfs, path: &[u8]) -> Result<Located, FilesError> {
    let itself = rootfs.locate(path, false)?;
    match rootfs.locate(path, true) {
        Ok(target) if matches!(rootfs.kind(target.id), Kind::Directory(_)) => Ok(target),
        _ => Ok(itself),
    }
}
