//! The root filesystem of an image, open to be looked at: what its layers show together, while nothing
//! of them is removed.

use msb_erofs::{InodeId, Kind};

use super::FilesError;
use crate::context::Context;
use crate::layer::{LayerError, LayerImages, LookedUp, MergedTree};
use crate::limits::{Budget, Limits};
use crate::store::{LayerKey, LayerPins, Store};

/// How many names are told that are nearly the one that is not there.
const NEAR_NAMES: usize = 3;

/// The root filesystem of an image.
#[derive(Debug)]
pub(super) struct Rootfs {
    /// What the image was called.
    pub(super) name: String,
    pub(super) tree: MergedTree,
    /// The layers in the store, the bottom one first.
    pub(super) keys: Vec<LayerKey>,
    pub(super) budget: Budget,
    /// Keep the layers.
    _pins: LayerPins,
}

/// Something in it, with its path without symbolic links.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) path: Vec<u8>,
    pub(super) id: InodeId,
}

impl Rootfs {
    /// Opens that of the image that `selector` names.
    pub(super) fn open(
        store: &Store,
        selector: &str,
        limits: &Limits,
        context: &Context,
    ) -> Result<Self, FilesError> {
        let Context { progress, cancel } = context;
        let lease = store.lease(progress.as_ref(), cancel)?;
        let image = store.find(selector)?.image;
        let diff_ids = image.layers.iter().map(|layer| &layer.key.diff_id);
        let pins = store.pin_layers(diff_ids, progress.as_ref(), cancel)?;
        drop(lease);
        let mut paths = Vec::with_capacity(image.layers.len());
        for layer in &image.layers {
            let missing = || FilesError::MissingLayer {
                image: selector.to_owned(),
                diff_id: layer.key.diff_id.clone(),
            };
            paths.push(
                store
                    .readable_layer(&layer.key)?
                    .ok_or_else(missing)?
                    .erofs_path,
            );
        }
        let budget = Budget::new(limits);
        let tree = MergedTree::build(LayerImages::at(paths), &budget, cancel);
        Ok(Self {
            tree: tree.map_err(|error| failed(selector, error))?,
            name: selector.to_owned(),
            keys: image.layers.into_iter().map(|layer| layer.key).collect(),
            budget,
            _pins: pins,
        })
    }

    /// Finds what is at a path, as it is found by a process that has this root filesystem.
    pub(super) fn locate(&self, path: &[u8], follow: bool) -> Result<Located, FilesError> {
        let image = self.name.clone();
        match self.tree.look_up(path, follow) {
            LookedUp::Found { path, id } => Ok(Located { path, id }),
            LookedUp::Missing {
                directory,
                id,
                name,
            } => {
                let near = match &self.tree.tree().get(id).kind {
                    Kind::Directory(names) => near(&name, names.keys().map(|name| &**name)),
                    _ => Vec::new(),
                };
                Err(FilesError::NotFound {
                    image,
                    path: joined(&directory, &name),
                    near: near.iter().map(|name| joined(&directory, name)).collect(),
                })
            }
            LookedUp::NotADirectory(path) => Err(FilesError::NotADirectory { image, path }),
            LookedUp::TooManyLinks(path) => Err(FilesError::TooManyLinks { image, path }),
        }
    }

    pub(super) fn kind(&self, id: InodeId) -> &Kind {
        &self.tree.tree().get(id).kind
    }

    /// Gives an error of the layers the name of the image.
    pub(super) fn failed(&self, error: LayerError) -> FilesError {
        failed(&self.name, error)
    }
}

fn failed(image: &str, error: LayerError) -> FilesError {
    match error {
        LayerError::Cancelled(cancelled) => cancelled.into(),
        LayerError::Overdrawn(overdrawn) => overdrawn.into(),
        source => FilesError::Read {
            image: image.to_owned(),
            source,
        },
    }
}

pub(super) fn joined(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match directory {
        [] => name.to_owned(),
        _ => [directory, name].join(&b'/'),
    }
}

/// Returns the names that are nearly this one, the nearest first.
fn near<'a>(name: &[u8], names: impl Iterator<Item = &'a [u8]>) -> Vec<&'a [u8]> {
    let wanted = String::from_utf8_lossy(name).to_lowercase();
    let most = (wanted.chars().count() / 3).max(1);
    let distance = |name: &'a [u8]| {
        let name = String::from_utf8_lossy(name).to_lowercase();
        // What is much longer or shorter is not looked at letter by letter.
        if name.len().abs_diff(wanted.len()) > 4 * most {
            return usize::MAX;
        }
        strsim::osa_distance(&wanted, &name)
    };
    let mut found: Vec<(usize, &[u8])> = names
        .map(|name| (distance(name), name))
        .filter(|(distance, _)| *distance <= most)
        .collect();
    found.sort_unstable();
    found.truncate(NEAR_NAMES);
    found.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_nearly_meant_are_told_the_nearest_first() {
        let names = ["passwd", "passwd-", "group", "Hosts", "hostname"];
        let cases: [(&str, &[&str]); 5] = [
            ("paswd", &["passwd", "passwd-"][..1]),
            ("passwd_", &["passwd", "passwd-"]),
            ("hosts", &["Hosts"]),
            ("x", &[]),
            ("", &[]),
        ];
        for (name, expected) in cases {
            let found = near(name.as_bytes(), names.iter().map(|name| name.as_bytes()));
            let expected: Vec<&[u8]> = expected.iter().map(|name| name.as_bytes()).collect();
            assert_eq!(found, expected, "{name}");
        }
    }
}
