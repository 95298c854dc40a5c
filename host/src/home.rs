//! Where everything lies.

use std::path::{Path, PathBuf};

use super::StoreError;
use crate::digest::Digest;

/// How the names began of files that an msb of before was writing: documents in the directory of
/// what is in flight, and compiled plugins in theirs.
pub(super) const UNFINISHED_DOCUMENT: &str = "blob-";
pub(super) const UNFINISHED_CODE: &str = ".compiling-";
/// How the names of files end that hold a compiled plugin.
pub(crate) const COMPILED_CODE: &str = ".compiled";
/// What an msb of before kept compiled plugins in, within their directory.
pub(crate) const FORMER_CODE: &str = "modules";

/// The directory that holds the store, `$MSB_HOME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// Returns the home that the environment names: `MSB_HOME`, else `~/.microsandbox`.
    ///
    /// # Errors
    /// [`StoreError::NoHome`] when `HOME` is not set either.
    pub fn resolve() -> Result<Self, StoreError> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        if let Some(root) = set("MSB_HOME") {
            return Ok(Self::at(root));
        }
        let home = set("HOME").ok_or(StoreError::NoHome)?;
        Ok(Self::at(Path::new(&home).join(".microsandbox")))
    }

    /// Returns a home at a directory, which need not exist yet.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        // Paths in the answers of msb must mean the same wherever they are read.
        let root = std::path::absolute(&root).unwrap_or(root);
        Self { root }
    }

    /// Returns the directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the directory of compiled plugins.
    pub fn plugin_cache(&self) -> PathBuf {
        self.cache("plugins")
    }

    /// Returns the directory of installed plugins.
    pub fn plugins(&self) -> PathBuf {
        self.root.join("plugins")
    }

    /// Returns the directory of passwords that were to be kept in files.
    pub fn passwords(&self) -> PathBuf {
        self.root.join("secrets/registries")
    }

    pub(super) fn catalogue(&self) -> PathBuf {
        self.root.join("db/images.db")
    }

    /// Files that are given up when the disk is full.
    pub(super) fn reserve(&self) -> PathBuf {
        self.root.join("db/reserve")
    }

    /// The database of microsandbox, in which the catalogue was before store format 3.
    pub(super) fn microsandbox(&self) -> PathBuf {
        self.root.join("db/msb.db")
    }

    pub(super) fn layers(&self) -> PathBuf {
        self.cache("layers")
    }

    /// The EROFS image of the layer whose files are called `file`.
    pub(super) fn erofs(&self, file: &str) -> PathBuf {
        self.layers().join(format!("{file}.erofs"))
    }

    /// The tar recipe of the layer whose files are called `file`.
    pub(super) fn recipe(&self, file: &str) -> PathBuf {
        self.layers().join(format!("{file}.recipe"))
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.cache("blobs")
    }

    pub(super) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.file_stem())
    }

    pub(super) fn sidecars(&self) -> PathBuf {
        self.cache("sidecars")
    }

    pub(super) fn sidecar(&self, image: &Digest) -> PathBuf {
        let name = format!("{}{}", image.file_stem(), super::sidecar::SUFFIX);
        self.sidecars().join(name)
    }

    pub(super) fn fsmeta(&self) -> PathBuf {
        self.cache("fsmeta")
    }

    pub(super) fn vmdk(&self) -> PathBuf {
        self.cache("vmdk")
    }

    pub(super) fn tmp(&self) -> PathBuf {
        self.cache("tmp")
    }

    pub(super) fn locks(&self) -> PathBuf {
        self.cache("locks")
    }

    /// The file whose bytes are locks.
    pub(super) fn lock(&self) -> PathBuf {
        self.locks().join("store.lock")
    }

    fn cache(&self, name: &str) -> PathBuf {
        self.root.join("cache").join(name)
    }
}
