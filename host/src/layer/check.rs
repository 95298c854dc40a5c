//! The check of a stored layer against what is known of it.
//!
//! Owns the integrity of every bit: the recipe has its digest, the contents of the tar theirs,
//! what the image holds besides another one, and all other bytes are zero.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};

use msb_erofs::{self as erofs, BLOCK_SIZE, Finding, ReadAt};

use super::LayerError;
use super::integrity::{ImageRemainder, digest_of, each};
use super::rebuild::{self, rebuild};
use super::recipe::Step;
use crate::cancel::Cancel;
use crate::digest::Digest;

/// The digests that a stored layer is checked against.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedLayer<'a> {
    /// The digest of its tar.
    pub diff_id: &'a Digest,
    /// What its image holds besides the contents of the tar.
    pub remainder: &'a ImageRemainder,
    /// The digest of its recipe.
    pub recipe_digest: &'a Digest,
}

/// One thing that is wrong with a stored layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The recipe is another one.
    Recipe {
        /// The digest of what is there.
        actual: Digest,
    },
    /// A file could not be read, or not to the end.
    Unreadable {
        /// It is the recipe, and not the image.
        recipe: bool,
        /// The reason, for a sentence.
        why: String,
    },
    /// The tar that image and recipe give is another one.
    Contents {
        /// The digest that was stated.
        expected: Digest,
        /// That of what is there.
        actual: Digest,
    },
    /// The superblock, a directory, an inode or an attribute is another one.
    Metadata {
        /// The first rule of the format that it breaks, if it does.
        finding: Option<Finding>,
    },
    /// A byte that belongs to nothing is not zero.
    Padding {
        /// Where it is in the image.
        offset: u64,
    },
}

impl Fault {
    /// Returns whether it is in the recipe, and not in the image.
    pub fn is_in_recipe(&self) -> bool {
        matches!(
            self,
            Self::Recipe { .. } | Self::Unreadable { recipe: true, .. }
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recipe { actual } => write!(formatter, "it is another one: {actual}"),
            Self::Unreadable { why, .. } => write!(formatter, "it cannot be read: {why}"),
            Self::Contents { expected, actual } => write!(
                formatter,
                "the contents of files are others: the layer is {actual}, not {expected}"
            ),
            Self::Metadata { finding: None } => {
                formatter.write_str("directories, inodes or the superblock are others")
            }
            Self::Metadata {
                finding: Some(finding),
            } => write!(
                formatter,
                "directories, inodes or the superblock are others: {finding}"
            ),
            Self::Padding { offset } => write!(formatter, "byte {offset} should be zero"),
        }
    }
}

/// Checks the files of a layer, and returns all that is wrong. A flipped bit anywhere in them is.
///
/// # Errors
/// Only when the user asked to stop.
pub fn check(
    image: &File,
    recipe: &File,
    expected_layer: &ExpectedLayer<'_>,
    advanced: &dyn Fn(u64),
    cancel: &Cancel,
) -> Result<Vec<Fault>, LayerError> {
    let mut faults = Vec::new();
    match digest_of(recipe, cancel) {
        Ok(actual) if actual == *expected_layer.recipe_digest => {}
        Ok(actual) => faults.push(Fault::Recipe { actual }),
        Err(error) => faults.push(unreadable(error, true)?),
    }
    match ImageRemainder::read(image, expected_layer.remainder.start, cancel) {
        Ok(remainder) if remainder == *expected_layer.remainder => {}
        Ok(_) => faults.push(Fault::Metadata {
            finding: first_finding(image, cancel)?,
        }),
        Err(error) => faults.push(unreadable(error, false)?),
    }
    // Without its recipe, the contents cannot be compared with anything.
    if faults.iter().any(Fault::is_in_recipe) {
        return Ok(faults);
    }
    let mut counted = Counted(advanced);
    let algorithm = expected_layer.diff_id.algorithm();
    match rebuild(image, recipe, algorithm, &mut counted, cancel) {
        Ok(rebuilt) if rebuilt.digest == *expected_layer.diff_id => {}
        Ok(rebuilt) => faults.push(Fault::Contents {
            expected: expected_layer.diff_id.clone(),
            actual: rebuilt.digest,
        }),
        Err(error) => faults.push(unreadable(error, false)?),
    }
    match first_stray(image, recipe, expected_layer.remainder.start, cancel) {
        Ok(None) => {}
        Ok(Some(offset)) => faults.push(Fault::Padding { offset }),
        Err(error) => faults.push(unreadable(error, false)?),
    }
    if faults.is_empty()
        && let Some(finding) = first_finding(image, cancel)?
    {
        faults.push(Fault::Metadata {
            finding: Some(finding),
        });
    }
    Ok(faults)
}

fn unreadable(error: LayerError, recipe: bool) -> Result<Fault, LayerError> {
    if let LayerError::Cancelled(_) = error {
        return Err(error);
    }
    let mut why = error.to_string();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        why = format!("{why}: {source}");
        cause = source;
    }
    Ok(Fault::Unreadable { recipe, why })
}

/// Returns the first rule of the format that an image breaks.
fn first_finding(image: &File, cancel: &Cancel) -> Result<Option<Finding>, LayerError> {
    let report = erofs::verify(Cancellable { image, cancel });
    cancel.check()?;
    Ok(report.ok().and_then(|it| it.findings.into_iter().next()))
}

/// An image that cannot be read any more once the user asked to stop.
pub(super) struct Cancellable<'a> {
    pub(super) image: &'a File,
    pub(super) cancel: &'a Cancel,
}

impl ReadAt for Cancellable<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.cancel.check().map_err(io::Error::other)?;
        ReadAt::read_at(self.image, buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.image.size()
    }
}

/// Returns the first byte in front of the metadata that belongs to no file and is not zero.
fn first_stray(
    image: &File,
    recipe: &File,
    end: u64,
    cancel: &Cancel,
) -> Result<Option<u64>, LayerError> {
    let mut recipe = rebuild::open(recipe)?;
    let mut ranges = Vec::new();
    loop {
        cancel.check()?;
        match recipe.step()? {
            Step::Literal(_) => {}
            Step::Data { offset, length } => ranges.push((offset, offset.saturating_add(length))),
            Step::End { .. } => break,
        }
    }
    ranges.sort_unstable();
    let mut from = BLOCK_SIZE;
    for (start, stop) in ranges.into_iter().chain([(end, end)]) {
        if let Some(stray) = first_not_zero(image, from, start, cancel)? {
            return Ok(Some(stray));
        }
        from = from.max(stop);
    }
    Ok(None)
}

fn first_not_zero(
    image: &File,
    start: u64,
    end: u64,
    cancel: &Cancel,
) -> Result<Option<u64>, LayerError> {
    let mut at = start;
    while let Some((from, to)) = next_data(image, at, end) {
        let mut offset = from;
        let mut found = None;
        each(image, from, to, cancel, &mut |bytes| {
            if found.is_none() {
                let place = bytes.iter().position(|byte| *byte != 0);
                found = place.map(|place| offset + place as u64);
            }
            offset += bytes.len() as u64;
        })?;
        if found.is_some() {
            return Ok(found);
        }
        at = to;
    }
    Ok(None)
}

/// Returns the next range that is not known to be a hole.
pub(crate) fn next_data(image: &File, start: u64, end: u64) -> Option<(u64, u64)> {
    use rustix::fs::{SeekFrom, seek};
    /// Ranges of that length are read rather than asked for.
    const SHORT: u64 = 64 << 10;
    if start >= end {
        return None;
    }
    if end - start <= SHORT {
        return Some((start, end));
    }
    match seek(image, SeekFrom::Data(start)) {
        Ok(data) if data >= end => None,
        Ok(data) => {
            let hole = seek(image, SeekFrom::Hole(data)).unwrap_or(end);
            Some((data, hole.clamp(data, end)))
        }
        // No data behind that place.
        Err(rustix::io::Errno::NXIO) => None,
        Err(_) => Some((start, end)),
    }
}

/// Tells how much passes, and drops it.
struct Counted<'a>(&'a dyn Fn(u64));

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.0)(bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
