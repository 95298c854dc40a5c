//! Stand-ins for archive, output and system, for tests of plugins.
//!
//! ```
//! use msb_plugin::{Archive, fake::FakeArchive};
//!
//! let archive = FakeArchive::new()
//!     .file("blobs/layer.tar", "not read by anyone")
//!     .symlink("x/layer.tar", "../blobs/layer.tar");
//! assert_eq!(archive.find("x/layer.tar").map(|entry| entry.index), Some(0));
//! ```

mod derive;
mod exchange;
mod prompt;
mod stores;
mod system;

use std::cell::RefCell;

use crate::oci::blob_path;
use crate::{
    Archive, Entry, EntryKind, Error, Filesystem, FilesystemOutput, LayerDefinition, Level,
    Measured, Metadata, NodeKind, Output, Time, sha256,
};

pub use system::{Asked, FakeSystem, bytes_of};

/// Returns the beginning of a program in ELF: `class` 2 is of 64 bits, `order` 1 is little-endian.
pub fn elf(class: u8, order: u8, machine: u16) -> Vec<u8> {
    let mut header = b"\x7fELF".to_vec();
    header.extend([class, order, 1, 0]);
    header.extend([0; 8]);
    header.extend([2, 0]);
    header.extend(if order == 1 {
        machine.to_le_bytes()
    } else {
        machine.to_be_bytes()
    });
    header
}

/// An archive in memory.
#[derive(Clone, Debug, Default)]
pub struct FakeArchive {
    entries: Vec<Entry>,
    contents: Vec<Vec<u8>>,
    layers: RefCell<Vec<LayerDefinition>>,
}

impl FakeArchive {
    /// Returns an empty archive.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file.
    #[must_use]
    pub fn file(self, path: &str, contents: impl AsRef<[u8]>) -> Self {
        self.entry(path, EntryKind::File, contents.as_ref(), None)
    }

    /// Adds a file where an OCI layout keeps the blob with these bytes.
    #[must_use]
    pub fn blob(self, contents: impl AsRef<[u8]>) -> Self {
        let path = blob_path(&sha256(contents.as_ref()));
        self.file(&path, contents)
    }

    /// Adds a file whose bytes cannot be read, as a layer that came through a pipe.
    #[must_use]
    pub fn unreadable(self, path: &str, contents: impl AsRef<[u8]>) -> Self {
        let mut archive = self.file(path, contents);
        if let Some(entry) = archive.entries.last_mut() {
            entry.readable = false;
        }
        archive
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(path, EntryKind::Symlink, &[], Some(target))
    }

    /// Adds a directory.
    #[must_use]
    pub fn directory(self, path: &str) -> Self {
        self.entry(path, EntryKind::Directory, &[], None)
    }

    /// Returns the layers that were defined, whose numbers follow those of the entries.
    pub fn layers(&self) -> Vec<LayerDefinition> {
        self.layers.borrow().clone()
    }

    /// Returns the index of the entry at a path, following links.
    pub fn index_of(&self, path: &str) -> Option<u32> {
        self.find(path).map(|entry| entry.index)
    }

    fn entry(mut self, path: &str, kind: EntryKind, contents: &[u8], target: Option<&str>) -> Self {
        self.entries.push(Entry {
            index: u32::try_from(self.entries.len()).unwrap_or(u32::MAX),
            path: path.to_owned(),
            kind,
            size: contents.len() as u64,
            target: target.map(str::to_owned),
            readable: kind == EntryKind::File,
            digest: None,
        });
        self.contents.push(contents.to_vec());
        self
    }
}

impl Archive for FakeArchive {
    fn entries(&self) -> Box<dyn Iterator<Item = Entry> + '_> {
        Box::new(self.entries.iter().cloned())
    }

    fn find(&self, path: &str) -> Option<Entry> {
        let mut path = resolve("", path)?;
        for _ in 0..40 {
            let entry = self.entries.iter().rev().find(|entry| entry.path == path)?;
            match (&entry.target, path.rsplit_once('/')) {
                (None, _) => return Some(entry.clone()),
                (Some(target), parent) => {
                    path = resolve(parent.map_or("", |(parent, _)| parent), target)?;
                }
            }
        }
        None
    }

    fn read(&self, index: u32, offset: u64, length: u32) -> Result<Vec<u8>, Error> {
        let missing = || Error::Missing(format!("there is no entry {index}"));
        let position = usize::try_from(index).map_err(|_| missing())?;
        let entry = self.entries.get(position).ok_or_else(missing)?;
        if !entry.readable {
            return Err(Error::Unsupported(format!(
                "{} is not readable",
                entry.path
            )));
        }
        let contents = self.contents.get(position).ok_or_else(missing)?;
        Ok(contents
            .iter()
            .skip(usize::try_from(offset).unwrap_or(usize::MAX))
            .take(usize::try_from(length).unwrap_or(usize::MAX).min(1 << 20))
            .copied()
            .collect())
    }
}

impl Filesystem for FakeArchive {
    fn metadata(&self) -> Box<dyn Iterator<Item = Metadata> + '_> {
        Box::new(self.entries.iter().map(|entry| Metadata {
            kind: match entry.kind {
                EntryKind::File => NodeKind::File,
                EntryKind::Directory => NodeKind::Directory,
                EntryKind::Symlink => NodeKind::Symlink,
                EntryKind::Hardlink => NodeKind::Hardlink,
                EntryKind::Other => NodeKind::Other,
            },
            mode: if entry.kind == EntryKind::Directory {
                0o755
            } else {
                0o644
            },
            uid: 0,
            gid: 0,
            modified: Time {
                seconds: 0,
                nanoseconds: 0,
            },
            device: None,
            xattrs: Vec::new(),
            exact_path: None,
            exact_target: None,
            attributes: Vec::new(),
        }))
    }

    fn define(&self, layer: &LayerDefinition) -> Result<u32, Error> {
        let mut layers = self.layers.borrow_mut();
        layers.push(layer.clone());
        Ok(u32::try_from(self.entries.len() + layers.len() - 1).unwrap_or(u32::MAX))
    }

    /// Of a layer, that of its definition: it is another one for another layer.
    fn measure(&self, index: u32) -> Result<Measured, Error> {
        let missing = || Error::Missing(format!("there is no entry {index}"));
        let position = usize::try_from(index).map_err(|_| missing())?;
        let bytes = if let Some(contents) = self.contents.get(position) {
            contents.clone()
        } else {
            let layers = self.layers.borrow();
            let layer = layers.get(position - self.contents.len());
            format!("{:?}", layer.ok_or_else(missing)?).into_bytes()
        };
        Ok(Measured {
            digest: sha256(&bytes),
            size: bytes.len() as u64,
        })
    }
}

/// Joins a path to the folder it is relative to. `None` if it leads out of the archive.
fn resolve(folder: &str, path: &str) -> Option<String> {
    let mut components: Vec<&str> = Vec::new();
    let folder = if path.starts_with('/') { "" } else { folder };
    for component in folder.split('/').chain(path.split('/')) {
        match component {
            "" | "." => {}
            ".." => {
                components.pop()?;
            }
            _ => components.push(component),
        }
    }
    Some(components.join("/"))
}

/// What was written to an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// A directory.
    Directory,
    /// A file with these bytes.
    File(Vec<u8>),
    /// A symbolic link to this target.
    Symlink(String),
    /// The layer of this number.
    Layer(u32),
    /// The filesystem that the layers of these numbers show.
    Merged(Vec<u32>),
}

/// An output in memory, in the order of the calls.
#[derive(Clone, Debug, Default)]
pub struct FakeOutput {
    /// Paths and what is there.
    pub entries: Vec<(String, Written)>,
    /// What was logged.
    pub lines: Vec<String>,
}

impl FakeOutput {
    /// Returns an empty output.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the paths in the order they were written in.
    pub fn paths(&self) -> Vec<&str> {
        self.entries.iter().map(|(path, _)| path.as_str()).collect()
    }

    /// Returns the bytes of a file.
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        self.entries.iter().find_map(|(at, written)| match written {
            Written::File(bytes) if at == path => Some(bytes.as_slice()),
            _ => None,
        })
    }

    /// Returns a file as JSON, `null` if it is not there or not JSON.
    pub fn json(&self, path: &str) -> serde_json::Value {
        self.file(path)
            .and_then(|bytes| serde_json::from_slice(bytes).ok())
            .unwrap_or_default()
    }

    /// Returns the archive that was written, with `layer <number>` in place of layers.
    pub fn to_archive(&self) -> FakeArchive {
        self.entries.iter().fold(
            FakeArchive::new(),
            |archive, (path, written)| match written {
                Written::Directory | Written::Merged(_) => archive.directory(path),
                Written::File(bytes) => archive.file(path, bytes),
                Written::Symlink(target) => archive.symlink(path, target),
                Written::Layer(number) => archive.file(path, format!("layer {number}")),
            },
        )
    }

    fn put(&mut self, path: &str, written: Written) -> Result<(), Error> {
        if self.entries.iter().any(|(present, _)| present == path) {
            return Err(Error::Malformed(format!("{path} was written before")));
        }
        self.entries.push((path.to_owned(), written));
        Ok(())
    }
}

impl FilesystemOutput for FakeOutput {
    fn put_merged(&mut self, prefix: &str, layers: &[u32]) -> Result<(), Error> {
        self.put(prefix, Written::Merged(layers.to_vec()))
    }
}

impl Output for FakeOutput {
    fn put_directory(&mut self, path: &str) -> Result<(), Error> {
        self.put(path, Written::Directory)
    }

    fn put_file(&mut self, path: &str, contents: &[u8]) -> Result<(), Error> {
        self.put(path, Written::File(contents.to_vec()))
    }

    fn put_symlink(&mut self, path: &str, target: &str) -> Result<(), Error> {
        self.put(path, Written::Symlink(target.to_owned()))
    }

    fn put_layer(&mut self, path: &str, layer: u32) -> Result<(), Error> {
        self.put(path, Written::Layer(layer))
    }

    fn log(&mut self, _: Level, message: &str) {
        self.lines.push(message.to_owned());
    }
}
