//! A layer of the store on its way into an archive: its tar, and the files that it is rebuilt from.
//!
//! Owns which of these files are right over the layers below.

use std::path::PathBuf;

use crate::digest::Digest;

/// A layer of the store that is to be saved.
#[derive(Debug)]
pub struct OutputLayer {
    /// The digest of its tar.
    pub diff_id: Digest,
    /// The length of its tar.
    pub size: u64,
    /// What the store has of it: its tar comes out of each, its files are others over other layers.
    pub stored: Vec<StoredFiles>,
}

/// The files of a layer. They are opened when its turn comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFiles {
    /// The chain ID, where the image is right over the layers of this one alone.
    pub chain: Option<Digest>,
    /// Its EROFS image.
    pub erofs: PathBuf,
    /// Its tar recipe; `None` of a layer that was adopted, whose tar cannot be had.
    pub recipe: Option<PathBuf>,
}

impl OutputLayer {
    /// Returns the files that are right over the layers below, which the chain ID names.
    pub(super) fn over(&self, chain: &Digest) -> Option<&StoredFiles> {
        let mut stored = self.stored.iter();
        let own = stored.find(|stored| stored.chain.as_ref() == Some(chain));
        let any = || self.stored.iter().find(|stored| stored.chain.is_none());
        own.or_else(any).or_else(|| self.stored.first())
    }
}
