//! The compiler for guests: what there is on this machine, and how to call it.
//!
//! Guests are compiled for `wasm32-unknown-unknown`. Where rustup can fetch the standard library
//! of that target, the toolchain at hand is all it takes. Where nothing but package registries
//! can be reached, Debian's `rustc-web` together with `rust-web-src` builds that library from
//! source.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{answer, cargo, search_path};

/// The target that guests are compiled for.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// A way to compile guests.
#[derive(Debug)]
pub(crate) enum Toolchain {
    /// The toolchain that runs this program has the target's standard library.
    Active,
    /// Another compiler, which builds the standard library from its source.
    FromSource {
        /// The compiler.
        rustc: PathBuf,
        /// A linker that speaks wasm.
        linker: PathBuf,
        /// Where the source of the standard library is.
        source: PathBuf,
    },
}

/// What is missing for a compiler that builds the standard library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The compiler or the source.
    Compiler,
    /// A linker.
    Linker,
}

impl Toolchain {
    /// Returns the way that works on this machine as it is.
    pub(crate) fn find() -> std::result::Result<Self, Missing> {
        if active_has_target() {
            return Ok(Self::Active);
        }
        Self::debian()
    }

    fn debian() -> std::result::Result<Self, Missing> {
        let rustc = PathBuf::from(DEBIAN_RUSTC);
        let source = sysroot(&rustc)
            .map(|sysroot| sysroot.join("lib/rustlib/src/rust"))
            .filter(|source| source.join("library/Cargo.lock").is_file())
            .filter(|_| is_new_enough(&rustc))
            .ok_or(Missing::Compiler)?;
        let linker = linker().ok_or(Missing::Linker)?;
        Ok(Self::FromSource {
            rustc,
            linker,
            source,
        })
    }

    /// Returns a cargo that compiles for [`TARGET`], the subcommand being `build` or the like.
    ///
    /// Nothing of this program's own build reaches it, and no path of this machine reaches its
    /// output.
    pub(crate) fn cargo(&self, subcommand: &str, root: &Path) -> Command {
        let mut command = Command::new(cargo());
        for (name, _) in env::vars_os().filter(|(name, _)| belongs_to_another_build(name)) {
            command.env_remove(name);
        }
        command.args([subcommand, "--target", TARGET]);
        let mut flags = vec![remap(root, "/msb"), remap(&cargo_home(), "/cargo")];
        if let Self::FromSource {
            rustc,
            linker,
            source,
        } = self
        {
            command
                .arg("-Zbuild-std=std,panic_abort")
                .env("RUSTC", rustc)
                // Cargo and the compiler take `-Z` flags on stable with this only.
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
            flags.push(remap(source, "/rust"));
            if let Ok(source) = source.canonicalize() {
                flags.push(remap(&source, "/rust"));
            }
        }
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}".as_ref()));
        command
    }

    /// Tells whether it has the linker that writes components, as toolchains of rustup do.
    pub(crate) fn links_components(&self) -> bool {
        matches!(self, Self::Active) && tool_of_active("wasm-component-ld").is_some()
    }

    /// Names the compiler, for messages.
    pub(crate) fn title(&self) -> String {
        match self {
            Self::Active => format!("{} with the {TARGET} target", version(&active_rustc())),
            Self::FromSource { rustc, .. } => format!(
                "{} ({}), which builds the standard library from source",
                version(rustc),
                rustc.display()
            ),
        }
    }
}

/// Tells whether the toolchain that runs this program can compile guests.
pub(crate) fn active_has_target() -> bool {
    sysroot(&active_rustc())
        .map(|sysroot| sysroot.join("lib/rustlib").join(TARGET).join("lib"))
        .and_then(|folder| folder.read_dir().ok())
        .is_some_and(|mut entries| {
            entries.any(|entry| {
                entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
            })
        })
}

fn active_rustc() -> PathBuf {
    env::var_os("RUSTC").map_or_else(|| "rustc".into(), PathBuf::from)
}

fn sysroot(rustc: &Path) -> Option<PathBuf> {
    answer(Command::new(rustc).args(["--print", "sysroot"])).map(PathBuf::from)
}

fn version(rustc: &Path) -> String {
    answer(Command::new(rustc).arg("--version"))
        .and_then(|line| {
            let words: Vec<&str> = line.split(' ').take(2).collect();
            (words.len() == 2).then(|| words.join(" "))
        })
        .unwrap_or_else(|| "rustc".to_owned())
}

fn is_new_enough(rustc: &Path) -> bool {
    release(&version(rustc)) >= release(concat!("rustc ", env!("CARGO_PKG_RUST_VERSION")))
}

/// Major and minor number of `rustc 1.95.0`.
fn release(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.strip_prefix("rustc ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Rustup's toolchains carry a linker for wasm; elsewhere it is `wasm-ld` of LLVM.
pub(crate) fn linker() -> Option<PathBuf> {
    tool_of_active("rust-lld")
        .or_else(|| search_path(|name| name == "wasm-ld" || name.starts_with("wasm-ld-")))
}

/// Returns a program that the active toolchain brings along for itself.
fn tool_of_active(name: &str) -> Option<PathBuf> {
    let sysroot = sysroot(&active_rustc())?;
    let mut targets = sysroot.join("lib/rustlib").read_dir().ok()?;
    targets.find_map(|target| {
        let tool = target.ok()?.path().join("bin").join(name);
        tool.is_file().then_some(tool)
    })
}

fn cargo_home() -> PathBuf {
    env::var_os("CARGO_HOME").map_or_else(
        || env::home_dir().unwrap_or_default().join(".cargo"),
        PathBuf::from,
    )
}

/// Settings of the user who builds the host, and what cargo tells the programs it runs. Settings on how
/// to reach registries, and where cargo keeps what it fetched, hold for guests too.
fn belongs_to_another_build(name: &OsString) -> bool {
    const KEPT: [&str; 7] = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTRIES_",
        "CARGO_REGISTRY_",
        "CARGO_SOURCE_",
        "CARGO_TERM_",
    ];
    let name = name.to_string_lossy();
    let is_setting = name.starts_with("CARGO")
        || name.starts_with("RUSTFLAGS")
        || name.starts_with("RUSTC")
        || name.starts_with("RUSTDOC");
    is_setting && !KEPT.iter().any(|kept| name.starts_with(kept))
}

fn remap(from: &Path, to: &str) -> OsString {
    let mut flag = OsString::from("--remap-path-prefix=");
    flag.push(from);
    flag.push("=");
    flag.push(to);
    flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_host_build_are_told_from_those_of_the_machine() {
        for name in [
            "CARGO_MANIFEST_DIR",
            "CARGO_TARGET_DIR",
            "RUSTFLAGS",
            "RUSTC_WRAPPER",
            "CARGO",
        ] {
            assert!(belongs_to_another_build(&name.into()), "{name}");
        }
        for name in [
            "CARGO_HOME",
            "CARGO_NET_OFFLINE",
            "RUSTUP_TOOLCHAIN",
            "PATH",
        ] {
            assert!(!belongs_to_another_build(&name.into()), "{name}");
        }
    }

    #[test]
    fn a_compiler_is_new_enough_by_number_not_by_text() {
        assert!(release("rustc 1.100.0") > release("rustc 1.95"));
        assert!(release("rustc 1.63.0") < release("rustc 1.95"));
        assert!(release("gcc 12") < release("rustc 1.95"));
    }
}
