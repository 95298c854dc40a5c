//! `cargo xtask packages`: the crates that `cargo install msb` needs, as cargo packages them.
//!
//! A program that is built from packages has nothing else of this repository. That they build is
//! tried by hand, since it compiles everything again; here it is checked that nothing is missing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::read::GzDecoder;
use walkdir::WalkDir;

use crate::command::{Result, cargo, run};
use crate::digest::sha256;
use crate::sources;

/// The crate that makes new plugins.
const KIT: &str = "msb-plugin-kit";

/// The crates and where they are, each after those that it depends on.
const CRATES: [(&str, &str); 5] = [
    ("msb-documents", "plugins/documents"),
    ("msb-erofs", "host/erofs"),
    ("msb-host", "host"),
    (KIT, "host/kit"),
    ("msb", "cli"),
];

/// Packages the crates twice, and checks that both give the same bytes and that all is inside.
pub(crate) fn check(root: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let first = package(root, &folder.path().join("first"))?;
    let second = package(root, &folder.path().join("second"))?;
    for ((name, _), (one, other)) in CRATES.iter().zip(first.iter().zip(&second)) {
        let bytes = fs::read(one)?;
        if bytes != fs::read(other)? {
            return Err(format!("{name} is packaged in two ways").into());
        }
        println!(
            "packages: {name} ({} KiB, sha256:{})",
            bytes.len() / 1024,
            sha256(&bytes)
        );
    }
    let unpacked = folder.path().join("unpacked");
    for path in &first {
        tar::Archive::new(GzDecoder::new(fs::File::open(path)?)).unpack(&unpacked)?;
    }
    for ((name, source), path) in CRATES.iter().zip(&first) {
        let package = unpacked.join(path.file_stem().unwrap_or_default());
        check_files(&root.join(source), &package)
            .map_err(|error| format!("the package of {name} {error}"))?;
        if *name == KIT {
            check_scaffold(root, &package)?;
        }
    }
    Ok(())
}

/// Packages all crates, as `cargo publish` would. Returns the files.
fn package(root: &Path, target: &Path) -> Result<Vec<PathBuf>> {
    let mut command = Command::new(cargo());
    command
        .current_dir(root)
        .args([
            "package",
            "--quiet",
            "--no-verify",
            "--offline",
            "--allow-dirty",
            "--target-dir",
        ])
        .arg(target)
        .env_remove("CARGO_MANIFEST_DIR");
    for (name, _) in CRATES {
        command.args(["--package", name]);
    }
    run(&mut command)?;
    // All have the version of the workspace, as this program does.
    let version = env!("CARGO_PKG_VERSION");
    Ok(CRATES
        .iter()
        .map(|(name, _)| target.join(format!("package/{name}-{version}.crate")))
        .collect())
}

/// Checks that an unpacked package has what its crate has in the repository, and that its build script,
/// if it has one, finds all that it looks for.
fn check_files(source: &Path, package: &Path) -> Result<()> {
    for folder in ["LICENSE", "src", "wit"].map(|name| source.join(name)) {
        if !folder.exists() {
            continue;
        }
        for entry in WalkDir::new(&folder).follow_links(true) {
            let entry = entry?;
            let path = entry.path().strip_prefix(source)?;
            if entry.file_type().is_file() && !package.join(path).is_file() {
                return Err(format!("does not have {}", path.display()).into());
            }
        }
    }
    let script = package.join("build.rs");
    if script.is_file() {
        run_build_script(&script, package)?;
    }
    Ok(())
}

/// Compiles a build script and runs it as cargo does.
fn run_build_script(script: &Path, package: &Path) -> Result<()> {
    let out = tempfile::tempdir()?;
    let program = out.path().join("build-script");
    run(Command::new("rustc")
        .args(["--edition", "2024", "-o"])
        .arg(&program)
        .arg(script))?;
    let output = Command::new(&program)
        .current_dir(package)
        .env("CARGO_MANIFEST_DIR", package)
        .env("CARGO_FEATURE_PLUGINS", "1")
        .env("OUT_DIR", out.path())
        .env_remove("MSB_COMPONENTS")
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let error = said
        .lines()
        .find_map(|line| line.strip_prefix("cargo::error="));
    match error {
        None if output.status.success() => Ok(()),
        _ => Err(format!(
            "does not build: {}",
            error.unwrap_or("its build script fails")
        )
        .into()),
    }
}

/// Checks that the package of `host/kit` makes the same new plugins as the repository.
fn check_scaffold(root: &Path, package: &Path) -> Result<()> {
    let folder = package.join("scaffold");
    let mut packaged = BTreeSet::new();
    for name in sources::in_package(&folder)? {
        let path = sources::unpackaged(&name);
        if fs::read(folder.join(&name))? != fs::read(root.join(&path))? {
            return Err(format!(
                "the package of {KIT} has an old {path}: run `cargo xtask guests`"
            )
            .into());
        }
        packaged.insert(path);
    }
    let present = sources::in_repository(root)?.into_iter().collect();
    match packaged.symmetric_difference(&present).next() {
        Some(path) => {
            Err(format!("the package of {KIT} and the repository differ in {path}").into())
        }
        None => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::command::root;
    use crate::guests;

    #[test]
    fn a_package_without_a_source_file_is_refused() {
        let source = tempfile::tempdir().unwrap();
        let package = tempfile::tempdir().unwrap();
        for folder in [&source, &package] {
            fs::create_dir(folder.path().join("src")).unwrap();
            fs::write(folder.path().join("src/lib.rs"), "").unwrap();
        }
        check_files(source.path(), package.path()).unwrap();
        fs::write(source.path().join("src/new.rs"), "").unwrap();
        let error = check_files(source.path(), package.path()).unwrap_err();
        assert_eq!(error.to_string(), "does not have src/new.rs");
    }

    #[test]
    fn a_package_makes_the_same_plugins_as_the_repository() {
        let root = root().unwrap();
        let package = tempfile::tempdir().unwrap();
        let folder = package.path().join("scaffold");
        guests::lay_out_scaffold(&root, &folder).unwrap();
        check_scaffold(&root, package.path()).unwrap();
        fs::create_dir(package.path().join("build")).unwrap();
        for name in ["build.rs", "build/sources.rs"] {
            let copy = package.path().join(name);
            fs::copy(root.join("host/kit").join(name), copy).unwrap();
        }
        let script = package.path().join("build.rs");
        run_build_script(&script, package.path()).unwrap();

        fs::write(folder.join("wit/log.wit"), "old").unwrap();
        let error = check_scaffold(&root, package.path())
            .unwrap_err()
            .to_string();
        assert!(error.contains("an old wit/log.wit"), "{error}");
        fs::remove_file(folder.join("wit/log.wit")).unwrap();
        let error = check_scaffold(&root, package.path())
            .unwrap_err()
            .to_string();
        assert!(error.contains("differ in wit/log.wit"), "{error}");
        fs::remove_dir_all(&folder).unwrap();
        let error = run_build_script(&script, package.path()).unwrap_err();
        assert!(error.to_string().contains("cannot be read"), "{error}");
    }
}
