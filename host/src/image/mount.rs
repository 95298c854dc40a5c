//! `image mount` and `image umount`: the root filesystem of an image in a directory, read-only.
//!
//! Owns the way in which the layers come over each other there, and the use of the image that lasts as
//! long as the mount. Where the kernel can, that is the merged image, which has the layers as devices;
//! else an overlay. While an overlay is being put together, its layers are in a directory of their own;
//! then that goes, and all that there is hangs on the one mount: who unmounts it, with whatever tool,
//! unmounts everything.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use msb_erofs::Image;
use serde::Serialize;

use super::mount_verity::mount_verity;
use super::mount_workshop::Workshop;
use super::verified::lossy;
use super::{MountImageError, Verity};
use crate::context::Context;
use crate::digest::Digest;
use crate::fs::{self, IfThere as _};
use crate::limits::Limits;
use crate::mount::{self, Mounted};
use crate::store::{ImageRecord, Store};

/// How the name of a mount begins in the table of the kernel; the digest of the manifest follows.
const SOURCE: &str = "msb:";
/// How the name of the sandbox begins that stands for a mount; the directory follows.
pub const MOUNT_SANDBOX: &str = "mount:";

/// How to mount an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountOptions {
    /// Have the kernel prove each block that it reads (dm-verity).
    pub verity: bool,
    /// The root hash that the image must have, in hexadecimal digits; it implies [`verity`](Self::verity).
    pub root_hash: Option<String>,
}

/// A mount of an image. Its JSON form is part of the command line's contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MountedImage {
    /// The digest of the image's manifest.
    #[serde(rename = "digest")]
    pub manifest_digest: Digest,
    /// Where it is mounted, without symbolic links.
    #[serde(serialize_with = "lossy")]
    pub directory: PathBuf,
    /// How many layers it has.
    pub layers: usize,
    /// Whether it is one filesystem, as kernels since 6.12 mount it, and not an overlay of the layers.
    pub merged: bool,
    /// What proves it, with [`MountOptions::verity`]: what a disk of all files, one after the other, is
    /// proven by.
    pub verity: Option<Verity>,
}

/// Mounts the root filesystem of the image that `selector` names at an empty directory, read-only, and
/// without the effect of devices and of set-user-ID programs. The image is in use until it is unmounted.
///
/// With [`MountOptions::verity`], all of the image is read once before it is mounted.
pub fn mount(
    store: &Store,
    selector: &str,
    directory: &Path,
    options: &MountOptions,
    limits: &Limits,
    context: &Context,
) -> Result<MountedImage, MountImageError> {
    let Context { progress, cancel } = context;
    let has_verity = options.verity || options.root_hash.is_some();
    check_rights(selector)?;
    let directory = check_directory(directory)?;
    if has_verity {
        mount::mapper::check()?;
    }
    release_unmounted(store)?;
    Workshop::tidy()?;
    let lease = store.lease(progress.as_ref(), cancel)?;
    let image = store.find(selector)?.image;
    let mut layers = Vec::with_capacity(image.layers.len());
    for layer in &image.layers {
        let missing = || MountImageError::MissingLayer {
            image: selector.to_owned(),
            diff_id: layer.key.diff_id.clone(),
        };
        let stored = store.readable_layer(&layer.key)?.ok_or_else(missing)?;
        // The kernel has no words for what is wrong with one.
        Image::open(stored.open_erofs()?).map_err(|source| MountImageError::DamagedLayer {
            image: selector.to_owned(),
            diff_id: layer.key.diff_id.clone(),
            source,
        })?;
        layers.push(stored.erofs_path);
    }
    let sandbox = sandbox(&directory);
    let digest = image.digest.to_string();
    let diff_ids = image.layers.iter().map(|layer| &layer.key.diff_id);
    let _pins = store.pin_layers(diff_ids, progress.as_ref(), cancel)?;
    drop(lease);
    store.use_image(&sandbox, &digest)?;
    let mounted = if has_verity {
        let root_hash = options.root_hash.as_deref();
        mount_verity(store, &digest, &directory, root_hash, limits, context)
            .map(|verity| (true, Some(verity)))
    } else {
        // If the kernel cannot, or the disk has no room for the merged image, mount the layers.
        match mount_merged(store, &digest, &directory, limits, context) {
            Ok(()) => Ok((true, None)),
            Err(_) => put_together(&image, &layers, &directory, context).map(|()| (false, None)),
        }
    };
    // Another process may have ended the use of what was not mounted yet.
    let used = mounted.and_then(|mounted| {
        store.use_image(&sandbox, &digest)?;
        Ok(mounted)
    });
    match used {
        Ok((merged, verity)) => Ok(MountedImage {
            manifest_digest: image.digest,
            directory,
            layers: layers.len(),
            merged,
            verity,
        }),
        Err(error) => {
            let _ = mount::unmount_lazily(&directory);
            store.release(&sandbox)?;
            Err(error)
        }
    }
}

/// Mounts the merged image over those of the layers, with no overlay.
fn mount_merged(
    store: &Store,
    image: &str,
    directory: &Path,
    limits: &Limits,
    context: &Context,
) -> Result<(), MountImageError> {
    let merged = super::merged::merged(store, image, limits, context)?;
    let devices = merged.devices.into_iter().map(|device| device.path);
    let devices: Vec<PathBuf> = devices.collect();
    Ok(mount::erofs_over(&merged.path, &devices, directory)?)
}

/// Unmounts what [`mount()`] has mounted at a directory, and ends the use of the image. Returns the
/// directory without symbolic links. A mount that has gone meanwhile, with the machine for example, is
/// no error as long as the use is still recorded.
pub fn unmount(store: &Store, directory: &Path) -> Result<PathBuf, MountImageError> {
    let directory = resolved(directory)?;
    let top = mount::table()?
        .into_iter()
        .rfind(|mounted| mounted.at == directory);
    let sandbox = sandbox(&directory);
    match top {
        Some(top) if is_ours(store, &top) => {
            check_rights("")?;
            mount::unmount(&directory)?;
        }
        Some(top) => {
            return Err(MountImageError::NotOurs {
                directory,
                source_name: top.source.to_string_lossy().into_owned(),
            });
        }
        None if store.sandboxes(&sandbox)?.contains(&sandbox) => {}
        None => return Err(MountImageError::NotMounted { directory }),
    }
    store.release(&sandbox)?;
    release_unmounted(store)?;
    Ok(directory)
}

/// Ends the uses of mounts that are gone, unmounted by other tools or with the machine.
pub(crate) fn release_unmounted(store: &Store) -> Result<(), MountImageError> {
    let sandboxes = store.sandboxes(MOUNT_SANDBOX)?;
    if sandboxes.is_empty() {
        return Ok(());
    }
    let mounted: Vec<String> = mount::table()?
        .iter()
        .filter(|mounted| is_ours(store, mounted))
        .map(|mounted| sandbox(&mounted.at))
        .collect();
    for sandbox in sandboxes {
        if !mounted.contains(&sandbox) {
            store.release(&sandbox)?;
        }
    }
    Ok(())
}

/// Returns whether something that is mounted is an image: an overlay that is called so, a file of the
/// store, or a device that proves some.
fn is_ours(store: &Store, mounted: &Mounted) -> bool {
    mount::begins_with(&mounted.source, OsStr::new(SOURCE))
        || mount::begins_with(&mounted.source, store.home().root().as_os_str())
        || mount::mapper::is_ours(&mounted.source)
}

/// Returns the name of the sandbox that stands for a mount.
fn sandbox(directory: &Path) -> String {
    format!("{MOUNT_SANDBOX}{}", directory.display())
}

fn check_rights(image: &str) -> Result<(), MountImageError> {
    if rustix::process::geteuid().is_root() {
        Ok(())
    } else {
        Err(MountImageError::NotRoot {
            image: image.to_owned(),
        })
    }
}

/// Returns the directory without symbolic links. It need not be reachable any more, as long as the one
/// above it is.
fn resolved(directory: &Path) -> Result<PathBuf, MountImageError> {
    match fs::canonicalize(directory).if_there()? {
        Some(directory) => Ok(directory),
        None => Err(MountImageError::NoDirectory {
            directory: directory.to_owned(),
        }),
    }
}

fn check_directory(directory: &Path) -> Result<PathBuf, MountImageError> {
    let directory = resolved(directory)?;
    if !fs::metadata(&directory)?.is_dir() {
        return Err(MountImageError::NotADirectory { directory });
    }
    if mount::table()?.iter().any(|it| it.at == directory) {
        return Err(MountImageError::IsMount { directory });
    }
    if fs::entries(&directory)?.next().is_some() {
        return Err(MountImageError::NotEmpty { directory });
    }
    Ok(directory)
}

/// Mounts the layers aside, over each other at the directory, and takes the former away again.
fn put_together(
    image: &ImageRecord,
    layers: &[PathBuf],
    directory: &Path,
    context: &Context,
) -> Result<(), MountImageError> {
    let workshop = Workshop::open()?;
    // Overlayfs wants two at least, and an image may have none.
    let mut lower = vec!["empty".to_owned(), "nothing".to_owned()];
    for name in &lower {
        workshop.make(name)?;
    }
    // A layer shows nothing that the same one above it does not show, and overlayfs takes a filesystem
    // only once.
    let above = |number: usize| layers.get(number + 1..).unwrap_or_default();
    for (number, layer) in layers.iter().enumerate() {
        context.cancel.check()?;
        if above(number).contains(layer) {
            continue;
        }
        let name = number.to_string();
        mount::erofs(layer, &workshop.make(&name)?)?;
        lower.push(name);
    }
    if layers.is_empty() {
        lower.truncate(2);
    } else {
        lower.remove(1);
    }
    lower.reverse();
    let source = format!("{SOURCE}{}", image.digest);
    Ok(mount::overlay(
        &source,
        workshop.directory(),
        &lower,
        directory,
    )?)
}
