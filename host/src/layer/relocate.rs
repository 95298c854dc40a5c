//! Moving data that no file has any more from the image to the recipe.
//!
//! An archive may hold a path twice. The later entry wins, so the data of the earlier one has no
//! place in the image; the tar cannot be rebuilt without it. Such archives are rare, so data goes
//! to the image as if it stayed, and this is done at the end.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;

use msb_erofs::{BLOCK_SIZE, Extent, ImageWriter};

use super::LayerError;
use super::rebuild;
use super::recipe::{RecipeWriter, Step, read_error, write_error};
use crate::cancel::Cancel;

const BUFFER: usize = 256 << 10;

/// Takes data out of the image and rewrites the recipe with it. Returns the recipe and its
/// length.
pub(super) fn relocate(
    mut recipe: File,
    image: &mut ImageWriter,
    mut dead: Vec<Extent>,
    cancel: &Cancel,
) -> Result<(File, u64), LayerError> {
    dead.sort_by_key(|extent| extent.block);
    // The new recipe is written behind the old one, then moved to the front.
    let start = recipe.seek(SeekFrom::End(0)).map_err(write_error)?;
    let mut old = rebuild::open(&recipe)?;
    let mut new = RecipeWriter::new(recipe)?;
    let tar_size = loop {
        cancel.check()?;
        match old.step()? {
            Step::Literal(bytes) => new.literal(bytes)?,
            Step::Data { offset, length } => match holder(&dead, offset) {
                Some(extent) => copy(image, extent, offset, length, &mut new, cancel)?,
                None => new.data(offset, length)?,
            },
            Step::End { tar_size } => break tar_size,
        }
    };
    drop(old);
    let (recipe, end) = new.finish(tar_size)?;
    for extent in dead {
        cancel.check()?;
        image.discard(extent)?;
    }
    move_to_front(&recipe, start, end, cancel)?;
    Ok((recipe, end - start))
}

/// Returns which of the extents, in the order of their blocks, an offset lies in.
fn holder(dead: &[Extent], offset: u64) -> Option<Extent> {
    let before = dead.partition_point(|extent| start(*extent) <= offset);
    let extent = *dead.get(before.checked_sub(1)?)?;
    (offset - start(extent) < extent.size).then_some(extent)
}

fn start(extent: Extent) -> u64 {
    u64::from(extent.block) * BLOCK_SIZE
}

fn copy(
    image: &ImageWriter,
    extent: Extent,
    offset: u64,
    length: u64,
    recipe: &mut RecipeWriter,
    cancel: &Cancel,
) -> Result<(), LayerError> {
    let mut buffer = vec![0; BUFFER];
    let mut offset = offset - start(extent);
    let mut left = length;
    while left > 0 {
        cancel.check()?;
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(BUFFER);
        let (target, _) = buffer.split_at_mut(wanted);
        let count = image.read_data(extent, offset, target)?;
        if count == 0 {
            return Err(LayerError::DamagedRecipe(
                "it points past the end of a file",
            ));
        }
        recipe.literal(target.get(..count).unwrap_or_default())?;
        offset += count as u64;
        left -= count as u64;
    }
    Ok(())
}

/// Moves the bytes from `start` to `end` to the front of a file that ends there then.
fn move_to_front(file: &File, start: u64, end: u64, cancel: &Cancel) -> Result<(), LayerError> {
    let mut buffer = vec![0; BUFFER];
    let mut offset = start;
    while offset < end {
        cancel.check()?;
        let left = usize::try_from(end - offset).unwrap_or(usize::MAX);
        let (target, _) = buffer.split_at_mut(left.min(BUFFER));
        file.read_exact_at(target, offset).map_err(read_error)?;
        file.write_all_at(target, offset - start)
            .map_err(write_error)?;
        offset += target.len() as u64;
    }
    let trim = || -> io::Result<()> {
        file.set_len(end - start)?;
        let mut file = file;
        file.seek(SeekFrom::Start(end - start))?;
        Ok(())
    };
    trim().map_err(write_error)
}
