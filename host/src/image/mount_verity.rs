//! `image mount --verity`: the merged image and its layers as one device whose blocks the kernel proves.
//!
//! Owns how that device is put together: the files as loop devices, one after the other as on a raw disk,
//! and over them dm-verity with a hash tree in a file that has no name. All of it goes with the mount.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use super::disk::linear_table;
use super::merged::Layered;
use super::mount_workshop::Workshop;
use super::verity;
use super::{MergeError, MountImageError, Verity};
use crate::context::Context;
use crate::limits::Limits;
use crate::mount;
use crate::mount::mapper::MappedDevices;
use crate::progress::Event;
use crate::store::Store;

/// Mounts an image so that each block is proven when it is read. If a root hash is expected, the image
/// must have it.
pub(super) fn mount_verity(
    store: &Store,
    image: &str,
    directory: &Path,
    expected: Option<&str>,
    limits: &Limits,
    context: &Context,
) -> Result<Verity, MountImageError> {
    let layered = Layered::find(store, image, context)?;
    let merged = layered.merged(store, limits, context)?;
    let scratch = |source| MountImageError::Merge(MergeError::Scratch { source });
    let tree = store.staging(&context.cancel)?.scratch()?;
    let mut files = Vec::new();
    for (path, size) in merged.parts() {
        let file = File::open(path).map_err(|source| MountImageError::io("read", path, source))?;
        files.push((file, size));
    }
    context.progress.report(Event::Phase("Hashing image"));
    let parts: Vec<(&File, u64)> = files.iter().map(|(file, size)| (file, *size)).collect();
    let written = verity::write(&parts, &tree, 0, layered.uuid, &context.cancel);
    context.cancel.check()?;
    let verity = written.map_err(scratch)?;
    if let Some(expected) = expected
        && !expected.eq_ignore_ascii_case(&verity.root_hash)
    {
        return Err(MountImageError::RootHash {
            image: image.to_owned(),
            expected: expected.to_owned(),
            found: verity.root_hash,
        });
    }
    let workshop = Workshop::open()?;
    let mut devices = MappedDevices::new(workshop.name());
    let mut attach = |path: &Path| -> Result<PathBuf, MountImageError> {
        let device = devices.attach(path)?;
        workshop.note(device)?;
        Ok(device.path.clone())
    };
    let mut parts = Vec::new();
    for (path, size) in merged.parts() {
        context.cancel.check()?;
        parts.push((attach(path)?, size));
    }
    // A device is of a file, not of a name.
    let unnamed = format!("/proc/{}/fd/{}", std::process::id(), tree.as_raw_fd());
    let hashes = attach(Path::new(&unnamed))?;
    let table = linear_table(parts.iter().map(|(path, size)| (path.as_path(), *size)));
    let data = devices.map_data(&table)?;
    let table = verity.table(&data.to_string_lossy(), &hashes.to_string_lossy(), 0);
    let device = devices.map_whole(table.as_bytes())?;
    mount::erofs_device(&device, directory)?;
    Ok(verity)
}
