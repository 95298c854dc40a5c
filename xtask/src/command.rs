//! Running other programs: where the repository is, which cargo to call, and what a failure says.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What every subcommand returns. The text of an error is for the person at the terminal.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Returns the root of the repository, free of symbolic links.
pub(crate) fn root() -> Result<PathBuf> {
    let manifest = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = manifest
        .parent()
        .ok_or("xtask has no folder above it")?
        .canonicalize()?;
    Ok(root)
}

/// Returns the cargo that runs this program, or the one in `PATH`.
pub(crate) fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Runs a program with its output on the terminal. An exit status other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .map_err(|error| format!("cannot run `{}`: {error}", line(command)))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{}` ended with {status}", line(command)).into())
    }
}

/// Runs a program and returns its standard output, trimmed. `None` if it is not there or fails.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// Returns the file of this name in `PATH`, if there is one.
pub(crate) fn which(name: &str) -> Option<PathBuf> {
    search_path(|file| file == name)
}

/// Returns the first file in `PATH` whose name satisfies the condition.
pub(crate) fn search_path(wanted: impl Fn(&str) -> bool) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).find_map(|folder| {
        folder
            .read_dir()
            .ok()?
            .filter_map(std::result::Result::ok)
            .find(|entry| entry.file_name().to_str().is_some_and(&wanted))
            .map(|entry| entry.path())
    })
}

/// Returns the path without the current folder in front of it, for messages.
pub(crate) fn shown(path: &Path) -> std::path::Display<'_> {
    let root = root().unwrap_or_default();
    path.strip_prefix(root).unwrap_or(path).display()
}

fn line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
