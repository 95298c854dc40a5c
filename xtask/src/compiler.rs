//! The compiler of the checks: what cargo calls, in place of `rustc`, for each crate of ours.
//!
//! A crate is compiled as always; then clippy and rustdoc read it, with the same dependencies. Run
//! by cargo itself, each of them has all dependencies checked once more, which takes longer than all
//! else that it does.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use crate::command::{Result, answer, root};
use crate::demo::target_directory;

/// What the compiler is told that says which crate it is, with which dependencies. Each has a value.
const OF_THE_CRATE: [&str; 7] = [
    "--crate-name",
    "--crate-type",
    "--edition",
    "--cfg",
    "--check-cfg",
    "--extern",
    "-L",
];

/// Returns what makes cargo call this program for the crates of a workspace.
pub(crate) fn setting() -> Result<[OsString; 2]> {
    // By its name: once cargo has rebuilt it, the running file has none.
    let program = target_directory(&root()?)?.join("debug/xtask");
    let mut setting = OsString::from("build.rustc-workspace-wrapper=\"");
    setting.push(program);
    setting.push("\"");
    Ok(["--config".into(), setting])
}

/// Whether cargo calls this program in place of the compiler `name`.
pub(crate) fn is_meant(name: &str) -> bool {
    Path::new(name)
        .file_stem()
        .is_some_and(|stem| stem == "rustc")
}

/// Compiles a crate, lints it, and builds its documentation where it has any.
pub(crate) fn compile(rustc: &str, arguments: &[String]) -> Result<()> {
    passed(Command::new(rustc).args(arguments).status()?, "rustc");
    let call = Call::of(arguments);
    if !call.compiles() {
        return Ok(());
    }
    let out = tempfile::tempdir()?;
    let clippy = beside(rustc, "clippy-driver")?;
    let mut lint = Command::new(clippy);
    lint.arg(rustc)
        .args(call.crate_and_lints())
        .args(["--emit=metadata", "--deny=warnings", "--out-dir"])
        .arg(out.path());
    passed(lint.status()?, "clippy-driver");
    if call.has_documentation() {
        let mut document = Command::new(beside(rustc, "rustdoc")?);
        document
            .args(call.of_the_crate())
            .args(["--deny=warnings", "--out-dir"])
            .arg(out.path());
        passed(document.status()?, "rustdoc");
    }
    Ok(())
}

/// Ends this program as one that it has called, if that has failed.
#[expect(
    clippy::exit,
    reason = "cargo reads the status as that of the compiler"
)]
fn passed(status: ExitStatus, program: &str) {
    if !status.success() {
        if status.code().is_none() {
            eprintln!("{program} ended with {status}");
        }
        std::process::exit(status.code().unwrap_or(1));
    }
}

/// Returns a program of the toolchain that a compiler belongs to.
fn beside(rustc: &str, program: &str) -> Result<PathBuf> {
    let sysroot = answer(Command::new(rustc).args(["--print", "sysroot"]))
        .ok_or("the compiler does not say where it lies")?;
    let path = Path::new(&sysroot).join("bin").join(program);
    // Debian has all programs of its toolchain in PATH.
    Ok(if path.is_file() { path } else { program.into() })
}

/// What cargo tells the compiler.
struct Call<'a> {
    /// Options with their values, and words alone.
    parts: Vec<&'a [String]>,
}

impl<'a> Call<'a> {
    fn of(arguments: &'a [String]) -> Self {
        let mut parts = Vec::new();
        let mut rest = arguments;
        while let Some(first) = rest.first() {
            let has_value = OF_THE_CRATE.contains(&first.as_str())
                || ["-C", "--out-dir", "--emit", "--cap-lints", "-A", "-W", "-D"]
                    .contains(&first.as_str());
            let (part, others) = rest.split_at(if has_value { 2.min(rest.len()) } else { 1 });
            parts.push(part);
            rest = others;
        }
        Self { parts }
    }

    /// Whether a crate is compiled: no question of cargo, and no script that builds one.
    fn compiles(&self) -> bool {
        self.value("--crate-name")
            .is_some_and(|name| name != "___" && name != "build_script_build")
            && self.source().is_some()
    }

    /// Whether it is a library or a program, not a test.
    fn has_documentation(&self) -> bool {
        !self.parts.iter().any(|part| part[0] == "--test")
    }

    fn source(&self) -> Option<&'a String> {
        self.parts
            .iter()
            .filter(|part| part.len() == 1 && !part[0].starts_with('-'))
            .map(|part| &part[0])
            .find(|word| is_source(word))
    }

    fn value(&self, name: &str) -> Option<&'a String> {
        self.parts
            .iter()
            .find(|part| part[0] == name)
            .and_then(|part| part.get(1))
    }

    /// What says which crate it is, for the documentation.
    fn of_the_crate(&self) -> impl Iterator<Item = &'a String> {
        let parts = self.parts.iter().filter(|part| {
            let name = part[0].split('=').next().unwrap_or_default();
            OF_THE_CRATE.contains(&name) || is_source(&part[0])
        });
        parts.copied().flatten()
    }

    /// The same, with the lints that the manifest asks for.
    fn crate_and_lints(&self) -> impl Iterator<Item = &'a String> {
        const LINTS: [&str; 4] = ["--warn", "--allow", "--deny", "--forbid"];
        let parts = self.parts.iter().filter(|part| {
            let name = part[0].split('=').next().unwrap_or_default();
            OF_THE_CRATE.contains(&name)
                || LINTS.contains(&name)
                || part[0] == "--test"
                || is_source(&part[0])
        });
        parts.copied().flatten()
    }
}

fn is_source(word: &str) -> bool {
    Path::new(word).extension().is_some_and(|it| it == "rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "--crate-name a --edition=2024 src/lib.rs --error-format=json \
        --crate-type lib --emit=dep-info,metadata,link -C opt-level=1 --warn=clippy::pedantic \
        --cfg x --check-cfg cfg(docsrs) -C metadata=1 --out-dir target/debug/deps \
        -L dependency=target/debug/deps --extern b=libb.rmeta";

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn linting_gets_the_crate_and_its_lints_and_nothing_of_the_code_to_make() {
        let arguments = words(LINE);
        let call = Call::of(&arguments);
        assert!(call.compiles() && call.has_documentation());
        let lint: Vec<&String> = call.crate_and_lints().collect();
        let expected = "--crate-name a --edition=2024 src/lib.rs --crate-type lib \
            --warn=clippy::pedantic --cfg x --check-cfg cfg(docsrs) \
            -L dependency=target/debug/deps --extern b=libb.rmeta";
        assert_eq!(lint, words(expected).iter().collect::<Vec<_>>());
        assert!(!call.of_the_crate().any(|word| word.contains("clippy")));
    }

    #[test]
    fn questions_and_build_scripts_are_left_alone() {
        for line in [
            "-vV",
            "- --crate-name ___ --print=file-names",
            "--crate-name build_script_build --edition=2024 build.rs --crate-type bin",
        ] {
            assert!(!Call::of(&words(line)).compiles(), "{line}");
        }
    }
}
