//! `save`: images of the store as an archive, to a file or a stream.
//!
//! Owns the choice of images and layers and the life of the output file. What the archive looks
//! like is decided by a plugin; the bytes of layers are rebuilt by the host.

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use super::SaveError;
use super::output_file::OutputFile;
use crate::archive::{Handed, OutputLayer, StoredFiles, TarOutput};
use crate::cancel::Cancel;
use crate::context::Context;
use crate::digest::Digest;
use crate::plugin::{Formats, SavedReference, StoredImage, StoredLayer};
use crate::progress::Event;
use crate::reference::Reference;
use crate::store::{FoundImage, Store};

/// How to save.
#[derive(Clone, Debug)]
pub struct SaveOptions {
    /// The name of an archive format that can be written.
    pub format: String,
}

impl Default for SaveOptions {
    fn default() -> Self {
        Self {
            format: "docker".to_owned(),
        }
    }
}

/// Where the archive goes.
pub enum SaveTarget {
    /// To a file, which is replaced in one step once the archive is complete.
    File(PathBuf),
    /// To a stream. What was written before an error stays written.
    Stream(Box<dyn Write + Send>),
}

/// What was saved.
#[derive(Clone, Debug)]
pub struct SaveReport {
    /// The images in the order of the archive.
    pub images: Vec<SavedImage>,
    /// Bytes of the archive.
    pub bytes: u64,
}

/// An image in the archive.
#[derive(Clone, Debug)]
pub struct SavedImage {
    /// The references it was saved under; none for an image that was named by its digest.
    pub references: Vec<Reference>,
    /// The digest of its manifest in the store.
    pub manifest_digest: Digest,
    /// The digest of its configuration.
    pub config_digest: Digest,
}

/// Saves the images that `selectors` name, several names of one image as one image.
pub fn save(
    store: &Store,
    formats: &Formats,
    selectors: &[String],
    options: &SaveOptions,
    target: SaveTarget,
    context: &Context,
) -> Result<SaveReport, SaveError> {
    let Context { progress, cancel } = context;
    formats.check_writes(&options.format)?;
    // Documents are read and layers pinned while nothing is removed; then the reader of the archive
    // may take their time.
    let lease = store.lease(progress.as_ref(), cancel)?;
    let collected = collect(store, selectors)?;
    let layers = collected.layers.iter().map(|layer| &layer.diff_id);
    let _pins = store.pin_layers(layers, progress.as_ref(), cancel)?;
    drop(lease);
    let (name, writer, file) = open_target(target, cancel)?;
    progress.report(Event::Layers(collected.layers.len()));
    let output = TarOutput::new(
        name,
        writer,
        collected.layers,
        Arc::clone(progress),
        cancel.clone(),
    );
    let output = formats.write(
        &options.format,
        &collected.images,
        Box::new(output),
        progress,
        cancel,
    )?;
    let bytes = output.finish()?;
    if let Some((path, file)) = file {
        let output = |source| SaveError::Output { path, source };
        file.put_in_place().map_err(output)?;
    }
    Ok(SaveReport {
        images: collected.saved,
        bytes,
    })
}

#[derive(Default)]
struct Collected {
    images: Vec<StoredImage>,
    saved: Vec<SavedImage>,
    layers: Vec<OutputLayer>,
}

/// Finds the images and opens the files of their layers.
fn collect(store: &Store, selectors: &[String]) -> Result<Collected, SaveError> {
    let mut collected = Collected::default();
    let mut by_digest: HashMap<Digest, usize> = HashMap::new();
    let mut layer_numbers: HashMap<Digest, u32> = HashMap::new();
    for selector in selectors {
        let FoundImage { image, reference } = store.find(selector)?;
        store.touch(&image.digest);
        let position = if let Some(position) = by_digest.get(&image.digest) {
            *position
        } else {
            let mut layers = Vec::new();
            for layer in &image.layers {
                let missing = || SaveError::MissingLayer {
                    image: selector.clone(),
                    diff_id: layer.key.diff_id.clone(),
                };
                let stored = store.readable_layer(&layer.key)?.ok_or_else(missing)?;
                if stored.is_adopted() {
                    return Err(SaveError::AdoptedLayer {
                        image: selector.clone(),
                        diff_id: layer.key.diff_id.clone(),
                    });
                }
                let next = u32::try_from(collected.layers.len()).map_err(|_| missing())?;
                let number = *layer_numbers
                    .entry(layer.key.diff_id.clone())
                    .or_insert(next);
                let size = stored.facts.tar_size;
                let files = StoredFiles {
                    chain: layer.key.chain.clone(),
                    erofs: stored.erofs_path,
                    recipe: Some(stored.recipe_path),
                };
                if number == next {
                    collected.layers.push(OutputLayer {
                        diff_id: layer.key.diff_id.clone(),
                        size,
                        stored: Vec::new(),
                    });
                }
                let of_number = usize::try_from(number).map_err(|_| missing())?;
                let known = &mut collected.layers[of_number].stored;
                if !known.contains(&files) {
                    known.push(files);
                }
                layers.push(StoredLayer {
                    number,
                    diff_id: layer.key.diff_id.clone(),
                    size,
                });
            }
            collected.images.push(StoredImage {
                manifest: store.blob(&image.digest)?,
                manifest_digest: image.digest.clone(),
                manifest_media_type: image.media_type.clone(),
                config: store.blob(&image.config_digest)?,
                config_digest: image.config_digest.clone(),
                layers,
                references: Vec::new(),
            });
            collected.saved.push(SavedImage {
                references: Vec::new(),
                manifest_digest: image.digest.clone(),
                config_digest: image.config_digest.clone(),
            });
            by_digest.insert(image.digest, collected.images.len() - 1);
            collected.images.len() - 1
        };
        let saved = &mut collected.saved[position];
        if let Some(reference) = reference.filter(|new| !saved.references.contains(new)) {
            collected.images[position]
                .references
                .extend(saved_reference(&reference));
            saved.references.push(reference);
        }
    }
    if collected.images.is_empty() {
        return Err(SaveError::Nothing);
    }
    Ok(collected)
}

/// Returns the parts of a reference that an archive names. None for one with a digest: archives
/// have no place for a digest as a name, and whether the registry has ever given a tag beside it to
/// this image, nothing has shown.
fn saved_reference(reference: &Reference) -> Option<SavedReference> {
    if reference.digest().is_some() {
        return None;
    }
    Some(SavedReference {
        name: reference.name(),
        familiar: reference.familiar_name(),
        tag: reference.tag()?.to_owned(),
    })
}

pub(super) type OpenTarget = (String, Box<dyn Write + Send>, Option<(PathBuf, OutputFile)>);

/// Opens what an archive is written to, and the file that gets its name at the end.
pub(super) fn open_target(target: SaveTarget, cancel: &Cancel) -> Result<OpenTarget, SaveError> {
    let path = match target {
        SaveTarget::Stream(writer) => {
            let path = PathBuf::from("standard output");
            let output = |source| SaveError::Output { path, source };
            let handed = Handed::over_to(writer, cancel).map_err(output)?;
            return Ok(("standard output".to_owned(), Box::new(handed), None));
        }
        SaveTarget::File(path) => path,
    };
    let output = |source| SaveError::Output {
        path: path.clone(),
        source,
    };
    let file = OutputFile::open(&path).map_err(output)?;
    let writer = file.writer().map_err(output)?;
    Ok((
        path.display().to_string(),
        Box::new(writer),
        Some((path, file)),
    ))
}

impl std::fmt::Debug for SaveTarget {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => formatter.debug_tuple("File").field(path).finish(),
            Self::Stream(_) => formatter.write_str("Stream"),
        }
    }
}
