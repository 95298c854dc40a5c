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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn files() -> Vec<File> {
        ["README.md", "src/a/b.rs"]
            .map(|path| File {
                path: path.to_owned(),
                contents: format!("this is {path}"),
            })
            .into()
    }

    #[test]
    fn a_project_comes_with_the_folders_around_it_and_nothing_beside_it() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a/b/project");
        project(&path, &files()).unwrap();
        let text = fs::read_to_string(path.join("src/a/b.rs")).unwrap();
        assert_eq!(text, "this is src/a/b.rs");
        let beside = fs::read_dir(place.path().join("a/b")).unwrap();
        assert_eq!(beside.count(), 1);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&place.path().join("a")));
    }

    #[test]
    fn an_empty_folder_is_filled() {
        let place = tempfile::tempdir().unwrap();
        project(place.path(), &files()).unwrap();
        assert!(place.path().join("README.md").is_file());
    }

    #[test]
    fn nothing_that_is_there_is_touched() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        fs::create_dir(at("full")).unwrap();
        fs::write(at("full/notes"), "mine").unwrap();
        fs::write(at("file"), "mine").unwrap();
        symlink("nowhere", at("link")).unwrap();
        for name in ["full", "file", "link"] {
            let error = project(&at(name), &files()).unwrap_err();
            assert!(matches!(error, ScaffoldError::Occupied(_)), "{error:?}");
        }
        let below = project(&at("file/project"), &files()).unwrap_err();
        assert!(
            matches!(below, ScaffoldError::Io { .. } | ScaffoldError::Occupied(_)),
            "{below:?}"
        );
        assert_eq!(fs::read(at("full/notes")).unwrap(), b"mine");
        assert_eq!(fs::read(at("file")).unwrap(), b"mine");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 3);
        assert_eq!(fs::read_dir(at("full")).unwrap().count(), 1);
    }

    #[test]
    fn a_project_that_cannot_be_finished_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let mut files = files();
        files.push(File {
            path: "README.md/below-a-file".to_owned(),
            contents: String::new(),
        });
        let error = project(&place.path().join("project"), &files).unwrap_err();
        assert!(matches!(error, ScaffoldError::Io { .. }), "{error:?}");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }
}
