//! The integrity of a stored layer: every byte of its files is the tar's, or zero, or known by a
//! digest.
//!
//! The contents of the tar are known by the `diff_id`. What is left of the image, its first block
//! and everything after the contents, has a digest of its own, and so has the recipe.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use msb_erofs::BLOCK_SIZE;

use super::LayerError;
use crate::cancel::Cancel;
use crate::digest::{Digest, Hasher};

const BUFFER: usize = 256 << 10;

/// What an EROFS image holds besides the contents of the tar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRemainder {
    /// Where it goes on after the contents, in bytes.
    pub start: u64,
    /// The digest of the first block and of everything from there on.
    pub digest: Digest,
}

impl ImageRemainder {
    /// Reads it from an image.
    pub(super) fn read(image: &File, start: u64, cancel: &Cancel) -> Result<Self, LayerError> {
        let mut hasher = Hasher::default();
        let mut add = |bytes: &[u8]| hasher.update(bytes);
        each(image, 0, BLOCK_SIZE, cancel, &mut add)?;
        each(image, start, u64::MAX, cancel, &mut add)?;
        Ok(Self {
            start,
            digest: hasher.finish(),
        })
    }
}

/// Returns the digest of a whole file.
pub(super) fn digest_of(file: &File, cancel: &Cancel) -> Result<Digest, LayerError> {
    let mut hasher = Hasher::default();
    each(file, 0, u64::MAX, cancel, &mut |bytes| hasher.update(bytes))?;
    Ok(hasher.finish())
}

/// Hands the bytes of a range of a file on, as far as the file goes.
pub(super) fn each(
    file: &File,
    start: u64,
    end: u64,
    cancel: &Cancel,
    take: &mut dyn FnMut(&[u8]),
) -> Result<(), LayerError> {
    let mut buffer = vec![0; BUFFER];
    let mut offset = start;
    while offset < end {
        cancel.check()?;
        let left = usize::try_from(end - offset).unwrap_or(usize::MAX);
        let (target, _) = buffer.split_at_mut(left.min(BUFFER));
        match file.read_at(target, offset) {
            Ok(0) => break,
            Ok(count) => {
                take(target.get(..count).unwrap_or_default());
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(LayerError::Image { offset, source }),
        }
    }
    Ok(())
}
