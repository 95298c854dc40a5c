//! Files to disk, all of them or none.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{File, ScaffoldError};

/// Makes the folder of a project. It is filled under another name beside it and then renamed, which
/// replaces nothing but an empty folder.
pub(super) fn project(path: &Path, files: &[File]) -> Result<(), ScaffoldError> {
    let failed = |operation, path: &Path| {
        let path = path.to_owned();
        move |source| ScaffoldError::Io {
            operation,
            path,
            source,
        }
    };
    let path = std::path::absolute(path).map_err(failed("find", path))?;
    refuse_occupied(&path)?;
    let parent = path.parent().unwrap_or(&path);
    fs::create_dir_all(parent).map_err(failed("make the folder", parent))?;
    let staging = tempfile::Builder::new()
        .prefix(".msb-plugin-new-")
        .tempdir_in(parent)
        .map_err(failed("write to", parent))?;
    // One below, with the permissions that the user's mask gives: the outer one is private.
    let staged = staging.path().join("project");
    for file in files {
        let target = staged.join(file.path.split('/').collect::<PathBuf>());
        let shown = path.join(&file.path);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(failed("make the folder of", &shown))?;
        }
        fs::write(&target, &file.contents).map_err(failed("write", &shown))?;
    }
    fs::rename(&staged, &path).map_err(|source| match source.kind() {
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory => {
            ScaffoldError::Occupied(path.clone())
        }
        _ => failed("make the folder", &path)(source),
    })
}

fn refuse_occupied(path: &Path) -> Result<(), ScaffoldError> {
    let occupied = || Err(ScaffoldError::Occupied(path.to_owned()));
    match path.read_dir() {
        Ok(mut entries) => entries.next().map_or(Ok(()), |_| occupied()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => occupied(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match path.symlink_metadata() {
            // A link that leads nowhere.
            Ok(_) => occupied(),
            Err(_) => Ok(()),
        },
        Err(source) => Err(ScaffoldError::Io {
            operation: "read",
            path: path.to_owned(),
            source,
        }),
    }
}
