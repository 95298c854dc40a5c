//! Where everything of a user lies: the directory `$MSB_HOME`, and the paths in it.
//!
//! Owns names. Knows nothing of what is in the files, and opens none of them.

use std::path::{Path, PathBuf};

use crate::digest::Digest;

/// How the names began of files that an msb of before was writing: documents in the directory of
/// what is in flight, and compiled plugins in theirs.
pub(crate) const UNFINISHED_DOCUMENT: &str = "blob-";
pub(crate) const UNFINISHED_CODE: &str = ".compiling-";
/// How the names of files end that hold a compiled plugin.
pub(crate) const COMPILED_CODE: &str = ".compiled";
/// What an msb of before kept compiled plugins in, within their directory.
pub(crate) const FORMER_CODE: &str = "modules";

/// How the names of sidecars end.
pub(crate) const SIDECAR: &str = ".json";

/// There is nothing that says where the home is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no home for the store: neither MSB_HOME nor HOME is set")]
pub struct NoHomeError;

/// The directory that holds the store, `$MSB_HOME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// Returns the home that the environment names: `MSB_HOME`, else `~/.microsandbox`.
    ///
    /// # Errors
    /// When `HOME` is not set either.
    pub fn resolve() -> Result<Self, NoHomeError> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        if let Some(root) = set("MSB_HOME") {
            return Ok(Self::at(root));
        }
        let home = set("HOME").ok_or(NoHomeError)?;
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

    pub(crate) fn catalogue(&self) -> PathBuf {
        self.root.join("db/images.db")
    }

    /// Files that are given up when the disk is full.
    pub(crate) fn reserve(&self) -> PathBuf {
        self.root.join("db/reserve")
    }

    /// The database of microsandbox, in which the catalogue was before store format 3.
    pub(crate) fn microsandbox(&self) -> PathBuf {
        self.root.join("db/msb.db")
    }

    pub(crate) fn layers(&self) -> PathBuf {
        self.cache("layers")
    }

    /// The EROFS image of the layer whose files are called `file`.
    pub(crate) fn erofs(&self, file: &str) -> PathBuf {
        self.layers().join(format!("{file}.erofs"))
    }

    /// The tar recipe of the layer whose files are called `file`.
    pub(crate) fn recipe(&self, file: &str) -> PathBuf {
        self.layers().join(format!("{file}.recipe"))
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.cache("blobs")
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.file_stem())
    }

    pub(crate) fn sidecars(&self) -> PathBuf {
        self.cache("sidecars")
    }

    pub(crate) fn sidecar(&self, image: &Digest) -> PathBuf {
        let name = format!("{}{}", image.file_stem(), SIDECAR);
        self.sidecars().join(name)
    }

    pub(crate) fn fsmeta(&self) -> PathBuf {
        self.cache("fsmeta")
    }

    pub(crate) fn vmdk(&self) -> PathBuf {
        self.cache("vmdk")
    }

    /// The records of microsandbox about its images.
    pub(crate) fn manifests(&self) -> PathBuf {
        self.cache("manifests")
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.cache("tmp")
    }

    pub(crate) fn locks(&self) -> PathBuf {
        self.cache("locks")
    }

    /// The file whose bytes are locks.
    pub(crate) fn lock(&self) -> PathBuf {
        self.locks().join("store.lock")
    }

    fn cache(&self, name: &str) -> PathBuf {
        self.root.join("cache").join(name)
    }
}
