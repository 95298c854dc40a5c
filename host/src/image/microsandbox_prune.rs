//! Removing what was laid for microsandbox and is of no use any more.
//!
//! Owns what may go: only what msb has laid, of images that are no longer in the store, and only if
//! neither a row nor a record of microsandbox needs it. A file in use has a lease, and stays.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::ServeError;
use super::microsandbox_reader::{devices_of_our_merged, is_our_merged};
use super::serve_microsandbox::{
    ServeMicrosandboxReport, disk_path, is_same, layer_digest, merged_path,
};
use super::vmdk;
use crate::context::Context;
use crate::digest::Digest;
use crate::fs::{self, IfThere as _};
use crate::home::Home;
use crate::layer::{chain_id, is_layer_image};
use crate::microsandbox;
use crate::reference::Reference;
use crate::store::{Foreign, Store};

/// Removes names of what no image of the store has any more.
pub(super) fn prune(
    store: &Store,
    home: &Home,
    report: &mut ServeMicrosandboxReport,
    context: &Context,
) -> Result<(), ServeError> {
    let images = store.images()?;
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for image in &images {
        let references = image.references.iter().map(Reference::canonical);
        names
            .entry(image.digest.to_string())
            .or_default()
            .extend(references);
    }
    let foreign = Foreign::open(home)?;
    let their_names: BTreeSet<String> = foreign
        .names()?
        .iter()
        .filter_map(|name| Some(name.parse::<Reference>().ok()?.canonical()))
        .collect();
    let mut manifests: BTreeSet<String> = foreign.known_manifests()?.into_iter().collect();
    let mut layers: BTreeSet<String> = foreign.known_layers()?.into_iter().collect();
    for record in microsandbox::records(home)? {
        context.cancel.check()?;
        let digest = &record.manifest_digest;
        if let Some(mark) = &record.msb {
            let is_ours = names
                .get(digest)
                .is_some_and(|it| it.contains(&mark.reference));
            let is_known = manifests.contains(digest) || their_names.contains(&mark.reference);
            if !is_ours && !is_known && remove(&[&record.path], report)? {
                continue;
            }
            if !is_ours {
                report.kept.push(mark.reference.clone());
            }
        }
        manifests.insert(record.manifest_digest);
        layers.extend(record.layers.into_iter().map(|layer| layer.diff_id));
    }
    for image in &images {
        let of_image = image.layers.iter();
        layers.extend(of_image.map(|layer| layer_digest(&layer.key).to_string()));
    }
    // Of layers that depend on others, the merged filesystem alone says which they are: it goes after them.
    let dependent = dependent_layers(home)?;
    for digest in digests(&home.layers(), ".erofs")? {
        let path = home.erofs(&digest.file_stem());
        let is_ours = is_layer_image(&path, &digest, None)
            || dependent
                .iter()
                .any(|layer| layer.chain == digest && layer.is_at(&path));
        if is_ours && !layers.contains(&digest.to_string()) {
            remove(&[&path], report)?;
        }
    }
    for digest in digests(&home.fsmeta(), ".erofs")? {
        let (merged, disk) = (merged_path(home, &digest), disk_path(home, &digest));
        let is_own =
            is_same(home.root(), store.home().root()) && names.contains_key(&digest.to_string());
        if manifests.contains(&digest.to_string()) || is_own || !is_our_merged(&merged) {
            continue;
        }
        let left = dependent.iter().filter(|layer| layer.manifest == digest);
        let mut left = left.filter(|layer| !layers.contains(&layer.chain.to_string()));
        if left.any(|layer| layer.is_at(&home.erofs(&layer.chain.file_stem()))) {
            continue;
        }
        if fs::is_there(&disk)? && vmdk::is_ours(&disk) {
            remove(&[&merged, &disk], report)?;
        } else {
            remove(&[&merged], report)?;
        }
    }
    Ok(())
}

/// A layer that may be another one over these than over any others.
struct DependentLayer {
    /// The manifest of the image that it is of.
    manifest: Digest,
    diff_id: Digest,
    chain: Digest,
}

impl DependentLayer {
    /// Returns whether its file is there.
    fn is_at(&self, path: &Path) -> bool {
        is_layer_image(path, &self.diff_id, Some(&self.chain))
    }
}

/// Returns the layers that lie over others in merged images of ours, whose devices say their `diff_id`s.
fn dependent_layers(home: &Home) -> Result<Vec<DependentLayer>, ServeError> {
    let mut found = Vec::new();
    for manifest in digests(&home.fsmeta(), ".erofs")? {
        let mut below = None;
        for diff_id in devices_of_our_merged(&merged_path(home, &manifest)) {
            let chain = chain_id(below.as_ref(), &diff_id);
            if below.is_some() {
                found.push(DependentLayer {
                    manifest: manifest.clone(),
                    diff_id,
                    chain: chain.clone(),
                });
            }
            below = Some(chain);
        }
    }
    Ok(found)
}

/// Removes files that nothing uses, and returns whether they are gone.
pub(super) fn remove(
    paths: &[&PathBuf],
    report: &mut ServeMicrosandboxReport,
) -> Result<bool, ServeError> {
    let all: Vec<PathBuf> = paths.iter().map(|path| (*path).clone()).collect();
    let Some(_leases) = microsandbox::claim_all(&all)? else {
        return Ok(false);
    };
    for path in paths {
        if fs::remove_file(path).if_there()?.is_some() {
            report.removed += 1;
        }
        fs::sync_directory(fs::parent(path))
            .map_err(|source| ServeError::io("synchronise", path, source))?;
    }
    Ok(true)
}

/// Returns the digests that files are called by.
fn digests(directory: &Path, suffix: &str) -> Result<Vec<Digest>, ServeError> {
    let mut found = Vec::new();
    for entry in fs::entries(directory)? {
        let name = entry?.file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(suffix));
        let digest = stem.and_then(|stem| stem.replacen('_', ":", 1).parse().ok());
        found.extend(digest);
    }
    found.sort_unstable();
    Ok(found)
}
