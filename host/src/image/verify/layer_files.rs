//! Checking the files of one layer.
//!
//! Owns what counts as proven damage, and what only cannot be read now. The comparison to the last bit is
//! [`crate::layer`]'s.

use std::fs::File;
use std::io;
use std::path::Path;

use super::Check;
use crate::fs;
use crate::layer::{self, ExpectedLayer, LayerError};
use crate::progress::{Event, LayerNumber};
use crate::store::{LayerRecord, StoreError};

/// What is wrong with a file of a layer.
pub(super) struct FileFault<'a> {
    pub(super) file: &'a Path,
    pub(super) what: String,
    /// It is known to be damaged, and not only out of reach at the moment.
    pub(super) is_proven: bool,
}

impl Check<'_> {
    /// Returns what is wrong with the files of a layer.
    pub(super) fn faults<'s>(
        &self,
        stored: &'s LayerRecord,
        layer: LayerNumber,
    ) -> Result<Vec<FileFault<'s>>, StoreError> {
        if stored.is_adopted() {
            return self.faults_of_adopted(stored);
        }
        let (image, recipe) = (&*stored.erofs_path, &*stored.recipe_path);
        let sizes = [(image, stored.erofs_size), (recipe, stored.recipe_size)];
        let wrong: Vec<_> = sizes
            .into_iter()
            .filter_map(|(path, size)| wrong_size(path, size))
            .collect();
        if !wrong.is_empty() {
            return Ok(wrong);
        }
        let open = |path| File::open(path).map_err(|error| vec![FileFault::of_read(path, &error)]);
        let (image_file, recipe_file) = match (open(image), open(recipe)) {
            (Ok(image), Ok(recipe)) => (image, recipe),
            (Err(faults), _) | (_, Err(faults)) => return Ok(faults),
        };
        let known = ExpectedLayer {
            diff_id: &stored.facts.key.diff_id,
            remainder: &stored.facts.remainder,
            recipe_digest: &stored.facts.recipe_digest,
        };
        let advanced = |bytes| self.progress.report(Event::LayerAdvanced { layer, bytes });
        let faults = layer::check(&image_file, &recipe_file, &known, &advanced, self.cancel);
        let faults = match faults {
            Err(LayerError::Cancelled(cancelled)) => return Err(cancelled.into()),
            Err(error) => {
                let error = io::Error::other(error);
                return Ok(vec![FileFault::of_read(image, &error)]);
            }
            Ok(faults) => faults,
        };
        let place = |fault: &layer::Fault| if fault.is_in_recipe() { recipe } else { image };
        Ok(faults
            .iter()
            .map(|fault| FileFault {
                file: place(fault),
                what: fault.to_string(),
                is_proven: !matches!(fault, layer::Fault::Unreadable { .. }),
            })
            .collect())
    }

    /// Checks a layer that has no tar: it must be what it was when it was adopted.
    fn faults_of_adopted<'s>(
        &self,
        stored: &'s LayerRecord,
    ) -> Result<Vec<FileFault<'s>>, StoreError> {
        let path = &*stored.erofs_path;
        if let Some(wrong) = wrong_size(path, stored.erofs_size) {
            return Ok(vec![wrong]);
        }
        let what = match File::open(path) {
            Err(error) => return Ok(vec![FileFault::of_read(path, &error)]),
            Ok(image) => match layer::check_foreign(&image, self.cancel) {
                Err(LayerError::Cancelled(cancelled)) => return Err(cancelled.into()),
                Err(error) => {
                    let error = io::Error::other(error);
                    return Ok(vec![FileFault::of_read(path, &error)]);
                }
                Ok(layer::Foreign::Unsound(what)) => what,
                Ok(layer::Foreign::Sound { digest, .. }) => {
                    if digest == stored.facts.remainder.digest {
                        return Ok(Vec::new());
                    }
                    format!("it is another one than was adopted: {digest}")
                }
            },
        };
        Ok(vec![FileFault {
            file: path,
            what,
            is_proven: true,
        }])
    }
}

impl<'a> FileFault<'a> {
    /// Returns what it means that a file could not be opened or read.
    pub(super) fn of_read(file: &'a Path, error: &io::Error) -> Self {
        Self {
            file,
            what: format!("it cannot be read: {error}"),
            is_proven: error.kind() == io::ErrorKind::NotFound,
        }
    }
}

/// Returns what is wrong with the length of a file.
fn wrong_size(file: &Path, expected: u64) -> Option<FileFault<'_>> {
    let what = match fs::metadata(file) {
        Ok(metadata) if metadata.is_file() && metadata.len() == expected => return None,
        Ok(metadata) if metadata.is_file() => {
            format!("it is {} bytes long, not {expected}", metadata.len())
        }
        Ok(_) => "it is not a file".to_owned(),
        Err(error) => return Some(FileFault::of_read(file, &error.source)),
    };
    Some(FileFault {
        file,
        what,
        is_proven: true,
    })
}
