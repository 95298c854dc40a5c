//! The `store` object: what the store may take, and what is done with its layers besides keeping them.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::SettingsError;
use super::shape::{FlagOrTexts, Object, OneOrMany};

/// What is set of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreSettings {
    /// Bytes of disk that all images may take together: a pull and a load let the least used go. `None` is
    /// as much as there is.
    pub max_bytes: Option<u64>,
    /// Directories in which each layer that is pulled or loaded is laid for containerd, by absolute
    /// paths.
    pub serve_containerd: Vec<PathBuf>,
    /// Homes of microsandbox in which each image that is pulled or loaded is laid; `None` is the home of
    /// msb itself.
    pub serve_microsandbox: Vec<Option<PathBuf>>,
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
    #[serde(default)]
    microsandbox: Option<FlagOrTexts>,
}

impl StoreFile {
    pub(super) fn resolve(self, file: &Path) -> Result<StoreSettings, SettingsError> {
        let serve = self.serve.map(|Object(serve)| serve);
        let (containerd, microsandbox) =
            serve.map_or((None, None), |serve| (serve.containerd, serve.microsandbox));
        let containerd = directories(containerd, "store.serve.containerd", file)?;
        let microsandbox = match microsandbox {
            None | Some(FlagOrTexts::Flag(false)) => Vec::new(),
            Some(FlagOrTexts::Flag(true)) => vec![None],
            Some(FlagOrTexts::Texts(homes)) => {
                let homes = directories(Some(homes), "store.serve.microsandbox", file)?;
                homes.into_iter().map(Some).collect()
            }
        };
        Ok(StoreSettings {
            max_bytes: self.max_bytes,
            serve_containerd: containerd,
            serve_microsandbox: microsandbox,
            merge: self.merge.unwrap_or_default(),
        })
    }
}

fn directories(
    texts: Option<OneOrMany>,
    key: &str,
    file: &Path,
) -> Result<Vec<PathBuf>, SettingsError> {
    let OneOrMany(texts) = texts.unwrap_or(OneOrMany(Vec::new()));
    let mut directories = Vec::with_capacity(texts.len());
    for text in texts {
        let directory = PathBuf::from(text);
        if !directory.is_absolute() {
            return Err(SettingsError::RelativePath {
                path: file.to_owned(),
                key: key.to_owned(),
            });
        }
        directories.push(directory);
    }
    Ok(directories)
}
