//! From an image and its recipe back to the tar that they were made of.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use super::LayerError;
use super::hashed_output::HashedOutput;
use super::recipe::{RecipeReader, Step, read_error};
use crate::cancel::Cancel;
use crate::digest::{Algorithm, Digest};
use crate::tar::FileRange;

/// A tar that was rebuilt.
#[derive(Clone, Debug)]
pub struct Rebuilt {
    /// Its length.
    pub bytes: u64,
    /// Its digest by the algorithm that was asked for: the layer's `diff_id`, if the store is whole.
    pub digest: Digest,
}

/// Writes the tar that a layer was made from, byte for byte, and hashes it by `algorithm`, that of its
/// `diff_id`.
///
/// # Errors
/// [`LayerError::DamagedRecipe`] when the recipe is broken or points outside of the image. Bytes
/// of the image that changed show in the digest only.
pub fn rebuild(
    erofs: &File,
    recipe: &File,
    algorithm: Algorithm,
    output: &mut dyn Write,
    cancel: &Cancel,
) -> Result<Rebuilt, LayerError> {
    let mut recipe = open(recipe)?;
    let mut output = HashedOutput::new(output, algorithm);
    loop {
        cancel.check()?;
        match recipe.step()? {
            Step::Literal(bytes) => output.put(bytes)?,
            Step::Data { offset, length } => {
                let end = offset.checked_add(length).ok_or(LayerError::DamagedRecipe(
                    "it points past the end of the image",
                ))?;
                let mut offset = offset;
                while offset < end {
                    cancel.check()?;
                    let left = usize::try_from(end - offset).unwrap_or(usize::MAX);
                    let space = output.space()?;
                    let count = left.min(space.len());
                    let (target, _) = space.split_at_mut(count);
                    erofs
                        .read_exact_at(target, offset)
                        .map_err(|source| image_error(offset, source))?;
                    output.add(count);
                    offset += count as u64;
                }
            }
            Step::End { tar_size } if tar_size != output.bytes() => {
                return Err(LayerError::DamagedRecipe("its length is another"));
            }
            Step::End { .. } => {
                let (bytes, digest) = output.finish()?;
                return Ok(Rebuilt { bytes, digest });
            }
        }
    }
}

/// Starts to read a recipe, wherever the file stands.
pub(super) fn open(recipe: &File) -> Result<RecipeReader<FileRange>, LayerError> {
    let file = recipe.try_clone().map_err(read_error)?;
    let length = file.metadata().map_err(read_error)?.len();
    RecipeReader::new(FileRange::new(Arc::new(file), 0, length))
}

fn image_error(offset: u64, source: io::Error) -> LayerError {
    match source.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput => {
            LayerError::DamagedRecipe("it points past the end of the image")
        }
        _ => LayerError::Image { offset, source },
    }
}
