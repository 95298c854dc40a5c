//! Finds the files that new plugins are made from, and tells the compiler where they are.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

#[path = "build/sources.rs"]
mod sources;

fn main() {
    let kit = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    if let Err(error) = embed_scaffold(&kit) {
        println!("cargo::error=what new plugins are made from cannot be read: {error}");
    }
}

/// Writes `scaffold.rs`, a list of paths and contents. The folders are read, so that no file that
/// is added there can be forgotten here.
fn embed_scaffold(kit: &Path) -> io::Result<()> {
    let (root, files, watched) = if let Some(root) = repository(kit) {
        let files = sources::in_repository(&root)?;
        (root, files, &sources::SCAFFOLD[..])
    } else {
        let folder = kit.join("scaffold");
        let files = sources::in_package(&folder)?;
        (folder, files, &[""][..])
    };
    for path in watched {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
    }
    let mut entries: Vec<(String, PathBuf)> = files
        .iter()
        .map(|file| (sources::unpackaged(file), root.join(file)))
        .collect();
    entries.sort();
    let mut list = String::from("&[\n");
    for (name, path) in entries {
        let path = path.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
        // Writing to a string does not fail.
        let _ = writeln!(list, "    ({name:?}, include_str!({path:?})),");
    }
    list.push_str("]\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("scaffold.rs"), list)
}

/// Returns the root of the repository if this crate lies in it, and is not unpacked from a package.
fn repository(kit: &Path) -> Option<PathBuf> {
    let root = kit.join("../..").canonicalize().ok()?;
    let here = root.join("host/kit").canonicalize().ok()? == kit.canonicalize().ok()?;
    (here && root.join("plugins/templates").is_dir()).then_some(root)
}
