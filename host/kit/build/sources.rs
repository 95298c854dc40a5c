//! What new plugins are made from, in the repository and in a package of this crate.
//!
//! Owns the list of these files and their names. The build script reads them, and `cargo xtask
//! guests`, which has this module as well, copies them to where a package includes them.

use std::io;
use std::path::Path;

/// The files, and folders with all that is in them, from the root of the repository.
pub(crate) const SCAFFOLD: [&str; 6] = [
    "LICENSE",
    "plugins/Cargo.toml",
    "plugins/documents",
    "plugins/sdk",
    "plugins/templates",
    "wit",
];

/// Build output that may lie in the folders of the templates.
const LEFTOVERS: [&str; 3] = ["__pycache__", "node_modules", "target"];

/// A folder with such a file is a crate of its own to cargo, and part of no package.
pub(crate) const MANIFEST: &str = "Cargo.toml";
/// What a package calls them.
pub(crate) const PACKAGED_MANIFEST: &str = "Cargo.toml.in";

/// Returns the paths of all files in the repository, from its root and sorted.
pub(crate) fn in_repository(root: &Path) -> io::Result<Vec<String>> {
    list(root, &SCAFFOLD)
}

/// Returns the paths of all files in the folder that a package has, sorted.
pub(crate) fn in_package(folder: &Path) -> io::Result<Vec<String>> {
    list(folder, &[""])
}

/// Returns the name in the repository of a file of a package.
pub(crate) fn unpackaged(path: &str) -> String {
    renamed(path, PACKAGED_MANIFEST, MANIFEST)
}

/// Returns a path with another name of the file, if it has this one.
pub(crate) fn renamed(path: &str, from: &str, to: &str) -> String {
    match path.rsplit_once('/') {
        Some((folder, name)) if name == from => format!("{folder}/{to}"),
        _ => path.to_owned(),
    }
}

fn list(root: &Path, paths: &[&str]) -> io::Result<Vec<String>> {
    let mut files = Vec::new();
    for path in paths {
        collect(root, path, &mut files)?;
    }
    files.sort();
    Ok(files)
}

fn collect(root: &Path, path: &str, files: &mut Vec<String>) -> io::Result<()> {
    // A link is followed: the SDK has the contract in this way.
    if !root.join(path).metadata()?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in root.join(path).read_dir()? {
        let name = entry?.file_name();
        let name = name.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
        if path.is_empty() {
            collect(root, name, files)?;
        } else if !LEFTOVERS.contains(&name) {
            collect(root, &format!("{path}/{name}"), files)?;
        }
    }
    Ok(())
}
