//! From an image and its recipe back to the tar that they were made of.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use super::LayerError;
use super::recipe::{RecipeReader, Step, read_error};
use crate::cancel::Cancel;
use crate::digest::{Digest, Hasher};
use crate::tar::FileRange;

/// Bytes read from the image at a time.
const BUFFER: usize = 256 << 10;

/// A tar that was rebuilt.
#[derive(Clone, Debug)]
pub struct Rebuilt {
    /// Its length.
    pub bytes: u64,
    /// Its digest: the layer's `diff_id`, if the store is whole.
    pub digest: Digest,
}

/// Writes the tar that a layer was made from, byte for byte.
///
/// # Errors
/// [`LayerError::DamagedRecipe`] when the recipe is broken or points outside of the image. Bytes
/// of the image that changed show in the digest only.
pub fn rebuild(
    erofs: &File,
    recipe: &File,
    output: &mut dyn Write,
    cancel: &Cancel,
) -> Result<Rebuilt, LayerError> {
    let mut recipe = open(recipe)?;
    let mut output = Hashed {
        output,
        hasher: Hasher::default(),
        bytes: 0,
    };
    let mut buffer = vec![0; BUFFER];
    loop {
        cancel.check()?;
        match recipe.step()? {
            Step::Literal(bytes) => output.write(bytes)?,
            Step::Data { offset, length } => {
                let end = offset.checked_add(length).ok_or(LayerError::DamagedRecipe(
                    "it points past the end of the image",
                ))?;
                let mut offset = offset;
                while offset < end {
                    cancel.check()?;
                    let left = usize::try_from(end - offset).unwrap_or(usize::MAX);
                    let (target, _) = buffer.split_at_mut(left.min(BUFFER));
                    erofs
                        .read_exact_at(target, offset)
                        .map_err(|source| image_error(offset, source))?;
                    output.write(target)?;
                    offset += target.len() as u64;
                }
            }
            Step::End { tar_size } if tar_size != output.bytes => {
                return Err(LayerError::DamagedRecipe("its length is another"));
            }
            Step::End { .. } => {
                return Ok(Rebuilt {
                    bytes: output.bytes,
                    digest: output.hasher.finish(),
                });
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

struct Hashed<'a> {
    output: &'a mut dyn Write,
    hasher: Hasher,
    bytes: u64,
}

impl Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), LayerError> {
        self.output.write_all(bytes).map_err(LayerError::Output)?;
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}
