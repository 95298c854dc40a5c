//! `cargo xtask setup`: finds what building needs, or installs it.

use std::process::Command;

use crate::command::{Result, answer, run, which};
use crate::debian;
use crate::toolchain::{self, Missing, TARGET, Toolchain};

/// Sees to it that guests and host can be built, and returns the compiler for guests. Says what it
/// did, or in one line that there was nothing to do.
pub(crate) fn ensure() -> Result<Toolchain> {
    let mut done = Vec::new();
    ensure_c_compiler(&mut done)?;
    let toolchain = ensure_toolchain(&mut done)?;
    if done.is_empty() {
        println!(
            "setup: nothing to do; guests are compiled by {}",
            toolchain.title()
        );
    } else {
        for step in &done {
            println!("setup: {step}");
        }
        println!("setup: guests are compiled by {}", toolchain.title());
    }
    Ok(toolchain)
}

/// The host has parts in C, the database and zstd, that are compiled with it.
fn ensure_c_compiler(done: &mut Vec<String>) -> Result<()> {
    if std::env::var_os("CC").is_some() || which("cc").is_some() {
        return Ok(());
    }
    if !debian::can_install() {
        return Err(
            "there is no C compiler (`cc`), which building SQLite and zstd takes: \
                    install gcc or clang, or name one in the environment variable CC"
                .into(),
        );
    }
    installed(&debian::install(&["gcc", "libc6-dev"])?, done);
    Ok(())
}

fn ensure_toolchain(done: &mut Vec<String>) -> Result<Toolchain> {
    let missing = match Toolchain::find() {
        Ok(toolchain) => return Ok(toolchain),
        Err(missing) => missing,
    };
    if missing == Missing::Compiler && add_target_with_rustup() {
        done.push(format!("added the target {TARGET} to the active toolchain"));
        return Ok(Toolchain::Active);
    }
    if !debian::can_install() {
        return Err(cure().into());
    }
    if missing == Missing::Compiler {
        installed(&debian::install(&["rustc-web", "rust-web-src"])?, done);
    }
    match Toolchain::find() {
        Ok(toolchain) => Ok(toolchain),
        Err(Missing::Linker) => {
            installed(&debian::install(&["lld"])?, done);
            Toolchain::find().map_err(|_| cure().into())
        }
        Err(Missing::Compiler) => Err(cure().into()),
    }
}

fn add_target_with_rustup() -> bool {
    answer(Command::new("rustup").arg("--version")).is_some()
        && run(Command::new("rustup").args(["target", "add", TARGET])).is_ok()
        && toolchain::active_has_target()
}

fn installed(packages: &[String], done: &mut Vec<String>) {
    if !packages.is_empty() {
        done.push(format!("installed {} with apt-get", packages.join(", ")));
    }
}

fn cure() -> String {
    format!(
        "no compiler for {TARGET} was found, and none could be installed. Any of these helps: \
         `rustup target add {TARGET}`, where rustup's servers can be reached; or, on Debian and as \
         root, `apt-get install rustc-web rust-web-src` (and `lld` without rustup), in a version of \
         at least {}",
        env!("CARGO_PKG_RUST_VERSION")
    )
}
