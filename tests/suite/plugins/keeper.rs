//! A provider of another author that keeps logins, in each language: `tests/authors/keeper`, built as
//! its author would.

use std::path::Path;

use super::guide;
use super::scaffold::{NewPlugin, built_in_rust};
use super::workshop::{build, provide};
use crate::tools::authors;

const RUST: &str = include_str!("../../authors/keeper/lib.rs");
const PYTHON: &str = include_str!("../../authors/keeper/provider.py");
const JAVASCRIPT: &str = include_str!("../../authors/keeper/provider.js");
pub(super) const C: &str = include_str!("../../authors/keeper/provider.c");
pub(super) const WORLD: &str = include_str!("../../authors/keeper/world.wit");

/// Returns the component that calls itself so, and has these attributes.
pub(crate) fn in_rust(name: &str, attributes: &[(&str, &str)]) -> Vec<u8> {
    let source = RUST
        .replace("{{name}}", name)
        .replace("{{attributes}}", &format!("{attributes:?}"));
    built_in_rust("keeper", &source)
}

pub(crate) fn in_python() -> Vec<u8> {
    let line = ".venv/bin/componentize-py -d wit -w plugin componentize -p src --stub-wasi provider \
                -o box.wasm";
    of_the_template("python", "src/provider.py", PYTHON, line)
}

pub(crate) fn in_javascript() -> Vec<u8> {
    of_the_template("javascript", "src/provider.js", JAVASCRIPT, "npm run build")
}

/// By the commands of the guide. There are no templates in C: the contract is that of another project.
pub(crate) fn in_c() -> Vec<u8> {
    let plugin = NewPlugin::new("box", "credential", "python");
    write(&plugin.folder, "wit/world.wit", WORLD);
    std::fs::write(plugin.folder.join("provider.c"), C).unwrap();
    let tools = authors("c/target/debug");
    let line = format!("PATH={}:$PATH\n{}", tools.display(), guide::build_in_c());
    std::fs::read(build(&plugin, &line, "box.wasm")).unwrap()
}

/// Puts a source and its world into a new project, and builds that.
fn of_the_template(language: &str, path: &str, source: &str, line: &str) -> Vec<u8> {
    let plugin = NewPlugin::new("box", "credential", language);
    provide(&plugin.folder);
    let contract = std::fs::read_to_string(plugin.folder.join("wit/types.wit")).unwrap();
    let (_, api) = contract.split_once("package msb:plugin@").unwrap();
    let (api, _) = api.split_once(';').unwrap();
    write(&plugin.folder, path, &source.replace("{{api}}", api));
    write(&plugin.folder, "wit/world.wit", WORLD);
    std::fs::read(build(&plugin, line, "box.wasm")).unwrap()
}

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    assert!(path.exists(), "{}", path.display());
    std::fs::write(path, text).unwrap();
}
