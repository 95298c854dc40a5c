//! The filesystem of an image in an archive that is being written.
//!
//! Owns the order of its members and their form. What layers show together is told by [`crate::layer`].

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use msb_erofs::Device;

use super::member::{Member, padding};
use super::output_layer::{OutputLayer, StoredFiles};
use super::{ArchiveError, NodeKind};
use crate::cancel::Cancel;
use crate::layer::{self, LayerError, LayerImages, MergedFile, MergedKind, MergedNode, MergedTree};
use crate::limits::{Budget, Limits};
use crate::progress::{Event, LayerNumber, Progress};
use crate::tar::{SparseMap, SparseRegion};

/// Bytes of a file that are read at a time.
const BUFFER: usize = 256 << 10;
/// Zeros in a row that are not written: only those of large files, where looking for them pays.
const HOLE: usize = 64 << 10;
const LARGE: u64 = 1 << 20;

/// A layer, and which of its files are right where it lies.
pub(super) struct Chosen<'a> {
    pub(super) number: LayerNumber,
    pub(super) layer: &'a OutputLayer,
    pub(super) files: &'a StoredFiles,
}

/// What is to be written.
pub(super) struct Tree<'a> {
    /// What errors call the output.
    pub(super) name: &'a str,
    /// Where in the archive; empty for its top.
    pub(super) prefix: &'a str,
    /// The bottom one first.
    pub(super) layers: &'a [Chosen<'a>],
    pub(super) progress: &'a dyn Progress,
    pub(super) cancel: &'a Cancel,
}

impl Tree<'_> {
    /// Writes everything that the layers show together.
    pub(super) fn write(&self, output: &mut dyn Write) -> Result<(), ArchiveError> {
        let budget = Budget::new(&Limits::default());
        let mut proven = HashSet::new();
        for chosen in self.layers {
            if proven.insert(&chosen.files.erofs) {
                self.prove(chosen)?;
            }
        }
        let images = LayerImages::at(self.layers.iter().map(|it| it.files.erofs.clone()));
        let mut merged = Merged {
            output,
            name: self.name,
            prefix: self.prefix.as_bytes(),
            cancel: self.cancel,
        };
        let tree = MergedTree::build(images, &budget, self.cancel).map_err(Failure::from);
        let written =
            tree.and_then(|tree| tree.each(&budget, self.cancel, &mut |node| merged.node(node)));
        written.map_err(|failure| match failure {
            Failure::Archive(error) => error,
            Failure::Layer(source) => ArchiveError::Merge { source },
        })
    }

    /// Checks that a layer is what it was when it came: its tar still has its digest.
    fn prove(&self, chosen: &Chosen<'_>) -> Result<(), ArchiveError> {
        let (number, layer, files) = (chosen.number, chosen.layer, chosen.files);
        let open = |path: &Path| {
            File::open(path).map_err(|source| ArchiveError::Open {
                path: path.to_owned(),
                source,
            })
        };
        // What was adopted cannot be proven, and is what it is.
        let Some(recipe) = &files.recipe else {
            return Ok(());
        };
        let (erofs, recipe) = (open(&files.erofs)?, open(recipe)?);
        self.progress.report(Event::LayerStarted {
            layer: number,
            name: layer.diff_id.short(),
            size: Some(layer.size),
        });
        let rebuilt = layer::rebuild(
            &erofs,
            &recipe,
            layer.diff_id.algorithm(),
            &mut io::sink(),
            self.cancel,
        );
        let rebuilt = rebuilt.map_err(|source| ArchiveError::Layer {
            diff_id: layer.diff_id.clone(),
            source,
        })?;
        if rebuilt.digest != layer.diff_id {
            return Err(ArchiveError::Damaged {
                diff_id: layer.diff_id.clone(),
                rebuilt: rebuilt.digest,
            });
        }
        self.progress.report(Event::LayerAdvanced {
            layer: number,
            bytes: layer.size,
        });
        self.progress.report(Event::LayerFinished {
            layer: number,
            diff_id: &layer.diff_id,
            already_present: false,
        });
        Ok(())
    }
}

/// Why the members end.
enum Failure {
    Archive(ArchiveError),
    Layer(LayerError),
}

impl From<LayerError> for Failure {
    fn from(error: LayerError) -> Self {
        match error {
            LayerError::Cancelled(cancelled) => Self::Archive(cancelled.into()),
            error => Self::Layer(error),
        }
    }
}

struct Merged<'a> {
    output: &'a mut dyn Write,
    name: &'a str,
    prefix: &'a [u8],
    cancel: &'a Cancel,
}

impl Merged<'_> {
    fn node(&mut self, node: MergedNode<'_>) -> Result<(), Failure> {
        let mut device = Device::default();
        let mut target = Vec::new();
        let mut file = None;
        let kind = match node.kind {
            MergedKind::Directory => NodeKind::Directory,
            MergedKind::File(contents) => {
                file = Some(contents);
                NodeKind::File
            }
            MergedKind::Hardlink(first) => {
                target = self.path(first);
                NodeKind::Hardlink
            }
            MergedKind::Symlink(leads_to) => {
                leads_to.clone_into(&mut target);
                NodeKind::Symlink
            }
            MergedKind::CharDevice(number) => {
                device = number;
                NodeKind::CharDevice
            }
            MergedKind::BlockDevice(number) => {
                device = number;
                NodeKind::BlockDevice
            }
            MergedKind::Fifo => NodeKind::Fifo,
            // No tar has any, so no layer has.
            MergedKind::Socket => return Ok(()),
        };
        let xattrs = node.metadata.xattrs.iter();
        let member = Member {
            path: self.path(node.path),
            kind,
            mode: node.metadata.permissions,
            uid: node.metadata.uid,
            gid: node.metadata.gid,
            mtime: node.metadata.mtime,
            device,
            target,
            xattrs: Arc::new(
                xattrs
                    .map(|(name, value)| (Arc::clone(name), Arc::clone(value)))
                    .collect(),
            ),
        };
        match file {
            Some(file) => self.file(&member, file),
            None => self.put(&member.header(0, None)),
        }
    }

    fn path(&self, path: &[u8]) -> Vec<u8> {
        let between: &[u8] = match (self.prefix, path) {
            ([], _) | (_, []) => b"",
            _ => b"/",
        };
        [self.prefix, between, path].concat()
    }

    fn file(&mut self, member: &Member, mut file: MergedFile<'_>) -> Result<(), Failure> {
        let size = file.size();
        let map = if size >= LARGE {
            self.map(&mut file.again())?
        } else {
            None
        };
        let stored = map.as_ref().map_or(size, |map| {
            map.regions.iter().map(|region| region.length).sum()
        });
        self.put(&member.header(stored, map.as_ref()))?;
        match &map {
            None => self.copy(&mut file, size)?,
            Some(map) => {
                for region in &map.regions {
                    file.seek(region.offset);
                    self.copy(&mut file, region.length)?;
                }
            }
        }
        let padding = usize::try_from(padding(stored)).unwrap_or(0);
        self.put(&vec![0; padding])
    }

    /// Finds where a file has data; `None` if that is everywhere. Depends on nothing but the bytes.
    fn map(&self, file: &mut MergedFile<'_>) -> Result<Option<SparseMap>, Failure> {
        let length = file.size();
        let mut regions: Vec<SparseRegion> = Vec::new();
        let mut buffer = vec![0; HOLE];
        let mut offset = 0;
        while offset < length {
            self.cancel
                .check()
                .map_err(|cancelled| Failure::Archive(cancelled.into()))?;
            let count = fill(file, &mut buffer, length - offset)?;
            let bytes = buffer.get(..count).unwrap_or_default();
            if bytes.iter().any(|byte| *byte != 0) {
                match regions.last_mut() {
                    Some(last) if last.end() == offset => last.length += count as u64,
                    _ => regions.push(SparseRegion {
                        offset,
                        length: count as u64,
                    }),
                }
            }
            offset += count as u64;
        }
        let data: u64 = regions.iter().map(|region| region.length).sum();
        Ok((data < length).then_some(SparseMap { length, regions }))
    }

    fn copy(&mut self, file: &mut MergedFile<'_>, length: u64) -> Result<(), Failure> {
        let mut buffer = vec![0; BUFFER.min(usize::try_from(length).unwrap_or(BUFFER))];
        let mut left = length;
        while left > 0 {
            self.cancel
                .check()
                .map_err(|cancelled| Failure::Archive(cancelled.into()))?;
            let count = fill(file, &mut buffer, left)?;
            self.put(buffer.get(..count).unwrap_or_default())?;
            left -= count as u64;
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.output.write_all(bytes).map_err(|source| {
            Failure::Archive(ArchiveError::Write {
                name: self.name.to_owned(),
                source,
            })
        })
    }
}

/// Reads as much as there is room for, or is left.
fn fill(file: &mut MergedFile<'_>, buffer: &mut [u8], left: u64) -> Result<usize, Failure> {
    let wanted = usize::try_from(left).unwrap_or(usize::MAX);
    let (target, _) = buffer.split_at_mut(wanted.min(buffer.len()));
    file.read_exact(target).map_err(|source| {
        Failure::Archive(ArchiveError::Read {
            name: "a file of the store".to_owned(),
            source,
        })
    })?;
    Ok(target.len())
}
