//! `msb plugin`: installing, agreeing, pinning, ordering, and what becomes of what was tampered
//! with.

mod bombs;
mod bootstrap;
mod company;
mod compiled;
mod conformance;
mod consent;
mod containers;
mod contract;
mod device_login;
mod distribution;
pub(crate) mod examples;
mod guide;
mod hostile;
mod installation;
pub(crate) mod keeper;
mod languages;
mod order;
mod pins;
mod pulls;
mod rootfs;
mod scaffold;
mod sigstore;
mod sources;
mod tokens;
mod versions;
mod workshop;

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::env::{Run, TestEnv};
use crate::tools::Tool;

/// Runs all tests about plugins.
pub(crate) fn all() -> Vec<crate::Test> {
    // No Debian package has wkg: where it is, it is a peer; where it is not, nothing is missing.
    let optional = |test: &crate::Test| !test.needs.contains(&Tool::Wkg) || Tool::Wkg.is_there();
    [
        bootstrap::tests(),
        bombs::tests(),
        company::tests(),
        compiled::tests(),
        conformance::all(),
        conformance::samples::tests(),
        consent::tests(),
        containers::tests(),
        contract::tests(),
        device_login::tests(),
        distribution::tests(),
        examples::all(),
        guide::tests(),
        installation::tests(),
        hostile::all(),
        languages::tests(),
        order::tests(),
        pins::tests(),
        pulls::tests(),
        rootfs::all(),
        scaffold::tests(),
        sigstore::all(),
        sources::all(),
        tokens::tests(),
        versions::all(),
    ]
    .into_iter()
    .flatten()
    .filter(optional)
    .collect()
}

/// Returns a component that `cargo xtask guests` has built.
pub(crate) fn component(name: &str) -> PathBuf {
    let folder = std::env::var_os("MSB_COMPONENTS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/target/components"),
        PathBuf::from,
    );
    let path = folder.join(name).with_extension("wasm");
    assert!(
        path.exists(),
        "no {}: run `cargo xtask guests`",
        path.display()
    );
    path.canonicalize().unwrap()
}

/// Puts a component into the test's folder, where it can be changed.
fn place(env: &TestEnv, component_name: &str, as_name: &str) -> PathBuf {
    env.write(as_name, &std::fs::read(component(component_name)).unwrap())
}

/// Returns the same component with another digest: an empty custom section at its end.
pub(crate) fn other_bytes(bytes: &[u8]) -> Vec<u8> {
    [bytes, &[0, 2, 1, b'x']].concat()
}

fn lock(env: &TestEnv) -> String {
    std::fs::read_to_string(env.home().join("plugins/plugins.lock")).unwrap_or_default()
}

fn row(env: &TestEnv, name: &str) -> Value {
    env.json(&format!("plugin inspect {name} --format json"))
}

fn names(run: &Run) -> Vec<&str> {
    run.stdout.lines().collect()
}

fn components(env: &TestEnv) -> Vec<PathBuf> {
    let folder = env.home().join("plugins");
    let files = std::fs::read_dir(folder).unwrap();
    files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "wasm"))
        .collect()
}
