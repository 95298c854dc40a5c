//! Merged root filesystems: a file for each image, by the digest of its manifest.
//!
//! Owns their names, how they are published, and how they go. What is in them, and whether they are
//! still right, is the matter of [`crate::image`].

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::catalogue::Store;
use super::foreign::Foreign;
use super::layer_file::BESIDE;
use super::{StoreError, fs};
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::fs::atomic::{AtomicFile, Mode};
use crate::progress::Progress;

/// A merged filesystem that is being written. Dropped before it is published, it was never there.
#[derive(Debug)]
pub struct NewMerged {
    file: AtomicFile,
    path: PathBuf,
    image: Digest,
}

impl NewMerged {
    /// Returns what the bytes are written to.
    pub fn file(&self) -> Result<File, StoreError> {
        let file = self.file.file().try_clone();
        file.map_err(fs::error("write", &self.path))
    }

    /// Returns where it is to be.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Store {
    /// Opens the files that may be the merged filesystem of an image. Where microsandbox shares the home,
    /// ours has a name of its own, and the other one is not looked at.
    pub fn merged_candidates(&self, image: &Digest) -> Result<Vec<(PathBuf, File)>, StoreError> {
        let mut found = Vec::new();
        let [plain, beside] = self.merged_paths(image);
        let is_shared = Foreign::open(self.home())?.is_shared()?;
        let plain = (!is_shared).then_some(plain);
        for path in std::iter::once(beside).chain(plain) {
            match File::open(&path) {
                Ok(file) => found.push((path, file)),
                Err(missing)
                    if matches!(
                        missing.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                    ) => {}
                Err(error) => return Err(fs::error("open", &path)(error)),
            }
        }
        Ok(found)
    }

    /// Makes a file for the merged filesystem of an image.
    pub fn new_merged(&self, image: &Digest) -> Result<NewMerged, StoreError> {
        fs::create_directory(&self.home().fsmeta())?;
        let [plain, beside] = self.merged_paths(image);
        let is_apart = self.keeps_apart() || Foreign::open(self.home())?.is_shared()?;
        let path = if is_apart { beside } else { plain };
        let file = AtomicFile::create(&path, Mode::Exactly(fs::FILE_MODE))
            .map_err(fs::error("create", &path))?;
        Ok(NewMerged {
            file,
            path,
            image: image.clone(),
        })
    }

    /// Puts a complete merged filesystem in its place, unless its image was removed meanwhile. Returns
    /// where it is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the image is not there any more.
    pub fn publish_merged(
        &self,
        merged: NewMerged,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<PathBuf, StoreError> {
        let NewMerged { file, path, image } = merged;
        // What takes long comes before the lease.
        file.file()
            .sync_all()
            .map_err(fs::error("synchronise", &path))?;
        let _lease = self.lease(progress, cancel)?;
        if !self.has_image(&image)? {
            return Err(StoreError::NotFound(image.to_string()));
        }
        fs::step(&path)?;
        file.give_name().map_err(fs::error("write", &path))?;
        fs::sync_directory(&self.home().fsmeta())?;
        Ok(path)
    }

    /// Removes a merged filesystem, which is made again when it is wanted.
    pub fn drop_merged(&self, path: &Path) -> Result<(), StoreError> {
        fs::remove(path)
    }

    fn merged_paths(&self, image: &Digest) -> [PathBuf; 2] {
        let stem = image.file_stem();
        let path = |suffix: &str| self.home().fsmeta().join(format!("{stem}{suffix}.erofs"));
        [path(""), path(BESIDE)]
    }
}
