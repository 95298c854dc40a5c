//! Finds what the host embeds, the components of the plugins that ship with it and the files that
//! new plugins are made from, and tells the compiler where it is.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The plugins that ship inside of the host, by the name of their crate in `plugins/`.
const EMBEDDED: [&str; 6] = [
    "docker-archive",
    "oci-layout",
    "keychain",
    "env",
    "secret-file",
    "docker-config",
];

/// What new plugins are made from: files, and folders with all that is in them.
const SCAFFOLD: [&str; 5] = [
    "LICENSE",
    "plugins/Cargo.toml",
    "plugins/sdk",
    "plugins/templates",
    "wit",
];

/// What somebody who tried a template in its place has left there.
const LEFTOVERS: [&str; 3] = ["__pycache__", "node_modules", "target"];

fn main() {
    let host = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    find_components(&host);
    if let Err(error) = embed_scaffold(&host) {
        println!("cargo::error=what new plugins are made from cannot be read: {error}");
    }
}

fn find_components(host: &Path) {
    println!("cargo::rerun-if-env-changed=MSB_COMPONENTS");
    let folder = env::var_os("MSB_COMPONENTS")
        .map_or_else(|| host.join("../plugins/target/components"), PathBuf::from);
    let mut missing = Vec::new();
    for name in EMBEDDED {
        let component = folder.join(name).with_extension("wasm");
        println!("cargo::rerun-if-changed={}", component.display());
        if !component.is_file() {
            missing.push(component.display().to_string());
        }
    }
    if missing.is_empty() {
        println!(
            "cargo::rustc-env=MSB_COMPONENTS_DIR={}",
            folder.canonicalize().unwrap_or(folder).display()
        );
    } else {
        println!(
            "cargo::error=msb embeds the plugins of plugins/ as WebAssembly components, \
             and {} is not there. Run `cargo xtask guests` to build them (it finds or installs a \
             compiler for wasm first), or set MSB_COMPONENTS to a folder that has them.",
            missing.join(" and ")
        );
    }
}

/// Writes `scaffold.rs`, a list of paths and contents. The folders are read, so that no file that
/// is added there can be forgotten here.
fn embed_scaffold(host: &Path) -> io::Result<()> {
    let root = host.join("..").canonicalize()?;
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
