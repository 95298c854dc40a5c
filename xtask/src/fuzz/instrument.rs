//! This program as a compiler that counts how often every edge of what it compiles is taken.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::Result;

/// What makes the compiler count how often every edge of the program is taken.
pub(super) const INSTRUMENTED: [&str; 6] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// The name of this program as the compiler of [`Build::Shared`](super::Build::Shared). By the name of its compiler, cargo
/// tells what is instrumented from what is not.
const COMPILER: &str = "fuzz-compiler";

/// Gives this program its name as a compiler.
pub(super) fn compiler(target: &Path) -> Result<PathBuf> {
    let link = target.join(COMPILER);
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(target.join("debug/xtask"), &link)?;
    Ok(link)
}

/// Whether cargo has called this program to instrument a crate.
pub(crate) fn is_compiler() -> bool {
    let name = std::env::args_os().next();
    name.is_some_and(|name| Path::new(&name).ends_with(COMPILER))
}

/// Compiles as the compiler `rustc` would, and instruments what is compiled.
pub(crate) fn instrument(rustc: &str, arguments: &[String]) -> Result<()> {
    let mut command = Command::new(rustc);
    command.args(arguments);
    // Questions that cargo asks name no crate, and build scripts are not linked with the fuzzer.
    let mut words = arguments.iter().skip_while(|word| *word != "--crate-name");
    let name = words.nth(1);
    if name.is_some_and(|name| name != "___" && name != "build_script_build") {
        command.args(INSTRUMENTED);
    }
    Err(command.exec().into())
}
