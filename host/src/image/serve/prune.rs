//! `store serve containerd --prune`: removing the names of layers that no image has any more.
//!
//! Owns which names go. One that containerd refers to stays, also if it begins to while the name is
//! removed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{SUFFIX, ServeOptions, ServeReport, keep};
use crate::context::Context;
use crate::digest::Digest;
use crate::fs::{self, atomic};
use crate::image::ServeError;
use crate::image::containerd::References;
use crate::image::sidecar;
use crate::layer::is_layer_image;
use crate::store::Store;

/// A name in the directory.
#[derive(Debug)]
struct Entry {
    diff_id: Digest,
    path: PathBuf,
}

/// Removes the names of layers that no image has any more.
pub(super) fn prune(
    store: &Store,
    directory: &Path,
    options: &ServeOptions,
    report: &mut ServeReport,
    context: &Context,
) -> Result<(), ServeError> {
    let images = store.images()?;
    let layers = images.iter().flat_map(|image| &image.layers);
    let needed: BTreeSet<&Digest> = layers.map(|layer| &layer.key.diff_id).collect();
    let mut unused = entries(directory)?;
    unused.retain(|entry| {
        !needed.contains(&entry.diff_id)
            && (is_layer_image(&entry.path, &entry.diff_id, None) || is_dangling(&entry.path))
    });
    let references = References::find(&options.containerd_root)?;
    for entry in unused {
        context.cancel.check()?;
        if references.contain(&entry.path) || !take_away(&entry.path, &options.containerd_root)? {
            report.kept.push(entry.path);
        } else {
            sidecar::remove(&entry.path)?;
            report.removed += 1;
        }
    }
    keep(store, directory, BTreeSet::new(), true)
}

fn is_dangling(path: &Path) -> bool {
    let is_link = fs::link_metadata(path).is_ok_and(|found| found.is_symlink());
    is_link && fs::metadata(path).is_err()
}

/// Removes a name, unless containerd has begun to refer to it meanwhile. Returns whether it is gone.
fn take_away(path: &Path, containerd_root: &Path) -> Result<bool, ServeError> {
    let failed = |source| ServeError::io("remove", path, source);
    if fs::link_metadata(path)?.is_symlink() {
        // There is nothing that it keeps.
        fs::remove_file(path)?;
        return Ok(true);
    }
    // Another name keeps the file until it is certain.
    let Some(taken) = atomic::set_aside(path).map_err(failed)? else {
        return Ok(true);
    };
    let references = References::find(containerd_root);
    match references {
        Ok(references) if !references.contain(path) => {
            taken.remove().map_err(failed)?;
            Ok(true)
        }
        found => {
            taken.restore().map_err(failed)?;
            found.map(|_| false)
        }
    }
}

/// Returns all names in a directory that are of the layout.
fn entries(directory: &Path) -> Result<Vec<Entry>, ServeError> {
    let mut found = Vec::new();
    for algorithm in names(directory)? {
        let below = directory.join(&algorithm);
        if !fs::metadata(&below).is_ok_and(|found| found.is_dir()) {
            continue;
        }
        for first in names(&below)? {
            let below = below.join(&first);
            if !fs::metadata(&below).is_ok_and(|found| found.is_dir()) {
                continue;
            }
            for name in names(&below)? {
                let hex = name
                    .strip_suffix(SUFFIX)
                    .filter(|hex| hex.starts_with(&first));
                let Some(hex) = hex else {
                    continue;
                };
                if let Ok(diff_id) = format!("{algorithm}:{hex}").parse() {
                    let path = below.join(&name);
                    found.push(Entry { diff_id, path });
                }
            }
        }
    }
    Ok(found)
}

/// Returns the names in a directory, sorted. Those of the layout are UTF-8.
fn names(directory: &Path) -> Result<Vec<String>, ServeError> {
    let mut names = Vec::new();
    for entry in fs::entries(directory)? {
        names.extend(entry?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}
