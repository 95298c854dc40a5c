//! `store serve containerd`: the layers of the store under the names by which the EROFS snapshotter of
//! containerd looks for them. Nothing is copied.
//!
//! Owns the layout, and which names are laid; which of them go is in [`prune`]. What of the names containerd still
//! refers to is found out in [`containerd`](super::containerd). Source: containerd 2.4,
//! `docs/snapshotters/erofs.md` (`layer_content_caches`).

mod prune;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use serde::Serialize;

use super::ServeError;
use super::containerd::References;
use super::sidecar;
use crate::context::Context;
use crate::digest::Digest;
use crate::fs::{self, IfThere as _, SHARED_DIRECTORY, atomic};
use crate::layer::is_layer_image;
use crate::store::{ImageRecord, Store};

/// The lock of those who lay and remove names.
const LOCK: &str = ".msb.lock";
/// How the names end.
const SUFFIX: &str = ".erofs";
/// How the name of the sandbox begins that stands for a directory whose names are symbolic links.
const SANDBOX: &str = "containerd:";

/// What to serve.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The images whose layers are served; all of the store where there are none.
    pub images: Vec<String>,
    /// Removes the names of layers that no image of the store has any more, and that containerd does
    /// not refer to.
    pub prune: bool,
    /// Lays copies with a dm-verity hash tree, for a containerd with `dmverity_mode`. A directory that has
    /// them once keeps to that.
    pub verity: bool,
    /// Where containerd has its state: `root` of its configuration, or `root_path` of its EROFS
    /// snapshotter. For `prune` only.
    pub containerd_root: PathBuf,
}

/// What was done. Its JSON form is part of the command line's contract.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServeReport {
    /// Names that were laid, those that were laid again included.
    pub added: usize,
    /// Names that were there already.
    pub present: usize,
    /// Names that are symbolic links, for the directory is on another filesystem than the store. The
    /// images with these layers are in use by the directory.
    pub symlinks: usize,
    /// Layers that depend on those below them, which stay out, by their `diff_id`s.
    pub dependent: Vec<Digest>,
    /// Layers that the store has no files of, or damaged ones.
    pub missing: Vec<Digest>,
    /// Names that others have laid, which stay as they are.
    pub foreign: Vec<PathBuf>,
    /// Names that are copies with a hash tree.
    pub with_verity: usize,
    /// Bytes that were written for these now.
    pub copied_bytes: u64,
    /// Names that were removed.
    pub removed: usize,
    /// Names of layers that no image has any more, and that containerd refers to.
    pub kept: Vec<PathBuf>,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            images: Vec::new(),
            prune: false,
            verity: false,
            containerd_root: PathBuf::from("/var/lib/containerd"),
        }
    }
}

/// Lays the layers of images in a directory, which is made if it is not there. To be called again when
/// there are new images: what is there stays as it is.
///
/// # Errors
/// An image that is not there, a directory that cannot be written, and with [`ServeOptions::prune`] a
/// containerd that cannot be asked what it refers to.
pub fn serve_containerd(
    store: &Store,
    directory: &Path,
    options: &ServeOptions,
    context: &Context,
) -> Result<ServeReport, ServeError> {
    let Context { progress, cancel } = context;
    // Whether it can be done is found out before anything is.
    if options.prune {
        References::find(&options.containerd_root)?;
    }
    fs::create_directory(directory, SHARED_DIRECTORY)
        .map_err(|source| ServeError::io("create", directory, source))?;
    let directory = fs::canonicalize(directory)?;
    let _lock = lock(&directory, context)?;
    let has_verity = sidecar::is_wanted(&directory, options.verity)?;
    let mut report = ServeReport::default();
    let lease = store.lease(progress.as_ref(), cancel)?;
    let images = if options.images.is_empty() {
        store.images()?
    } else {
        let found = options.images.iter().map(|it| Ok(store.find(it)?.image));
        found.collect::<Result<Vec<ImageRecord>, ServeError>>()?
    };
    let diff_ids = images.iter().flat_map(|image| &image.layers);
    let diff_ids: BTreeSet<&Digest> = diff_ids.map(|layer| &layer.key.diff_id).collect();
    let _pins = store.pin_layers(diff_ids, progress.as_ref(), cancel)?;
    drop(lease);
    let mut by_symlink = BTreeSet::new();
    let mut laid = BTreeMap::new();
    for image in &images {
        for layer in &image.layers {
            cancel.check()?;
            let diff_id = &layer.key.diff_id;
            let is_symlink = if let Some(is_symlink) = laid.get(&layer.key) {
                *is_symlink
            } else {
                let is_symlink = if layer.key.chain.is_some() {
                    report.dependent.push(diff_id.clone());
                    false
                } else if let Some(stored) = store.layer(&layer.key)? {
                    let erofs = &stored.erofs_path;
                    if has_verity {
                        let path = name_of(&directory, diff_id);
                        sidecar::lay(path, diff_id, erofs, &mut report, cancel)?;
                        false
                    } else {
                        lay(&directory, diff_id, erofs, &mut report)?
                    }
                } else {
                    report.missing.push(diff_id.clone());
                    false
                };
                laid.insert(layer.key.clone(), is_symlink);
                is_symlink
            };
            if is_symlink {
                by_symlink.insert(image.digest.clone());
            }
        }
    }
    keep(store, &directory, by_symlink, options.prune)?;
    if options.prune {
        prune::prune(store, &directory, options, &mut report, context)?;
    }
    Ok(report)
}

/// Waits for the right to change the names in a directory.
fn lock(directory: &Path, context: &Context) -> Result<File, ServeError> {
    let path = directory.join(LOCK);
    let failed = |source| ServeError::io("lock", &path, source);
    let mut options = File::options();
    let lock = options
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(failed)?;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(std::fs::TryLockError::WouldBlock) => context.cancel.check()?,
            Err(std::fs::TryLockError::Error(error)) => return Err(failed(error)),
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn name_of(directory: &Path, diff_id: &Digest) -> PathBuf {
    let hex = diff_id.hex();
    let first = hex.get(..2).unwrap_or_default();
    let algorithm = directory.join(diff_id.algorithm().name());
    algorithm.join(first).join(format!("{hex}{SUFFIX}"))
}

/// Lays one name, and returns whether it is a symbolic link.
fn lay(
    directory: &Path,
    diff_id: &Digest,
    erofs: &Path,
    report: &mut ServeReport,
) -> Result<bool, ServeError> {
    let path = name_of(directory, diff_id);
    let is_theirs = match fs::link_metadata(&path).if_there()? {
        None => false,
        Some(found) if found.is_symlink() => {
            if fs::read_link(&path)? == erofs {
                report.present += 1;
                report.symlinks += 1;
                return Ok(true);
            }
            !leads_to_a_layer(&path, diff_id, erofs)
        }
        Some(found) => {
            let own = fs::metadata(erofs)?;
            if (found.dev(), found.ino()) == (own.dev(), own.ino()) {
                report.present += 1;
                return Ok(false);
            }
            !is_layer_image(&path, diff_id, None)
        }
    };
    if is_theirs {
        report.foreign.push(path);
        return Ok(false);
    }
    let failed = |source| ServeError::io("write", &path, source);
    fs::create_directory(fs::parent(&path), SHARED_DIRECTORY).map_err(failed)?;
    let linked = atomic::put_link(&path, |at| fs::hard_link(erofs, at));
    let is_symlink = match linked {
        Err(error) if is_elsewhere(&error) => {
            atomic::put_link(&path, |at| symlink(erofs, at)).map_err(failed)?;
            true
        }
        linked => {
            linked.map_err(failed)?;
            false
        }
    };
    fs::sync_directory(fs::parent(&path)).map_err(failed)?;
    report.added += 1;
    report.symlinks += usize::from(is_symlink);
    Ok(is_symlink)
}

/// Returns whether a file can have no other name there: another filesystem, or too many names.
fn is_elsewhere(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::XDEV | Errno::MLINK)
    )
}

/// Returns whether a symbolic link leads to where an msb has, or had, the image of a layer.
pub(super) fn leads_to_a_layer(path: &Path, diff_id: &Digest, erofs: &Path) -> bool {
    let target = fs::read_link(path).unwrap_or_default();
    let name = |path: &Path| path.file_name().map(std::ffi::OsStr::to_owned);
    let is_named = name(&target)
        .and_then(|name| name.into_string().ok())
        .is_some_and(|name| name.starts_with(&diff_id.file_stem()));
    is_named && (target.parent() == erofs.parent() || is_layer_image(path, diff_id, None))
}

/// Records which images the symbolic links of a directory need: those of now, and those that were
/// removed by force while a name of theirs is there.
fn keep(
    store: &Store,
    directory: &Path,
    mut images: BTreeSet<Digest>,
    prune: bool,
) -> Result<(), ServeError> {
    let sandbox = format!("{SANDBOX}{}", directory.display());
    let before = store.used_by(&sandbox)?;
    if before.is_empty() && images.is_empty() {
        return Ok(());
    }
    let has_name = |diff_id: &Digest| {
        let path = name_of(directory, diff_id);
        fs::link_metadata(&path).is_ok_and(|found| found.is_symlink())
    };
    for image in before {
        if !prune || !image.removed || image.layers.iter().any(has_name) {
            images.insert(image.digest);
        }
    }
    let images: Vec<Digest> = images.into_iter().collect();
    Ok(store.use_only(&sandbox, &images)?)
}
