//! Finding garbage on disk: files of ours that nothing in the catalogue needs.
//!
//! Owns the question whose a file is. Only names that the store itself gives are ever garbage, and
//! where a microsandbox shares the cache, only what cannot be its own.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::known::{Known, Parts};
use super::layer_file::{ADOPTED, BESIDE, OVER, over};
use super::lock_file::Locks;
use super::{StoreError, leftovers, part, sidecar, staging};
use crate::digest::Digest;
use crate::fs::{self, IfThere as _};
use crate::home::{self, Home};

/// The names of the files that may be garbage, by the directory that they are in.
struct Candidates {
    layers: Vec<String>,
    fsmeta: Vec<String>,
    vmdk: Vec<String>,
    blobs: Vec<String>,
}

/// Files to remove, by the name that they have in common, in the order of their removal.
#[derive(Debug, Default)]
pub(super) struct Garbage {
    pub(super) layers: BTreeMap<String, Vec<PathBuf>>,
    pub(super) fsmeta: BTreeMap<String, Vec<PathBuf>>,
    pub(super) vmdk: BTreeMap<String, Vec<PathBuf>>,
    pub(super) others: BTreeMap<String, Vec<PathBuf>>,
    /// Keeps pulls from the parts among them until they are removed.
    _claims: Option<Locks>,
}

impl Garbage {
    /// Looks through the cache. The caller has the sole lease: a file that gets its name now would be
    /// taken for garbage.
    pub(super) fn find(home: &Home, known: &Known) -> Result<Self, StoreError> {
        let candidates = Candidates {
            layers: names(&home.layers())?,
            fsmeta: names(&home.fsmeta())?,
            vmdk: names(&home.vmdk())?,
            blobs: names(&home.blobs())?,
        };
        let mut garbage = Self::pick(home, known, &candidates);
        let claims = Locks::open_if_writable(home)?;
        for name in names(&home.tmp())? {
            let path = home.tmp().join(&name);
            if staging::is_dead(home, &name)? {
                push_tree(&mut garbage.others, &name, &path);
            } else if (name.starts_with(home::UNFINISHED_DOCUMENT) && path.is_file())
                || part::claim(claims.as_ref(), &name)?
            {
                push(&mut garbage.others, &name, path);
            }
        }
        for path in leftovers::unfinished(home) {
            let name = path.to_string_lossy().into_owned();
            push(&mut garbage.others, &name, path);
        }
        for name in names(&home.plugin_cache()).unwrap_or_default() {
            if name.starts_with(home::UNFINISHED_CODE) || name == home::FORMER_CODE {
                let path = home.plugin_cache().join(&name);
                push_tree(&mut garbage.others, &name, &path);
            }
        }
        Ok(Self {
            _claims: claims,
            ..garbage
        })
    }

    /// Looks at some files alone: those of the parts, and layers of these names.
    pub(super) fn among(
        home: &Home,
        known: &Known,
        parts: &Parts<'_>,
        mut layers: HashSet<String>,
    ) -> Result<Self, StoreError> {
        for key in &parts.layers {
            let file = key.diff_id.file_stem();
            layers.extend(key.chain.iter().map(|chain| over(&file, chain)));
            layers.insert(format!("{file}{BESIDE}"));
            layers.insert(format!("{file}{ADOPTED}"));
            layers.insert(file);
        }
        let mut layers: Vec<String> = layers
            .iter()
            .flat_map(|file| [format!("{file}.erofs"), format!("{file}.recipe")])
            .collect();
        layers.sort_unstable();
        let manifest = |suffixes: &[&str]| -> Vec<String> {
            let names = parts.removed.iter().flat_map(|digest| {
                let names = suffixes.iter();
                names.map(|suffix| digest.file_stem() + suffix)
            });
            names.collect()
        };
        let documents = parts.documents.iter();
        let mut candidates = Candidates {
            layers,
            fsmeta: manifest(&[".erofs", &format!("{BESIDE}.erofs")]),
            vmdk: manifest(&[".vmdk"]),
            blobs: documents.map(|digest| digest.file_stem()).collect(),
        };
        for (directory, names) in [
            (home.layers(), &mut candidates.layers),
            (home.fsmeta(), &mut candidates.fsmeta),
            (home.vmdk(), &mut candidates.vmdk),
            (home.blobs(), &mut candidates.blobs),
        ] {
            let mut failed = Ok(());
            names.retain(|name| match fs::is_there(&directory.join(name)) {
                Ok(is_there) => is_there,
                Err(error) => {
                    failed = Err(error);
                    false
                }
            });
            failed?;
        }
        Ok(Self::pick(home, known, &candidates))
    }

    /// Picks what nothing needs.
    fn pick(home: &Home, known: &Known, candidates: &Candidates) -> Self {
        let mut garbage = Self::default();
        let layers = &candidates.layers;
        let with_recipe: HashSet<&str> = layers
            .iter()
            .filter_map(|name| name.strip_suffix(".recipe"))
            .collect();
        for name in layers {
            // The recipe is always ours. The image comes first: without the recipe beside it
            // there would be no proof any more that it is ours.
            let (file, is_garbage) = match name.rsplit_once('.') {
                Some((file, "erofs")) => {
                    let is_ours = !known.shared
                        || file.ends_with(BESIDE)
                        || file.ends_with(ADOPTED)
                        || (with_recipe.contains(file) && !known.their_layers.contains(file));
                    (file, is_ours && !known.layers.contains(file))
                }
                Some((file, "recipe")) => (file, !known.layers.contains(file)),
                _ => continue,
            };
            if is_garbage && is_digest(layer_of(file)) {
                push(&mut garbage.layers, file, home.layers().join(name));
            }
        }
        let (fsmeta, vmdk) = (&candidates.fsmeta, &candidates.vmdk);
        for (directory, names, suffix, found) in [
            (home.fsmeta(), fsmeta, ".erofs", &mut garbage.fsmeta),
            (home.vmdk(), vmdk, ".vmdk", &mut garbage.vmdk),
        ] {
            for name in names {
                let Some(file) = name.strip_suffix(suffix) else {
                    continue;
                };
                let image = file.strip_suffix(BESIDE).unwrap_or(file);
                let is_theirs = image == file
                    && (known.their_manifests.contains(image)
                        || (known.shared && !known.removed.contains(image)));
                if is_digest(image) && !is_theirs && !known.manifests.contains(image) {
                    push(found, file, directory.join(name));
                }
            }
        }
        for name in &candidates.blobs {
            if is_digest(name) && !known.blobs.contains(name) {
                push(&mut garbage.others, name, home.blobs().join(name));
            }
        }
        garbage
    }
}

/// Returns the digests of manifests, configurations and indexes that are there.
pub(super) fn documents(home: &Home) -> Result<Vec<Digest>, StoreError> {
    let names = names(&home.blobs())?.into_iter();
    let digest = |name: String| name.replacen('_', ":", 1).parse().ok();
    Ok(names.filter_map(digest).collect())
}

/// Returns whether there are files of images: documents, recipes of layers, or sidecars.
pub(super) fn has_images(home: &Home) -> Result<bool, StoreError> {
    let is_recipe = |name: &String| {
        let file = name.strip_suffix(".recipe");
        file.is_some_and(|file| is_digest(layer_of(file)))
    };
    Ok(!documents(home)?.is_empty()
        || names(&home.layers())?.iter().any(is_recipe)
        || !sidecar::list(home)?.is_empty())
}

fn push(found: &mut BTreeMap<String, Vec<PathBuf>>, file: &str, path: PathBuf) {
    found.entry(file.to_owned()).or_default().push(path);
}

/// Adds a directory from the inside out, so that each piece is counted.
fn push_tree(found: &mut BTreeMap<String, Vec<PathBuf>>, file: &str, path: &Path) {
    for entry in WalkDir::new(path)
        .contents_first(true)
        .into_iter()
        .flatten()
    {
        push(found, file, entry.into_path());
    }
}

/// Returns the names in a directory that may not be there, sorted.
pub(super) fn names(directory: &Path) -> Result<Vec<String>, StoreError> {
    let entries = fs::entries(directory).if_there()?;
    let mut names = Vec::new();
    for entry in entries.into_iter().flatten() {
        // The store gives no other names than UTF-8.
        names.extend(entry?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

/// Returns the name of the layer that a file belongs to.
fn layer_of(file: &str) -> &str {
    let file = file.split_once(OVER).map_or(file, |(layer, _)| layer);
    let own = [BESIDE, ADOPTED];
    own.iter()
        .find_map(|end| file.strip_suffix(end))
        .unwrap_or(file)
}

fn is_digest(file: &str) -> bool {
    file.replacen('_', ":", 1).parse::<Digest>().is_ok()
}
