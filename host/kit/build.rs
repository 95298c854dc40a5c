//! Finds the files that new plugins are made from, and tells the compiler where they are.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What new plugins are made from: files, and folders with all that is in them.
const SCAFFOLD: [&str; 6] = [
    "LICENSE",
    "plugins/Cargo.toml",
    "plugins/documents",
    "plugins/sdk",
    "plugins/templates",
    "wit",
];

/// Build output that may lie in the folders of the templates.
const LEFTOVERS: [&str; 3] = ["__pycache__", "node_modules", "target"];

fn main() {
    let kit = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    if let Err(error) = embed_scaffold(&kit) {
        println!("cargo::error=what new plugins are made from cannot be read: {error}");
    }
}

/// Writes `scaffold.rs`, a list of paths and contents. The folders are read, so that no file that
/// is added there can be forgotten here.
fn embed_scaffold(kit: &Path) -> io::Result<()> {
    let root = kit.join("../..").canonicalize()?;
    let mut files = Vec::new();
    for path in SCAFFOLD {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
        collect(&root, path, &mut files)?;
    }
    files.sort();
    let mut list = String::from("&[\n");
    for path in files {
        let absolute = root.join(&path);
        let absolute = absolute.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
        // Writing to a string does not fail.
        let _ = writeln!(list, "    ({path:?}, include_str!({absolute:?})),");
    }
    list.push_str("]\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("scaffold.rs"), list)
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
        if !LEFTOVERS.contains(&name) {
            collect(root, &format!("{path}/{name}"), files)?;
        }
    }
    Ok(())
}
