//! The road of one layer: from its blob to an EROFS image and a tar recipe, in one pass.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, Read};

use uuid::Uuid;

use super::LayerError;
use super::pipeline::{Chunks, InspectedBlob, Producer, channel};
use super::recipe::RecipeWriter;
use super::tree::{LayerTree, Role};
use super::xattr;
use crate::blob::Compression;
use crate::cancel::Cancel;
use crate::digest::{Algorithm, Digest};
use crate::erofs::{Extent, ImageOptions, ImageWriter, Inode, Kind, Metadata, Summary};
use crate::limits::Limits;
use crate::tar::{Entry, EntryKind, SparseRegion, TarReader};

/// Layers have UUIDs of their own namespace: version 5, of the URL namespace and this name.
const LAYER_NAMESPACE: &str = "msb:layer";

/// How to convert a layer.
pub struct ConvertOptions<'a> {
    /// What it may cost.
    pub limits: &'a Limits,
    /// Asked between buffers and entries.
    pub cancel: &'a Cancel,
    /// Told how many bytes of the blob were read since it was told last.
    pub advanced: &'a (dyn Fn(u64) + Sync),
    /// What the blob has to be: its digest, and its length where that is known.
    pub expected_blob: Option<(Digest, Option<u64>)>,
    /// What the contents have to be.
    pub expected_diff_id: Option<Digest>,
}

impl std::fmt::Debug for ConvertOptions<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ConvertOptions")
            .field("limits", self.limits)
            .field("expected_blob", &self.expected_blob)
            .field("expected_diff_id", &self.expected_diff_id)
            .finish_non_exhaustive()
    }
}

/// A layer that was converted. The files are complete and not synchronised.
#[derive(Debug)]
pub struct Converted {
    /// The digest of the blob.
    pub blob_digest: Digest,
    /// Its length.
    pub blob_size: u64,
    /// How it was compressed.
    pub compression: Compression,
    /// The digest of its contents.
    pub diff_id: Digest,
    /// Their length.
    pub tar_size: u64,
    /// The length of the EROFS image.
    pub erofs_size: u64,
    /// The length of the tar recipe.
    pub recipe_size: u64,
    /// Entries of the tar.
    pub entries: u64,
    /// What the user may want to know; untrusted text.
    pub notices: Vec<String>,
}

/// Converts a layer into two empty files.
pub fn convert(
    input: impl Read + Send,
    erofs: File,
    recipe: File,
    options: &ConvertOptions<'_>,
) -> Result<Converted, LayerError> {
    let (sender, chunks) = channel();
    let producer = Producer {
        input,
        algorithm: match &options.expected_blob {
            Some((digest, _)) => digest.algorithm(),
            None => Algorithm::Sha256,
        },
        limits: options.limits,
        cancel: options.cancel,
        advanced: options.advanced,
    };
    let (blob, written) = std::thread::scope(|scope| {
        let reading = scope.spawn(move || producer.run(&sender));
        let written = Conversion::run(chunks, erofs, recipe, options);
        let blob = reading
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (blob, written)
    });
    // A reader that failed looks like an early end to the writer, so its error comes first.
    let blob = blob?;
    let written = written?;
    finish(blob, written, options)
}

/// Checks the digests, and only then writes the metadata.
fn finish(
    blob: InspectedBlob,
    written: Written,
    options: &ConvertOptions<'_>,
) -> Result<Converted, LayerError> {
    if let Some((digest, size)) = &options.expected_blob {
        if let Some(size) = size
            && *size != blob.size
        {
            return Err(LayerError::BlobSize {
                expected: *size,
                actual: blob.size,
            });
        }
        if *digest != blob.digest {
            return Err(LayerError::BlobDigest {
                expected: digest.clone(),
                actual: blob.digest,
            });
        }
    }
    // Plain bytes are their own contents, and were hashed on their way in.
    let diff_id = written.diff_id.unwrap_or_else(|| blob.digest.clone());
    if let Some(expected) = &options.expected_diff_id
        && *expected != diff_id
    {
        return Err(LayerError::DiffId {
            expected: expected.clone(),
            actual: diff_id,
        });
    }
    let tree = written.tree.finish(None)?;
    let namespace = Uuid::new_v5(&Uuid::NAMESPACE_URL, LAYER_NAMESPACE.as_bytes());
    let image = ImageOptions {
        uuid: *Uuid::new_v5(&namespace, diff_id.to_string().as_bytes()).as_bytes(),
        build_time: 0,
    };
    let Summary { size, .. } = written.image.finish(&tree, &image)?;
    let recipe_size = written.recipe.finish(written.tar_size)?;
    Ok(Converted {
        blob_digest: blob.digest,
        blob_size: blob.size,
        compression: blob.compression,
        diff_id,
        tar_size: written.tar_size,
        erofs_size: size,
        recipe_size,
        entries: written.entries,
        notices: written.notices,
    })
}

/// Everything of a layer but its metadata.
struct Written {
    image: ImageWriter,
    tree: LayerTree,
    recipe: RecipeWriter,
    diff_id: Option<Digest>,
    tar_size: u64,
    entries: u64,
    notices: Vec<String>,
}

/// The writing half of the road.
struct Conversion<'a> {
    reader: TarReader<Chunks>,
    image: ImageWriter,
    tree: LayerTree,
    recipe: RecipeWriter,
    notices: Vec<String>,
    options: &'a ConvertOptions<'a>,
}

impl Conversion<'_> {
    fn run(
        mut chunks: Chunks,
        erofs: File,
        recipe: File,
        options: &ConvertOptions<'_>,
    ) -> Result<Written, LayerError> {
        chunks.start();
        let mut conversion = Conversion {
            reader: TarReader::new(chunks, options.limits).keeping_skeleton(),
            image: ImageWriter::new(erofs)?,
            tree: LayerTree::new(),
            recipe: RecipeWriter::new(recipe)?,
            notices: Vec::new(),
            options,
        };
        let mut entries = 0;
        while let Some(entry) = conversion.reader.next_entry()? {
            options.cancel.check()?;
            entries += 1;
            if entries > options.limits.entries {
                return Err(limit("entries", options.limits.entries, "entries"));
            }
            conversion.keep_skeleton()?;
            conversion.entry(entry)?;
        }
        conversion.trailing()?;
        let tar_size = conversion.reader.position();
        let (diff_id, _) = conversion.reader.into_inner().into_digest();
        Ok(Written {
            image: conversion.image,
            tree: conversion.tree,
            recipe: conversion.recipe,
            diff_id,
            tar_size,
            entries,
            notices: conversion.notices,
        })
    }

    fn entry(&mut self, entry: Entry) -> Result<(), LayerError> {
        let limits = self.options.limits;
        if self.reader.position() > limits.layer_bytes {
            return Err(limit("bytes", limits.layer_bytes, "layer_bytes"));
        }
        if entry.path.len() as u64 > limits.path_bytes {
            return Err(limit("bytes in a path", limits.path_bytes, "path_bytes"));
        }
        let path = entry.path.clone();
        match LayerTree::role(&path)? {
            Role::Root if entry.kind == EntryKind::Directory => {
                let metadata = self.metadata(entry);
                self.tree.set_root(metadata);
                self.pass_over()
            }
            Role::Root if matches!(entry.kind, EntryKind::Other(_)) => self.pass_over(),
            Role::Root => Err(LayerError::entry(&path, "the root can only be a directory")),
            Role::Whiteout(victim) => {
                self.tree.whiteout(&path, victim)?;
                self.pass_over()
            }
            Role::Opaque => {
                self.tree.make_opaque(&path)?;
                self.pass_over()
            }
            Role::Skipped => self.pass_over(),
            Role::Node => self.node(&path, entry),
        }
    }

    fn node(&mut self, path: &[u8], mut entry: Entry) -> Result<(), LayerError> {
        let kind = match entry.kind {
            EntryKind::File => {
                let sparse = entry.sparse.take();
                Kind::File(self.file(&entry, sparse)?)
            }
            EntryKind::Hardlink => {
                self.tree.link(path, &entry.link)?;
                return self.pass_over();
            }
            EntryKind::Symlink if entry.link.is_empty() => {
                return Err(LayerError::entry(path, "it is a symbolic link to nothing"));
            }
            EntryKind::Symlink if entry.link.len() > 4095 => {
                return Err(LayerError::entry(
                    path,
                    "the target of the symbolic link is longer than 4095 bytes",
                ));
            }
            EntryKind::Symlink => Kind::Symlink(entry.link.as_slice().into()),
            EntryKind::CharDevice => Kind::CharDevice(entry.device),
            EntryKind::BlockDevice => Kind::BlockDevice(entry.device),
            EntryKind::Directory => Kind::Directory(BTreeMap::new()),
            EntryKind::Fifo => Kind::Fifo,
            // Volume labels and the like.
            EntryKind::Other(_) => return self.pass_over(),
        };
        if entry.device.major >= 1 << 12 || entry.device.minor >= 1 << 20 {
            return Err(LayerError::entry(path, "its device number is too large"));
        }
        self.pass_over()?;
        let metadata = self.metadata(entry);
        self.tree.insert(path, Inode { metadata, kind })
    }

    /// Writes the data of a file to the image, and where it lies to the recipe.
    fn file(
        &mut self,
        entry: &Entry,
        sparse: Option<(u64, Vec<SparseRegion>)>,
    ) -> Result<Extent, LayerError> {
        let (length, regions) = sparse.unwrap_or_else(|| {
            let whole = SparseRegion {
                offset: 0,
                length: entry.size,
            };
            (entry.size, vec![whole])
        });
        if length > self.options.limits.layer_bytes {
            let most = self.options.limits.layer_bytes;
            return Err(limit("bytes in a file", most, "layer_bytes"));
        }
        let start = self.image.begin_file()?;
        let mut end = 0;
        for region in regions {
            self.image.hole(region.offset - end)?;
            self.recipe.data(start + region.offset, region.length)?;
            self.copy(region.length)?;
            end = region.offset + region.length;
        }
        self.image.hole(length - end)?;
        Ok(self.image.end_file()?)
    }

    /// Copies payload to the image, straight out of the buffers it came in.
    fn copy(&mut self, mut length: u64) -> Result<(), LayerError> {
        let mut payload = self.reader.data();
        while length > 0 {
            let held = payload.fill_buf().map_err(truncated)?;
            let count = held
                .len()
                .min(usize::try_from(length).unwrap_or(usize::MAX));
            if count == 0 {
                return Err(truncated(std::io::ErrorKind::UnexpectedEof.into()));
            }
            self.image.write(&held[..count])?;
            payload.consume(count);
            length -= count as u64;
            self.options.cancel.check()?;
        }
        Ok(())
    }

    /// Keeps the rest of a payload that is nobody's data.
    fn pass_over(&mut self) -> Result<(), LayerError> {
        loop {
            let mut payload = self.reader.data();
            let held = payload.fill_buf().map_err(truncated)?;
            let count = held.len();
            if count == 0 {
                return Ok(());
            }
            let mut bytes = held.to_vec();
            payload.consume(count);
            self.recipe.literal(&mut bytes)?;
        }
    }

    /// Keeps what follows the end of the archive: it is part of the digest.
    fn trailing(&mut self) -> Result<(), LayerError> {
        self.keep_skeleton()?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            self.options.cancel.check()?;
            let count = self.reader.read_trailing(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            self.recipe.literal(&mut buffer[..count].to_vec())?;
        }
    }

    fn keep_skeleton(&mut self) -> Result<(), LayerError> {
        self.recipe.literal(self.reader.skeleton())
    }

    fn metadata(&mut self, entry: Entry) -> Metadata {
        let (xattrs, dropped) = xattr::select(entry.xattrs);
        for name in dropped {
            self.notices.push(format!(
                "`{}`: extended attribute `{}` has no place in EROFS and is kept for export only",
                String::from_utf8_lossy(&entry.path),
                String::from_utf8_lossy(&name),
            ));
        }
        Metadata {
            permissions: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
            xattrs,
        }
    }
}

fn truncated(error: std::io::Error) -> LayerError {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => LayerError::Truncated,
        _ => LayerError::Read(error),
    }
}

fn limit(what: &'static str, limit: u64, setting: &'static str) -> LayerError {
    LayerError::Limit {
        what,
        limit,
        setting,
    }
}
