//! `cargo xtask incumbent`: msb and microsandbox in one home, in both orders.
//!
//! It compiles the code of microsandbox, some 500 crates, which takes too long for every run of the
//! tests. What decides is part of those.

use std::process::Command;

use crate::command::{Result, cargo, root, run};

/// Builds both and runs the tests.
pub(crate) fn run_all() -> Result<()> {
    let root = root()?;
    let target = root.join("target/incumbent");
    run(Command::new(cargo())
        .current_dir(root.join("tests/incumbent"))
        .args([
            "build",
            "--features",
            "home",
            "--bin",
            "home",
            "--target-dir",
        ])
        .arg(&target)
        .env_remove("CARGO_MANIFEST_DIR"))?;
    run(Command::new(cargo())
        .current_dir(&root)
        .args(["build", "-p", "msb"]))?;
    run(Command::new(cargo())
        .current_dir(&root)
        .args([
            "test",
            "-p",
            "msb-tests",
            "--test",
            "suite",
            "--",
            "incumbent::",
        ])
        .env("MSB_INCUMBENT", target.join("debug/home")))
}
