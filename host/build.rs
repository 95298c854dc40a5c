//! Finds what the host embeds, the components of the plugins that ship with it, and tells the compiler
//! where they are.

use std::env;
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

fn main() {
    let host = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    if env::var_os("CARGO_FEATURE_PLUGINS").is_some() {
        find_components(&host);
    }
}

fn find_components(host: &Path) {
    println!("cargo::rerun-if-env-changed=MSB_COMPONENTS");
    let folder =
        env::var_os("MSB_COMPONENTS").map_or_else(|| host.join("components"), PathBuf::from);
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
