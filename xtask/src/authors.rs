//! `cargo xtask authors`: the tools with which others write plugins in JavaScript, Python and C, in
//! the versions that `tests/authors` names, below `target/authors` where the tests look for them.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::command::{Result, cargo, root, run, shown, which};
use crate::debian;

/// Tools of one registry.
struct Tools {
    /// The name of their folder below `target/authors`.
    folder: &'static str,
    /// The files of `tests/authors` that say which they are.
    files: &'static [&'static str],
    /// The program that installs them, and the Debian packages that bring it.
    installer: &'static str,
    packages: &'static [&'static str],
    install: fn(&Path) -> Result<()>,
}

const TOOLS: [Tools; 3] = [
    Tools {
        folder: "node",
        files: &["package.json", "package-lock.json"],
        installer: "npm",
        packages: &["nodejs", "npm"],
        install: |folder| {
            run(Command::new("npm")
                .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
                .current_dir(folder))
        },
    },
    Tools {
        folder: "python",
        files: &["requirements.txt"],
        installer: "python3",
        packages: &["python3", "python3-venv"],
        install: |folder| {
            let venv = folder.join("venv");
            let make = || run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
            if make().is_err() {
                // Debian has it in a package of its own.
                debian::install(&["python3-venv"])?;
                make()?;
            }
            run(Command::new(venv.join("bin/pip"))
                .args(["install", "--quiet", "--disable-pip-version-check"])
                .args(["--requirement", "requirements.txt"])
                .current_dir(folder))
        },
    },
    Tools {
        folder: "c",
        files: &[
            "c/Cargo.toml",
            "c/Cargo.lock",
            "c/src/bin/wasm-tools.rs",
            "c/src/bin/wit-bindgen.rs",
        ],
        installer: "cargo",
        packages: &[],
        install: |folder| {
            // A compiler for the machine alone is found under the same name.
            if debian::can_install() {
                debian::install(&["clang", "libclang-rt-dev-wasm32", "lld", "wasi-libc"])?;
            }
            run(Command::new(cargo())
                .args(["build", "--quiet", "--locked", "--bins", "--target-dir"])
                .arg(folder.join("target"))
                .current_dir(folder.join("c")))
        },
    },
];

/// Installs what is not there. Where it cannot be had, says so: the tests that need it say the
/// same, and what becomes of them.
pub(crate) fn ensure() -> Result<()> {
    let root = root()?;
    for tools in &TOOLS {
        if let Err(error) = tools.ensure(&root) {
            println!("authors: no tools of {}: {error}", tools.installer);
        }
    }
    Ok(())
}

impl Tools {
    fn ensure(&self, root: &Path) -> Result<()> {
        let folder = root.join("target/authors").join(self.folder);
        let mut wanted = Vec::new();
        for name in self.files {
            wanted.extend(fs::read(root.join("tests/authors").join(name))?);
        }
        // Written last: what was broken off is begun again.
        let stamp = folder.join("installed");
        if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(());
        }
        println!("authors: installing into {}", shown(&folder));
        if which(self.installer).is_none() && debian::can_install() {
            debian::install(self.packages)?;
        }
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        for name in self.files {
            let copy = folder.join(name);
            if let Some(above) = copy.parent() {
                fs::create_dir_all(above)?;
            }
            fs::copy(root.join("tests/authors").join(name), copy)?;
        }
        (self.install)(&folder)?;
        fs::write(stamp, wanted)?;
        Ok(())
    }
}
