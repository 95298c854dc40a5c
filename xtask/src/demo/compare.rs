//! Whether what msb shows and saves is what its layers say.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::diff_ids;
use crate::command::Result;
use crate::digest::sha256_of;

/// Hashes the layers of a saved archive.
pub(super) fn check_saved(saved: &Path, image: &Value) -> Result<()> {
    let mut wanted: BTreeSet<String> = diff_ids(image).into_iter().collect();
    let mut archive = tar::Archive::new(File::open(saved)?);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.path()?.ends_with("layer.tar") {
            let digest = format!("sha256:{}", sha256_of(&mut entry)?);
            println!("  {} is saved bit for bit", &digest[..19]);
            wanted.remove(&digest);
        }
    }
    if wanted.is_empty() {
        Ok(())
    } else {
        Err(format!("these layers were not saved as they were: {wanted:?}").into())
    }
}

/// Compares every entry of a layer's tar with what the kernel shows, and returns their number.
pub(super) fn compare(saved: &Path, diff_id: &str, point: &Path) -> Result<usize> {
    let mut archive = tar::Archive::new(File::open(saved)?);
    let hex = diff_id.trim_start_matches("sha256:");
    for entry in archive.entries()? {
        let entry = entry?;
        if entry.path()?.starts_with(hex) {
            let mut compared = 0;
            for entry in tar::Archive::new(entry).entries()? {
                compare_entry(&mut entry?, point)?;
                compared += 1;
            }
            return Ok(compared);
        }
    }
    Err(format!("{diff_id} is not in the archive").into())
}

fn compare_entry<R: std::io::Read>(entry: &mut tar::Entry<'_, R>, point: &Path) -> Result<()> {
    let path = entry.path()?.into_owned();
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let differs = |what: &str| Err(format!("{}: {what} differs", path.display()).into());
    if let Some(victim) = name.strip_prefix(".wh.") {
        if name != ".wh..wh..opq" {
            let metadata = point.join(path.with_file_name(victim)).symlink_metadata()?;
            if metadata.rdev() != 0 || metadata.mode() & 0o170_000 != 0o020_000 {
                return differs("the whiteout");
            }
        }
        return Ok(());
    }
    let target = point.join(path.strip_prefix("/").unwrap_or(&path));
    let metadata = target.symlink_metadata()?;
    let header = entry.header();
    if u64::from(metadata.uid()) != header.uid()? || u64::from(metadata.gid()) != header.gid()? {
        return differs("the owner");
    }
    match header.entry_type() {
        tar::EntryType::Symlink => {
            if Some(fs::read_link(&target)?) != entry.link_name()?.map(PathBuf::from) {
                return differs("the target");
            }
        }
        kind => {
            if metadata.mode() & 0o7777 != header.mode()? & 0o7777 {
                return differs("the mode");
            }
            if kind.is_file() {
                let mut wanted = Vec::new();
                entry.read_to_end(&mut wanted)?;
                if fs::read(&target)? != wanted {
                    return differs("the contents");
                }
            }
        }
    }
    Ok(())
}
