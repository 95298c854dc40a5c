//! The output of `save`: a tar archive written in one pass, to a file or to a pipe.
//!
//! Owns the tar headers and the check that each layer comes out as it went in.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use tar::{EntryType, Header};

use super::output_layer::OutputLayer;
use super::{ArchiveError, ArchiveOutput, merged, normal_path};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::layer::{self, chain_id};
use crate::progress::{Event, LayerNumber, Progress};

/// Bytes of a path in an archive.
const MAX_PATH: usize = 4096;
/// Bytes kept back before they are written.
const BUFFER: usize = 1 << 20;
/// Layers of one filesystem.
const MAX_LAYERS: usize = 4096;
/// The unit in which a tar archive is filled up.
const TAR_BLOCK: usize = 512;

/// An uncompressed tar archive on its way out.
pub struct TarOutput {
    name: String,
    builder: tar::Builder<BufWriter<Counted>>,
    paths: HashSet<String>,
    /// Below these everything was written at once.
    trees: Vec<String>,
    layers: Vec<OutputLayer>,
    progress: Arc<dyn Progress>,
    cancel: Cancel,
}

impl TarOutput {
    /// Starts an archive. `name` is what errors call the output.
    pub fn new(
        name: String,
        writer: Box<dyn Write + Send>,
        layers: Vec<OutputLayer>,
        progress: Arc<dyn Progress>,
        cancel: Cancel,
    ) -> Self {
        let counted = Counted { writer, bytes: 0 };
        Self {
            name,
            builder: tar::Builder::new(BufWriter::with_capacity(BUFFER, counted)),
            paths: HashSet::new(),
            trees: Vec::new(),
            layers,
            progress,
            cancel,
        }
    }

    /// Writes a header, after checking that its path is new and stays inside.
    fn put(
        &mut self,
        path: &str,
        kind: EntryType,
        size: u64,
        target: Option<&str>,
        contents: &[u8],
    ) -> Result<(), ArchiveError> {
        let refuse = |reason| refused(path, reason);
        self.cancel.check()?;
        check_path(path)?;
        if self.trees.iter().any(|tree| is_in(path, tree)) {
            return Err(refuse("it lies in a filesystem that was written before"));
        }
        if !self.paths.insert(path.to_owned()) {
            return Err(refuse("it was written before"));
        }
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(match kind {
            EntryType::Directory => 0o755,
            EntryType::Symlink => 0o777,
            _ => 0o644,
        });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        let written = match target {
            Some(target) => self.builder.append_link(&mut header, path, target),
            None => self.builder.append_data(&mut header, path, contents),
        };
        written.map_err(|source| ArchiveError::Write {
            name: self.name.clone(),
            source,
        })
    }
}

impl ArchiveOutput for TarOutput {
    fn put_directory(&mut self, path: &str) -> Result<(), ArchiveError> {
        self.put(path, EntryType::Directory, 0, None, &[])
    }

    fn put_file(&mut self, path: &str, contents: &[u8]) -> Result<(), ArchiveError> {
        self.put(
            path,
            EntryType::Regular,
            contents.len() as u64,
            None,
            contents,
        )
    }

    fn put_symlink(&mut self, path: &str, target: &str) -> Result<(), ArchiveError> {
        self.put(path, EntryType::Symlink, 0, Some(target), &[])
    }

    fn put_layer(&mut self, path: &str, layer: u32) -> Result<(), ArchiveError> {
        let number = usize::try_from(layer).unwrap_or(usize::MAX);
        let there = self.layers.get(number);
        let (size, erofs, recipe) = there
            .and_then(|layer| {
                let files = layer.stored.first()?;
                Some((layer.size, &files.erofs, files.recipe.as_ref()?))
            })
            .ok_or(ArchiveError::NoSuchLayer { number: layer })?;
        let open = |path: &PathBuf| {
            File::open(path).map_err(|source| ArchiveError::Open {
                path: path.clone(),
                source,
            })
        };
        let (erofs, recipe) = (open(erofs)?, open(recipe)?);
        // The header with its length comes first, then the bytes as they are rebuilt.
        self.put(path, EntryType::Regular, size, None, &[])?;
        let layer = &self.layers[number];
        let event = LayerNumber(number);
        self.progress.report(Event::LayerStarted {
            layer: event,
            name: path,
            size: Some(size),
        });
        let mut output = Advancing {
            writer: self.builder.get_mut(),
            advanced: |bytes| {
                self.progress.report(Event::LayerAdvanced {
                    layer: event,
                    bytes,
                });
            },
            error: None,
        };
        let rebuilt = layer::rebuild(
            &erofs,
            &recipe,
            layer.diff_id.algorithm(),
            &mut output,
            &self.cancel,
        );
        if let Some(source) = output.error {
            return Err(ArchiveError::Write {
                name: self.name.clone(),
                source,
            });
        }
        let rebuilt = rebuilt.map_err(|source| ArchiveError::Layer {
            diff_id: layer.diff_id.clone(),
            source,
        })?;
        if rebuilt.digest != layer.diff_id || rebuilt.bytes != size {
            return Err(ArchiveError::Damaged {
                diff_id: layer.diff_id.clone(),
                rebuilt: rebuilt.digest,
            });
        }
        let padding = size.next_multiple_of(TAR_BLOCK as u64) - size;
        let zeros = [0; TAR_BLOCK];
        self.builder
            .get_mut()
            .write_all(&zeros[..usize::try_from(padding).unwrap_or(0)])
            .map_err(|source| ArchiveError::Write {
                name: self.name.clone(),
                source,
            })?;
        self.progress.report(Event::LayerFinished {
            layer: event,
            diff_id: &layer.diff_id,
            already_present: false,
        });
        Ok(())
    }

    fn put_merged(&mut self, prefix: &str, layers: &[u32]) -> Result<(), ArchiveError> {
        self.cancel.check()?;
        if !prefix.is_empty() {
            check_path(prefix)?;
        }
        let overlaps = |tree: &String| is_in(prefix, tree) || is_in(tree, prefix);
        if self.paths.iter().any(|path| is_in(path, prefix)) || self.trees.iter().any(overlaps) {
            return Err(refused(prefix, "something below it was written before"));
        }
        if layers.len() > MAX_LAYERS {
            return Err(refused(prefix, "it has more than 4096 layers"));
        }
        let mut chosen = Vec::new();
        let mut below: Option<Digest> = None;
        for number in layers {
            let missing = ArchiveError::NoSuchLayer { number: *number };
            let position = usize::try_from(*number).unwrap_or(usize::MAX);
            let Some(layer) = self.layers.get(position) else {
                return Err(missing);
            };
            let chain = chain_id(below.as_ref(), &layer.diff_id);
            let files = layer.over(&chain).ok_or(missing)?;
            chosen.push(merged::Chosen {
                number: LayerNumber(position),
                layer,
                files,
            });
            below = Some(chain);
        }
        self.trees.push(prefix.to_owned());
        let tree = merged::Tree {
            name: &self.name,
            prefix,
            layers: &chosen,
            progress: self.progress.as_ref(),
            cancel: &self.cancel,
        };
        tree.write(self.builder.get_mut())
    }

    fn finish(self: Box<Self>) -> Result<u64, ArchiveError> {
        let Self { name, builder, .. } = *self;
        let written = builder.into_inner().and_then(|mut buffer| {
            buffer.flush()?;
            Ok(buffer.get_ref().bytes)
        });
        written.map_err(|source| ArchiveError::Write { name, source })
    }
}

/// Refuses what is not a plain relative path.
fn check_path(path: &str) -> Result<(), ArchiveError> {
    if path.is_empty() || path.len() > MAX_PATH {
        return Err(refused(path, "it is empty or longer than 4096 bytes"));
    }
    if path.contains('\0') || normal_path(path).as_deref() != Some(path) {
        return Err(refused(path, "it is not a plain relative path"));
    }
    Ok(())
}

fn refused(path: &str, reason: &'static str) -> ArchiveError {
    ArchiveError::OutputPath {
        path: path.chars().take(200).collect(),
        reason,
    }
}

/// Returns whether a path is that of a directory, or lies in it.
fn is_in(path: &str, directory: &str) -> bool {
    let rest = path.strip_prefix(directory);
    directory.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl std::fmt::Debug for TarOutput {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("TarOutput")
            .field("name", &self.name)
            .field("layers", &self.layers)
            .finish_non_exhaustive()
    }
}

/// Counts what goes out.
struct Counted {
    writer: Box<dyn Write + Send>,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.writer.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Reports what goes through, and keeps a failure of the output apart from one of the store.
struct Advancing<'a, W, F> {
    writer: &'a mut W,
    advanced: F,
    error: Option<io::Error>,
}

impl<W: Write, F: Fn(u64)> Write for Advancing<'_, W, F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.writer.write(bytes) {
            Ok(written) => {
                (self.advanced)(written as u64);
                Ok(written)
            }
            Err(error) => {
                let kind = error.kind();
                if kind != io::ErrorKind::Interrupted {
                    self.error = Some(error);
                }
                Err(kind.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
