//! The `store` object: what the store may take, and what is done with its layers besides keeping them.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::SettingsError;
use super::shape::{Object, OneOrMany};

/// What is set of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreSettings {
    /// Bytes of disk that all images may take together: a pull and a load let the least used go. `None` is
    /// as much as there is.
    pub max_bytes: Option<u64>,
    /// Directories in which each layer that is pulled or loaded is laid for containerd, by absolute
    /// paths.
    pub serve_containerd: Vec<PathBuf>,
    /// The merged root filesystem of an image is made when the image is pulled or loaded, and not when
    /// it is first wanted: `store.merge`.
    pub merge: bool,
}

#[derive(Deserialize)]
pub(super) struct StoreFile {
    max_bytes: Option<u64>,
    #[serde(default)]
    serve: Option<Object<ServeFile>>,
    #[serde(default)]
    merge: Option<bool>,
}

#[derive(Deserialize)]
struct ServeFile {
    #[serde(default)]
    containerd: Option<OneOrMany>,
}

impl StoreFile {
    pub(super) fn resolve(self, file: &Path) -> Result<StoreSettings, SettingsError> {
        let serve = self.serve.and_then(|Object(serve)| serve.containerd);
        let OneOrMany(texts) = serve.unwrap_or(OneOrMany(Vec::new()));
        let mut directories = Vec::with_capacity(texts.len());
        for text in texts {
            let directory = PathBuf::from(text);
            if !directory.is_absolute() {
                return Err(SettingsError::RelativePath {
                    path: file.to_owned(),
                    key: "store.serve.containerd".to_owned(),
                });
            }
            directories.push(directory);
        }
        Ok(StoreSettings {
            max_bytes: self.max_bytes,
            serve_containerd: directories,
            merge: self.merge.unwrap_or_default(),
        })
    }
}
