//! `cargo xtask faults`: what is left of msb's store when calls fail and processes are killed.
//!
//! The work is done by `tests/faultwalk`; this builds it and msb.

use std::process::Command;

use crate::command::{Result, cargo, root, run};
use crate::demo::target_directory;
use crate::guests;

/// A plugin to install, of those that `guests` builds.
const PLUGIN: &str = "plugins/target/components/vault.wasm";

/// Builds what is needed and walks what the arguments name.
pub(crate) fn run_all(arguments: &[String]) -> Result<()> {
    guests::build()?;
    // As for the tests: for two packages alone, libraries would be built with other features.
    run(Command::new(cargo())
        .current_dir(root()?)
        .args(["build", "--all-targets"])
        .env_remove("CARGO_MANIFEST_DIR"))?;
    walk(arguments)
}

/// A fixed part of everything, for `cargo xtask test`: built already, and done within 3 minutes.
pub(crate) fn part(quick: bool) -> Result<()> {
    let line = if quick {
        "--points 1 --flips 2 --minutes 0.03"
    } else {
        "--points 2 --flips 8 --minutes 0.3"
    };
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    walk(&words)
}

fn walk(arguments: &[String]) -> Result<()> {
    let root = root()?;
    let programs = target_directory(&root)?.join("debug");
    run(Command::new(programs.join("faults"))
        .arg(programs.join("msb"))
        .arg(root.join(PLUGIN))
        .args(arguments))
}
