//! What new plugins are built with on machines without rustup, for their tests.
//!
//! A project of `msb plugin new` names `wasm-component-ld` as its linker, which toolchains of
//! rustup bring along. Elsewhere this program takes its place: it calls the linker that there is,
//! and makes a component of what comes out.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use wit_component::ComponentEncoder;

use crate::command::{Result, run};
use crate::toolchain::{self, Toolchain};

/// Returns the variables with which cargo builds a project, as lines `NAME=VALUE`: none where it
/// needs no help.
pub(crate) fn variables(toolchain: &Toolchain, folder: &Path) -> Result<OsString> {
    if toolchain.links_components() {
        return Ok(OsString::new());
    }
    let linker = toolchain::linker().ok_or("there is no linker for wasm")?;
    let script = folder.join("wasm-component-ld");
    write_script(&script, &linker)?;
    let mut lines = OsString::from("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=");
    lines.push(script);
    if let Toolchain::FromSource { rustc, .. } = toolchain {
        lines.push("\nRUSTC=");
        lines.push(rustc);
        lines.push("\nRUSTC_BOOTSTRAP=1\nCARGO_UNSTABLE_BUILD_STD=std,panic_abort");
    }
    Ok(lines)
}

/// Writes a program that calls this one: cargo takes a path as a linker, and no arguments.
fn write_script(path: &Path, linker: &Path) -> Result<()> {
    let itself = std::env::current_exe()?;
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
    let text = format!(
        "#!/bin/sh\nexec {} link {} \"$@\"\n",
        quoted(&itself),
        quoted(linker)
    );
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// `xtask link LINKER ARGUMENTS…`: links, and makes a component of the module.
pub(crate) fn link(arguments: &[String]) -> Result<()> {
    let (linker, arguments) = arguments
        .split_first()
        .ok_or("link takes a linker and what it is called with")?;
    run(Command::new(linker).args(arguments))?;
    let mut words = arguments.iter();
    let output = words
        .find(|word| *word == "-o")
        .and_then(|_| words.next())
        .map(PathBuf::from)
        .ok_or("the linker is not told where to write (`-o`)")?;
    let context = |error: &dyn std::fmt::Display| format!("{}: {error:#}", output.display());
    let module = fs::read(&output).map_err(|error| context(&error))?;
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(ComponentEncoder::encode)
        .map_err(|error| context(&error))?;
    fs::write(&output, component).map_err(|error| context(&error))?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn link_with(words: &[&str]) -> String {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        link(&words).unwrap_err().to_string()
    }

    #[test]
    fn a_linker_that_fails_or_writes_nowhere_is_said_to() {
        assert!(link_with(&[]).contains("takes a linker"));
        assert!(link_with(&["false"]).contains("false"));
        assert!(link_with(&["true", "x.o"]).contains("`-o`"));
        assert!(link_with(&["true", "-o", "/nowhere/x.wasm"]).contains("/nowhere/x.wasm"));
    }

    #[test]
    fn the_script_hands_everything_on_to_this_program() {
        let folder = std::env::temp_dir().join(format!("xtask-link-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let script = folder.join("wasm-component-ld");
        write_script(&script, Path::new("/it's/ld")).unwrap();
        let text = fs::read_to_string(&script).unwrap();
        assert!(text.ends_with("link '/it'\\''s/ld' \"$@\"\n"), "{text}");
        let mode = fs::metadata(&script).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111);
        fs::remove_dir_all(&folder).unwrap();
    }
}
