//! Layers for containerd with a hash tree, by which its kernel proves each block (`dmverity_mode`).
//!
//! Owns the copies: the image of a layer, the tree behind it, and the file next to it that says where the
//! tree is. The file of the store has to stay as it is, so this costs its bytes once more, unless the
//! filesystem can share blocks. Source: containerd 2.4, `internal/dmverity/dmverity.go`.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ServeError;
use super::disk::copy_data;
use super::serve::{ServeReport, leads_to_a_layer};
use super::verity;
use crate::cancel::Cancel;
use crate::digest::Digest;
use crate::fs::atomic::{self, AtomicFile, Mode};
use crate::fs::{self, IfThere as _, SHARED_DIRECTORY};
use crate::layer::{is_layer_image, layer_uuid};

/// How the name of the file ends that says where a tree is.
const SUFFIX: &str = ".dmverity";
/// What stands in a directory whose layers all have trees.
const MARK: &str = ".msb.dmverity";
/// Bytes of a block.
const BLOCK: usize = 4096;
/// Who may do what with the files, before the umask.
const MODE: Mode = Mode::Within(0o644);

/// What the file next to a layer says.
#[derive(Debug, Serialize, Deserialize)]
struct Sidecar {
    roothash: String,
    hashoffset: u64,
}

/// Returns whether the layers in a directory are to have trees: because that is wished, or was before.
pub(super) fn is_wanted(directory: &Path, wished: bool) -> Result<bool, ServeError> {
    let mark = directory.join(MARK);
    if fs::is_there(&mark)? {
        return Ok(true);
    }
    if wished {
        let written = atomic::write(&mark, MODE, b"");
        written.map_err(|source| ServeError::io("write", &mark, source))?;
    }
    Ok(wished)
}

/// Lays one layer with its tree, unless it is there.
pub(super) fn lay(
    path: PathBuf,
    diff_id: &Digest,
    erofs: &Path,
    report: &mut ServeReport,
    cancel: &Cancel,
) -> Result<(), ServeError> {
    let own = fs::metadata(erofs)?;
    let is_theirs = match fs::link_metadata(&path).if_there()? {
        None => false,
        Some(found) if found.is_symlink() => !leads_to_a_layer(&path, diff_id, erofs),
        Some(found) if (found.dev(), found.ino()) == (own.dev(), own.ino()) => false,
        Some(_) if is_complete(&path, erofs, own.len()) => {
            report.present += 1;
            report.with_verity += 1;
            return Ok(());
        }
        Some(_) => !is_layer_image(&path, diff_id, None),
    };
    if is_theirs {
        report.foreign.push(path);
        return Ok(());
    }
    let failed = |source| ServeError::io("write", &path, source);
    fs::create_directory(fs::parent(&path), SHARED_DIRECTORY).map_err(failed)?;
    let layer = AtomicFile::create(&path, MODE).map_err(failed)?;
    let input = File::open(erofs).map_err(|source| ServeError::io("read", erofs, source))?;
    layer.file().set_len(own.len()).map_err(failed)?;
    let appended = copy_data(&input, own.len(), layer.file(), 0, cancel)
        .and_then(|()| verity::append(layer.file(), own.len(), layer_uuid(diff_id), cancel));
    cancel.check()?;
    let verity = appended.map_err(failed)?;
    let sidecar = Sidecar {
        roothash: verity.root_hash,
        hashoffset: verity.hash_offset,
    };
    let sidecar = serde_json::to_vec(&sidecar).map_err(|error| failed(error.into()))?;
    let written = layer.file().metadata().map_err(failed)?.len();
    // A layer is never there without what proves it.
    let beside = beside(&path);
    atomic::write(&beside, MODE, &sidecar)
        .map_err(|source| ServeError::io("write", &beside, source))?;
    layer.put_in_place().map_err(failed)?;
    report.added += 1;
    report.with_verity += 1;
    report.copied_bytes += written + sidecar.len() as u64;
    Ok(())
}

/// Removes what says where the tree of a layer is that has gone.
pub(super) fn remove(path: &Path) -> Result<(), ServeError> {
    fs::remove_file(&beside(path)).if_there()?;
    Ok(())
}

/// Returns the path of the file that says where the tree of a layer is.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(SUFFIX);
    PathBuf::from(name)
}

/// Returns whether a file is a copy of an image of so many bytes with the tree that the file next to it
/// is about. That the bytes are right, the tree itself proves.
fn is_complete(path: &Path, erofs: &Path, size: u64) -> bool {
    let found = fs::read(&beside(path)).ok();
    let sidecar = found.and_then(|bytes| serde_json::from_slice::<Sidecar>(&bytes).ok());
    let Some(sidecar) = sidecar.filter(|sidecar| sidecar.hashoffset == size) else {
        return false;
    };
    let (Ok(file), Ok(own)) = (File::open(path), File::open(erofs)) else {
        return false;
    };
    let block = |file: &File, at: u64| {
        let mut block = [0; BLOCK];
        file.read_exact_at(&mut block, at).ok().map(|()| block)
    };
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let superblock = block(&file, size);
    length == size + verity::appended_size(size)
        && sidecar.roothash.len() == 64
        && superblock.is_some_and(|block| verity::is_superblock(&block))
        && block(&file, 0).is_some_and(|first| Some(first) == block(&own, 0))
}
