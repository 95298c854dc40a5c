//! What format plugins learn of entries besides their contents, and the layers that they put together
//! from entries.
//!
//! Owns the translation and the size of an answer. What a layer is, and its bytes, are the business
//! of [`crate::archive`].

use std::sync::Arc;

use msb_erofs::Timestamp;

use crate::archive::{EntryChange, EntryMetadata, NodeKind};
use crate::plugin::bindings::msb::plugin::{source_layers, source_metadata, types};
use crate::plugin::guest::Guest;

/// Entries in one answer.
const MAX_PAGE: u32 = 4096;
/// Bytes of extended attributes and names in one answer, past which it has no further entry.
const MAX_BYTES: usize = 1 << 20;

impl source_metadata::Host for Guest {
    fn metadata_of(
        &mut self,
        first: u32,
        limit: u32,
    ) -> wasmtime::Result<Vec<source_metadata::Metadata>> {
        self.host(|guest| {
            let mut page = Vec::new();
            let Some(source) = guest.source.as_deref() else {
                return page;
            };
            let mut bytes = 0;
            for number in first..first.saturating_add(limit.min(MAX_PAGE)) {
                let Some(metadata) = source.metadata(number) else {
                    break;
                };
                bytes += size(&metadata);
                if bytes > MAX_BYTES && !page.is_empty() {
                    break;
                }
                page.push(metadata.into());
            }
            page
        })
    }
}

/// Returns how many bytes of an answer are decided by the archive.
fn size(metadata: &EntryMetadata) -> usize {
    let names = metadata.exact.as_deref();
    let names = names.map_or(0, |exact| exact.path.len() + exact.target.len());
    let xattrs = metadata.xattrs.iter();
    names + xattrs.fold(0, |sum, (name, value)| sum + name.len() + value.len())
}

impl From<EntryMetadata> for source_metadata::Metadata {
    fn from(metadata: EntryMetadata) -> Self {
        let EntryMetadata {
            kind,
            mode,
            uid,
            gid,
            mtime,
            device,
            xattrs,
            exact,
        } = metadata;
        let is_device = matches!(kind, NodeKind::CharDevice | NodeKind::BlockDevice);
        let is_link = matches!(kind, NodeKind::Symlink | NodeKind::Hardlink);
        Self {
            kind: match kind {
                NodeKind::File => source_metadata::NodeKind::File,
                NodeKind::Directory => source_metadata::NodeKind::Directory,
                NodeKind::Symlink => source_metadata::NodeKind::Symlink,
                NodeKind::Hardlink => source_metadata::NodeKind::Hardlink,
                NodeKind::CharDevice => source_metadata::NodeKind::CharacterDevice,
                NodeKind::BlockDevice => source_metadata::NodeKind::BlockDevice,
                NodeKind::Fifo => source_metadata::NodeKind::Fifo,
                NodeKind::Other => source_metadata::NodeKind::Other,
            },
            mode: mode.into(),
            uid,
            gid,
            modified: source_metadata::Time {
                seconds: mtime.seconds,
                nanoseconds: mtime.nanoseconds,
            },
            device: is_device.then_some((device.major, device.minor)),
            xattrs: xattrs
                .iter()
                .map(|(name, value)| source_metadata::Xattr {
                    name: String::from_utf8_lossy(name).into_owned(),
                    value: value.to_vec(),
                })
                .collect(),
            exact_path: exact.as_deref().map(|exact| exact.path.clone()),
            exact_target: exact
                .as_deref()
                .filter(|_| is_link)
                .map(|exact| exact.target.clone()),
            attributes: Vec::new(),
        }
    }
}

impl From<source_layers::Change> for (u32, EntryChange) {
    fn from(change: source_layers::Change) -> Self {
        let time = |time: source_metadata::Time| Timestamp {
            seconds: time.seconds,
            nanoseconds: time.nanoseconds,
        };
        let xattrs = |xattrs: Vec<source_metadata::Xattr>| {
            let pairs = xattrs.into_iter().map(|xattr| {
                let name: Arc<[u8]> = xattr.name.into_bytes().into();
                (name, xattr.value.into())
            });
            // In the order of their names, so that equal sets give equal bytes.
            let pairs: std::collections::BTreeMap<Arc<[u8]>, Arc<[u8]>> = pairs.collect();
            Arc::new(pairs.into_iter().collect())
        };
        let changed = EntryChange {
            path: change.path,
            mode: change.mode,
            uid: change.uid,
            gid: change.gid,
            mtime: change.modified.map(time),
            xattrs: change.xattrs.map(xattrs),
        };
        (change.entry, changed)
    }
}

impl source_layers::Host for Guest {
    fn define(
        &mut self,
        layer: source_layers::LayerDefinition,
    ) -> wasmtime::Result<Result<u32, types::Error>> {
        self.host(|guest| {
            let Some(source) = guest.source.clone() else {
                return Err(no_input());
            };
            let runs = layer.entries.iter().map(|run| (run.first, run.count));
            let runs = runs.collect();
            let changes = layer.changes.into_iter().map(Into::into).collect();
            let cancel = guest.meter.cancel().clone();
            guest
                .defined
                .define(&source, runs, &layer.strip_prefix, changes, &cancel)
                .map_err(|error| guest.fail(error))
        })
    }

    fn measure(
        &mut self,
        index: u32,
    ) -> wasmtime::Result<Result<source_layers::Measured, types::Error>> {
        self.host(|guest| {
            let Some(source) = guest.source.clone() else {
                return Err(no_input());
            };
            let cancel = guest.meter.cancel().clone();
            match guest.defined.measure(&source, index, &cancel) {
                Ok(measured) => Ok(source_layers::Measured {
                    digest: measured.digest.to_string(),
                    size: measured.size,
                }),
                Err(error) => Err(guest.fail(error)),
            }
        })
    }
}

fn no_input() -> types::Error {
    types::Error::Unsupported("there is no input in this operation".to_owned())
}
